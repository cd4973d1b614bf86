/* What an op is. One line in engine/ops/ops.def and one folder hold everything about it; the Lua
 * binding, the help text, the tests and both ways of calling it derive from the definition here.
 *
 * An op is a pure function of tensors and attributes (updates of optimisers excepted, see
 * `mutates`). Its gradient is a rule that emits further ops, so one rule serves the eager tape, the
 * traced program and the f64 reference path alike. */
#ifndef HILUM_OP_H
#define HILUM_OP_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HL_MAX_ARGS 32  /* inputs or outputs of one op */
#define HL_MAX_PARTS 16 /* entries of a list attribute */

#define HL_KEEP_LAST (1U << 31)

typedef struct hl_op hl_op;
typedef struct hl_program hl_program;
typedef struct hl_join hl_join;

/* A value inside a program: an index, or HL_NO_VAR. */
typedef int32_t hl_var;
#define HL_NO_VAR (-1)

/* ---- attributes: a typed struct with a schema beside it ---- */

typedef struct hl_ints {
  int64_t n;
  int64_t v[HL_MAX_PARTS];
} hl_ints;

typedef enum hl_attr_kind {
  HL_A_INT,   /* int64_t */
  HL_A_REAL,  /* double */
  HL_A_BOOL,  /* bool */
  HL_A_REAL3, /* double[3], axes z, y, x; one number stands for all three */
  HL_A_INT3,  /* int64_t[3], axes z, y, x; one number stands for all three */
  HL_A_INTS,  /* hl_ints */
  HL_A_AXES,  /* hl_ints, 0-based and ascending; empty: all axes. In Lua "zyx" or 1-based numbers */
  HL_A_ORDER, /* hl_ints, 0-based axes in the order given. In Lua "xyz" or 1-based numbers */
  HL_A_CHOICE /* int64_t, the number of a word; doc begins with the words: "near|far: how …" */
} hl_attr_kind;

typedef struct hl_attr {
  const char *name;
  hl_attr_kind kind;
  const char *
      fallback; /* default as text ("1", "2,2,2", or an earlier attribute's name); NULL: required */
  size_t offset;   /* in the op's attribute struct */
  double min, max; /* allowed range of each number (min = max = 0: any) */
  const char *doc;
} hl_attr;

/* Fills the struct with defaults, then with "name=value name=value" (lists as "2,2,2"; NULL for
 * none). Unknown names and values out of range are errors that name the op and what is allowed. */
HL_MUST_CHECK hl_status hl_attrs_parse(const hl_op *op, const char *text, void *attrs, hl_err *e);
/* The same step by step: begin, set any number of attributes, end (resolves defaults, checks).
 * `given` has one bit per attribute set so far and starts at 0. */
HL_MUST_CHECK hl_status hl_attr_set(const hl_op *op, void *attrs, uint32_t *given, const char *name,
                                    int n, const double *values, hl_err *e);
HL_MUST_CHECK hl_status hl_attrs_end(const hl_op *op, void *attrs, uint32_t given, hl_err *e);
/* The number of a word among those of an HL_A_CHOICE; -1 if it is none of them. */
int hl_attr_choice(const hl_attr *a, const char *word);
/* "kernel=3,3,3 stride=1,1,1", every attribute. Returns buf. */
const char *hl_attrs_text(const hl_op *op, const void *attrs, char *buf, size_t n);

/* ---- a call ---- */

typedef struct hl_call {
  const hl_op *op;
  const void *attrs;
  int n_in, n_out; /* n_out and out are filled by the shape rule */
  hl_desc in[HL_MAX_ARGS], out[HL_MAX_ARGS];
} hl_call;

/* What a gradient rule sees. `dout[i]` is HL_NO_VAR where no gradient arrives; `din[i]` starts as
 * HL_NO_VAR and is to be set for every i with needs[i] that the output depends on. `so_far[i]` is
 * what other uses of input i have brought already, or HL_NO_VAR: a rule that can add to it at less
 * than the cost of a value of its own gives the sum as din[i] and sets summed[i]. */
typedef struct hl_vjp {
  hl_program *program;
  const hl_call *call;
  const hl_var *in, *out, *dout;
  const bool *needs;
  hl_var *din;
  const hl_var *so_far;
  bool *summed;
} hl_vjp;

/* Emits an op into a program (the only door through which rules build): `attrs` is copied, the
 * shape rule is applied, `out` receives n_out values. NULL attrs mean the defaults. */
HL_MUST_CHECK hl_status hl_emit(hl_program *p, const hl_op *op, const void *attrs, int n_in,
                                const hl_var *in, int n_out, hl_var *out, hl_err *e);

/* An elementwise kernel on a stretch: n contiguous numbers of every input, as the output sees them,
 * give n numbers of the output. y may be an input that the op names in `inplace`; attrs is NULL for
 * an op without attributes. */
typedef void (*hl_stretch)(const void *attrs, const float *const *in, float *y, int64_t n);

/* Kernel of one device. Tensors are dense; out[0] may share its storage with an input that the op
 * names in `inplace`. Kernels compute f32; a call with narrow tensors reaches those that take it,
 * and the others with these tensors widened to f32 and their results rounded
 * (engine/ops/widen.h). */
typedef struct hl_kernel {
  /* Bytes of scratch that run needs for this call; NULL: none. */
  hl_status (*workspace)(const hl_call *c, size_t *bytes, hl_err *e);
  hl_status (*run)(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                   hl_err *e);
  hl_stretch stretch; /* the same numbers for f32; NULL: not elementwise */
  /* Does run take this call, which has bf16 tensors, as it is? NULL: never. */
  bool (*takes_bf16)(const hl_call *c);
  /* The same of a call with fixed-point tensors. */
  bool (*takes_fixed)(const hl_call *c);
  /* Of an op that stands for several others (hl_op.join): is it faster than they are? NULL: always.
   */
  bool (*joins)(const hl_call *c);
} hl_kernel;

/* A case that drives the tests of an op. Inputs are shapes such as "2x3x4x6x8" (plain) or
 * "2x3x4x6x8 image", optionally followed by the domain of their values: "positive" (0.5 to 2),
 * "unit" (0.05 to 0.95), "binary" (0 or 1, constant for gradients), "constant" (not
 * differentiated), "distinct" (no two values closer than the step of a difference quotient);
 * default: normal. "f64" marks an input that is f64 whatever the others are. Where the others are
 * bf16, inputs that the op keeps in f32 (`kept_f32`) are f32. */
typedef struct hl_sample {
  const char *name;
  const char *in[8];
  const char *attrs;
} hl_sample;

struct hl_op {
  const char *name;  /* as in ops.def */
  const char *brief; /* one sentence */
  const char *math;  /* the formula */
  const char *args;  /* names of the inputs: "x, weight, bias?" (? optional, … repeated) */
  int min_in, max_in;
  size_t attr_size; /* 0: no attributes; zero-initialised, no pointers, compared by bytes */
  const hl_attr *attrs;
  const hl_sample *samples;
  unsigned inplace; /* bit i: output 0 may take the storage of input i */
  int hidden;       /* trailing outputs kept for the gradient and not shown in Lua */
  unsigned mutates; /* bit i: input i is changed (an update; such ops have no outputs) */
  bool internal;    /* part of another op's gradient: not offered in Lua, not differentiated */
  bool constant;    /* deliberately without gradient (comparisons, sorting, …) */
  bool any_type;    /* takes every element type (cast) */
  /* Narrow inputs (hilum/narrow.h) may be of different types; the result has that of the first. */
  bool mixes_narrow;
  /* May the call be computed slab by slab of z, sample by sample, each image cut in proportion and
   * results that are no images summed over the slabs? Asked about calls whose first input is an
   * image; NULL: no. */
  bool (*by_slabs)(const hl_call *c);
  /* bit i: input i is f32 where the others are narrow (parameters, statistics, numbers of
   * elements); HL_KEEP_LAST: so is the last one. */
  uint32_t kept_f32;
  hl_status (*shape)(hl_call *c, hl_err *e);
  /* Slow f64 reference over row-major logical arrays, independent of every kernel. */
  hl_status (*ref)(const hl_call *c, const double *const *in, double *const *out, hl_err *e);
  hl_status (*vjp)(const hl_vjp *v, hl_err *e);
  /* Asked, before a program is run, for each node of this op: may put ops that do the work of
   * several at once in their places; NULL: never. */
  hl_status (*join)(hl_join *j, int node, hl_err *e);
};

/* ---- the table ---- */

int hl_op_count(void);
const hl_op *hl_op_at(int i);
const hl_op *hl_op_find(const char *name); /* NULL if there is none */
/* NULL if this op has no kernel for the CPU. */
const hl_kernel *hl_op_cpu(const hl_op *op);

/* Applies the shape rule with all checks; fills c->n_out, c->out. Errors carry op and input shapes.
 */
HL_MUST_CHECK hl_status hl_call_shape(hl_call *c, hl_err *e);

/* The type that input i has where the first input that is not kept in f32 is of type `first`. */
hl_dtype hl_op_dtype(const hl_op *op, int i, int n_in, hl_dtype first);

/* Runs a call at once. All-f64 inputs go through the reference, everything else through the CPU
 * kernel. Inputs are made dense in the layout the call names. `out` tensors exist already (dense).
 */
HL_MUST_CHECK hl_status hl_call_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                                    hl_err *e);
/* Bytes of scratch that the call needs, and the call with scratch supplied: how a program runs it.
 */
HL_MUST_CHECK hl_status hl_call_workspace(const hl_call *c, size_t *bytes, hl_err *e);
HL_MUST_CHECK hl_status hl_call_execute(const hl_call *c, hl_tensor *const *in,
                                        hl_tensor *const *out, void *workspace, hl_err *e);
/* True if the call can run here: reference for f64, else a CPU kernel. */
bool hl_call_supported(const hl_call *c);

/* ---- joining: what neighbours do can be one op, with fewer passes over memory ---- */

/* An op of the program: what is called, and with which values. */
typedef struct hl_part {
  hl_call call;
  hl_var in[HL_MAX_ARGS], out[HL_MAX_ARGS];
} hl_part;

/* Input `input` of node `node`. */
typedef struct hl_use {
  int node, input;
} hl_use;

void hl_join_part(const hl_join *j, int node, hl_part *out);
const hl_desc *hl_join_desc(const hl_join *j, hl_var v);
/* The node that gives v; -1 if none does. */
int hl_join_maker(const hl_join *j, hl_var v);
/* How many nodes' inputs v is, up to `most` of them noted in `use` in no order; most + 1 if there
 * are more or if v is an output of the program. */
int hl_join_uses(const hl_join *j, hl_var v, int most, hl_use *use);
/* Does the program gain by this op on these values? Its kernel says. */
bool hl_join_pays(const hl_join *j, const hl_op *op, const void *attrs, int n_in, const hl_var *in);
/* Puts an op in the place of a node. out[i] are the values that it is to give, of the shapes that
 * it has; HL_NO_VAR: a new one, which is then set. */
HL_MUST_CHECK hl_status hl_join_put(hl_join *j, int node, const hl_op *op, const void *attrs,
                                    int n_in, const hl_var *in, int n_out, hl_var *out, hl_err *e);
/* Takes a node away; others give its values by now. */
void hl_join_drop(hl_join *j, int node);

/* ---- chains: elementwise calls as one pass over memory ---- */

enum { HL_CHAIN_LINKS = 32, HL_CHAIN_OPERANDS = 12, HL_LINK_INPUTS = 3 };

typedef struct hl_link {
  const hl_op *op;
  const void *attrs;
  hl_stretch run;
  int n_in, in[HL_LINK_INPUTS]; /* i ≥ 0: what link i gives; -1 - k: operand k */
  int result;                   /* number of the result that it writes; -1: it passes on only */
} hl_link;

typedef struct hl_chain {
  hl_desc desc; /* of what every link gives */
  int n_links, n_operands, n_results;
  hl_link link[HL_CHAIN_LINKS];
  hl_desc operand[HL_CHAIN_OPERANDS]; /* tensors that broadcast to desc */
} hl_chain;

/* How the call can be a link; NULL if it cannot. */
hl_stretch hl_call_stretch(const hl_call *c);
/* Runs all links stretch by stretch: the numbers of the single calls, bit for bit. A result may
 * share its storage with an operand of its shape that no later link reads; if its own link does,
 * the op must allow it (`inplace`). */
void hl_chain_run(const hl_chain *c, hl_tensor *const *operand, hl_tensor *const *result);

/* Describes the call and runs it eagerly: allocates outputs (HL_MEM_STATE), n_out at most
 * HL_MAX_ARGS. */
HL_MUST_CHECK hl_status hl_op_eager(const hl_op *op, const void *attrs, int n_in,
                                    hl_tensor *const *in, int *n_out, hl_tensor **out, hl_err *e);

/* "2.6.3": the version of the library behind the CPU's convolutions (oneDNN). Bits depend on it. */
const char *hl_op_cpu_library(void);

#ifdef __cplusplus
}
#endif
#endif
