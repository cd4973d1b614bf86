/* Programs: a flat list of ops over values, recorded by tracing a model, differentiated, planned
 * and executed in C.
 *
 * A *live* program is the eager tape: every op emitted into it is executed at once and its result
 * kept, so that gradients can be pulled afterwards (HL_EINVAL if a value they need was changed in
 * place meanwhile). A *traced* program knows shapes only until it
 * is run.
 *
 * Invertible blocks. A stretch of ops can be declared a block that carries a second, traced body:
 * its inverse. Differentiation of a block in rebuild mode uses none of the block's forward values:
 * it emits the inverse on the block's outputs, then the forward ops again on the rebuilt inputs (an
 * op that both bodies share is emitted once), and pulls the gradient through those. All of this is
 * ordinary ops of the flat program, so that liveness, plan and execution need to know nothing about
 * it: forward values die where the forward pass last uses them, and a depth of any number of blocks
 * costs the memory of one. */
#ifndef HILUM_PROGRAM_H
#define HILUM_PROGRAM_H

#include <hilum/op.h>

#ifdef __cplusplus
extern "C" {
#endif

HL_MUST_CHECK hl_status hl_program_new(hl_program **out, bool live, hl_err *e);
void hl_program_free(hl_program *p);
bool hl_program_is_live(const hl_program *p);

/* A value fed at every run, in the order of declaration. In a live program use hl_program_constant.
 */
HL_MUST_CHECK hl_status hl_program_input(hl_program *p, const char *name, const hl_desc *d,
                                         hl_var *out, hl_err *e);
/* A value bound to a tensor by reference: later changes of the tensor's elements are seen.
 * `trainable` says that gradients with respect to it may be asked for. */
HL_MUST_CHECK hl_status hl_program_bind(hl_program *p, const char *name, hl_tensor *t,
                                        bool trainable, hl_var *out, hl_err *e);

/* Names the place in the model that is being traced: "model[2].level[3]"; used in errors and
 * listings. */
HL_MUST_CHECK hl_status hl_program_enter(hl_program *p, const char *name, hl_err *e);
void hl_program_leave(hl_program *p);

const hl_desc *hl_program_desc(const hl_program *p, hl_var v);
/* Live programs: the tensor of a value (borrowed). */
hl_tensor *hl_program_tensor(const hl_program *p, hl_var v);

/* An invertible block: begin; emit the forward ops; turn; emit the inverse ops, which start from
 * the placeholders that turn hands out (one per output); end with the rebuilt inputs, which must
 * have the inputs' shapes. rebuild = false records the block but differentiates it as ordinary ops.
 */
HL_MUST_CHECK hl_status hl_block_begin(hl_program *p, int n_in, const hl_var *in, bool rebuild,
                                       hl_err *e);
HL_MUST_CHECK hl_status hl_block_turn(hl_program *p, int n_out, const hl_var *out,
                                      hl_var *placeholder, hl_err *e);
HL_MUST_CHECK hl_status hl_block_end(hl_program *p, int n_in, const hl_var *rebuilt, hl_err *e);

/* A custom op: a stretch of ops with a gradient of its own instead of that of its ops, which may
 * have none. Begin; emit the ops; hl_block_turn with the outputs, whose placeholders here stand for
 * the gradients that arrive at them (zeros where none does); emit the gradient's ops, from those,
 * the inputs and anything computed inside; hl_block_end with the inputs' gradients. Only the
 * outputs may be used outside. */
HL_MUST_CHECK hl_status hl_custom_begin(hl_program *p, int n_in, const hl_var *in, hl_err *e);

/* A stretch of ops that is computed again: its values are not kept for the gradient, which emits
 * the ops a second time just before it goes through them. It may stand inside the forward body of
 * an invertible block, and its values may be used outside. On a tape, and in an inverse body, it is
 * ordinary ops. */
HL_MUST_CHECK hl_status hl_again_begin(hl_program *p, hl_err *e);
HL_MUST_CHECK hl_status hl_again_end(hl_program *p, hl_err *e);

/* Appends the gradient of the scalar `loss` with respect to `wrt` (inputs or trainable bindings, or
 * any values in a live program). A value on which the loss does not depend is an error that names
 * it. */
HL_MUST_CHECK hl_status hl_program_gradient(hl_program *p, hl_var loss, int n, const hl_var *wrt,
                                            hl_var *grad, hl_err *e);

/* Declares a result of a traced program; results are delivered in the order of declaration. */
HL_MUST_CHECK hl_status hl_program_output(hl_program *p, hl_var v, hl_category c, hl_err *e);

int hl_program_output_count(const hl_program *p);

/* For comparisons: ops are then not joined, neither by rules nor into chains. Before finishing. */
void hl_program_keep_apart(hl_program *p);

/* Drops what no output needs, puts one op in the place of several where a rule knows how
 * (hl_op.join), joins neighbouring elementwise ops into chains that run as one pass over memory
 * (hl_chain_run), decides where values die and which ops work in place. No op can be emitted
 * afterwards. */
HL_MUST_CHECK hl_status hl_program_finish(hl_program *p, hl_err *e);

/* Runs a finished program. `in` are the inputs in order (dense or not, exact shapes and types);
 * `out` receives one new reference per declared output. Polls hl_cancel_requested between ops. From
 * the second run on nothing is allocated but the outputs and, once, the bytes of all passing
 * values, which the run before gave back. One run of a program at a time. */
HL_MUST_CHECK hl_status hl_program_run(hl_program *p, int n_in, hl_tensor *const *in, int n_out,
                                       hl_tensor **out, hl_err *e);

/* What a run has just done: one op, or a chain of elementwise ops that ran as one pass. */
typedef struct hl_step {
  const char *op;    /* its name; of a chain the names of its ops, joined by + */
  const char *place; /* in the model: "model[2].level[3]" */
  bool backward; /* emitted by differentiation: gradients, and what is computed again for them */
  double seconds;
  size_t live, block; /* bytes of passing values and workspace that it needs; of the one block in
                         which all of the run lie. Inputs, parameters and results are not in it */
  int n_in, n_out;
  hl_tensor *const *in, *const
                            *out; /* in place an input is a result already; later ops overwrite */
} hl_step;

typedef hl_status hl_observer(void *ctx, const hl_step *step, hl_err *e);

/* Calls fn after each op of the runs to come; NULL: nobody. An error it returns ends the run. */
void hl_program_observe(hl_program *p, hl_observer *fn, void *ctx);

/* Places where fixed-point numbers (hilum/narrow.h) left their range in the last run and were cut
 * off, and how many, computing again on the way back included: begin with *at = 0 and go on until
 * false. *path is borrowed. Meanwhile nothing else may compute with such numbers. */
bool hl_program_clipped(const hl_program *p, int *at, const char **path, int64_t *count);

typedef struct hl_plan {
  size_t peak[HL_MEM_CATEGORIES + 1]; /* bytes at the moment of the overall peak; last = the peak */
  char where[160];                    /* op and place in the model where it occurs */
  int64_t ops;                        /* ops executed per run */
} hl_plan;

/* Executes the program on a counting ledger: what hl_program_run will allocate, by construction. */
HL_MUST_CHECK hl_status hl_program_plan(hl_program *p, hl_plan *out, hl_err *e);

/* For listings and tests: op i of the finished program as text, NULL past the end. Borrowed until
 * the next call. */
int hl_program_op_count(const hl_program *p);
const char *hl_program_op_text(hl_program *p, int i);

#ifdef __cplusplus
}
#endif
#endif
