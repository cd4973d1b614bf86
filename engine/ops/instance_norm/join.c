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
  int readers; /* convolutions and their gradients that read the result, if nothing else does */
  hl_use reader[MOST_READERS];
  int sum; /* node of the sum, if nothing else uses the result; or -1 */
} around;

/* A call that reads what the normalisation reads. */
typedef struct reading {
  const hl_op *op;
  union {
    hl_conv_norm_attrs forward;
    hl_conv_norm_grad_weight_attrs back;
  } attrs;
  int n_in;
  hl_var in[5];
} reading;

/* Would the gradient of convolution p's weight read so too, whether it is in the program or not?
 * One that computes again what another has stored must do the same as that one. */
static bool gradient_reads(const around *a, const hl_part *p, const reading *r) {
  hl_conv_norm_grad_weight_attrs attrs = {.slope = a->slope};
  hl_var in[5];
  memcpy(in, r->in, sizeof in);
  memcpy(&attrs.conv, p->call.attrs, sizeof(hl_conv_attrs)); /* the common beginning */
  memcpy(attrs.conv.kernel, p->call.in[1].shape.dim + AXIS_Z, sizeof attrs.conv.kernel);
  in[1] = p->out[0]; /* described as its gradient is */
  return hl_join_pays(a->j, &hl_op_conv_norm_grad_weight, &attrs, r->n_in, in);
}

/* Reader k by way of the normalisation; false if it is no convolution that could. */
static bool read_by(const around *a, int k, reading *r) {
  hl_part p;
  hl_join_part(a->j, a->reader[k].node, &p);
  memset(r, 0, sizeof *r);
  if (a->reader[k].input != 0 || p.call.n_in != 2) return false;
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
  r->in[r->n_in++] = a->norm.in[0];
  r->in[r->n_in++] = p.in[1];
  r->in[r->n_in++] = a->norm.out[1];
  for (int i = 1; i < a->norm.call.n_in; i++) r->in[r->n_in++] = a->norm.in[i];
  return hl_join_pays(a->j, r->op, &r->attrs, r->n_in, r->in) &&
         (r->op != &hl_op_conv_norm || gradient_reads(a, &p, r));
}

static void find_readers(around *a) {
  int n = hl_join_uses(a->j, a->norm.out[0], MOST_READERS, a->reader);
  if (n > MOST_READERS) return;
  reading r;
  for (int k = 0; k < n; k++)
    if (!read_by(a, k, &r)) return;
  a->readers = n;
}

/* base ± the result, as a call; false if node a->sum is nothing of that kind. */
static bool sum_of(const around *a, const hl_use *use, hl_normalise_add_attrs *attrs, int *n_in,
                   hl_var in[5]) {
  hl_part p;
  hl_join_part(a->j, use->node, &p);
  bool add = p.call.op == &hl_op_add, sub = p.call.op == &hl_op_sub;
  if (!add && !(sub && use->input == 1)) return false;
  hl_var base = p.in[1 - use->input];
  if (base == a->norm.out[0] ||
      !hl_desc_equal(hl_join_desc(a->j, base), hl_join_desc(a->j, p.out[0])))
    return false;
  *attrs = (hl_normalise_add_attrs){.slope = a->slope, .sign = add ? 1 : -1};
  *n_in = 0;
  in[(*n_in)++] = base;
  in[(*n_in)++] = a->norm.in[0];
  in[(*n_in)++] = a->norm.out[1];
  for (int i = 1; i < a->norm.call.n_in; i++) in[(*n_in)++] = a->norm.in[i];
  return hl_join_pays(a->j, &hl_op_normalise_add, attrs, *n_in, in);
}

static void find_sum(around *a) {
  hl_use use;
  hl_normalise_add_attrs attrs;
  int n_in;
  hl_var in[5];
  if (hl_join_uses(a->j, a->norm.out[0], 1, &use) != 1) return;
  if (sum_of(a, &use, &attrs, &n_in, in)) a->sum = use.node;
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

static hl_status let_read(const around *a, hl_err *e) {
  for (int k = 0; k < a->readers; k++) {
    reading r;
    hl_part p;
    if (!read_by(a, k, &r)) return hl_fail(e, HL_EINTERNAL, "a reader of instance_norm changed");
    hl_join_part(a->j, a->reader[k].node, &p);
    HL_TRY(
        hl_join_put(a->j, a->reader[k].node, r.op, &r.attrs, r.n_in, r.in, p.call.n_out, p.out, e));
  }
  return HL_OK;
}

static hl_status put_sum(const around *a, hl_err *e) {
  hl_use use;
  hl_normalise_add_attrs attrs;
  int n_in;
  hl_var in[5];
  hl_part p;
  (void)hl_join_uses(a->j, a->norm.out[0], 1, &use);
  if (!sum_of(a, &use, &attrs, &n_in, in))
    return hl_fail(e, HL_EINTERNAL, "a sum behind instance_norm changed");
  hl_join_part(a->j, a->sum, &p);
  return hl_join_put(a->j, a->sum, &hl_op_normalise_add, &attrs, n_in, in, 1, p.out, e);
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
  around a = {.j = j, .node = node, .sum = -1};
  hl_join_part(j, node, &a.norm);
  a.slope = ((const hl_instance_norm_attrs *)a.norm.call.attrs)->slope;
  find_readers(&a);
  if (a.readers == 0) find_sum(&a);
  bool has_stats, has_result = a.readers > 0 || a.sum >= 0;
  HL_TRY(ask_convolution(&a, &has_stats, e));
  if (!has_stats && !has_result) return HL_OK;
  if (a.readers > 0) HL_TRY(let_read(&a, e));
  if (a.sum >= 0) HL_TRY(put_sum(&a, e));
  return keep_rest(&a, has_stats, has_result, e);
}
