/* Convolution, its two gradients and its transpose: four readings of one convolution x → y.
 * Convolution means correlation (no flip) with zero padding on both sides. */
#include "conv.h"

#include "opkit.h"

#include <string.h>

static const char *const axis_names[3] = {"z", "y", "x"};

static const hl_attr conv_schema[] = {HL_CONV_ATTRS, {0}};
static const hl_attr grad_input_schema[] = {
    HL_CONV_ATTRS,
    {"size", HL_A_INT3, NULL, offsetof(hl_conv_grad_input_attrs, size), 1, 1 << 30,
     "of x (z, y, x)"},
    {0},
};
static const hl_attr grad_weight_schema[] = {
    HL_CONV_ATTRS,
    {"kernel", HL_A_INT3, NULL, offsetof(hl_conv_grad_weight_attrs, kernel), 1, 4096,
     "window (z, y, x)"},
    {0},
};
static const hl_attr transpose_schema[] = {
    HL_CONV_ATTRS,
    {"output_padding", HL_A_INT3, "0", offsetof(hl_conv_transpose_attrs, output_padding), 0, 4096,
     "extra positions at the far end (z, y, x), less than the stride"},
    {0},
};

/* ---- geometry ---- */

/* Which inputs and outputs of a call are the convolution's x, weight and y. */
typedef struct roles {
  const hl_desc *x, *weight, *y;
} roles;

static roles roles_of(const hl_call *c) {
  if (c->op == &hl_op_conv) return (roles){&c->in[0], &c->in[1], &c->out[0]};
  if (c->op == &hl_op_conv_grad_weight) return (roles){&c->in[0], &c->out[0], &c->in[1]};
  return (roles){&c->out[0], &c->in[1], &c->in[0]}; /* gradient of the input, transpose */
}

hl_conv_geometry hl_conv_geometry_of(const hl_call *c) {
  roles r = roles_of(c);
  const hl_conv_attrs *a = c->attrs; /* the common beginning */
  hl_conv_geometry g = {.n = r.x->shape.dim[AXIS_N],
                        .in = r.x->shape.dim[AXIS_C],
                        .out = r.y->shape.dim[AXIS_C],
                        .groups = a->groups};
  for (int i = 0; i < 3; i++) {
    g.x[i] = r.x->shape.dim[AXIS_Z + i];
    g.y[i] = r.y->shape.dim[AXIS_Z + i];
    g.kernel[i] = r.weight->shape.dim[AXIS_Z + i];
    g.stride[i] = a->stride[i];
    g.padding[i] = a->padding[i];
    g.dilation[i] = a->dilation[i];
  }
  return g;
}

/* ---- shape rules ---- */

/* What weight says about the image on the side of its first axis; `has` are that one's channels. */
static hl_status outer_fits(const char *image, int64_t has, int64_t expected, int64_t groups,
                            const char *order, hl_err *e) {
  if (has != expected)
    return hl_fail(e, HL_ESHAPE, "%s has %lld channels, weight expects %lld (weight is %s)", image,
                   (long long)has, (long long)expected, order);
  if (expected % groups != 0)
    return hl_fail(e, HL_ESHAPE, "%lld channels cannot be dealt out to %lld groups evenly",
                   (long long)expected, (long long)groups);
  return HL_OK;
}

/* The image on the side of weight's second axis, of which every group has its own part. */
static hl_status inner_fits(const char *image, int64_t has, int64_t expected, int64_t groups,
                            hl_err *e) {
  if (has == expected * groups) return HL_OK;
  if (groups == 1)
    return hl_fail(e, HL_ESHAPE,
                   "%s has %lld channels, weight expects %lld (weight is [O,I,z,y,x])", image,
                   (long long)has, (long long)expected);
  return hl_fail(e, HL_ESHAPE,
                 "%s has %lld channels, weight expects %lld in each of %lld groups (weight is "
                 "[O,I/groups,z,y,x])",
                 image, (long long)has, (long long)expected, (long long)groups);
}

/* What a kernel covers with its gaps. */
static int64_t span(int64_t kernel, int64_t dilation) {
  return (kernel - 1) * dilation + 1;
}

static int64_t positions(int axis, int64_t size, int64_t kernel, const hl_conv_attrs *a) {
  return hl_window_count(size, span(kernel, a->dilation[axis]), a->stride[axis], a->padding[axis]);
}

/* dy must be as large as the convolution makes it. */
static hl_status gradient_fits(const int64_t *size, const int64_t *kernel, const hl_conv_attrs *a,
                               const hl_desc *dy, hl_err *e) {
  for (int i = 0; i < 3; i++) {
    int64_t has = dy->shape.dim[AXIS_Z + i], makes = positions(i, size[i], kernel[i], a);
    if (has != makes)
      return hl_fail(e, HL_ESHAPE,
                     "dy has %lld positions on axis %s, but size %lld, kernel %lld, stride %lld, "
                     "padding %lld and dilation %lld make %lld",
                     (long long)has, axis_names[i], (long long)size[i], (long long)kernel[i],
                     (long long)a->stride[i], (long long)a->padding[i], (long long)a->dilation[i],
                     (long long)makes);
  }
  return HL_OK;
}

static hl_status conv_shape(hl_call *c, hl_err *e) {
  const hl_conv_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "the input", e));
  HL_TRY(hl_rule_plain(c, 1, "weight", 5, "[O,I,z,y,x]", e));
  const int64_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
  HL_TRY(inner_fits("the input", x[AXIS_C], w[1], a->groups, e));
  HL_TRY(outer_fits("the output", w[0], w[0], a->groups, "", e));
  if (c->n_in > 2) HL_TRY(hl_rule_vector(c, 2, "bias", w[0], "output channels", e));
  int64_t size[3];
  for (int i = 0; i < 3; i++) {
    size[i] = positions(i, x[AXIS_Z + i], w[2 + i], a);
    if (size[i] < 1)
      return hl_fail(e, HL_ESHAPE,
                     "the output would be empty on axis %s: the kernel spans %lld, the input with "
                     "its padding %lld + 2·%lld",
                     axis_names[i], (long long)span(w[2 + i], a->dilation[i]),
                     (long long)x[AXIS_Z + i], (long long)a->padding[i]);
  }
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], w[0], size);
  return hl_rule_out(c, &y, e);
}

static hl_status grad_input_shape(hl_call *c, hl_err *e) {
  const hl_conv_grad_input_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "dy", e));
  HL_TRY(hl_rule_plain(c, 1, "weight", 5, "[O,I,z,y,x]", e));
  const int64_t *dy = c->in[0].shape.dim, *w = c->in[1].shape.dim;
  HL_TRY(outer_fits("dy", dy[AXIS_C], w[0], a->groups, "[O,I,z,y,x]", e));
  HL_TRY(gradient_fits(a->size, w + 2, c->attrs, &c->in[0], e));
  hl_desc dx = hl_desc_image(c->in[0].dtype, dy[AXIS_N], w[1] * a->groups, a->size);
  return hl_rule_out(c, &dx, e);
}

static hl_status grad_weight_shape(hl_call *c, hl_err *e) {
  const hl_conv_grad_weight_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  HL_TRY(hl_rule_image(c, 1, "dy", e));
  const int64_t *x = c->in[0].shape.dim, *dy = c->in[1].shape.dim;
  if (x[AXIS_N] != dy[AXIS_N])
    return hl_fail(e, HL_ESHAPE, "x holds %lld images, but dy %lld", (long long)x[AXIS_N],
                   (long long)dy[AXIS_N]);
  HL_TRY(outer_fits("x", x[AXIS_C], x[AXIS_C], a->groups, "", e));
  HL_TRY(outer_fits("dy", dy[AXIS_C], dy[AXIS_C], a->groups, "", e));
  HL_TRY(gradient_fits(x + AXIS_Z, a->kernel, c->attrs, &c->in[1], e));
  const int64_t w[5] = {dy[AXIS_C], x[AXIS_C] / a->groups, a->kernel[0], a->kernel[1],
                        a->kernel[2]};
  hl_desc dw = hl_desc_plain(hl_kept_dtype(c->in[0].dtype), 5, w);
  return hl_rule_out(c, &dw, e);
}

static hl_status transpose_size(const hl_conv_transpose_attrs *a, const int64_t *x,
                                const int64_t *kernel, int64_t size[3], hl_err *e) {
  for (int i = 0; i < 3; i++) {
    if (a->output_padding[i] >= a->stride[i])
      return hl_fail(e, HL_EINVAL,
                     "output_padding must be less than the stride, but is %lld and %lld on axis %s",
                     (long long)a->output_padding[i], (long long)a->stride[i], axis_names[i]);
    int64_t covers = span(kernel[i], a->dilation[i]);
    size[i] = (x[i] - 1) * a->stride[i] - 2 * a->padding[i] + covers + a->output_padding[i];
    if (size[i] < 1)
      return hl_fail(e, HL_ESHAPE,
                     "the output would be empty on axis %s: (%lld − 1)·%lld − 2·%lld + %lld + %lld "
                     "= %lld",
                     axis_names[i], (long long)x[i], (long long)a->stride[i],
                     (long long)a->padding[i], (long long)covers, (long long)a->output_padding[i],
                     (long long)size[i]);
  }
  return HL_OK;
}

static hl_status transpose_shape(hl_call *c, hl_err *e) {
  const hl_conv_transpose_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "the input", e));
  HL_TRY(hl_rule_plain(c, 1, "weight", 5, "[I,O,z,y,x]", e));
  const int64_t *x = c->in[0].shape.dim, *w = c->in[1].shape.dim;
  HL_TRY(outer_fits("the input", x[AXIS_C], w[0], a->groups, "[I,O,z,y,x]", e));
  int64_t out = w[1] * a->groups;
  if (c->n_in > 2) HL_TRY(hl_rule_vector(c, 2, "bias", out, "output channels", e));
  int64_t size[3];
  HL_TRY(transpose_size(a, x + AXIS_Z, w + 2, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], out, size);
  return hl_rule_out(c, &y, e);
}

/* ---- reference: visit every product of the convolution once ---- */

typedef struct product {
  int64_t x, weight, y; /* flat row-major indices of one product's three parties */
} product;
typedef void (*product_body)(const product *p, void *ctx);

/* All products of output number `y` (flat) with the kernel of input channel `in` of its group. */
static void visit_window(const hl_conv_geometry *g, int64_t y, int64_t in, product_body body,
                         void *ctx) {
  int64_t at[3], rest = y;
  for (int i = 2; i >= 0; i--) {
    at[i] = rest % g->y[i] * g->stride[i] - g->padding[i];
    rest /= g->y[i];
  }
  int64_t out = rest % g->out, n = rest / g->out, inner = g->in / g->groups;
  int64_t channel = out / (g->out / g->groups) * inner + in;
  int64_t taps = g->kernel[0] * g->kernel[1] * g->kernel[2];
  for (int64_t tap = 0; tap < taps; tap++) {
    int64_t z = at[0] + tap / (g->kernel[1] * g->kernel[2]) * g->dilation[0];
    int64_t yy = at[1] + tap / g->kernel[2] % g->kernel[1] * g->dilation[1];
    int64_t x = at[2] + tap % g->kernel[2] * g->dilation[2];
    if (z < 0 || z >= g->x[0] || yy < 0 || yy >= g->x[1] || x < 0 || x >= g->x[2]) continue;
    product p = {(((n * g->in + channel) * g->x[0] + z) * g->x[1] + yy) * g->x[2] + x,
                 (out * inner + in) * taps + tap, y};
    body(&p, ctx);
  }
}

static void visit(const hl_conv_geometry *g, product_body body, void *ctx) {
  int64_t outputs = g->n * g->out * g->y[0] * g->y[1] * g->y[2];
  for (int64_t y = 0; y < outputs; y++)
    for (int64_t in = 0; in < g->in / g->groups; in++) visit_window(g, y, in, body, ctx);
}

/* The three parties; which of them is summed into is the op's choice. */
typedef struct parties {
  const double *x, *weight, *y;
  double *sum;
} parties;

static void into_y(const product *p, void *ctx) {
  const parties *a = ctx;
  a->sum[p->y] += a->x[p->x] * a->weight[p->weight];
}
static void into_x(const product *p, void *ctx) {
  const parties *a = ctx;
  a->sum[p->x] += a->y[p->y] * a->weight[p->weight];
}
static void into_weight(const product *p, void *ctx) {
  const parties *a = ctx;
  a->sum[p->weight] += a->x[p->x] * a->y[p->y];
}

/* Starts the output at the bias of its channel (0 without one). */
static void start(const hl_desc *d, const double *bias, double *y) {
  int64_t voxels = hl_shape_numel(&d->shape) / (d->shape.dim[0] * d->shape.dim[1]);
  for (int64_t i = 0; i < hl_shape_numel(&d->shape); i++)
    y[i] = bias != NULL ? bias[i / voxels % d->shape.dim[1]] : 0;
}

static hl_status conv_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  hl_conv_geometry g = hl_conv_geometry_of(c);
  parties a = {.x = in[0], .weight = in[1], .sum = out[0]};
  start(&c->out[0], c->n_in > 2 ? in[2] : NULL, out[0]);
  visit(&g, into_y, &a);
  return HL_OK;
}

static hl_status to_input_ref(const hl_call *c, const double *const *in, double *const *out,
                              hl_err *e) {
  (void)e;
  hl_conv_geometry g = hl_conv_geometry_of(c);
  parties a = {.y = in[0], .weight = in[1], .sum = out[0]};
  start(&c->out[0], c->n_in > 2 ? in[2] : NULL, out[0]);
  visit(&g, into_x, &a);
  return HL_OK;
}

static hl_status grad_weight_ref(const hl_call *c, const double *const *in, double *const *out,
                                 hl_err *e) {
  (void)e;
  hl_conv_geometry g = hl_conv_geometry_of(c);
  parties a = {.x = in[0], .y = in[1], .sum = out[0]};
  start(&c->out[0], NULL, out[0]);
  visit(&g, into_weight, &a);
  return HL_OK;
}

/* ---- gradient rules ---- */

static hl_status grad_bias(const hl_vjp *v, hl_err *e) {
  if (v->call->n_in < 3 || !v->needs[2]) return HL_OK;
  const hl_call *c = v->call;
  hl_var sum;
  HL_TRY(hl_vjp_emit_text(v, &hl_op_sum, "axes=0,2,3,4", &sum, e, v->dout[0]));
  return hl_vjp_cast(v, sum, c->out[0].dtype, c->in[2].dtype, &v->din[2], e);
}

static hl_status grad_weight(const hl_vjp *v, hl_var x, hl_var dy, hl_err *e) {
  if (!v->needs[1]) return HL_OK;
  hl_conv_geometry g = hl_conv_geometry_of(v->call);
  hl_conv_grad_weight_attrs a;
  memcpy(&a, v->call->attrs, sizeof(hl_conv_attrs)); /* the common beginning */
  memcpy(a.kernel, g.kernel, sizeof a.kernel);
  return hl_vjp_emit(v, &hl_op_conv_grad_weight, &a, &v->din[1], e, x, dy);
}

static hl_status conv_vjp(const hl_vjp *v, hl_err *e) {
  hl_conv_geometry g = hl_conv_geometry_of(v->call);
  hl_conv_grad_input_attrs a;
  memcpy(&a, v->call->attrs, sizeof(hl_conv_attrs)); /* the common beginning */
  memcpy(a.size, g.x, sizeof a.size);
  /* The weight first: x may then make room for its gradient. */
  HL_TRY(grad_weight(v, v->in[0], v->dout[0], e));
  if (v->needs[0])
    HL_TRY(hl_vjp_emit(v, &hl_op_conv_grad_input, &a, &v->din[0], e, v->dout[0], v->in[1]));
  return grad_bias(v, e);
}

/* The transpose is linear in x with the convolution as its adjoint: x and y change places. */
static hl_status transpose_vjp(const hl_vjp *v, hl_err *e) {
  HL_TRY(grad_weight(v, v->dout[0], v->in[0], e));
  if (v->needs[0]) {
    hl_conv_attrs a;
    memcpy(&a, v->call->attrs, sizeof a); /* the common beginning */
    HL_TRY(hl_vjp_emit(v, &hl_op_conv, &a, &v->din[0], e, v->dout[0], v->in[1]));
  }
  return grad_bias(v, e);
}

/* ---- definitions ---- */

/* A slice of y comes from one slice of x. */
static bool by_slabs(const hl_call *c) {
  const hl_conv_attrs *a = c->attrs; /* the common beginning */
  hl_conv_geometry g = hl_conv_geometry_of(c);
  return g.kernel[0] == 1 && a->stride[0] == 1 && a->padding[0] == 0;
}

static const hl_sample conv_samples[] = {
    {"kernel 3", {"2x3x4x5x6 image", "5x3x3x3x3", "5"}, "padding=1"},
    {"no bias", {"1x8x5x4x6 image", "8x8x3x3x3"}, "padding=1"},
    {"16 channels", {"1x16x3x4x5 image", "32x16x3x3x3"}, "padding=1"},
    {"few channels", {"1x4x8x8x9 image", "8x4x3x3x3", "8"}, "padding=1"},
    {"four to four", {"2x4x9x8x11 image", "4x4x3x3x3", "4"}, "padding=1"},
    {"odd channels", {"2x6x7x11x13 image", "7x6x3x3x3"}, "padding=1"},
    {"unpadded edges", {"1x2x14x9x11 image", "4x2x3x3x3"}, "padding=0,2,1"},
    {"no padding", {"1x2x5x6x7 image", "4x2x3x3x3"}, NULL},
    {"pointwise", {"2x6x3x4x5 image", "4x6x1x1x1", "4"}, NULL},
    {"pointwise to one", {"2x16x5x6x7 image", "1x16x1x1x1", "1"}, NULL},
    {"pointwise to one, ragged", {"1x43x3x4x5 image", "1x43x1x1x1"}, NULL},
    {"pointwise from one", {"2x1x4x5x6 image", "8x1x1x1x1", "8"}, NULL},
    {"from one channel", {"2x1x4x5x6 image", "16x1x3x3x3", "16"}, "padding=1"},
    {"one to one", {"1x1x3x4x5 image", "1x1x3x3x3"}, "padding=1"},
    {"slices", {"1x3x4x8x9 image", "4x3x1x3x3"}, "padding=0,1,1"},
    {"flat image", {"2x3x1x8x9 image", "4x3x1x3x3", "4"}, "padding=0,1,1"},
    {"line", {"2x3x1x1x9 image", "4x3x1x1x5"}, "padding=0,0,2"},
    {"stride 2", {"1x4x6x6x6 image", "8x4x2x2x2"}, "stride=2"},
    {"anisotropic", {"1x3x5x7x9 image", "2x3x1x3x5"}, "stride=1,2,3 padding=0,1,2"},
    {"ragged", {"1x2x6x7x8 image", "3x2x3x3x3"}, "stride=2,3,2 padding=1,0,1"},
    {"wide padding", {"1x2x3x4x5 image", "2x2x2x2x2"}, "padding=3,2,1"},
    {"one voxel", {"1x3x1x1x1 image", "2x3x1x1x1", "2"}, NULL},
    {"dilated", {"1x2x7x8x9 image", "3x2x3x3x3", "3"}, "dilation=2,3,1 padding=2,1,1"},
    {"dilated, stride 2", {"2x4x9x8x7 image", "8x4x3x3x3"}, "dilation=2 padding=2 stride=2"},
    {"groups", {"2x4x4x5x6 image", "6x2x3x3x3", "6"}, "groups=2 padding=1"},
    {"groups of 8", {"1x16x3x4x5 image", "16x8x3x3x3"}, "groups=2 padding=1"},
    {"depth-wise", {"2x6x4x5x6 image", "6x1x3x3x3", "6"}, "groups=6 padding=1"},
    {"depth-wise, 37", {"1x37x3x4x5 image", "37x1x3x3x3"}, "groups=37 padding=1"},
    {"depth-wise, flat", {"2x16x1x8x9 image", "16x1x1x3x3", "16"}, "groups=16 padding=0,1,1"},
    {"depth-wise, gaps",
     {"1x8x7x8x9 image", "8x1x3x2x3", "8"},
     "groups=8 dilation=2,1,3 stride=2,3,1 padding=1,0,2"},
    {"depth-wise, doubled", {"1x3x4x5x6 image", "6x1x2x2x2", "6"}, "groups=3 stride=2"},
    {"pointwise groups", {"2x4x3x4x5 image", "4x1x1x1x1", "4"}, "groups=4"},
    {0},
};
static const hl_sample grad_input_samples[] = {
    {"kernel 3", {"2x5x4x5x6 image", "5x3x3x3x3"}, "padding=1 size=4,5,6"},
    {"16 channels", {"1x16x3x4x5 image", "16x8x3x3x3"}, "padding=1 size=3,4,5"},
    {"few channels", {"2x8x8x8x9 image", "8x4x3x3x3"}, "padding=1 size=8,8,9"},
    {"pointwise from one", {"2x1x5x6x7 image", "1x16x1x1x1"}, "size=5,6,7"},
    {"pointwise", {"2x4x3x4x5 image", "4x6x1x1x1"}, "size=3,4,5"},
    {"to one channel", {"1x8x4x5x6 image", "8x1x3x3x3"}, "padding=1 size=4,5,6"},
    {"flat image", {"1x4x1x8x9 image", "4x3x1x3x3"}, "padding=0,1,1 size=1,8,9"},
    {"rest", {"1x3x3x2x4 image", "3x2x3x3x3"}, "stride=2,3,2 padding=1,0,1 size=6,7,8"},
    {"gaps", {"1x2x2x2x3 image", "2x2x1x2x2"}, "stride=3,2,3 size=4,5,8"},
    {"dilated", {"1x3x7x4x9 image", "3x2x3x3x3"}, "dilation=2,3,1 padding=2,1,1 size=7,8,9"},
    {"groups", {"2x6x4x5x6 image", "6x2x3x3x3"}, "groups=2 padding=1 size=4,5,6"},
    {"depth-wise", {"1x37x4x5x6 image", "37x1x3x3x3"}, "groups=37 padding=1 size=4,5,6"},
    {"depth-wise, gaps",
     {"1x8x3x3x7 image", "8x1x3x2x3"},
     "groups=8 dilation=2,1,3 stride=2,3,1 padding=1,0,2 size=7,8,9"},
    {0},
};
static const hl_sample grad_weight_samples[] = {
    {"kernel 3", {"2x3x4x5x6 image", "2x5x4x5x6 image"}, "padding=1 kernel=3"},
    {"16 channels", {"1x16x3x4x5 image", "1x8x3x4x5 image"}, "padding=1 kernel=3"},
    {"few channels", {"2x4x8x11x12 image", "2x7x8x11x12 image"}, "padding=1 kernel=3"},
    {"four to eight", {"1x4x12x13x14 image", "1x8x12x13x14 image"}, "padding=1 kernel=3"},
    {"pointwise to one", {"2x16x5x6x7 image", "2x1x5x6x7 image"}, "kernel=1"},
    {"pointwise from one", {"2x1x5x6x7 image", "2x8x5x6x7 image"}, "kernel=1"},
    {"pointwise, many voxels", {"2x4x9x11x13 image", "2x1x9x11x13 image"}, "kernel=1"},
    {"pointwise", {"2x6x3x4x5 image", "2x4x3x4x5 image"}, "kernel=1"},
    {"from one channel", {"2x1x4x5x6 image", "2x16x4x5x6 image"}, "padding=1 kernel=3"},
    {"flat image", {"1x3x1x8x9 image", "1x4x1x8x9 image"}, "padding=0,1,1 kernel=1,3,3"},
    {"rest", {"1x2x6x7x8 image", "1x3x3x2x4 image"}, "stride=2,3,2 padding=1,0,1 kernel=3"},
    {"dilated", {"1x2x7x8x9 image", "1x3x7x4x9 image"}, "dilation=2,3,1 padding=2,1,1 kernel=3"},
    {"groups", {"2x4x4x5x6 image", "2x6x4x5x6 image"}, "groups=2 padding=1 kernel=3"},
    {"depth-wise", {"2x37x4x5x6 image", "2x37x4x5x6 image"}, "groups=37 padding=1 kernel=3"},
    {"depth-wise, gaps",
     {"1x8x7x8x9 image", "1x8x3x3x7 image"},
     "groups=8 dilation=2,1,3 stride=2,3,1 padding=1,0,2 kernel=3,2,3"},
    {0},
};
static const hl_sample transpose_samples[] = {
    {"double", {"2x4x3x4x5 image", "4x3x2x2x2", "3"}, "stride=2"},
    {"kernel 3", {"1x3x3x4x5 image", "3x5x3x3x3"}, "padding=1"},
    {"odd", {"1x8x3x3x3 image", "8x4x3x3x3", "4"}, "stride=2 padding=1 output_padding=1"},
    {"anisotropic", {"1x2x3x4x5 image", "2x3x1x3x2"}, "stride=1,3,2 padding=0,1,0"},
    {"flat image", {"2x3x1x4x5 image", "3x2x1x2x2", "2"}, "stride=1,2,2"},
    {"pointwise", {"1x6x3x4x5 image", "6x2x1x1x1"}, NULL},
    {"groups",
     {"1x4x3x4x5 image", "4x3x3x3x3", "6"},
     "groups=2 stride=2 padding=1 output_padding=1"},
    {"depth-wise", {"2x8x3x4x5 image", "8x1x2x2x2", "8"}, "groups=8 stride=2"},
    {"dilated",
     {"1x2x3x4x5 image", "2x3x3x3x3"},
     "dilation=2,1,3 stride=2,2,1 output_padding=1,0,0"},
    {0},
};

const hl_op hl_op_conv = {
    .name = "conv",
    .brief = "Convolution (correlation) of an image with zero padding.",
    .math = "y[n,o,p] = sum(x[n,i,p*stride - padding + k*dilation] * weight[o,i,k]) + bias[o]",
    .args = "x, weight, bias?",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(hl_conv_attrs),
    .attrs = conv_schema,
    .samples = conv_samples,
    .by_slabs = by_slabs,
    .kept_f32 = 3U << 1,
    .shape = conv_shape,
    .ref = conv_ref,
    .vjp = conv_vjp,
};

const hl_op hl_op_conv_grad_input = {
    .name = "conv_grad_input",
    .brief = "Gradient of a convolution with respect to its input.",
    .math = "dx[n,i,q] = sum(dy[n,o,p] * weight[o,i,k]) over q = p*stride - padding + k*dilation",
    .args = "dy, weight",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_conv_grad_input_attrs),
    .attrs = grad_input_schema,
    .samples = grad_input_samples,
    .by_slabs = by_slabs,
    .kept_f32 = 1U << 1,
    .internal = true,
    .shape = grad_input_shape,
    .ref = to_input_ref,
    .join = hl_conv_grad_input_join,
};

const hl_op hl_op_conv_grad_weight = {
    .name = "conv_grad_weight",
    .brief = "Gradient of a convolution with respect to its weight.",
    .math = "dweight[o,i,k] = sum(x[n,i,p*stride - padding + k*dilation] * dy[n,o,p])",
    .args = "x, dy",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_conv_grad_weight_attrs),
    .attrs = grad_weight_schema,
    .samples = grad_weight_samples,
    .by_slabs = by_slabs,
    .internal = true,
    .shape = grad_weight_shape,
    .ref = grad_weight_ref,
};

const hl_op hl_op_conv_transpose = {
    .name = "conv_transpose",
    .brief = "Transposed convolution: the adjoint of a convolution, which enlarges by its stride.",
    .math = "y[n,o,p*stride - padding + k*dilation] += x[n,i,p] * weight[i,o,k], then + bias[o]",
    .args = "x, weight, bias?",
    .min_in = 2,
    .max_in = 3,
    .attr_size = sizeof(hl_conv_transpose_attrs),
    .attrs = transpose_schema,
    .samples = transpose_samples,
    .by_slabs = by_slabs,
    .kept_f32 = 3U << 1,
    .shape = transpose_shape,
    .ref = to_input_ref,
    .vjp = transpose_vjp,
};
