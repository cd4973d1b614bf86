/* Reverse-mode differentiation by emission, with invertible blocks rebuilt from their outputs. */
#include "internal.h"

#include <string.h>

typedef struct sweep {
  hl_program *p;
  int n_vars, n_nodes; /* of the forward program: later ones are the backward pass itself */
  bool *needs;         /* var: a wanted value depends on it, or it is wanted */
  hl_var *adjoint;     /* var: its gradient so far */
  hl_var *now;         /* var: the value that stands for it in the backward pass */
} sweep;

static void sweep_free(sweep *w) {
  hl_host_free(w->needs);
  hl_host_free(w->adjoint);
  hl_host_free(w->now);
}

static hl_status sweep_new(sweep *w, hl_program *p, hl_err *e) {
  memset(w, 0, sizeof *w);
  w->p = p;
  w->n_vars = p->n_vars;
  w->n_nodes = p->n_nodes;
  w->needs = hl_host_calloc((size_t)p->n_vars, sizeof *w->needs);
  w->adjoint = hl_host_calloc((size_t)p->n_vars, sizeof *w->adjoint);
  w->now = hl_host_calloc((size_t)p->n_vars, sizeof *w->now);
  if (w->needs == NULL || w->adjoint == NULL || w->now == NULL) {
    sweep_free(w);
    return hl_fail(e, HL_ENOMEM, "no memory to differentiate a program of %d values", p->n_vars);
  }
  for (int i = 0; i < p->n_vars; i++) {
    w->adjoint[i] = HL_NO_VAR;
    w->now[i] = i;
  }
  return HL_OK;
}

/* Marks every value that lies between the wanted ones and what is computed from them. */
static hl_status mark_needs(sweep *w, int n, const hl_var *wrt, hl_err *e) {
  hl_program *p = w->p;
  for (int i = 0; i < n; i++) w->needs[wrt[i]] = true;
  for (int i = 0; i < w->n_nodes; i++) {
    const node *nd = &p->nodes[i];
    bool custom = nd->block >= 0 && p->blocks[nd->block].custom; /* needs no rules of its ops */
    if (nd->inverse || (nd->op->constant && !custom)) continue;
    bool any = false;
    for (int j = 0; j < nd->n_in; j++) any = any || w->needs[nd->in[j]];
    if (any && nd->op->vjp == NULL && !custom)
      return hl_at_scope(p, nd->scope, hl_fail(e, HL_EINVAL, "%s has no gradient", nd->op->name),
                         e);
    for (int j = 0; j < nd->n_out; j++) w->needs[nd->out[j]] = w->needs[nd->out[j]] || any;
  }
  return HL_OK;
}

static hl_status accumulate(sweep *w, hl_var v, hl_var g, hl_err *e) {
  if (w->adjoint[v] == HL_NO_VAR) {
    w->adjoint[v] = g;
    return HL_OK;
  }
  const hl_var both[] = {w->adjoint[v], g};
  return hl_emit(w->p, hl_op_find("add"), NULL, 2, both, 1, &w->adjoint[v], e);
}

/* Pulls the gradient through node i, whose values are looked up through `now`. */
static hl_status pull(sweep *w, int i, hl_err *e) {
  hl_program *p = w->p;
  node n = p->nodes[i]; /* a copy: emission may move the array, the pointed-to lists stay */
  hl_var in[HL_MAX_ARGS], out[HL_MAX_ARGS], dout[HL_MAX_ARGS], din[HL_MAX_ARGS];
  hl_var so_far[HL_MAX_ARGS];
  bool needs[HL_MAX_ARGS], summed[HL_MAX_ARGS] = {false}, arrives = false, any = false;
  for (int j = 0; j < n.n_out; j++) {
    out[j] = w->now[n.out[j]];
    dout[j] = w->adjoint[n.out[j]];
    arrives = arrives || dout[j] != HL_NO_VAR;
  }
  for (int j = 0; j < n.n_in; j++) {
    in[j] = w->now[n.in[j]];
    needs[j] = w->needs[n.in[j]];
    so_far[j] = w->adjoint[n.in[j]];
    any = any || needs[j];
    din[j] = HL_NO_VAR;
  }
  if (!arrives || !any || n.op->constant) return HL_OK;
  hl_call c;
  hl_node_call(p, &n, &c);
  hl_vjp v = {p, &c, in, out, dout, needs, din, so_far, summed};
  p->scope = n.scope;
  HL_TRY(n.op->vjp(&v, e));
  for (int j = 0; j < n.n_in; j++) {
    if (!needs[j] || din[j] == HL_NO_VAR) continue;
    if (summed[j])
      w->adjoint[n.in[j]] = din[j];
    else
      HL_TRY(accumulate(w, n.in[j], din[j], e));
  }
  return HL_OK;
}

/* An op already emitted at or after node `from` with the same inputs and attributes, or NULL. */
static const node *same_op(const hl_program *p, int from, const node *n, const hl_var *in) {
  for (int i = from; i < p->n_nodes; i++) {
    const node *o = &p->nodes[i];
    if (o->op != n->op || o->n_in != n->n_in || o->n_out != n->n_out) continue;
    if (memcmp(o->in, in, (size_t)n->n_in * sizeof *in) != 0) continue;
    if (n->op->attr_size > 0 && memcmp(o->attrs, n->attrs, n->op->attr_size) != 0) continue;
    return o;
  }
  return NULL;
}

/* Emits nodes [first, last) again on the values of `now`; results are noted in `now`. An op that
 * was emitted since node `from` with the same inputs is not repeated. */
static hl_status emit_again(sweep *w, int first, int last, int from, hl_err *e) {
  hl_program *p = w->p;
  for (int i = first; i < last; i++) {
    node n = p->nodes[i];
    hl_var in[HL_MAX_ARGS], out[HL_MAX_ARGS];
    for (int j = 0; j < n.n_in; j++) in[j] = w->now[n.in[j]];
    const node *same = same_op(p, from, &n, in);
    p->scope = n.scope;
    if (same != NULL)
      memcpy(out, same->out, (size_t)n.n_out * sizeof *out);
    else
      HL_TRY(hl_emit(p, n.op, n.attrs, n.n_in, in, n.n_out, out, e));
    for (int j = 0; j < n.n_out; j++) w->now[n.out[j]] = out[j];
  }
  return HL_OK;
}

/* Computes a stretch again, then pulls the gradient through it. */
static hl_status pull_again(sweep *w, int index, hl_err *e) {
  stretch s = w->p->again[index];
  bool arrives = false;
  for (int i = s.first; i < s.end; i++)
    for (int j = 0; j < w->p->nodes[i].n_out; j++)
      arrives = arrives || w->adjoint[w->p->nodes[i].out[j]] != HL_NO_VAR;
  if (!arrives) return HL_OK;
  HL_TRY(emit_again(w, s.first, s.end, w->p->n_nodes, e));
  for (int i = s.end - 1; i >= s.first; i--) HL_TRY(pull(w, i, e));
  return HL_OK;
}

/* Pulls the gradient through nodes [first, last), none of which begins or ends a block. */
static hl_status pull_all(sweep *w, int first, int last, hl_err *e) {
  for (int i = last - 1; i >= first; i--) {
    int again = w->p->nodes[i].again;
    HL_TRY(again >= 0 ? pull_again(w, again, e) : pull(w, i, e));
    if (again >= 0) i = w->p->again[again].first;
  }
  return HL_OK;
}

/* Rebuilds the inputs of a block from its outputs, computes its inside again on them, and pulls the
 * gradient through. */
static hl_status pull_block(sweep *w, int index, hl_err *e) {
  hl_program *p = w->p;
  block b = p->blocks[index];
  bool arrives = false;
  for (int j = 0; j < b.n_out; j++) arrives = arrives || w->adjoint[b.out[j]] != HL_NO_VAR;
  if (!arrives) return HL_OK;
  int from = p->n_nodes;
  for (int j = 0; j < b.n_out; j++) w->now[b.placeholder[j]] = w->now[b.out[j]];
  HL_TRY(emit_again(w, b.turn, b.end, from, e));
  for (int j = 0; j < b.n_in; j++) w->now[b.in[j]] = w->now[b.rebuilt[j]];
  /* Outputs that are not inputs are computed again too; what nobody uses of it is dropped later. */
  HL_TRY(emit_again(w, b.first, b.turn, from, e));
  return pull_all(w, b.first, b.turn, e);
}

/* Bound numbers like value v, all the same. */
static hl_status bind_filled(hl_program *p, hl_var v, double value, const char *name, hl_var *out,
                             hl_err *e) {
  hl_tensor *t;
  hl_desc d = p->vars[v].desc;
  d.dtype = hl_dtype_of_gradient(d.dtype);
  HL_TRY(hl_tensor_zeros(&t, &d, HL_MEM_STATE, "a constant gradient", e));
  hl_status s = hl_tensor_fill(t, value, e);
  if (s == HL_OK) s = hl_program_bind(p, name, t, false, out, e);
  hl_tensor_unref(t);
  return s;
}

/* Emits a custom op's own gradient on what arrives. */
static hl_status pull_custom(sweep *w, int index, hl_err *e) {
  hl_program *p = w->p;
  block b = p->blocks[index];
  bool arrives = false;
  for (int j = 0; j < b.n_out; j++) arrives = arrives || w->adjoint[b.out[j]] != HL_NO_VAR;
  if (!arrives) return HL_OK;
  int from = p->n_nodes;
  for (int j = 0; j < b.n_out; j++) {
    hl_var *arriving = &w->now[b.placeholder[j]];
    *arriving = w->adjoint[b.out[j]];
    if (*arriving == HL_NO_VAR) HL_TRY(bind_filled(p, b.out[j], 0, "0", arriving, e));
  }
  HL_TRY(emit_again(w, b.turn, b.end, from, e));
  for (int j = 0; j < b.n_in; j++)
    if (w->needs[b.in[j]]) HL_TRY(accumulate(w, b.in[j], w->now[b.rebuilt[j]], e));
  return HL_OK;
}

static hl_status sweep_back(sweep *w, hl_err *e) {
  hl_program *p = w->p;
  for (int i = w->n_nodes - 1; i >= 0; i--) {
    const node n = p->nodes[i]; /* a copy: emission moves the array */
    if (n.inverse) continue;
    int first = n.block >= 0   ? p->blocks[n.block].first
                : n.again >= 0 ? p->again[n.again].first
                               : i;
    if (n.block < 0)
      HL_TRY(pull_all(w, first, i + 1, e));
    else
      HL_TRY(p->blocks[n.block].custom ? pull_custom(w, n.block, e) : pull_block(w, n.block, e));
    i = first;
  }
  return HL_OK;
}

static const char *var_name(const hl_program *p, hl_var v) {
  return p->vars[v].name != NULL ? p->vars[v].name : p->scopes[p->vars[v].scope].path;
}

static hl_status check_request(const hl_program *p, hl_var loss, int n, const hl_var *wrt,
                               hl_err *e) {
  if (p->finished) return hl_fail(e, HL_EINVAL, "the program is finished: differentiate it before");
  if (p->open_block >= 0) return hl_fail(e, HL_EINVAL, "an invertible block is still open");
  if (loss < 0 || loss >= p->n_vars || hl_shape_numel(&p->vars[loss].desc.shape) != 1) {
    char t[HL_DESC_TEXT];
    return hl_fail(e, HL_ESHAPE, "a gradient is taken of one number, not of %s",
                   loss < 0 || loss >= p->n_vars ? "nothing"
                                                 : hl_desc_text(&p->vars[loss].desc, t));
  }
  for (int i = 0; i < n; i++)
    if (wrt[i] < 0 || wrt[i] >= p->n_vars)
      return hl_fail(e, HL_EINVAL, "value %d to differentiate by is not of this program", i + 1);
  return HL_OK;
}

static hl_status gradient(hl_program *p, hl_var loss, int n, const hl_var *wrt, hl_var *grad,
                          hl_err *e) {
  hl_var one;
  HL_TRY(bind_filled(p, loss, 1, "1", &one, e)); /* of the loss with respect to itself */
  sweep w;
  HL_TRY(sweep_new(&w, p, e));
  w.adjoint[loss] = one;
  hl_status s = mark_needs(&w, n, wrt, e);
  if (s == HL_OK) s = sweep_back(&w, e);
  for (int i = 0; i < n && s == HL_OK; i++) {
    grad[i] = w.adjoint[wrt[i]];
    if (grad[i] == HL_NO_VAR)
      s = hl_fail(e, HL_EINVAL, "the loss does not depend on '%s' (value %d)", var_name(p, wrt[i]),
                  i + 1);
  }
  sweep_free(&w);
  return s;
}

hl_status hl_program_gradient(hl_program *p, hl_var loss, int n, const hl_var *wrt, hl_var *grad,
                              hl_err *e) {
  for (int i = 0; i < n; i++) grad[i] = HL_NO_VAR;
  HL_TRY(check_request(p, loss, n, wrt, e));
  int32_t scope = p->scope;
  p->backward = true;
  hl_status s = gradient(p, loss, n, wrt, grad, e);
  p->backward = false;
  p->scope = scope;
  return s;
}
