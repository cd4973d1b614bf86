/* How instance_norm shares its work with its neighbours:
 *   conv → instance_norm                 the convolution takes the statistics as it stores
 *   instance_norm → conv, its gradient   they read through the normalisation, its result never is
 *   instance_norm → add, sub             one pass onto the other summand
 * as far as the kernels in question gain by it. */
#include "instance_norm.h"

#include "conv_norm/conv_norm.h"
#include "normalise/normalise.h"
#include "opkit.h"

#include <string.h>

enum { MOST_READERS = 4 };

/* The normalisation and what has been found around it. */
typedef struct around {
  hl_join *j;
  int node;
  hl_part norm;
  double slope;
} around;

/* What is to be put in the place of a node that used the result. */
typedef struct user {
  int node, n_in, n_out;
  const hl_op *op;
  union {
    hl_conv_norm_attrs forward;
    hl_conv_norm_grad_weight_attrs back;
    hl_normalise_add_attrs sum;
  } attrs;
  hl_var in[5], out[2];
} user;

/* Statistics, scale and offset come last. */
static void append_norm(const around *a, user *u) {
  u->in[u->n_in++] = a->norm.out[1];
  for (int i = 1; i < a->norm.call.n_in; i++) u->in[u->n_in++] = a->norm.in[i];
}

/* Would the gradient of convolution p's weight read so too, whether it is in the program or not?
 * One that computes again what another has stored must do the same as that one. */
static bool gradient_reads(const around *a, const hl_part *p, const user *r) {
  hl_conv_norm_grad_weight_attrs attrs = {.slope = a->slope};
  hl_var in[5];
  memcpy(in, r->in, sizeof in);
  memcpy(&attrs.conv, p->call.attrs, sizeof(hl_conv_attrs)); /* the common beginning */
  memcpy(attrs.conv.kernel, p->call.in[1].shape.dim + AXIS_Z, sizeof attrs.conv.kernel);
  in[1] = p->out[0]; /* described as its gradient is */
  return hl_join_pays(a->j, &hl_op_conv_norm_grad_weight, &attrs, r->n_in, in);
}

/* A convolution or the gradient of a weight, by way of the normalisation; false if the use is
 * neither or gains nothing. */
static bool reader_of(const around *a, hl_use use, user *r) {
  hl_part p;
  hl_join_part(a->j, use.node, &p);
  *r = (user){.node = use.node, .n_out = p.call.n_out};
  memset(&r->attrs, 0, sizeof r->attrs);
  if (use.input != 0 || p.call.n_in != 2) return false;
  if (p.call.op == &hl_op_conv || p.call.op == &hl_op_conv_norm) {
    r->op = &hl_op_conv_norm;
    memcpy(&r->attrs, p.call.attrs, p.call.op->attr_size);
    r->attrs.forward.slope = a->slope;
    if (p.call.op == &hl_op_conv) r->attrs.forward.eps = 1; /* not used */
  } else if (p.call.op == &hl_op_conv_grad_weight) {
    r->op = &hl_op_conv_norm_grad_weight;
    memcpy(&r->attrs, p.call.attrs, p.call.op->attr_size);
    r->attrs.back.slope = a->slope;
  } else {
    return false;
  }
  memcpy(r->out, p.out, (size_t)p.call.n_out * sizeof *p.out);
  r->in[r->n_in++] = a->norm.in[0];
  r->in[r->n_in++] = p.in[1];
  append_norm(a, r);
  return hl_join_pays(a->j, r->op, &r->attrs, r->n_in, r->in) &&
         (r->op != &hl_op_conv_norm || gradient_reads(a, &p, r));
}

/* base ± the result in one pass; false if the use is nothing of that kind. */
static bool sum_of(const around *a, hl_use use, user *s) {
  hl_part p;
  hl_join_part(a->j, use.node, &p);
  bool add = p.call.op == &hl_op_add, sub = p.call.op == &hl_op_sub;
  if (!add && !(sub && use.input == 1)) return false;
  hl_var base = p.in[1 - use.input];
  if (base == a->norm.out[0] ||
      !hl_desc_equal(hl_join_desc(a->j, base), hl_join_desc(a->j, p.out[0])))
    return false;
  *s = (user){.node = use.node, .op = &hl_op_normalise_add, .n_out = 1, .out = {p.out[0]}};
  s->attrs.sum = (hl_normalise_add_attrs){.slope = a->slope, .sign = add ? 1 : -1};
  s->in[s->n_in++] = base;
  s->in[s->n_in++] = a->norm.in[0];
  append_norm(a, s);
  return hl_join_pays(a->j, s->op, &s->attrs, s->n_in, s->in);
}

/* Those who use the result, if all of them can do without it; returns how many, or 0. */
static int find_users(const around *a, user found[MOST_READERS]) {
  hl_use use[MOST_READERS];
  int n = hl_join_uses(a->j, a->norm.out[0], MOST_READERS, use), k = 0;
  if (n > MOST_READERS) return 0;
  while (k < n && reader_of(a, use[k], &found[k])) k++;
  if (k == n) return n;
  return n == 1 && sum_of(a, use[0], &found[0]) ? 1 : 0;
}

/* The convolution that makes x gives the statistics too; *done is false if there is none that
 * could. */
static hl_status ask_convolution(const around *a, bool *done, hl_err *e) {
  const hl_instance_norm_attrs *own = a->norm.call.attrs;
  int node = hl_join_maker(a->j, a->norm.in[0]);
  hl_part p;
  *done = false;
  if (node < 0) return HL_OK;
  hl_join_part(a->j, node, &p);
  hl_conv_norm_attrs attrs = {.slope = 1};
  if (p.call.op == &hl_op_conv && p.call.n_in == 2)
    memcpy(&attrs, p.call.attrs, sizeof attrs.conv);
  else if (p.call.op == &hl_op_conv_norm && p.call.n_out == 1)
    memcpy(&attrs, p.call.attrs, sizeof attrs);
  else
    return HL_OK;
  attrs.stats = true;
  attrs.eps = own->eps;
  if (!hl_join_pays(a->j, &hl_op_conv_norm, &attrs, p.call.n_in, p.in)) return HL_OK;
  hl_var out[] = {a->norm.in[0], a->norm.out[1]};
  *done = true;
  return hl_join_put(a->j, node, &hl_op_conv_norm, &attrs, p.call.n_in, p.in, 2, out, e);
}

/* What is left for the node itself. */
static hl_status keep_rest(const around *a, bool has_stats, bool has_result, hl_err *e) {
  const hl_instance_norm_attrs *own = a->norm.call.attrs;
  if (has_stats && has_result) {
    hl_join_drop(a->j, a->node);
    return HL_OK;
  }
  if (has_result) {
    hl_instance_stats_attrs attrs = {.eps = own->eps};
    hl_var out[] = {a->norm.out[1]};
    return hl_join_put(a->j, a->node, &hl_op_instance_stats, &attrs, 1, a->norm.in, 1, out, e);
  }
  hl_normalise_attrs attrs = {.slope = own->slope};
  hl_var in[4] = {a->norm.in[0], a->norm.out[1]}, out[] = {a->norm.out[0]};
  for (int i = 1; i < a->norm.call.n_in; i++) in[i + 1] = a->norm.in[i];
  return hl_join_put(a->j, a->node, &hl_op_normalise, &attrs, a->norm.call.n_in + 1, in, 1, out, e);
}

hl_status hl_instance_norm_join(hl_join *j, int node, hl_err *e) {
  around a = {.j = j, .node = node};
  hl_join_part(j, node, &a.norm);
  a.slope = ((const hl_instance_norm_attrs *)a.norm.call.attrs)->slope;
  user users[MOST_READERS];
  int n = find_users(&a, users);
  bool has_stats, has_result = n > 0;
  HL_TRY(ask_convolution(&a, &has_stats, e));
  if (!has_stats && !has_result) return HL_OK;
  for (int k = 0; k < n; k++) {
    user *u = &users[k];
    HL_TRY(hl_join_put(j, u->node, u->op, &u->attrs, u->n_in, u->in, u->n_out, u->out, e));
  }
  return keep_rest(&a, has_stats, has_result, e);
}
