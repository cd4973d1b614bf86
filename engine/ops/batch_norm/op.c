/* Batch normalisation with leaky ReLU, as pure functions: batch_norm normalises with the statistics
 * of its own batch and hands them out; batch_norm_eval takes statistics. Running statistics are
 * the caller's: running ← (1 − momentum)·running + momentum·batch, with the unbiased variance that
 * batch_norm gives. So what is computed again in an invertible block sees the same.
 *
 * With N numbers in a channel of all images, h = (x − mean)·r, r = 1/sqrt(var + eps),
 * u = scale·h + offset, y = act(u), g = dy·act'(u):
 *   doffset = Σ g,  dscale = Σ g·h,
 *   training    dx = scale·r·(g − Σg/N − h·Σ(g·h)/N) + dmean/N + 2·dvariance·(x − mean)/(N − 1),
 *   evaluation  dx = scale·r·g,  dmean = −scale·r·Σg,  dvariance = −scale·r²·Σ(g·h)/2. */
#include "batch_norm.h"

#include "logical.h"

#include <math.h>

static const hl_attr schema[] = {
    {"eps", HL_A_REAL, "1e-5", offsetof(hl_batch_norm_attrs, eps), 1e-12, 1,
     "added to the variance"},
    {"slope", HL_A_REAL, "1", offsetof(hl_batch_norm_attrs, slope), 0, 1,
     "of the leaky ReLU for negative values; 1: no activation"},
    {0},
};

/* ---- shape rules ---- */

/* Inputs number `first` and on are vectors with one number a channel. */
static hl_status vectors(const hl_call *c, int first, int n, const char *const *names, hl_err *e) {
  for (int i = 0; i < n && first + i < c->n_in; i++)
    HL_TRY(hl_rule_vector(c, first + i, names[i], c->in[0].shape.dim[AXIS_C], "channels of x", e));
  return HL_OK;
}

static const char *const affine_names[] = {"scale", "offset"};
static const char *const stats_names[] = {"mean", "variance"};
static const char *const dstats_names[] = {"dmean", "dvariance"};

static hl_status batch_shape(const hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  if (c->in[0].shape.dim[AXIS_N] * hl_image_voxels(&c->in[0]) < 2)
    return hl_fail(e, HL_ESHAPE,
                   "the batch has a single voxel per channel, whose variance is 0: use larger "
                   "images or more of them");
  return HL_OK;
}

static hl_desc vector_desc(const hl_desc *x) {
  return hl_desc_plain(hl_kept_dtype(x->dtype), 1, &x->shape.dim[AXIS_C]);
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(batch_shape(c, e));
  HL_TRY(vectors(c, 1, 2, affine_names, e));
  hl_desc stats = vector_desc(&c->in[0]);
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  HL_TRY(hl_rule_out(c, &stats, e));
  return hl_rule_out(c, &stats, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(batch_shape(c, e));
  HL_TRY(vectors(c, 1, 2, stats_names, e));
  HL_TRY(hl_rule_is(c, 3, "dy", &c->in[0], "x", e));
  HL_TRY(vectors(c, 4, 2, dstats_names, e));
  HL_TRY(vectors(c, 6, 2, affine_names, e));
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  for (int i = 6; i < c->n_in; i++) HL_TRY(hl_rule_out(c, &c->in[i], e));
  return HL_OK;
}

static hl_status eval_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  HL_TRY(vectors(c, 1, 2, stats_names, e));
  HL_TRY(vectors(c, 3, 2, affine_names, e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status eval_grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  HL_TRY(vectors(c, 1, 2, stats_names, e));
  HL_TRY(hl_rule_is(c, 3, "dy", &c->in[0], "x", e));
  HL_TRY(vectors(c, 4, 2, affine_names, e));
  hl_desc stats = vector_desc(&c->in[0]);
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  for (int i = 0; i < c->n_in - 2; i++) HL_TRY(hl_rule_out(c, &stats, e));
  return HL_OK;
}

/* ---- reference: one channel at a time ---- */

typedef struct channel {
  int64_t images, channels, voxels, at;
  double n, mean, rstd, scale, offset, slope;
} channel;

static channel channel_of(const hl_call *c, int64_t at, const double *const *in, int affine) {
  const hl_desc *x = &c->in[0];
  channel k = {.images = x->shape.dim[AXIS_N],
               .channels = x->shape.dim[AXIS_C],
               .voxels = hl_image_voxels(x),
               .at = at,
               .scale = c->n_in > affine ? in[affine][at] : 1,
               .offset = c->n_in > affine + 1 ? in[affine + 1][at] : 0,
               .slope = ((const hl_batch_norm_attrs *)c->attrs)->slope};
  k.n = (double)(k.images * k.voxels);
  return k;
}

/* Flat index of number i of the channel. */
static int64_t place(const channel *k, int64_t i) {
  return (i / k->voxels * k->channels + k->at) * k->voxels + i % k->voxels;
}

static void normalise(const channel *k, const double *x, double *y) {
  for (int64_t i = 0; i < k->images * k->voxels; i++) {
    double u = k->scale * (x[place(k, i)] - k->mean) * k->rstd + k->offset;
    y[place(k, i)] = u > 0 ? u : k->slope * u;
  }
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_batch_norm_attrs *a = c->attrs;
  for (int64_t at = 0; at < c->in[0].shape.dim[AXIS_C]; at++) {
    channel k = channel_of(c, at, in, 1);
    double squares = 0;
    for (int64_t i = 0; i < k.images * k.voxels; i++) k.mean += in[0][place(&k, i)] / k.n;
    for (int64_t i = 0; i < k.images * k.voxels; i++) {
      double d = in[0][place(&k, i)] - k.mean;
      squares += d * d;
    }
    k.rstd = 1 / sqrt(squares / k.n + a->eps);
    normalise(&k, in[0], out[0]);
    out[1][at] = k.mean;
    out[2][at] = squares / (k.n - 1);
  }
  return HL_OK;
}

static hl_status eval_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_batch_norm_attrs *a = c->attrs;
  for (int64_t at = 0; at < c->in[0].shape.dim[AXIS_C]; at++) {
    channel k = channel_of(c, at, in, 3);
    k.mean = in[1][at];
    k.rstd = 1 / sqrt(in[2][at] + a->eps);
    normalise(&k, in[0], out[0]);
  }
  return HL_OK;
}

/* Writes g and gives Σ g and Σ g·h. */
static void activation_gradient(const channel *k, const double *x, const double *dy, double *g,
                                double sums[2]) {
  sums[0] = sums[1] = 0;
  for (int64_t i = 0; i < k->images * k->voxels; i++) {
    int64_t p = place(k, i);
    double h = (x[p] - k->mean) * k->rstd;
    g[p] = k->scale * h + k->offset > 0 ? dy[p] : k->slope * dy[p];
    sums[0] += g[p];
    sums[1] += g[p] * h;
  }
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_batch_norm_attrs *a = c->attrs;
  for (int64_t at = 0; at < c->in[0].shape.dim[AXIS_C]; at++) {
    channel k = channel_of(c, at, in, 6);
    double sums[2];
    k.mean = in[1][at];
    k.rstd = 1 / sqrt(in[2][at] * (k.n - 1) / k.n + a->eps);
    activation_gradient(&k, in[0], in[3], out[0], sums);
    for (int64_t i = 0; i < k.images * k.voxels; i++) {
      int64_t p = place(&k, i);
      double d = in[0][p] - k.mean;
      out[0][p] = k.scale * k.rstd * (out[0][p] - sums[0] / k.n - d * k.rstd * sums[1] / k.n) +
                  in[4][at] / k.n + 2 * in[5][at] * d / (k.n - 1);
    }
    for (int i = 1; i < c->n_out; i++) out[i][at] = sums[2 - i];
  }
  return HL_OK;
}

static hl_status eval_grad_ref(const hl_call *c, const double *const *in, double *const *out,
                               hl_err *e) {
  (void)e;
  const hl_batch_norm_attrs *a = c->attrs;
  for (int64_t at = 0; at < c->in[0].shape.dim[AXIS_C]; at++) {
    channel k = channel_of(c, at, in, 4);
    double sums[2];
    k.mean = in[1][at];
    k.rstd = 1 / sqrt(in[2][at] + a->eps);
    activation_gradient(&k, in[0], in[3], out[0], sums);
    for (int64_t i = 0; i < k.images * k.voxels; i++) out[0][place(&k, i)] *= k.scale * k.rstd;
    out[1][at] = -k.scale * k.rstd * sums[0];
    out[2][at] = -k.scale * k.rstd * k.rstd * sums[1] / 2;
    for (int i = 3; i < c->n_out; i++) out[i][at] = sums[4 - i];
  }
  return HL_OK;
}

/* ---- gradient rules ---- */

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  int affine = c->n_in - 1;
  hl_var in[8] = {v->in[0], v->out[1], v->out[2]}, out[3];
  for (int i = 0; i < 3; i++) { /* dy, dmean, dvariance: zeros where none arrives */
    in[3 + i] = v->dout[i];
    if (v->dout[i] == HL_NO_VAR)
      HL_TRY(hl_vjp_zeros(v, v->out[1], &c->out[1], &c->out[i], &in[3 + i], e));
  }
  for (int i = 0; i < affine; i++) in[6 + i] = v->in[1 + i];
  HL_TRY(hl_emit(v->program, &hl_op_batch_norm_grad, c->attrs, 6 + affine, in, 1 + affine, out, e));
  if (v->needs[0]) v->din[0] = out[0];
  for (int i = 1; i < c->n_in; i++) /* the statistics do not depend on scale and offset */
    if (v->needs[i] && v->dout[0] != HL_NO_VAR) v->din[i] = out[i];
  return HL_OK;
}

static hl_status eval_vjp(const hl_vjp *v, hl_err *e) {
  const hl_call *c = v->call;
  hl_var in[6] = {v->in[0], v->in[1], v->in[2], v->dout[0]}, out[5];
  for (int i = 3; i < c->n_in; i++) in[1 + i] = v->in[i];
  HL_TRY(
      hl_emit(v->program, &hl_op_batch_norm_eval_grad, c->attrs, c->n_in + 1, in, c->n_in, out, e));
  for (int i = 0; i < c->n_in; i++)
    if (v->needs[i]) v->din[i] = out[i];
  return HL_OK;
}

/* ---- definitions ---- */

static const hl_sample samples[] = {
    {"bare", {"2x3x4x5x6 image"}, NULL},
    {"affine", {"3x4x3x4x5 image", "4", "4"}, "eps=1e-3"},
    {"activated", {"2x8x3x4x5 image", "8", "8"}, "slope=0.01"},
    {"scale alone", {"1x2x3x4x5 image", "2"}, "slope=0.2"},
    {"many channels", {"2x40x2x3x4 image", "40", "40"}, "slope=0.01"},
    {"flat image", {"4x6x1x7x9 image", "6", "6"}, NULL},
    {"one voxel", {"3x5x1x1x1 image", "5", "5"}, "eps=0.1"},
    {"several chunks", {"2x5x17x19x23 image", "5", "5"}, NULL},
    {0},
};
static const hl_sample grad_samples[] = {
    {"bare", {"2x3x4x5x6 image", "3", "3 positive", "2x3x4x5x6 image", "3", "3"}, NULL},
    {"affine",
     {"2x8x3x4x5 image", "8", "8 positive", "2x8x3x4x5 image", "8", "8", "8", "8"},
     "slope=0.01"},
    {"scale alone",
     {"1x40x3x4x5 image", "40", "40 positive", "1x40x3x4x5 image", "40", "40", "40"},
     NULL},
    {0},
};
static const hl_sample eval_samples[] = {
    {"bare", {"2x3x4x5x6 image", "3", "3 positive"}, NULL},
    {"affine", {"2x4x3x4x5 image", "4", "4 positive", "4", "4"}, "eps=1e-3"},
    {"activated", {"2x8x3x4x5 image", "8", "8 positive", "8", "8"}, "slope=0.01"},
    {"scale alone", {"1x40x3x4x5 image", "40", "40 positive", "40"}, NULL},
    {"one voxel", {"1x5x1x1x1 image", "5", "5 positive", "5", "5"}, NULL},
    {0},
};
static const hl_sample eval_grad_samples[] = {
    {"bare", {"2x3x4x5x6 image", "3", "3 positive", "2x3x4x5x6 image"}, NULL},
    {"affine", {"2x8x3x4x5 image", "8", "8 positive", "2x8x3x4x5 image", "8", "8"}, "slope=0.01"},
    {"many channels", {"1x40x3x4x5 image", "40", "40 positive", "1x40x3x4x5 image", "40"}, NULL},
    {0},
};

const hl_op hl_op_batch_norm = {
    .name = "batch_norm",
    .brief = "Normalises each channel over the batch, then leaky ReLU; gives the batch's mean and "
             "unbiased variance too.",
    .math = "y = leaky_relu(scale*(x - mean)/sqrt(var + eps) + offset), biased variance per c",
    .args = "x, scale?, offset?",
    .min_in = 1,
    .max_in = 3,
    .attr_size = sizeof(hl_batch_norm_attrs),
    .attrs = schema,
    .samples = samples,
    .inplace = 1U << 0,
    .kept_f32 = 3U << 1,
    .shape = shape,
    .ref = ref,
    .vjp = vjp,
};

const hl_op hl_op_batch_norm_grad = {
    .name = "batch_norm_grad",
    .brief = "Gradient of batch_norm with respect to x, scale and offset.",
    .math = "dx = scale*r*(g - mean(g) - h*mean(g*h)) + dmean/N + 2*dvariance*(x - mean)/(N - 1), "
            "h = (x - mean)*r, g = dy*act'(scale*h + offset); dscale = sum(g*h), doffset = sum(g)",
    .args = "x, mean, variance, dy, dmean, dvariance, scale?, offset?",
    .min_in = 6,
    .max_in = 8,
    .attr_size = sizeof(hl_batch_norm_attrs),
    .attrs = schema,
    .samples = grad_samples,
    .inplace = 1U << 0 | 1U << 3,
    .kept_f32 = 3U << 1 | 15U << 4,
    .internal = true,
    .shape = grad_shape,
    .ref = grad_ref,
};

const hl_op hl_op_batch_norm_eval = {
    .name = "batch_norm_eval",
    .brief = "Normalises each channel by given statistics, then leaky ReLU.",
    .math = "y = leaky_relu(scale*(x - mean)/sqrt(variance + eps) + offset)",
    .args = "x, mean, variance, scale?, offset?",
    .min_in = 3,
    .max_in = 5,
    .attr_size = sizeof(hl_batch_norm_attrs),
    .attrs = schema,
    .samples = eval_samples,
    .inplace = 1U << 0,
    .kept_f32 = 15U << 1,
    .by_slabs = hl_call_by_slabs,
    .shape = eval_shape,
    .ref = eval_ref,
    .vjp = eval_vjp,
};

const hl_op hl_op_batch_norm_eval_grad = {
    .name = "batch_norm_eval_grad",
    .brief = "Gradient of batch_norm_eval with respect to all its inputs.",
    .math = "dx = scale*r*g, dmean = -scale*r*sum(g), dvariance = -scale*r^2*sum(g*h)/2, "
            "dscale = sum(g*h), doffset = sum(g)",
    .args = "x, mean, variance, dy, scale?, offset?",
    .min_in = 4,
    .max_in = 6,
    .attr_size = sizeof(hl_batch_norm_attrs),
    .attrs = schema,
    .samples = eval_grad_samples,
    .inplace = 1U << 0 | 1U << 3,
    .kept_f32 = 3U << 1 | 3U << 4,
    .internal = true,
    .shape = eval_grad_shape,
    .ref = eval_grad_ref,
};
