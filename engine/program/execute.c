/* Finishing (what is needed and joined, when values die, what works in place), planning and
 * running.
 */
#include "internal.h"

#include <hilum/machine.h>
#include <hilum/parallel.h>

#include <stdio.h>
#include <string.h>

static void mark_needed(hl_program *p, bool *wanted) {
  for (int i = 0; i < p->n_outputs; i++) wanted[p->outputs[i]] = true;
  for (int i = p->n_nodes - 1; i >= 0; i--) {
    node *n = &p->nodes[i];
    if (n->inverse) continue;
    n->needed = n->op->mutates != 0;
    for (int j = 0; j < n->n_out; j++) n->needed = n->needed || wanted[n->out[j]];
    for (int j = 0; j < n->n_in && n->needed; j++) wanted[n->in[j]] = true;
  }
}

static void find_last_uses(hl_program *p) {
  for (int i = 0; i < p->n_nodes; i++) {
    const node *n = &p->nodes[i];
    if (!n->needed) continue;
    for (int j = 0; j < n->n_in; j++) p->vars[n->in[j]].last_use = i;
  }
  for (int i = 0; i < p->n_outputs; i++) p->vars[p->outputs[i]].last_use = INT32_MAX;
}

/* May output 0 of node i live where its input j lived? */
static bool can_take(const hl_program *p, int i, int j) {
  const node *n = &p->nodes[i];
  if ((n->op->inplace >> j & 1U) == 0 || n->n_out == 0) return false;
  const variable *from = &p->vars[n->in[j]], *to = &p->vars[n->out[0]];
  if (from->kind != VAR_RESULT || from->last_use != i || to->is_output) return false;
  for (int k = 0; k < n->n_in; k++)
    if (k != j && n->in[k] == n->in[j]) return false;
  return from->desc.dtype == to->desc.dtype && from->desc.layout == to->desc.layout &&
         hl_desc_bytes(&from->desc) == hl_desc_bytes(&to->desc);
}

static void choose_in_place(hl_program *p) {
  for (int i = 0; i < p->n_nodes; i++) {
    node *n = &p->nodes[i];
    for (int j = 0; j < n->n_in && n->needed && n->chain < 0 && n->takes < 0; j++)
      if (can_take(p, i, j)) n->takes = j;
  }
}

hl_status hl_program_finish(hl_program *p, hl_err *e) {
  if (p->live) return hl_fail(e, HL_EINVAL, "a tape runs as it is recorded: it is never finished");
  if (p->open_block >= 0) return hl_fail(e, HL_EINVAL, "an invertible block is still open");
  if (p->finished) return HL_OK;
  bool *wanted = hl_host_calloc((size_t)p->n_vars, sizeof *wanted);
  if (wanted == NULL) return hl_fail(e, HL_ENOMEM, "no memory to finish a program");
  mark_needed(p, wanted);
  hl_host_free(wanted);
  HL_TRY(hl_join_all(p, e));
  find_last_uses(p);
  HL_TRY(hl_fuse(p, e));
  choose_in_place(p);
  HL_TRY(hl_arena_plan(p, e));
  p->finished = true;
  return HL_OK;
}

/* ---- execution, for real or counting ---- */

typedef struct run {
  hl_program *p;
  hl_ledger *ledger;
  hl_tensor **value; /* per var: inputs and outputs, owned by the run */
} run;

static void say_where(const hl_program *p, int i, char *text, size_t size) {
  const node *n = &p->nodes[i];
  snprintf(text, size, "%s%s of %s", n->backward ? "backward pass: " : "", n->op->name,
           p->scopes[n->scope].path);
}

/* If the block of all passing values does not fit, the place that needs it most is named. */
static hl_status name_summit(const hl_program *p, hl_status code, hl_err *own, hl_err *e) {
  summit top = hl_arena_summit(p);
  char where[160];
  if (top.node >= 0) {
    say_where(p, top.node, where, sizeof where);
    hl_err_prefix(own, code, "most is needed at %s", where);
  }
  if (e != NULL && e->code == HL_OK) *e = *own;
  return code;
}

static const char arena_label[] = "the activations of a step";

static hl_status new_arena(const hl_program *p, hl_ledger *l, hl_tensor **out, hl_err *e) {
  hl_desc d = {HL_U8, HL_PLAIN, {1, {(int64_t)p->arena_bytes}}};
  hl_err own = {0};
  hl_status s = hl_tensor_new(out, &d, l, HL_MEM_STATE, arena_label, &own);
  return s == HL_OK ? s : name_summit(p, s, &own, e);
}

/* Everything that stays the same from run to run, made by the first. */
static hl_status prepare(hl_program *p, hl_err *e) {
  if (p->values == NULL) p->values = hl_host_calloc((size_t)p->n_vars, sizeof(hl_tensor *));
  if (p->values == NULL) return hl_fail(e, HL_ENOMEM, "no memory to run a program");
  for (int i = 0; i < p->n_vars; i++) {
    variable *v = &p->vars[i];
    if (v->slot >= 0 && v->view == NULL)
      HL_TRY(hl_tensor_within(&v->view, p->arena, p->slots[v->slot].offset, &v->desc, e));
  }
  return HL_OK;
}

/* The arena with its memory. */
static hl_status wake_arena(hl_program *p, hl_err *e) {
  if (p->arena == NULL) return new_arena(p, hl_ledger_main(), &p->arena, e);
  hl_err own = {0};
  hl_status s = hl_tensor_wake(p->arena, arena_label, &own);
  return s == HL_OK ? s : name_summit(p, s, &own, e);
}

static hl_status make_outputs(run *r, const node *n, hl_err *e) {
  for (int j = 0; j < n->n_out; j++) {
    const variable *v = &r->p->vars[n->out[j]];
    if (v->is_output)
      HL_TRY(hl_tensor_new(&r->value[n->out[j]], &v->desc, r->ledger, v->category, n->op->name, e));
  }
  return HL_OK;
}

static hl_tensor *value_of(const run *r, hl_var v) {
  const variable *x = &r->p->vars[v];
  return x->kind == VAR_BOUND ? x->tensor : x->slot >= 0 ? x->view : r->value[v];
}

static hl_status run_node(run *r, int i, hl_err *e) {
  hl_program *p = r->p;
  const node *n = &p->nodes[i];
  HL_TRY(make_outputs(r, n, e));
  if (hl_ledger_is_counting(r->ledger)) return HL_OK;
  hl_tensor *in[HL_MAX_ARGS], *out[HL_MAX_ARGS];
  for (int j = 0; j < n->n_in; j++) in[j] = value_of(r, n->in[j]);
  for (int j = 0; j < n->n_out; j++) out[j] = value_of(r, n->out[j]);
  hl_call c;
  hl_node_call(p, n, &c);
  char *arena = hl_tensor_data(p->arena);
  hl_status s =
      hl_call_execute(&c, in, out, n->scratch < 0 ? NULL : arena + p->slots[n->scratch].offset, e);
  p->scopes[n->scope].clipped += hl_fixed_take_clipped();
  return s;
}

static hl_status run_chain(run *r, const chain *c, hl_err *e) {
  hl_program *p = r->p;
  for (int i = c->first; i <= c->last; i++) {
    const node *n = &p->nodes[i];
    hl_status s = n->needed ? make_outputs(r, n, e) : HL_OK;
    if (s != HL_OK) return hl_at_scope(p, n->scope, s, e);
  }
  if (hl_ledger_is_counting(r->ledger)) return HL_OK;
  hl_tensor *operand[HL_CHAIN_OPERANDS], *result[HL_CHAIN_LINKS];
  for (int k = 0; k < c->call.n_operands; k++) operand[k] = value_of(r, c->operand[k]);
  for (int k = 0; k < c->call.n_results; k++) result[k] = value_of(r, c->result[k]);
  hl_chain_run(&c->call, operand, result);
  return HL_OK;
}

/* The node, or the chain that begins with it. */
static hl_status run_step(run *r, int i, hl_err *e) {
  const node *n = &r->p->nodes[i];
  if (n->chain >= 0) return run_chain(r, &r->p->chains[n->chain], e);
  hl_status s = run_node(r, i, e);
  return s == HL_OK ? s : hl_at_scope(r->p, n->scope, s, e);
}

/* ---- being watched ---- */

void hl_program_observe(hl_program *p, hl_observer *fn, void *ctx) {
  p->observer = fn;
  p->observing = ctx;
}

static void name_chain(const hl_program *p, const chain *c, char *text, size_t size) {
  size_t used = 0;
  for (int i = c->first; i <= c->last && used < size; i++)
    if (p->nodes[i].needed)
      used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? "+" : "",
                               p->nodes[i].op->name);
}

/* Tells the observer about the node, or the chain that begins with it. */
static hl_status tell(const run *r, int i, double seconds, hl_err *e) {
  const hl_program *p = r->p;
  const node *n = &p->nodes[i];
  const chain *c = n->chain >= 0 ? &p->chains[n->chain] : NULL;
  char name[256];
  enum { MOST_IN = HL_MAX_ARGS + HL_CHAIN_OPERANDS, MOST_OUT = HL_MAX_ARGS + HL_CHAIN_LINKS };
  hl_tensor *in[MOST_IN], *out[MOST_OUT];
  hl_step step = {.op = n->op->name,
                  .place = p->scopes[n->scope].path,
                  .backward = n->backward,
                  .seconds = seconds,
                  .live = hl_arena_live(p, i),
                  .block = p->arena_bytes,
                  .n_in = c == NULL ? n->n_in : c->call.n_operands,
                  .n_out = c == NULL ? n->n_out : c->call.n_results,
                  .in = in,
                  .out = out};
  const hl_var *operand = c == NULL ? n->in : c->operand, *result = c == NULL ? n->out : c->result;
  for (int k = 0; k < step.n_in; k++) in[k] = value_of(r, operand[k]);
  for (int k = 0; k < step.n_out; k++) out[k] = value_of(r, result[k]);
  if (c != NULL) {
    name_chain(p, c, name, sizeof name);
    step.op = name;
  }
  return p->observer(p->observing, &step, e);
}

static hl_status run_watched(run *r, int i, hl_err *e) {
  if (r->p->observer == NULL || hl_ledger_is_counting(r->ledger)) return run_step(r, i, e);
  double start = hl_machine_clock();
  HL_TRY(run_step(r, i, e));
  return tell(r, i, hl_machine_clock() - start, e);
}

static hl_status run_all(run *r, hl_err *e) {
  hl_program *p = r->p;
  for (int i = 0; i < p->n_nodes; i++) {
    if (!p->nodes[i].needed) continue;
    if (hl_cancel_requested()) return hl_fail(e, HL_ECANCELLED, "stopped on request");
    HL_TRY(run_watched(r, i, e));
    if (p->nodes[i].chain >= 0) i = p->chains[p->nodes[i].chain].last;
  }
  return HL_OK;
}

static void drop_values(run *r) {
  for (int i = 0; i < r->p->n_vars; i++) {
    hl_tensor_unref(r->value[i]);
    r->value[i] = NULL;
  }
}

static hl_status feed(run *r, int n_in, hl_tensor *const *in, hl_err *e) {
  hl_program *p = r->p;
  if (n_in != p->n_inputs)
    return hl_fail(e, HL_EINVAL, "the program takes %d inputs, not %d", p->n_inputs, n_in);
  for (int i = 0; i < n_in; i++) {
    const variable *v = &p->vars[p->inputs[i]];
    const hl_desc *d = hl_tensor_desc(in[i]);
    char want[HL_DESC_TEXT], have[HL_DESC_TEXT];
    if (!hl_shape_equal(&d->shape, &v->desc.shape))
      return hl_fail(e, HL_ESHAPE, "input '%s' must be %s, not %s", v->name,
                     hl_desc_text(&v->desc, want), hl_desc_text(d, have));
    HL_TRY(hl_tensor_dense(&r->value[p->inputs[i]], in[i], v->desc.dtype, v->desc.layout, e));
  }
  return HL_OK;
}

hl_status hl_program_run(hl_program *p, int n_in, hl_tensor *const *in, int n_out, hl_tensor **out,
                         hl_err *e) {
  for (int i = 0; i < n_out; i++) out[i] = NULL;
  if (!p->finished) return hl_fail(e, HL_EINVAL, "finish the program before running it");
  if (n_out != p->n_outputs)
    return hl_fail(e, HL_EINVAL, "the program has %d outputs, not %d", p->n_outputs, n_out);
  HL_TRY(wake_arena(p, e));
  hl_status s = prepare(p, e);
  if (s == HL_OK) {
    run r = {p, hl_ledger_main(), p->values};
    s = feed(&r, n_in, in, e);
    for (int i = 0; i < p->n_scopes; i++) p->scopes[i].clipped = 0;
    (void)hl_fixed_take_clipped(); /* what came before is not this run's */
    if (s == HL_OK) s = run_all(&r, e);
    for (int i = 0; i < n_out && s == HL_OK; i++)
      out[i] = hl_tensor_ref(value_of(&r, p->outputs[i]));
    drop_values(&r);
  }
  hl_tensor_rest(p->arena);
  return s;
}

/* Inputs that the plan makes up: they cost their bytes. */
static hl_status feed_nothing(run *r, hl_err *e) {
  hl_program *p = r->p;
  for (int i = 0; i < p->n_inputs; i++) {
    const variable *v = &p->vars[p->inputs[i]];
    HL_TRY(hl_tensor_new(&r->value[p->inputs[i]], &v->desc, r->ledger, HL_MEM_DATA, v->name, e));
  }
  return HL_OK;
}

static void plan_read(const run *r, hl_plan *out) {
  const hl_program *p = r->p;
  for (int c = 0; c <= HL_MEM_CATEGORIES; c++)
    out->peak[c] = hl_ledger_at_peak(r->ledger, (hl_category)c);
  for (int i = 0; i < p->n_nodes; i++) out->ops += p->nodes[i].needed;
  summit top = hl_arena_summit(p);
  if (top.node < 0) return;
  out->peak[HL_MEM_STATE] -= top.workspace; /* the arena holds both */
  out->peak[HL_MEM_WORKSPACE] += top.workspace;
  say_where(p, top.node, out->where, sizeof out->where);
}

static hl_status plan_on(hl_program *p, hl_ledger *counting, hl_plan *out, hl_err *e) {
  hl_tensor *arena = NULL;
  run r = {p, counting, hl_host_calloc((size_t)p->n_vars, sizeof(hl_tensor *))};
  if (r.value == NULL) return hl_fail(e, HL_ENOMEM, "no memory to plan a program");
  hl_status s = feed_nothing(&r, e);
  if (s == HL_OK) s = new_arena(p, counting, &arena, e);
  if (s == HL_OK) s = run_all(&r, e);
  if (s == HL_OK) plan_read(&r, out);
  drop_values(&r);
  hl_host_free(r.value);
  hl_tensor_unref(arena);
  return s;
}

hl_status hl_program_plan(hl_program *p, hl_plan *out, hl_err *e) {
  memset(out, 0, sizeof *out);
  if (!p->finished) return hl_fail(e, HL_EINVAL, "finish the program before planning it");
  hl_ledger *counting;
  HL_TRY(hl_ledger_new_counting(&counting, e));
  hl_status s = plan_on(p, counting, out, e);
  hl_ledger_free(counting);
  return s;
}
