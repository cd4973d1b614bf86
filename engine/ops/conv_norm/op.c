/* A convolution between normalisations: it reads an image that is normalised and activated on the
 * way, so that this image need not exist, and gives the statistics of its result. And the gradient
 * of its weight, which reads the image in the same way. Joining (instance_norm/join.c) puts them in
 * the place of conv, conv_grad_weight and parts of instance_norm. */
#include "conv_norm.h"

#include "opkit.h"

#include "instance_norm/instance_norm.h"
#include "normalise/normalise.h"

#define SLOPE(TYPE)                                                                                \
  {                                                                                                \
    "slope", HL_A_REAL, "1", offsetof(TYPE, slope), 0, 1,                                          \
        "of the leaky ReLU through which x is read, where it is normalised"                        \
  }
static const hl_attr schema[] = {
    HL_CONV_ATTRS,
    SLOPE(hl_conv_norm_attrs),
    {"stats", HL_A_BOOL, "0", offsetof(hl_conv_norm_attrs, stats), 0, 1,
     "give the statistics of y as well"},
    {"eps", HL_A_REAL, "1e-5", offsetof(hl_conv_norm_attrs, eps), 1e-12, 1,
     "added to the variance of y"},
    {0},
};
static const hl_attr grad_schema[] = {
    HL_CONV_ATTRS,
    {"kernel", HL_A_INT3, NULL, offsetof(hl_conv_grad_weight_attrs, kernel), 1, 4096,
     "window (z, y, x)"},
    SLOPE(hl_conv_norm_grad_weight_attrs),
    {0},
};

/* The convolution alone: its attributes are the first of ours. */
static hl_call convolution_of(const hl_call *c, const hl_op *op) {
  hl_call plain = {.op = op, .attrs = c->attrs, .n_in = 2};
  plain.in[0] = c->in[0];
  plain.in[1] = c->in[1];
  plain.n_out = c->n_out > 0 ? 1 : 0;
  plain.out[0] = c->out[0];
  return plain;
}

/* What x is normalised with: its statistics, a scale and an offset behind x and another input. */
static hl_status norm_shape(const hl_call *c, hl_err *e) {
  hl_call norm = {.op = &hl_op_normalise, .n_in = c->n_in - 1};
  norm.in[0] = c->in[0];
  for (int i = 2; i < c->n_in; i++) norm.in[i - 1] = c->in[i];
  return c->n_in > 2 ? norm.op->shape(&norm, e) : HL_OK;
}

static hl_status common_shape(hl_call *c, const hl_op *op, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  hl_call plain = convolution_of(c, op);
  HL_TRY(op->shape(&plain, e));
  HL_TRY(norm_shape(c, e));
  return hl_rule_out(c, &plain.out[0], e);
}

static hl_status shape(hl_call *c, hl_err *e) {
  const hl_conv_norm_attrs *a = c->attrs;
  HL_TRY(common_shape(c, &hl_op_conv, e));
  if (!a->stats) return HL_OK;
  hl_call stats = {.op = &hl_op_instance_stats, .n_in = 1};
  stats.in[0] = c->out[0];
  HL_TRY(stats.op->shape(&stats, e));
  return hl_rule_out(c, &stats.out[0], e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  return common_shape(c, &hl_op_conv_grad_weight, e);
}

/* ---- references: one op after the other ---- */

/* x as it is read, in memory of its own; NULL if there is none. */
static double *read_x(const hl_call *c, const double *const *in, double slope, hl_err *e) {
  int64_t n = hl_shape_numel(&c->in[0].shape);
  double *y = hl_host_calloc((size_t)n, sizeof *y);
  if (y == NULL) {
    (void)hl_fail(e, HL_ENOMEM, "no memory for a reference of %lld numbers", (long long)n);
    return NULL;
  }
  hl_normalise_attrs a = {.slope = slope};
  hl_call norm = {.op = &hl_op_normalise, .attrs = &a, .n_in = c->n_in - 1};
  const double *args[4] = {in[0]};
  norm.in[0] = c->in[0];
  for (int i = 2; i < c->n_in; i++) {
    norm.in[i - 1] = c->in[i];
    args[i - 1] = in[i];
  }
  hl_status s = HL_OK;
  if (c->n_in > 2)
    s = norm.op->ref(&norm, args, (double *[]){y}, e);
  else
    for (int64_t i = 0; i < n; i++) y[i] = in[0][i];
  if (s == HL_OK) return y;
  hl_host_free(y);
  return NULL;
}

static hl_status common_ref(const hl_call *c, const hl_op *op, const double *const *in,
                            double slope, double *const *out, hl_err *e) {
  double *x = read_x(c, in, slope, e);
  if (x == NULL) return HL_ENOMEM;
  hl_call plain = convolution_of(c, op);
  hl_status s = op->ref(&plain, (const double *[]){x, in[1]}, out, e);
  hl_host_free(x);
  return s;
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  const hl_conv_norm_attrs *a = c->attrs;
  HL_TRY(common_ref(c, &hl_op_conv, in, a->slope, out, e));
  if (!a->stats) return HL_OK;
  hl_instance_stats_attrs eps = {.eps = a->eps};
  hl_call stats = {.op = &hl_op_instance_stats, .attrs = &eps, .n_in = 1, .n_out = 1};
  stats.in[0] = c->out[0];
  stats.out[0] = c->out[1];
  return stats.op->ref(&stats, (const double *const *)out, out + 1, e);
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  const hl_conv_norm_grad_weight_attrs *a = c->attrs;
  return common_ref(c, &hl_op_conv_grad_weight, in, a->slope, out, e);
}

/* ---- definitions ---- */

static const hl_sample samples[] = {
    {"both",
     {"2x8x9x10x11 image", "8x8x3x3x3", "2x8x2 positive", "8", "8"},
     "padding=1 slope=0.01 stats=1"},
    {"read",
     {"1x16x8x9x12 image", "16x16x3x3x3", "1x16x2 positive", "16", "16"},
     "padding=1 slope=0.2"},
    {"statistics", {"2x4x8x12x9 image", "8x4x3x3x3"}, "padding=1 stats=1 eps=1e-3"},
    {"scale alone",
     {"1x32x8x8x9 image", "4x32x3x3x3", "1x32x2 positive", "32"},
     "padding=1 slope=0 stats=1"},
    {"bare", {"1x4x8x8x8 image", "32x4x3x3x3", "1x4x2 positive"}, "padding=1 stats=1"},
    {"wide padding",
     {"1x8x7x9x10 image", "4x8x3x3x3", "1x8x2 positive", "8", "8"},
     "padding=2 slope=0.01 stats=1"},
    {"no padding",
     {"2x8x11x12x13 image", "8x8x3x3x3", "2x8x2 positive", "8", "8"},
     "slope=0.01 stats=1"},
    {"odd channels",
     {"2x3x8x9x8 image", "5x3x3x3x3", "2x3x2 positive", "3", "3"},
     "padding=1 slope=0.01 stats=1"},
    {"small",
     {"2x8x3x4x5 image", "8x8x3x3x3", "2x8x2 positive", "8"},
     "padding=1 slope=0.01 stats=1"},
    {"stride 2", {"1x4x6x6x6 image", "8x4x2x2x2", "1x4x2 positive"}, "stride=2 stats=1"},
    {"neither", {"1x4x3x4x5 image", "8x4x3x3x3"}, "padding=1"},
    {0},
};
static const hl_sample grad_samples[] = {
    {"affine",
     {"2x8x12x13x14 image", "2x8x12x13x14 image", "2x8x2 positive", "8", "8"},
     "padding=1 kernel=3 slope=0.01"},
    {"scale alone",
     {"1x16x12x12x16 image", "1x4x12x12x16 image", "1x16x2 positive", "16"},
     "padding=1 kernel=3 slope=0.2"},
    {"bare", {"1x4x12x13x14 image", "1x8x10x11x12 image", "1x4x2 positive"}, "kernel=3"},
    {"small",
     {"2x8x3x4x5 image", "2x8x3x4x5 image", "2x8x2 positive", "8", "8"},
     "padding=1 kernel=3 slope=0.01"},
    {"odd channels",
     {"2x3x4x5x6 image", "2x5x4x5x6 image", "2x3x2 positive", "3"},
     "padding=1 kernel=3 slope=0.01"},
    {"as it is", {"1x4x3x4x5 image", "1x8x3x4x5 image"}, "padding=1 kernel=3"},
    {0},
};

const hl_op hl_op_conv_norm = {
    .name = "conv_norm",
    .brief = "Convolution of an image that is read normalised, and the statistics of its result.",
    .math = "y = conv(leaky_relu(scale*(x - stats[0])*stats[1] + offset), weight), zeros around",
    .args = "x, weight, stats?, scale?, offset?",
    .min_in = 2,
    .max_in = 5,
    .attr_size = sizeof(hl_conv_norm_attrs),
    .attrs = schema,
    .samples = samples,
    .internal = true,
    .kept_f32 = 15U << 1,
    .shape = shape,
    .ref = ref,
};

const hl_op hl_op_conv_norm_grad_weight = {
    .name = "conv_norm_grad_weight",
    .brief = "Gradient of conv_norm with respect to its weight.",
    .math = "as conv_grad_weight of leaky_relu(scale*(x - stats[0])*stats[1] + offset) and dy",
    .args = "x, dy, stats?, scale?, offset?",
    .min_in = 2,
    .max_in = 5,
    .attr_size = sizeof(hl_conv_norm_grad_weight_attrs),
    .attrs = grad_schema,
    .samples = grad_samples,
    .internal = true,
    .kept_f32 = 7U << 2,
    .shape = grad_shape,
    .ref = grad_ref,
};
