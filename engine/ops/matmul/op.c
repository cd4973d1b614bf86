/* Products of matrices with numpy's rules: leading axes broadcast, a vector on the left is a row,
 * on the right a column, and its axis leaves the result. */
#include "matmul.h"

#include "logical.h"

#include <string.h>

/* A vector as the matrix it stands for. */
static hl_shape matrix(const hl_shape *s, bool left) {
  if (s->rank > 1) return *s;
  return left ? hl_shape_make(2, (int64_t[]){1, s->dim[0]})
              : hl_shape_make(2, (int64_t[]){s->dim[0], 1});
}

static hl_shape leading(const hl_shape *matrix) {
  return hl_shape_make(matrix->rank - 2, matrix->dim);
}

/* Rows and columns after a transpose. */
static int64_t rows(const hl_shape *s, bool transpose) {
  return s->dim[s->rank - (transpose ? 1 : 2)];
}

static int64_t columns(const hl_shape *s, bool transpose) {
  return s->dim[s->rank - (transpose ? 2 : 1)];
}

static hl_status check_operand(const hl_call *c, int i, const char *name, bool transpose,
                               hl_err *e) {
  const hl_desc *d = &c->in[i];
  if (d->layout != HL_PLAIN)
    return hl_fail(e, HL_ETYPE, "%s must be in plain layout, not an image", name);
  if (d->shape.rank == 0) return hl_fail(e, HL_ESHAPE, "%s is a number, not a matrix", name);
  if (d->shape.rank == 1 && transpose)
    return hl_fail(e, HL_EINVAL, "%s is a vector: there is nothing to transpose", name);
  return HL_OK;
}

/* [batch…, rows, columns] */
static hl_status full_shape(const hl_call *c, hl_shape *out, hl_err *e) {
  const hl_matmul_attrs *t = c->attrs;
  hl_shape a = matrix(&c->in[0].shape, true), b = matrix(&c->in[1].shape, false);
  int64_t k = columns(&a, t->transpose_a), other = rows(&b, t->transpose_b);
  if (k != other)
    return hl_fail(e, HL_ESHAPE, "a has %lld columns, but b has %lld rows", (long long)k,
                   (long long)other);
  hl_shape la = leading(&a), lb = leading(&b);
  HL_TRY(hl_shape_join(&la, &lb, out, e));
  out->dim[out->rank++] = rows(&a, t->transpose_a);
  out->dim[out->rank++] = columns(&b, t->transpose_b);
  return HL_OK;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_matmul_attrs *t = c->attrs;
  HL_TRY(check_operand(c, 0, "a", t->transpose_a, e));
  HL_TRY(check_operand(c, 1, "b", t->transpose_b, e));
  hl_shape full;
  HL_TRY(full_shape(c, &full, e));
  hl_desc d = {.dtype = c->in[0].dtype, .layout = HL_PLAIN};
  for (int i = 0; i < full.rank; i++) {
    bool row = i == full.rank - 2, column = i == full.rank - 1;
    if ((row && c->in[0].shape.rank == 1) || (column && c->in[1].shape.rank == 1)) continue;
    d.shape.dim[d.shape.rank++] = full.dim[i];
  }
  return hl_rule_out(c, &d, e);
}

/* Strides of an operand's matrices under the axes of batch. */
static void batch_strides(const hl_shape *matrix, const hl_shape *batch,
                          int64_t stride[HL_MAX_RANK]) {
  hl_shape own = leading(matrix);
  int64_t each = matrix->dim[matrix->rank - 1] * matrix->dim[matrix->rank - 2];
  hl_logical_broadcast(&own, batch, stride);
  for (int i = 0; i < batch->rank; i++) stride[i] *= each;
}

void hl_product_of(const hl_call *c, hl_product *p) {
  const hl_matmul_attrs *t = c->attrs;
  hl_shape a = matrix(&c->in[0].shape, true), b = matrix(&c->in[1].shape, false);
  hl_shape la = leading(&a), lb = leading(&b);
  hl_err e = {0};
  memset(p, 0, sizeof *p);
  if (hl_shape_join(&la, &lb, &p->batch, &e) != HL_OK) return; /* the shape rule has seen to it */
  batch_strides(&a, &p->batch, p->a_batch);
  batch_strides(&b, &p->batch, p->b_batch);
  p->m = rows(&a, t->transpose_a);
  p->k = columns(&a, t->transpose_a);
  p->n = columns(&b, t->transpose_b);
  p->a_row = t->transpose_a ? 1 : p->k;
  p->a_column = t->transpose_a ? p->m : 1;
  p->b_row = t->transpose_b ? 1 : p->n;
  p->b_column = t->transpose_b ? p->k : 1;
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  hl_product p;
  hl_product_of(c, &p);
  int64_t batches = hl_shape_numel(&p.batch);
  double *y = out[0];
  for (int64_t i = 0; i < batches * p.m * p.n; i++) {
    int64_t batch = i / (p.m * p.n), row = i / p.n % p.m, column = i % p.n;
    const double *a = in[0] + hl_logical_offset(&p.batch, batch, p.a_batch) + row * p.a_row;
    const double *b = in[1] + hl_logical_offset(&p.batch, batch, p.b_batch) + column * p.b_column;
    y[i] = 0;
    for (int64_t l = 0; l < p.k; l++) y[i] += a[l * p.a_column] * b[l * p.b_row];
  }
  return HL_OK;
}

/* ---- gradient ---- */

static hl_status multiply(const hl_vjp *v, hl_var a, bool ta, hl_var b, bool tb, hl_var *out,
                          hl_err *e) {
  hl_matmul_attrs t;
  memset(&t, 0, sizeof t);
  t.transpose_a = ta;
  t.transpose_b = tb;
  return hl_vjp_emit(v, &hl_op_matmul, &t, out, e, a, b);
}

/* The gradient `g` of operand i, seen as matrices over all of the batch, in the operand's shape. */
static hl_status deliver(const hl_vjp *v, int i, hl_var g, const hl_shape *full, hl_err *e) {
  const hl_desc *own = &v->call->in[i];
  hl_desc mine = *own, spread = *own;
  hl_var summed;
  mine.shape = matrix(&own->shape, i == 0);
  spread.shape = leading(full);
  for (int k = 2; k > 0; k--)
    spread.shape.dim[spread.shape.rank++] = mine.shape.dim[mine.shape.rank - k];
  HL_TRY(hl_vjp_sum_to(v, g, &spread, &mine, &summed, e));
  return hl_vjp_reshape(v, summed, &mine.shape, &own->shape, &v->din[i], e);
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  const hl_matmul_attrs *t = c->attrs;
  hl_shape full, sa = matrix(&c->in[0].shape, true), sb = matrix(&c->in[1].shape, false);
  hl_var a, b, dy, g;
  HL_TRY(full_shape(c, &full, e));
  HL_TRY(hl_vjp_reshape(v, v->in[0], &c->in[0].shape, &sa, &a, e));
  HL_TRY(hl_vjp_reshape(v, v->in[1], &c->in[1].shape, &sb, &b, e));
  HL_TRY(hl_vjp_reshape(v, v->dout[0], &c->out[0].shape, &full, &dy, e));
  if (v->needs[0]) {
    if (t->transpose_a)
      HL_TRY(multiply(v, b, t->transpose_b, dy, true, &g, e));
    else
      HL_TRY(multiply(v, dy, false, b, !t->transpose_b, &g, e));
    HL_TRY(deliver(v, 0, g, &full, e));
  }
  if (!v->needs[1]) return HL_OK;
  if (t->transpose_b)
    HL_TRY(multiply(v, dy, true, a, t->transpose_a, &g, e));
  else
    HL_TRY(multiply(v, a, !t->transpose_a, dy, false, &g, e));
  return deliver(v, 1, g, &full, e);
}

static const hl_attr attrs[] = {
    {"transpose_a", HL_A_BOOL, "0", offsetof(hl_matmul_attrs, transpose_a), 0, 1,
     "take the matrices of a transposed"},
    {"transpose_b", HL_A_BOOL, "0", offsetof(hl_matmul_attrs, transpose_b), 0, 1,
     "take the matrices of b transposed"},
    {0}};

static const hl_sample samples[] = {
    {"matrices", {"5x7", "7x4"}, NULL},
    {"transposed", {"7x5", "4x7"}, "transpose_a=1 transpose_b=1"},
    {"left transposed", {"7x5", "7x4"}, "transpose_a=1"},
    {"right transposed", {"5x7", "4x7"}, "transpose_b=1"},
    {"batch", {"3x5x7", "3x7x4"}, NULL},
    {"one for all", {"2x3x5x7", "7x4"}, NULL},
    {"both are repeated", {"2x1x5x7", "3x7x4"}, NULL},
    {"row", {"7", "3x7x4"}, NULL},
    {"column", {"3x5x7", "7"}, NULL},
    {"two vectors", {"70", "70"}, NULL},
    {"large", {"101x300", "300x150"}, NULL},
    {"large, transposed", {"300x33", "33x300"}, "transpose_a=1 transpose_b=1"},
    {"one element", {"1x1", "1x1"}, NULL},
    {0}};

const hl_op hl_op_matmul = {
    .name = "matmul",
    .brief = "Product of matrices as in numpy: leading axes broadcast, vectors are rows on the "
             "left and columns on the right.",
    .math = "y[…, i, j] = sum over l of a[…, i, l] * b[…, l, j]",
    .args = "a, b",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_matmul_attrs),
    .attrs = attrs,
    .samples = samples,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};
