/* Instance normalisation in parts: its statistics, and what it makes of an image with them, alone
 * or onto another. Joining (instance_norm/join.c) puts them where a neighbour does the rest. */
#include "normalise.h"

#include "opkit.h"

#include <math.h>

static const hl_attr stats_schema[] = {
    {"eps", HL_A_REAL, "1e-5", offsetof(hl_instance_stats_attrs, eps), 1e-12, 1,
     "added to the variance"},
    {0},
};
#define SLOPE                                                                                      \
  {                                                                                                \
    "slope", HL_A_REAL, "1", offsetof(hl_normalise_attrs, slope), 0, 1,                            \
        "of the leaky ReLU for negative values; 1: no activation"                                  \
  }
static const hl_attr normalise_schema[] = {SLOPE, {0}};
static const hl_attr add_schema[] = {
    SLOPE,
    {"sign", HL_A_REAL, "1", offsetof(hl_normalise_add_attrs, sign), -1, 1, "1 or -1"},
    {0},
};

hl_desc hl_instance_stats_of(const hl_desc *x) {
  const int64_t dim[3] = {x->shape.dim[AXIS_N], x->shape.dim[AXIS_C], 2};
  return hl_desc_plain(hl_kept_dtype(x->dtype), 3, dim);
}

static hl_status stats_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  hl_desc d = hl_instance_stats_of(&c->in[0]);
  return hl_rule_out(c, &d, e);
}

/* x is input `first`; behind it stats, scale, offset. */
static hl_status check(const hl_call *c, int first, hl_err *e) {
  static const char *const names[] = {"scale", "offset"};
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, first, "x", e));
  hl_desc stats = hl_instance_stats_of(&c->in[first]);
  HL_TRY(hl_rule_is(c, first + 1, "stats", &stats, "what instance_stats gives", e));
  for (int i = first + 2; i < c->n_in; i++)
    HL_TRY(hl_rule_vector(c, i, names[i - first - 2], c->in[first].shape.dim[AXIS_C],
                          "channels of x", e));
  return HL_OK;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(check(c, 0, e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status add_shape(hl_call *c, hl_err *e) {
  const hl_normalise_add_attrs *a = c->attrs;
  HL_TRY(check(c, 1, e));
  hl_desc want = c->in[1];
  want.dtype = c->in[0].dtype;
  HL_TRY(hl_rule_is(c, 0, "base", &want, "x, but for the type,", e));
  if (fabs(a->sign) != 1) return hl_fail(e, HL_EINVAL, "sign is %g: it must be 1 or -1", a->sign);
  return hl_rule_out(c, &c->in[0], e);
}

/* ---- references, one image and channel after the other ---- */

static hl_status stats_ref(const hl_call *c, const double *const *in, double *const *out,
                           hl_err *e) {
  (void)e;
  const hl_instance_stats_attrs *a = c->attrs;
  int64_t n = hl_image_voxels(&c->in[0]);
  for (int64_t i = 0; i < hl_shape_numel(&c->out[0].shape) / 2; i++) {
    const double *x = in[0] + i * n;
    double mean = 0, variance = 0;
    for (int64_t v = 0; v < n; v++) mean += x[v] / (double)n;
    for (int64_t v = 0; v < n; v++) variance += (x[v] - mean) * (x[v] - mean) / (double)n;
    out[0][2 * i] = mean;
    out[0][2 * i + 1] = 1 / sqrt(variance + a->eps);
  }
  return HL_OK;
}

static void normalise(const hl_call *c, int first, const double *const *in, double slope,
                      double *y) {
  const hl_desc *x = &c->in[first];
  int64_t n = hl_image_voxels(x), channels = x->shape.dim[AXIS_C];
  for (int64_t i = 0; i < x->shape.dim[AXIS_N] * channels; i++) {
    const double *stats = in[first + 1] + 2 * i;
    double scale = c->n_in > first + 2 ? in[first + 2][i % channels] : 1;
    double offset = c->n_in > first + 3 ? in[first + 3][i % channels] : 0;
    for (int64_t v = i * n; v < (i + 1) * n; v++) {
      double u = scale * (in[first][v] - stats[0]) * stats[1] + offset;
      y[v] = u > 0 ? u : slope * u;
    }
  }
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_normalise_attrs *a = c->attrs;
  normalise(c, 0, in, a->slope, out[0]);
  return HL_OK;
}

static hl_status add_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_normalise_add_attrs *a = c->attrs;
  normalise(c, 1, in, a->slope, out[0]);
  for (int64_t i = 0; i < hl_shape_numel(&c->out[0].shape); i++)
    out[0][i] = in[0][i] + a->sign * out[0][i];
  return HL_OK;
}

/* ---- definitions ---- */

static const hl_sample stats_samples[] = {
    {"two images", {"2x3x4x5x6 image"}, "eps=1e-3"},
    {"one voxel", {"1x2x1x1x1 image"}, NULL},
    {"many channels", {"1x40x2x3x4 image"}, NULL},
    {"several chunks", {"1x5x17x19x23 image"}, NULL},
    {0},
};
static const hl_sample samples[] = {
    {"bare", {"2x3x4x5x6 image", "2x3x2 positive"}, NULL},
    {"activated", {"2x8x3x4x5 image", "2x8x2 positive", "8", "8"}, "slope=0.01"},
    {"scale alone", {"1x2x3x4x5 image", "1x2x2 positive", "2"}, "slope=0"},
    {"many channels", {"1x40x2x3x4 image", "1x40x2 positive", "40", "40"}, "slope=0.01"},
    {0},
};
static const hl_sample add_samples[] = {
    {"bare", {"2x3x4x5x6 image", "2x3x4x5x6 image", "2x3x2 positive"}, NULL},
    {"taken away",
     {"2x8x3x4x5 image", "2x8x3x4x5 image", "2x8x2 positive", "8", "8"},
     "slope=0.01 sign=-1"},
    {"scale alone", {"1x2x3x4x5 image", "1x2x3x4x5 image", "1x2x2 positive", "2"}, "slope=0.2"},
    {"several pieces",
     {"1x5x17x19x23 image", "1x5x17x19x23 image", "1x5x2 positive", "5", "5"},
     "slope=0.01"},
    {"very many channels",
     {"1x2500x1x2x3 image", "1x2500x1x2x3 image", "1x2500x2 positive"},
     "sign=-1"},
    {0},
};

const hl_op hl_op_instance_stats = {
    .name = "instance_stats",
    .brief = "Mean and reciprocal standard deviation of each channel of each image.",
    .math = "stats[n,c] = (mean(x), 1/sqrt(var(x) + eps)), biased variance over the voxels",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_instance_stats_attrs),
    .attrs = stats_schema,
    .samples = stats_samples,
    .internal = true,
    .shape = stats_shape,
    .ref = stats_ref,
};

const hl_op hl_op_normalise = {
    .name = "normalise",
    .brief = "Normalises each channel of each image by its statistics, then leaky ReLU.",
    .math = "y = leaky_relu(scale*(x - stats[0])*stats[1] + offset)",
    .args = "x, stats, scale?, offset?",
    .min_in = 2,
    .max_in = 4,
    .attr_size = sizeof(hl_normalise_attrs),
    .attrs = normalise_schema,
    .samples = samples,
    .internal = true,
    .inplace = 1U << 0,
    .kept_f32 = 7U << 1,
    .shape = shape,
    .ref = ref,
};

const hl_op hl_op_normalise_add = {
    .name = "normalise_add",
    .brief = "Adds a normalised and activated image to another, or takes it away.",
    .math = "y = base + sign*leaky_relu(scale*(x - stats[0])*stats[1] + offset)",
    .args = "base, x, stats, scale?, offset?",
    .min_in = 3,
    .max_in = 5,
    .attr_size = sizeof(hl_normalise_add_attrs),
    .attrs = add_schema,
    .samples = add_samples,
    .internal = true,
    .inplace = 1U << 0,
    .kept_f32 = 7U << 2,
    .mixes_narrow = true,
    .shape = add_shape,
    .ref = add_ref,
};
