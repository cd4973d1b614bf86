/* Resampling by one orthogonal matrix per channel: a block of voxels becomes as many channels, and
 * back. Etmann, Ke, Schönlieb, iUNets, 2020. With orthogonal matrices up and down are inverse. */
#include "resample.h"

static hl_status check_matrix(const hl_call *c, int i, int64_t channels, int64_t window,
                              hl_err *e) {
  HL_TRY(hl_rule_plain(c, i, "matrix", 3, "[C,s,s]", e));
  const hl_desc want =
      hl_desc_plain(hl_kept_dtype(c->in[0].dtype), 3, (int64_t[]){channels, window, window});
  return hl_rule_is(c, i, "matrix", &want, "what fits the channels and stride", e);
}

/* The coarse image that belongs to a fine one, all channels. */
static hl_status coarse_of(const hl_desc *fine, int64_t channels, const int64_t stride[3],
                           hl_desc *coarse, hl_err *e) {
  static const char axis[] = "zyx";
  *coarse = *fine;
  coarse->shape.dim[AXIS_C] = channels * hl_resample_window(stride);
  for (int i = 0; i < 3; i++) {
    int64_t size = fine->shape.dim[AXIS_Z + i];
    if (size % stride[i] != 0)
      return hl_fail(e, HL_ESHAPE, "x has size %lld along %c, which stride %lld does not divide",
                     (long long)size, axis[i], (long long)stride[i]);
    coarse->shape.dim[AXIS_Z + i] = size / stride[i];
  }
  return HL_OK;
}

static hl_status down_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_resample_attrs *a = c->attrs;
  int64_t channels;
  HL_TRY(hl_deal_take(c, 0, c->n_in - 1, "x", &channels, e));
  HL_TRY(check_matrix(c, c->n_in - 1, channels, hl_resample_window(a->stride), e));
  hl_desc coarse;
  HL_TRY(coarse_of(&c->in[0], channels, a->stride, &coarse, e));
  return hl_deal_out(c, &a->sizes, coarse.shape.dim[AXIS_C], &coarse, e);
}

static hl_status up_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_resample_attrs *a = c->attrs;
  int64_t channels, window = hl_resample_window(a->stride);
  HL_TRY(hl_deal_take(c, 0, c->n_in - 1, "x", &channels, e));
  if (channels % window != 0)
    return hl_fail(e, HL_ESHAPE,
                   "x has %lld channels, which the %lld voxels of a window do not "
                   "divide",
                   (long long)channels, (long long)window);
  HL_TRY(check_matrix(c, c->n_in - 1, channels / window, window, e));
  hl_desc fine = c->in[0];
  for (int i = 0; i < 3; i++) fine.shape.dim[AXIS_Z + i] *= a->stride[i];
  return hl_deal_out(c, &a->sizes, channels / window, &fine, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_resample_grad_attrs *a = c->attrs;
  int parts = (int)a->parts;
  if (parts >= c->n_in)
    return hl_fail(e, HL_EINVAL, "parts is %d, but there are %d inputs in all", parts, c->n_in);
  int64_t of_coarse, of_fine, window = hl_resample_window(a->stride);
  HL_TRY(hl_deal_take(c, 0, parts, "coarse", &of_coarse, e));
  HL_TRY(hl_deal_take(c, parts, c->n_in - parts, "fine", &of_fine, e));
  hl_desc want, all = c->in[0];
  HL_TRY(coarse_of(&c->in[parts], of_fine, a->stride, &want, e));
  all.shape.dim[AXIS_C] = of_coarse;
  want.dtype = all.dtype;
  if (!hl_desc_equal(&all, &want)) {
    char t[HL_DESC_TEXT], u[HL_DESC_TEXT];
    return hl_fail(e, HL_ESHAPE, "coarse is %s in all, but fine makes it %s", hl_desc_text(&all, t),
                   hl_desc_text(&want, u));
  }
  const hl_desc d =
      hl_desc_plain(hl_kept_dtype(c->in[0].dtype), 3, (int64_t[]){of_fine, window, window});
  return hl_rule_out(c, &d, e);
}

/* ---- references: every product of the sum, one after the other ---- */

/* A coarse voxel and voxel k of its window, as offsets in their planes. */
typedef struct places {
  int64_t coarse, fine, k;
} places;

/* Walks through all of them; false behind the last. */
static bool next(places *p, int64_t *step, const hl_desc *coarse, const int64_t stride[3]) {
  int64_t window = hl_resample_window(stride);
  const int64_t *size = coarse->shape.dim + AXIS_Z;
  if (*step >= hl_image_voxels(coarse) * window) return false;
  int64_t zyx[3], at = *step / window;
  p->k = *step % window;
  p->coarse = at;
  hl_resample_place(stride, p->k, zyx);
  zyx[2] += at % size[2] * stride[2];
  zyx[1] += at / size[2] % size[1] * stride[1];
  zyx[0] += at / (size[2] * size[1]) * stride[0];
  p->fine = (zyx[0] * size[1] * stride[1] + zyx[1]) * size[2] * stride[2] + zyx[2];
  ++*step;
  return true;
}

static hl_status down_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_resample_attrs *a = c->attrs;
  const double *m = in[c->n_in - 1];
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], window = hl_resample_window(a->stride);
  for (int64_t n = 0; n < c->in[0].shape.dim[AXIS_N]; n++)
    for (int64_t k = 0; k < channels; k++)
      for (int64_t row = 0; row < window; row++) {
        const double *x = hl_deal_plane(c->in, in, n, k);
        double *y = hl_deal_plane_out(c->out, out, n, k * window + row);
        places p;
        for (int64_t step = 0; next(&p, &step, &c->out[0], a->stride);)
          y[p.coarse] += m[(k * window + row) * window + p.k] * x[p.fine];
      }
  return HL_OK;
}

static hl_status up_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_resample_attrs *a = c->attrs;
  const double *m = in[c->n_in - 1];
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], window = hl_resample_window(a->stride);
  for (int64_t n = 0; n < c->in[0].shape.dim[AXIS_N]; n++)
    for (int64_t k = 0; k < channels; k++)
      for (int64_t row = 0; row < window; row++) {
        const double *x = hl_deal_plane(c->in, in, n, k * window + row);
        double *y = hl_deal_plane_out(c->out, out, n, k);
        places p;
        for (int64_t step = 0; next(&p, &step, &c->in[0], a->stride);)
          y[p.fine] += m[(k * window + row) * window + p.k] * x[p.coarse];
      }
  return HL_OK;
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_resample_grad_attrs *a = c->attrs;
  int64_t channels = c->out[0].shape.dim[0], window = hl_resample_window(a->stride);
  for (int64_t n = 0; n < c->in[0].shape.dim[AXIS_N]; n++)
    for (int64_t k = 0; k < channels; k++)
      for (int64_t row = 0; row < window; row++) {
        const double *coarse = hl_deal_plane(c->in, in, n, k * window + row);
        const double *fine = hl_deal_plane(c->in + a->parts, in + a->parts, n, k);
        places p;
        for (int64_t step = 0; next(&p, &step, &c->in[0], a->stride);)
          out[0][(k * window + row) * window + p.k] += coarse[p.coarse] * fine[p.fine];
      }
  return HL_OK;
}

/* ---- gradients ---- */

/* dmatrix from the coarse images and the fine ones; of each resampling one side is given and the
 * gradient of the other arrives. */
static hl_status matrix_gradient(const hl_vjp *v, int n_coarse, const hl_var *coarse, int n_fine,
                                 const hl_var *fine, hl_err *e) {
  const hl_resample_attrs *own = v->call->attrs;
  hl_var args[2 * DEAL_MOST];
  memcpy(args, coarse, (size_t)n_coarse * sizeof *args);
  memcpy(args + n_coarse, fine, (size_t)n_fine * sizeof *args);
  hl_resample_grad_attrs a;
  memset(&a, 0, sizeof a);
  memcpy(a.stride, own->stride, sizeof a.stride);
  a.parts = n_coarse;
  return hl_emit(v->program, &hl_op_resample_grad_matrix, &a, n_coarse + n_fine, args, 1,
                 &v->din[v->call->n_in - 1], e);
}

/* dx: the other resampling with the same matrix. dy has room for the matrix behind it. */
static hl_status image_gradient(const hl_vjp *v, const hl_op *other, hl_var *dy, hl_err *e) {
  const hl_call *c = v->call;
  const hl_resample_attrs *own = c->attrs;
  int n = c->n_in - 1;
  hl_resample_attrs a;
  memset(&a, 0, sizeof a);
  memcpy(a.stride, own->stride, sizeof a.stride);
  a.sizes = hl_deal_sizes(c, 0, n);
  dy[c->n_out] = v->in[n];
  return hl_emit(v->program, other, &a, c->n_out + 1, dy, n, v->din, e);
}

static hl_status down_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  int n = c->n_in - 1;
  hl_var dy[DEAL_MOST + 1];
  HL_TRY(hl_deal_arriving(v, v->in[n], &c->in[n], dy, e));
  if (v->needs[n]) HL_TRY(matrix_gradient(v, c->n_out, dy, n, v->in, e));
  return hl_deal_needs(v, 0, n) ? image_gradient(v, &hl_op_resample_up, dy, e) : HL_OK;
}

static hl_status up_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  int n = c->n_in - 1;
  hl_var dy[DEAL_MOST + 1];
  HL_TRY(hl_deal_arriving(v, v->in[n], &c->in[n], dy, e));
  if (v->needs[n]) HL_TRY(matrix_gradient(v, n, v->in, c->n_out, dy, e));
  return hl_deal_needs(v, 0, n) ? image_gradient(v, &hl_op_resample_down, dy, e) : HL_OK;
}

/* ---- definitions ---- */

static const hl_attr attrs[] = {{"stride", HL_A_INT3, "2", offsetof(hl_resample_attrs, stride), 1,
                                 RESAMPLE_STRIDE, "size of a window (z, y, x)"},
                                {"sizes", HL_A_INTS, "", offsetof(hl_resample_attrs, sizes), 1,
                                 9007199254740992.0,
                                 "channels of each output; none: one output with all channels"},
                                {0}};

static const hl_attr grad_attrs[] = {
    {"stride", HL_A_INT3, "2", offsetof(hl_resample_grad_attrs, stride), 1, RESAMPLE_STRIDE,
     "size of a window (z, y, x)"},
    {"parts", HL_A_INT, NULL, offsetof(hl_resample_grad_attrs, parts), 1, DEAL_MOST,
     "how many of the inputs are coarse"},
    {0}};

static const hl_sample down_samples[] = {
    {"2x2x2", {"2x4x4x6x10 image", "4x8x8"}, NULL},
    {"two halves out", {"1x4x4x4x6 image", "4x8x8"}, "sizes=16,16"},
    {"two images in", {"1x3x2x4x6 image", "1x2x2x4x6 image", "5x8x8"}, "sizes=25,15"},
    {"flat windows", {"2x3x3x4x6 image", "3x4x4"}, "stride=1,2,2"},
    {"along x", {"1x5x1x1x14 image", "5x2x2"}, "stride=1,1,2"},
    {"3x1x2", {"1x2x6x2x4 image", "2x6x6"}, "stride=3,1,2"},
    {"identity grid", {"1x3x2x2x3 image", "3x1x1"}, "stride=1"},
    {"one voxel", {"1x1x2x2x2 image", "1x8x8"}, NULL},
    {0}};

static const hl_sample up_samples[] = {
    {"2x2x2", {"2x32x2x3x5 image", "4x8x8"}, NULL},
    {"two halves in", {"1x16x2x2x3 image", "1x16x2x2x3 image", "4x8x8"}, NULL},
    {"two images out", {"1x21x1x2x3 image", "1x19x1x2x3 image", "5x8x8"}, "sizes=3,2"},
    {"flat windows", {"2x12x3x2x3 image", "3x4x4"}, "stride=1,2,2"},
    {"along x", {"1x10x1x1x7 image", "5x2x2"}, "stride=1,1,2"},
    {"3x1x2", {"1x12x2x2x2 image", "2x6x6"}, "stride=3,1,2"},
    {"one voxel", {"1x8x1x1x1 image", "1x8x8"}, NULL},
    {0}};

static const hl_sample grad_samples[] = {
    {"2x2x2", {"2x32x2x3x5 image", "2x4x4x6x10 image"}, "parts=1"},
    {"two of each",
     {"1x21x1x2x3 image", "1x19x1x2x3 image", "1x3x2x4x6 image", "1x2x2x4x6 image"},
     "parts=2"},
    {"flat windows", {"2x12x3x2x3 image", "2x3x3x4x6 image"}, "stride=1,2,2 parts=1"},
    {"3x1x2", {"1x12x2x2x2 image", "1x2x6x2x4 image"}, "stride=3,1,2 parts=1"},
    {"one voxel", {"1x8x1x1x1 image", "1x1x2x2x2 image"}, "parts=1"},
    {0}};

#define RESAMPLE(DIRECTION, BRIEF, MATH)                                                           \
  const hl_op hl_op_resample_##DIRECTION = {.name = "resample_" #DIRECTION,                        \
                                            .brief = BRIEF,                                        \
                                            .math = MATH,                                          \
                                            .args = "x…, matrix",                                  \
                                            .min_in = 2,                                           \
                                            .max_in = DEAL_MOST + 1,                               \
                                            .attr_size = sizeof(hl_resample_attrs),                \
                                            .attrs = attrs,                                        \
                                            .samples = DIRECTION##_samples,                        \
                                            .kept_f32 = HL_KEEP_LAST,                              \
                                            .by_slabs = hl_call_by_slabs,                          \
                                            .shape = DIRECTION##_shape,                            \
                                            .ref = DIRECTION##_ref,                                \
                                            .vjp = DIRECTION##_vjp};

RESAMPLE(down,
         "Turns each window of voxels into channels, by one matrix per channel. Several images are "
         "taken as one by their channels and dealt out again.",
         "y[c*s+row](v) = sum over k of matrix[c,row,k] * x[c](window v, voxel k), s = voxels of "
         "a window")
RESAMPLE(up,
         "Turns channels back into windows of voxels: the transpose of resample_down, its inverse "
         "where the matrices are orthogonal.",
         "y[c](window v, voxel k) = sum over row of matrix[c,row,k] * x[c*s+row](v), s = voxels "
         "of a window")

const hl_op hl_op_resample_grad_matrix = {
    .name = "resample_grad_matrix",
    .brief = "Gradient of resample_down and resample_up with respect to their matrices.",
    .math = "dmatrix[c,row,k] = sum over v of coarse[c*s+row](v) * fine[c](window v, voxel k)",
    .args = "coarse…, fine…",
    .min_in = 2,
    .max_in = 2 * DEAL_MOST,
    .attr_size = sizeof(hl_resample_grad_attrs),
    .attrs = grad_attrs,
    .samples = grad_samples,
    .internal = true,
    .mixes_narrow = true,
    .by_slabs = hl_call_by_slabs,
    .shape = grad_shape,
    .ref = grad_ref};
