/* Group normalisation with leaky ReLU: each image's channels in groups of neighbours, one mean and
 * one variance for a group.
 *
 * With N numbers in a group, h = (x − mean)·r, r = 1/sqrt(var + eps), u = scale·h + offset, y =
 * act(u): g = dy·act'(u),  doffset = Σ g,  dscale = Σ g·h over images and voxels of a channel, dx =
 * r·(s − Σs/N − h·Σ(s·h)/N), s = scale·g, sums over the group. */
#include "group_norm.h"

#include "opkit.h"

#include <math.h>

static const hl_attr schema[] = {
    {"groups", HL_A_INT, NULL, offsetof(hl_group_norm_attrs, groups), 1, 1 << 20,
     "of neighbouring channels; divides the channels"},
    {"eps", HL_A_REAL, "1e-5", offsetof(hl_group_norm_attrs, eps), 1e-12, 1,
     "added to the variance"},
    {"slope", HL_A_REAL, "1", offsetof(hl_group_norm_attrs, slope), 0, 1,
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
  const hl_group_norm_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  int64_t channels = c->in[0].shape.dim[AXIS_C];
  if (channels % a->groups != 0)
    return hl_fail(e, HL_ESHAPE, "%lld channels cannot be dealt out to %lld groups evenly",
                   (long long)channels, (long long)a->groups);
  if (hl_image_voxels(&c->in[0]) * (channels / a->groups) < 2)
    return hl_fail(e, HL_ESHAPE,
                   "a group holds a single number, whose variance is 0: use a larger image or "
                   "fewer groups");
  return HL_OK;
}

static hl_desc stats_desc(const hl_call *c) {
  const hl_group_norm_attrs *a = c->attrs;
  const int64_t dim[3] = {c->in[0].shape.dim[AXIS_N], a->groups, 2};
  return hl_desc_plain(hl_kept_dtype(c->in[0].dtype), 3, dim);
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(image_shape(c, e));
  HL_TRY(affine_shape(c, 1, e));
  hl_desc stats = stats_desc(c);
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  return hl_rule_out(c, &stats, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(image_shape(c, e));
  hl_desc stats = stats_desc(c);
  HL_TRY(hl_rule_is(c, 1, "stats", &stats, "what group_norm gives", e));
  HL_TRY(hl_rule_is(c, 2, "dy", &c->in[0], "x", e));
  HL_TRY(affine_shape(c, 3, e));
  HL_TRY(hl_rule_out(c, &c->in[0], e));
  for (int i = 3; i < c->n_in; i++) HL_TRY(hl_rule_out(c, &c->in[i], e));
  return HL_OK;
}

/* ---- reference: in row-major order a group is one stretch of numbers ---- */

typedef struct group {
  int64_t first, numbers, voxels; /* where it begins; its size; voxels of a channel */
  int64_t channel;                /* its first one */
  const double *scale, *offset;   /* NULL: 1 and 0 */
} group;

static group group_of(const hl_call *c, const double *const *in, int affine, int64_t i) {
  const hl_group_norm_attrs *a = c->attrs;
  group g = {.voxels = hl_image_voxels(&c->in[0])};
  int64_t channels = c->in[0].shape.dim[AXIS_C] / a->groups;
  g.numbers = channels * g.voxels;
  g.first = i * g.numbers;
  g.channel = i % a->groups * channels;
  g.scale = c->n_in > affine ? in[affine] : NULL;
  g.offset = c->n_in > affine + 1 ? in[affine + 1] : NULL;
  return g;
}

static double scale_at(const group *g, int64_t i) {
  return g->scale != NULL ? g->scale[g->channel + i / g->voxels] : 1;
}
static double offset_at(const group *g, int64_t i) {
  return g->offset != NULL ? g->offset[g->channel + i / g->voxels] : 0;
}

static int64_t group_count(const hl_call *c) {
  return c->in[0].shape.dim[AXIS_N] * ((const hl_group_norm_attrs *)c->attrs)->groups;
}

static void normalise(const group *g, const double *x, double *y, const hl_group_norm_attrs *a,
                      double stats[2]) {
  double mean = 0, var = 0, n = (double)g->numbers;
  for (int64_t i = 0; i < g->numbers; i++) mean += x[i] / n;
  for (int64_t i = 0; i < g->numbers; i++) var += (x[i] - mean) * (x[i] - mean) / n;
  stats[0] = mean;
  stats[1] = 1 / sqrt(var + a->eps);
  for (int64_t i = 0; i < g->numbers; i++) {
    double u = scale_at(g, i) * (x[i] - mean) * stats[1] + offset_at(g, i);
    y[i] = u > 0 ? u : a->slope * u;
  }
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  for (int64_t i = 0; i < group_count(c); i++) {
    group g = group_of(c, in, 1, i);
    normalise(&g, in[0] + g.first, out[0] + g.first, c->attrs, out[1] + 2 * i);
  }
  return HL_OK;
}

/* Writes dx and adds to dscale and doffset, where wanted. */
static void pull_back(const group *g, const double *x, const double *dy, double *dx,
                      const double stats[2], double slope, double *dscale, double *doffset) {
  double dot = 0, sum = 0, n = (double)g->numbers;
  for (int64_t i = 0; i < g->numbers; i++) {
    double h = (x[i] - stats[0]) * stats[1];
    double u = scale_at(g, i) * h + offset_at(g, i), d = u > 0 ? dy[i] : slope * dy[i];
    int64_t channel = g->channel + i / g->voxels;
    if (dscale != NULL) dscale[channel] += d * h;
    if (doffset != NULL) doffset[channel] += d;
    dx[i] = scale_at(g, i) * d;
    sum += dx[i];
    dot += dx[i] * h;
  }
  for (int64_t i = 0; i < g->numbers; i++) {
    double h = (x[i] - stats[0]) * stats[1];
    dx[i] = stats[1] * (dx[i] - sum / n - h * dot / n);
  }
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  const hl_group_norm_attrs *a = c->attrs;
  for (int k = 1; k < c->n_out; k++)
    for (int64_t i = 0; i < c->in[0].shape.dim[AXIS_C]; i++) out[k][i] = 0;
  for (int64_t i = 0; i < group_count(c); i++) {
    group g = group_of(c, in, 3, i);
    pull_back(&g, in[0] + g.first, in[2] + g.first, out[0] + g.first, in[1] + 2 * i, a->slope,
              c->n_out > 1 ? out[1] : NULL, c->n_out > 2 ? out[2] : NULL);
  }
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  hl_var in[5] = {v->in[0], v->out[1], v->dout[0]}, out[3];
  int affine = v->call->n_in - 1;
  for (int i = 0; i < affine; i++) in[3 + i] = v->in[1 + i];
  HL_TRY(hl_emit(v->program, &hl_op_group_norm_grad, v->call->attrs, 3 + affine, in, 1 + affine,
                 out, e));
  for (int i = 0; i < v->call->n_in; i++)
    if (v->needs[i]) v->din[i] = out[i];
  return HL_OK;
}

static const hl_sample samples[] = {
    {"bare", {"2x6x3x4x5 image"}, "groups=2"},
    {"affine", {"2x4x3x4x5 image", "4", "4"}, "groups=1 eps=1e-3"},
    {"activated", {"2x8x3x4x5 image", "8", "8"}, "groups=4 slope=0.01"},
    {"scale alone", {"1x6x3x4x5 image", "6"}, "groups=3"},
    {"single channels", {"2x5x3x4x5 image", "5", "5"}, "groups=5"},
    {"many channels", {"1x42x2x3x4 image", "42", "42"}, "groups=3 slope=0.01"},
    {"flat image", {"1x6x1x7x9 image", "6", "6"}, "groups=2"},
    {"one voxel", {"2x6x1x1x1 image", "6", "6"}, "groups=2 eps=0.1"},
    {"several chunks", {"1x6x17x19x23 image", "6", "6"}, "groups=3"},
    {0},
};
static const hl_sample grad_samples[] = {
    {"bare", {"2x6x3x4x5 image", "2x2x2 positive", "2x6x3x4x5 image"}, "groups=2"},
    {"affine",
     {"2x4x3x4x5 image", "2x1x2 positive", "2x4x3x4x5 image", "4", "4"},
     "groups=1 slope=0.01"},
    {"scale alone", {"1x6x3x4x5 image", "1x3x2 positive", "1x6x3x4x5 image", "6"}, "groups=3"},
    {"many channels",
     {"1x42x2x3x4 image", "1x3x2 positive", "1x42x2x3x4 image", "42", "42"},
     "groups=3 slope=0.01"},
    {0},
};

const hl_op hl_op_group_norm = {
    .name = "group_norm",
    .brief = "Normalises groups of neighbouring channels of each image, then leaky ReLU.",
    .math = "y = leaky_relu(scale*(x - mean)/sqrt(var + eps) + offset), biased variance per "
            "(n, group)",
    .args = "x, scale?, offset?",
    .min_in = 1,
    .max_in = 3,
    .attr_size = sizeof(hl_group_norm_attrs),
    .attrs = schema,
    .samples = samples,
    .inplace = 1U << 0,
    .kept_f32 = 3U << 1,
    .hidden = 1, /* stats [n,groups,2]: mean, 1/sqrt(var + eps) */
    .shape = shape,
    .ref = ref,
    .vjp = vjp,
};

const hl_op hl_op_group_norm_grad = {
    .name = "group_norm_grad",
    .brief = "Gradient of group_norm with respect to x, scale and offset.",
    .math =
        "dx = r*(s - mean(s) - h*mean(s*h)), h = (x - mean)*r, s = scale*g, g = dy*act'(scale*h "
        "+ offset); dscale = sum(g*h), doffset = sum(g)",
    .args = "x, stats, dy, scale?, offset?",
    .min_in = 3,
    .max_in = 5,
    .attr_size = sizeof(hl_group_norm_attrs),
    .attrs = schema,
    .samples = grad_samples,
    .inplace = 1U << 0 | 1U << 2,
    .kept_f32 = 1U << 1 | 3U << 3,
    .internal = true,
    .shape = grad_shape,
    .ref = grad_ref,
};
