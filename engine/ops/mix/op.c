/* A matrix applied to the channels of every voxel, and its gradient with respect to the matrix.
 * With an orthogonal matrix the transpose is the inverse. */
#include "mix.h"

#include "deal.h"

#include <string.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_mix_attrs *a = c->attrs;
  int64_t channels;
  int n = c->n_in - 1;
  HL_TRY(hl_deal_take(c, 0, n, "x", &channels, e));
  HL_TRY(hl_rule_plain(c, n, "matrix", 2, "[C,C]", e));
  const hl_desc want =
      hl_desc_plain(hl_kept_dtype(c->in[0].dtype), 2, (int64_t[]){channels, channels});
  HL_TRY(hl_rule_is(c, n, "matrix", &want, "what fits the channels of x", e));
  return hl_deal_out(c, &a->sizes, channels, &c->in[0], e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_mix_attrs *a = c->attrs;
  const double *q = in[c->n_in - 1];
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], voxels = hl_image_voxels(&c->in[0]);
  for (int64_t n = 0; n < c->in[0].shape.dim[AXIS_N]; n++)
    for (int64_t o = 0; o < channels; o++) {
      double *y = hl_deal_plane_out(c->out, out, n, o);
      for (int64_t i = 0; i < channels; i++) {
        const double *x = hl_deal_plane(c->in, in, n, i);
        double w = a->transpose ? q[i * channels + o] : q[o * channels + i];
        for (int64_t v = 0; v < voxels; v++) y[v] += w * x[v];
      }
    }
  return HL_OK;
}

/* dQ[o,i] = Σ dy[o] x[i]; for the transpose the two change places. */
static hl_status matrix_gradient(const hl_vjp *v, const hl_var *dout, hl_err *e) {
  const hl_call *c = v->call;
  const hl_mix_attrs *a = c->attrs;
  int n = c->n_in - 1, n_x = a->transpose ? c->n_out : n, n_dy = a->transpose ? n : c->n_out;
  hl_var args[2 * DEAL_MOST];
  memcpy(args, a->transpose ? dout : v->in, (size_t)n_x * sizeof *args);
  memcpy(args + n_x, a->transpose ? v->in : dout, (size_t)n_dy * sizeof *args);
  hl_mix_grad_attrs parts;
  memset(&parts, 0, sizeof parts);
  parts.parts = n_x;
  return hl_emit(v->program, &hl_op_mix_grad_matrix, &parts, n_x + n_dy, args, 1, &v->din[n], e);
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  const hl_mix_attrs *own = c->attrs;
  int n = c->n_in - 1;
  hl_var args[DEAL_MOST + 1];
  HL_TRY(hl_deal_arriving(v, v->in[n], &c->in[n], args, e));
  if (v->needs[n]) HL_TRY(matrix_gradient(v, args, e));
  if (!hl_deal_needs(v, 0, n)) return HL_OK;
  hl_mix_attrs a;
  memset(&a, 0, sizeof a);
  a.sizes = hl_deal_sizes(c, 0, n);
  a.transpose = !own->transpose;
  args[c->n_out] = v->in[n];
  return hl_emit(v->program, &hl_op_mix, &a, c->n_out + 1, args, n, v->din, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_mix_grad_attrs *a = c->attrs;
  int parts = (int)a->parts;
  if (parts >= c->n_in)
    return hl_fail(e, HL_EINVAL, "parts is %d, but there are %d inputs in all", parts, c->n_in);
  int64_t of_x, of_dy;
  HL_TRY(hl_deal_take(c, 0, parts, "x", &of_x, e));
  HL_TRY(hl_deal_take(c, parts, c->n_in - parts, "dy", &of_dy, e));
  hl_desc want = c->in[0];
  want.dtype = c->in[parts].dtype;
  want.shape.dim[AXIS_C] = c->in[parts].shape.dim[AXIS_C];
  HL_TRY(hl_rule_is(c, parts, "dy", &want, "x, with these channels,", e));
  if (of_x != of_dy)
    return hl_fail(e, HL_ESHAPE, "x has %lld channels and dy %lld: they must be the same number",
                   (long long)of_x, (long long)of_dy);
  const hl_desc d = hl_desc_plain(hl_kept_dtype(c->in[0].dtype), 2, (int64_t[]){of_dy, of_x});
  return hl_rule_out(c, &d, e);
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_mix_grad_attrs *a = c->attrs;
  int64_t channels = c->out[0].shape.dim[0], voxels = hl_image_voxels(&c->in[0]);
  for (int64_t n = 0; n < c->in[0].shape.dim[AXIS_N]; n++)
    for (int64_t o = 0; o < channels; o++) {
      const double *dy = hl_deal_plane(c->in + a->parts, in + a->parts, n, o);
      for (int64_t i = 0; i < channels; i++) {
        const double *x = hl_deal_plane(c->in, in, n, i);
        for (int64_t v = 0; v < voxels; v++) out[0][o * channels + i] += dy[v] * x[v];
      }
    }
  return HL_OK;
}

static const hl_attr attrs[] = {{"sizes", HL_A_INTS, "", offsetof(hl_mix_attrs, sizes), 1,
                                 9007199254740992.0,
                                 "channels of each output; none: one output with all channels"},
                                {"transpose", HL_A_BOOL, "0", offsetof(hl_mix_attrs, transpose), 0,
                                 1, "use the transposed matrix"},
                                {0}};

static const hl_attr grad_attrs[] = {{"parts", HL_A_INT, NULL, offsetof(hl_mix_grad_attrs, parts),
                                      1, DEAL_MOST, "how many of the inputs are x"},
                                     {0}};

static const hl_sample samples[] = {
    {"one image", {"2x4x2x3x5 image", "4x4"}, NULL},
    {"transposed", {"2x4x2x3x5 image", "4x4"}, "transpose=1"},
    {"two halves", {"1x8x3x5x7 image", "1x8x3x5x7 image", "16x16"}, "sizes=8,8"},
    {"odd halves", {"1x3x3x3x3 image", "1x4x3x3x3 image", "7x7"}, "sizes=4,3 transpose=1"},
    {"many channels", {"1x40x1x3x3 image", "40x40"}, "sizes=30,10"},
    {"one output", {"1x12x1x2x3 image", "1x8x1x2x3 image", "20x20"}, NULL},
    {"one voxel", {"1x1x1x1x1 image", "1x1"}, NULL},
    {0}};

static const hl_sample grad_samples[] = {
    {"one image", {"2x4x2x3x5 image", "2x4x2x3x5 image"}, "parts=1"},
    {"two halves",
     {"1x8x5x7x9 image", "1x8x5x7x9 image", "1x8x5x7x9 image", "1x8x5x7x9 image"},
     "parts=2"},
    {"odd halves", {"1x3x3x3x3 image", "1x4x3x3x3 image", "1x7x3x3x3 image"}, "parts=2"},
    {"many channels", {"1x40x1x3x3 image", "1x40x1x3x3 image"}, "parts=1"},
    {"one voxel", {"1x1x1x1x1 image", "1x1x1x1x1 image"}, "parts=1"},
    {0}};

const hl_op hl_op_mix = {
    .name = "mix",
    .brief = "Multiplies the channels of every voxel by a matrix. Several images are taken as one "
             "by their channels and dealt out again.",
    .math = "y[o] = sum over i of matrix[o,i] * x[i] (transpose: matrix[i,o])",
    .args = "x…, matrix",
    .min_in = 2,
    .max_in = DEAL_MOST + 1,
    .attr_size = sizeof(hl_mix_attrs),
    .attrs = attrs,
    .samples = samples,
    .kept_f32 = HL_KEEP_LAST,
    .inplace = ~0U, /* any image; the matrix has another layout than the output */
    .by_slabs = hl_call_by_slabs,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};

const hl_op hl_op_mix_grad_matrix = {.name = "mix_grad_matrix",
                                     .brief = "Gradient of mix with respect to its matrix.",
                                     .math = "dmatrix[o,i] = sum over voxels of dy[o] * x[i]",
                                     .args = "x…, dy…",
                                     .min_in = 2,
                                     .max_in = 2 * DEAL_MOST,
                                     .attr_size = sizeof(hl_mix_grad_attrs),
                                     .attrs = grad_attrs,
                                     .samples = grad_samples,
                                     .internal = true,
                                     .mixes_narrow = true,
                                     .by_slabs = hl_call_by_slabs,
                                     .shape = grad_shape,
                                     .ref = grad_ref};
