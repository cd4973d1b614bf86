/* What rules of joining (hl_op.join) see of a program, and how they change it: by putting an op in
 * the place of a node, or by taking one away. Who uses a value is kept beside the nodes. */
#include "internal.h"

#include <string.h>

typedef struct use {
  hl_use at;
  int next; /* of the same value; -1: none */
} use;

struct hl_join {
  hl_program *p;
  int *maker, *first; /* per value: the node that gives it, its first use; -1: none */
  int n_vars;         /* of these lists */
  use *uses;
  int n_uses, cap_uses;
};

static hl_status add_use(hl_join *j, hl_var v, hl_use at, hl_err *e) {
  HL_TRY(hl_reserve((void **)&j->uses, j->n_uses, &j->cap_uses, sizeof *j->uses, e));
  j->uses[j->n_uses] = (use){at, j->first[v]};
  j->first[v] = j->n_uses++;
  return HL_OK;
}

static hl_status note(hl_join *j, int i, hl_err *e) {
  const node *n = &j->p->nodes[i];
  for (int k = 0; k < n->n_in; k++) HL_TRY(add_use(j, n->in[k], (hl_use){i, k}, e));
  for (int k = 0; k < n->n_out; k++) j->maker[n->out[k]] = i;
  return HL_OK;
}

static void forget(hl_join *j, int i) {
  const node *n = &j->p->nodes[i];
  for (int k = 0; k < n->n_in; k++)
    for (int *at = &j->first[n->in[k]]; *at >= 0;)
      if (j->uses[*at].at.node == i)
        *at = j->uses[*at].next;
      else
        at = &j->uses[*at].next;
  for (int k = 0; k < n->n_out; k++)
    if (j->maker[n->out[k]] == i) j->maker[n->out[k]] = -1;
}

void hl_join_part(const hl_join *j, int node_index, hl_part *out) {
  const node *n = &j->p->nodes[node_index];
  hl_node_call(j->p, n, &out->call);
  memcpy(out->in, n->in, (size_t)n->n_in * sizeof *n->in);
  memcpy(out->out, n->out, (size_t)n->n_out * sizeof *n->out);
}

const hl_desc *hl_join_desc(const hl_join *j, hl_var v) {
  return &j->p->vars[v].desc;
}

int hl_join_maker(const hl_join *j, hl_var v) {
  return j->maker[v];
}

int hl_join_uses(const hl_join *j, hl_var v, int most, hl_use *out) {
  int n = 0;
  if (j->p->vars[v].is_output) return most + 1;
  for (int i = j->first[v]; i >= 0 && n <= most; i = j->uses[i].next, n++)
    if (n < most) out[n] = j->uses[i].at;
  return n;
}

static hl_status describe(const hl_join *j, const hl_op *op, const void *attrs, int n_in,
                          const hl_var *in, hl_call *c, hl_err *e) {
  *c = (hl_call){.op = op, .attrs = attrs, .n_in = n_in};
  for (int i = 0; i < n_in; i++) c->in[i] = j->p->vars[in[i]].desc;
  return hl_call_shape(c, e);
}

bool hl_join_pays(const hl_join *j, const hl_op *op, const void *attrs, int n_in,
                  const hl_var *in) {
  const hl_kernel *k = hl_op_cpu(op);
  hl_err reason = {0};
  hl_call c;
  for (int i = 0; i < n_in; i++)
    if (j->p->vars[in[i]].desc.dtype == HL_F64) return false; /* by the reference, op by op */
  if (k == NULL || describe(j, op, attrs, n_in, in, &c, &reason) != HL_OK) return false;
  return k->joins == NULL || k->joins(&c);
}

/* Room in the lists for the values that there are by now. */
static hl_status grow(hl_join *j, hl_err *e) {
  if (j->n_vars == j->p->n_vars) return HL_OK;
  size_t bytes = (size_t)j->p->n_vars * sizeof(int);
  int *maker = hl_host_realloc(j->maker, bytes);
  if (maker != NULL) j->maker = maker;
  int *first = hl_host_realloc(j->first, bytes);
  if (first != NULL) j->first = first;
  if (maker == NULL || first == NULL) return hl_fail(e, HL_ENOMEM, "no memory to join ops");
  for (; j->n_vars < j->p->n_vars; j->n_vars++) j->maker[j->n_vars] = j->first[j->n_vars] = -1;
  return HL_OK;
}

/* The op's results: values that are there already and fit, or new ones. */
static hl_status results(hl_join *j, const hl_call *c, int n_out, hl_var *out, hl_err *e) {
  if (c->n_out != n_out)
    return hl_fail(e, HL_EINTERNAL, "%s gives %d results, %d were expected", c->op->name, c->n_out,
                   n_out);
  for (int i = 0; i < n_out; i++) {
    if (out[i] == HL_NO_VAR)
      HL_TRY(hl_add_var(j->p, VAR_RESULT, &c->out[i], &out[i], e));
    else if (!hl_desc_equal(&c->out[i], &j->p->vars[out[i]].desc))
      return hl_fail(e, HL_EINTERNAL, "%s: result %d has another shape", c->op->name, i + 1);
  }
  return grow(j, e);
}

hl_status hl_join_put(hl_join *j, int at, const hl_op *op, const void *attrs, int n_in,
                      const hl_var *in, int n_out, hl_var *out, hl_err *e) {
  hl_call c;
  HL_TRY(describe(j, op, attrs, n_in, in, &c, e));
  HL_TRY(results(j, &c, n_out, out, e));
  node fresh = j->p->nodes[at];
  HL_TRY(hl_node_of(&fresh, &c, in, e));
  memcpy(fresh.out, out, (size_t)n_out * sizeof *out);
  forget(j, at);
  node *n = &j->p->nodes[at];
  hl_host_free(n->in);
  hl_host_free(n->attrs);
  *n = fresh;
  return note(j, at, e);
}

void hl_join_drop(hl_join *j, int node_index) {
  forget(j, node_index);
  j->p->nodes[node_index].needed = false;
}

static hl_status ask(hl_join *j, hl_err *e) {
  for (int i = 0; i < j->p->n_nodes; i++)
    if (j->p->nodes[i].needed) HL_TRY(note(j, i, e));
  for (int i = 0; i < j->p->n_nodes; i++) {
    const node *n = &j->p->nodes[i];
    if (!n->needed || n->op->join == NULL) continue;
    int32_t scope = n->scope;
    hl_status s = n->op->join(j, i, e);
    if (s != HL_OK) return hl_at_scope(j->p, scope, s, e);
  }
  return HL_OK;
}

hl_status hl_join_all(hl_program *p, hl_err *e) {
  hl_join j = {.p = p};
  hl_status s = p->apart ? HL_OK : grow(&j, e);
  if (s == HL_OK && !p->apart) s = ask(&j, e);
  hl_host_free(j.maker);
  hl_host_free(j.first);
  hl_host_free(j.uses);
  return s;
}
