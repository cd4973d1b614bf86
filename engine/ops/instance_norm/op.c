/* Instance normalisation with leaky ReLU: what stands between two convolutions, in one op so that
 * neither the normalised nor the activated image need exist apart.
 *
 * With N voxels, h = (x − mean)·r, r = 1/sqrt(var + eps), u = scale·h + offset, y = act(u):
 *   g = dy·act'(u),  doffset = Σ g,  dscale = Σ g·h,
 *   dx = scale·r·(g − Σg/N − h·Σ(g·h)/N), sums over the voxels of one image and channel. */
#include "instance_norm.h"

#include "normalise/normalise.h"
#include "opkit.h"

#include <math.h>

static const hl_attr schema[] = {
    {"eps", HL_A_REAL, "1e-5", offsetof(hl_instance_norm_attrs, eps), 1e-12, 1,
     "added to the variance"},
    {"slope", HL_A_REAL, "1", offsetof(hl_instance_norm_attrs, slope), 0, 1,
     "of the leaky ReLU for negative values; 1: no activation"},
    {0},
};

/* scale and offset, where given, are inputs number `first` and the next. */
static hl_status affine_shape(const hl_call *c, int first, hl_err *e) {
  static const char *const names[] = {"scale", "offset"};
  for (int i = first; i < c->n_in; i++)
    HL_TRY(hl_rule_vector(c, i, names[i - first], c->in[0].shape.dim[AXIS_C], "channels of x", e));
  return HL_OK;
}

static hl_status image_shape(const hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  if (hl_image_voxels(&c->in[0]) < 2)
    return hl_fail(e, HL_ESHAPE,
                   "x has a single voxel per channel, whose variance is 0: use a larger image or "
                   "fewer levels");
  return HL_OK;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(image_shape(c, e));
  HL_TRY(affine_shape(c, 1, e));
  hl_desc stats = hl_instance_stats_of(&c->in[0]);
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  return hl_rule_out(c, &stats, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(image_shape(c, e));
  hl_desc stats = hl_instance_stats_of(&c->in[0]);
  HL_TRY(hl_rule_is(c, 1, "stats", &stats, "what instance_norm gives", e));
  HL_TRY(hl_rule_is(c, 2, "dy", &c->in[0], "x", e));
  HL_TRY(affine_shape(c, 3, e));
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  for (int i = 3; i < c->n_in; i++) HL_TRY(hl_rule_out(c, &c->in[i], e));
  return HL_OK;
}

/* ---- references ---- */

/* Its two parts, one after the other. */
static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  const hl_instance_norm_attrs *a = c->attrs;
  const hl_instance_stats_attrs eps = {.eps = a->eps};
  const hl_normalise_attrs slope = {.slope = a->slope};
  hl_call stats = {.op = &hl_op_instance_stats, .attrs = &eps, .n_in = 1, .n_out = 1};
  hl_call map = {.op = &hl_op_normalise, .attrs = &slope, .n_in = c->n_in + 1, .n_out = 1};
  const double *args[] = {in[0], out[1], c->n_in > 1 ? in[1] : NULL, c->n_in > 2 ? in[2] : NULL};
  stats.in[0] = map.in[0] = c->in[0];
  stats.out[0] = map.in[1] = c->out[1];
  HL_TRY(stats.op->ref(&stats, in, out + 1, e));
  return map.op->ref(&map, args, out, e);
}

/* Writes dx and gives Σ g·h and Σ g. */
static void pull_back(const double *x, const double *dy, double *dx, int64_t n, double scale,
                      double offset, const double stats[2], double slope, double sums[2]) {
  double dot = 0, sum = 0;
  for (int64_t i = 0; i < n; i++) {
    double h = (x[i] - stats[0]) * stats[1];
    dx[i] = scale * h + offset > 0 ? dy[i] : slope * dy[i];
    dot += dx[i] * h;
    sum += dx[i];
  }
  for (int64_t i = 0; i < n; i++) {
    double h = (x[i] - stats[0]) * stats[1];
    dx[i] = scale * stats[1] * (dx[i] - sum / (double)n - h * dot / (double)n);
  }
  sums[0] = dot;
  sums[1] = sum;
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_instance_norm_attrs *a = c->attrs;
  int64_t n = hl_image_voxels(&c->in[0]), channels = c->in[0].shape.dim[AXIS_C];
  for (int k = 1; k < c->n_out; k++)
    for (int64_t i = 0; i < channels; i++) out[k][i] = 0;
  for (int64_t i = 0; i < c->in[0].shape.dim[AXIS_N] * channels; i++) {
    int64_t channel = i % channels;
    double scale = c->n_in > 3 ? in[3][channel] : 1, offset = c->n_in > 4 ? in[4][channel] : 0;
    double sums[2];
    pull_back(in[0] + i * n, in[2] + i * n, out[0] + i * n, n, scale, offset, in[1] + 2 * i,
              a->slope, sums);
    for (int k = 1; k < c->n_out; k++) out[k][channel] += sums[k - 1];
  }
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  hl_var in[5] = {v->in[0], v->out[1], v->dout[0]}, out[3];
  int affine = v->call->n_in - 1;
  for (int i = 0; i < affine; i++) in[3 + i] = v->in[1 + i];
  HL_TRY(hl_emit(v->program, &hl_op_instance_norm_grad, v->call->attrs, 3 + affine, in, 1 + affine,
                 out, e));
  for (int i = 0; i < v->call->n_in; i++)
    if (v->needs[i]) v->din[i] = out[i];
  return HL_OK;
}

static const hl_sample samples[] = {
    {"bare", {"2x3x4x5x6 image"}, NULL},
    {"affine", {"2x4x3x4x5 image", "4", "4"}, "eps=1e-3"},
    {"activated", {"2x8x3x4x5 image", "8", "8"}, "slope=0.01"},
    {"scale alone", {"1x2x3x4x5 image", "2"}, "slope=0.2"},
    {"relu", {"1x2x3x4x5 image"}, "slope=0"},
    {"one channel", {"2x1x5x6x7 image", "1", "1"}, "slope=0.01"},
    {"many channels", {"1x40x2x3x4 image", "40", "40"}, "slope=0.01"},
    {"flat image", {"1x6x1x7x9 image", "6", "6"}, "slope=0.01"},
    {"seven channels", {"2x7x3x4x5 image", "7", "7"}, "slope=0.01"},
    {"two voxels", {"2x3x1x1x2 image"}, "eps=0.1"},
    /* Without activation: so many values would meet its kink in a difference quotient. */
    {"several chunks", {"1x5x17x19x23 image", "5", "5"}, NULL},
    {0},
};
static const hl_sample grad_samples[] = {
    {"bare", {"2x3x4x5x6 image", "2x3x2 positive", "2x3x4x5x6 image"}, NULL},
    {"affine", {"2x4x3x4x5 image", "2x4x2 positive", "2x4x3x4x5 image", "4", "4"}, "slope=0.01"},
    {"scale alone", {"1x2x3x4x5 image", "1x2x2 positive", "1x2x3x4x5 image", "2"}, "slope=0.2"},
    {"many channels",
     {"1x40x2x3x4 image", "1x40x2 positive", "1x40x2x3x4 image", "40", "40"},
     "slope=0.01"},
    {"several chunks",
     {"1x5x17x19x23 image", "1x5x2 positive", "1x5x17x19x23 image", "5", "5"},
     "slope=0.01"},
    {0},
};

const hl_op hl_op_instance_norm = {
    .name = "instance_norm",
    .brief = "Normalises each channel of each image over its voxels, then leaky ReLU.",
    .math = "y = leaky_relu(scale*(x - mean)/sqrt(var + eps) + offset), biased variance per (n,c)",
    .args = "x, scale?, offset?",
    .min_in = 1,
    .max_in = 3,
    .attr_size = sizeof(hl_instance_norm_attrs),
    .attrs = schema,
    .samples = samples,
    .inplace = 1U << 0,
    .kept_f32 = 3U << 1,
    .hidden = 1, /* stats [n,c,2]: mean, 1/sqrt(var + eps) */
    .shape = shape,
    .ref = ref,
    .vjp = vjp,
    .join = hl_instance_norm_join,
};

const hl_op hl_op_instance_norm_grad = {
    .name = "instance_norm_grad",
    .brief = "Gradient of instance_norm with respect to x, scale and offset.",
    .math = "dx = scale*r*(g - mean(g) - h*mean(g*h)), h = (x - mean)*r, g = dy*act'(scale*h + "
            "offset); dscale = sum(g*h), doffset = sum(g)",
    .args = "x, stats, dy, scale?, offset?",
    .min_in = 3,
    .max_in = 5,
    .attr_size = sizeof(hl_instance_norm_attrs),
    .attrs = schema,
    .samples = grad_samples,
    .inplace = 1U << 0 | 1U << 2,
    .kept_f32 = 1U << 1 | 3U << 3,
    .internal = true,
    .shape = grad_shape,
    .ref = grad_ref,
};
