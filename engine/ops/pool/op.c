/* Maximum and mean over a sliding window, and their gradients. */
#include "pool.h"

#include "logical.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All attribute structs begin like hl_pool_attrs, so these rows serve all. */
#define KERNEL                                                                                     \
  { "kernel", HL_A_INT3, NULL, offsetof(hl_pool_attrs, kernel), 1, 4096, "window (z, y, x)" }
#define STRIDE                                                                                     \
  { "stride", HL_A_INT3, "kernel", offsetof(hl_pool_attrs, stride), 1, 4096, "step (z, y, x)" }
#define PADDING                                                                                    \
  {                                                                                                \
    "padding", HL_A_INT3, "0", offsetof(hl_pool_attrs, padding), 0, 4095,                          \
        "positions added on both sides (z, y, x), less than the kernel"                            \
  }

#define CEIL_MODE                                                                                  \
  {                                                                                                \
    "ceil_mode", HL_A_BOOL, "0", offsetof(hl_pool_attrs, ceil_mode), 0, 1,                         \
        "a last window that begins inside but does not fit counts too"                             \
  }
#define COUNT_INCLUDE_PAD                                                                          \
  {                                                                                                \
    "count_include_pad", HL_A_BOOL, "1", offsetof(hl_avg_pool_attrs, count_include_pad), 0, 1,     \
        "the padding counts as zeros; 0: it does not count"                                        \
  }

static const hl_attr schema[] = {KERNEL, STRIDE, PADDING, CEIL_MODE, {0}};
static const hl_attr avg_schema[] = {KERNEL, STRIDE, PADDING, CEIL_MODE, COUNT_INCLUDE_PAD, {0}};
static const hl_attr avg_grad_schema[] = {
    KERNEL,
    STRIDE,
    PADDING,
    CEIL_MODE,
    COUNT_INCLUDE_PAD,
    {"size", HL_A_INT3, NULL, offsetof(hl_avg_pool_grad_attrs, size), 1, 1 << 30, "of x (z, y, x)"},
    {0},
};

/* ---- shape rules ---- */

/* Positions of the window along an axis. With ceil_mode a rest counts as one more, unless that
 * window would begin behind the image and its near padding: it would hold nothing. */
static int64_t positions(const hl_pool_attrs *a, int axis, int64_t size) {
  int64_t stride = a->stride[axis], padding = a->padding[axis];
  if (!a->ceil_mode) return hl_window_count(size, a->kernel[axis], stride, padding);
  int64_t room = size + 2 * padding - a->kernel[axis] + stride - 1;
  int64_t n = room < 0 ? 0 : room / stride + 1;
  return n > 0 && (n - 1) * stride >= size + padding ? n - 1 : n;
}

/* The pooled size; every window holds at least one element of the image. */
static hl_status pooled_size(const hl_pool_attrs *a, const int64_t *size, int64_t pooled[3],
                             hl_err *e) {
  static const char *const names[3] = {"z", "y", "x"};
  for (int i = 0; i < 3; i++) {
    if (a->padding[i] >= a->kernel[i])
      return hl_fail(e, HL_EINVAL,
                     "padding must be less than the kernel, but is %lld and %lld on axis %s",
                     (long long)a->padding[i], (long long)a->kernel[i], names[i]);
    pooled[i] = positions(a, i, size[i]);
    if (pooled[i] < 1)
      return hl_fail(e, HL_ESHAPE,
                     "the output would be empty on axis %s: the kernel spans %lld, x with its "
                     "padding %lld + 2·%lld",
                     names[i], (long long)a->kernel[i], (long long)size[i],
                     (long long)a->padding[i]);
  }
  return HL_OK;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  const int64_t *x = c->in[0].shape.dim;
  int64_t size[3];
  HL_TRY(pooled_size(c->attrs, x + AXIS_Z, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], x[AXIS_C], size);
  return hl_rule_out(c, &y, e);
}

static hl_status max_grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  HL_TRY(hl_rule_image(c, 1, "dy", e));
  const int64_t *x = c->in[0].shape.dim;
  int64_t size[3];
  HL_TRY(pooled_size(c->attrs, x + AXIS_Z, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], x[AXIS_C], size);
  HL_TRY(hl_rule_is(c, 1, "dy", &y, "the pooled image", e));
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status avg_grad_shape(hl_call *c, hl_err *e) {
  const hl_avg_pool_grad_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "dy", e));
  const int64_t *dy = c->in[0].shape.dim;
  int64_t size[3];
  HL_TRY(pooled_size(c->attrs, a->size, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, dy[AXIS_N], dy[AXIS_C], size);
  HL_TRY(hl_rule_is(c, 0, "dy", &y, "the pooled image", e));
  hl_desc dx = hl_desc_image(c->in[0].dtype, dy[AXIS_N], dy[AXIS_C], a->size);
  return hl_rule_out(c, &dx, e);
}

/* ---- reference ---- */

typedef struct geometry {
  int64_t planes; /* images × channels */
  int64_t x[3], y[3];
  const hl_pool_attrs *a;
} geometry;

static geometry geometry_of(const hl_desc *x, const hl_desc *y, const void *attrs) {
  geometry g = {.planes = x->shape.dim[AXIS_N] * x->shape.dim[AXIS_C], .a = attrs};
  memcpy(g.x, x->shape.dim + AXIS_Z, sizeof g.x);
  memcpy(g.y, y->shape.dim + AXIS_Z, sizeof g.y);
  return g;
}

static int64_t outputs(const geometry *g) {
  return g->planes * g->y[0] * g->y[1] * g->y[2];
}
static int64_t taps(const geometry *g) {
  return g->a->kernel[0] * g->a->kernel[1] * g->a->kernel[2];
}

/* Flat index in x of one tap of output number o; -1 in the padding. */
static int64_t tap_index(const geometry *g, int64_t o, int64_t tap) {
  int64_t index = 0, step = 1;
  for (int i = 2; i >= 0; i--) {
    int64_t at = o % g->y[i] * g->a->stride[i] - g->a->padding[i] + tap % g->a->kernel[i];
    if (at < 0 || at >= g->x[i]) return -1;
    index += at * step;
    step *= g->x[i];
    o /= g->y[i];
    tap /= g->a->kernel[i];
  }
  return o * step + index;
}

/* Index in x of the first maximum of a window; NaN counts as larger than any number. */
static int64_t first_maximum(const geometry *g, int64_t o, const double *x) {
  int64_t best = -1;
  for (int64_t tap = 0; tap < taps(g); tap++) {
    int64_t i = tap_index(g, o, tap);
    if (i < 0) continue;
    if (best < 0 || x[i] > x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;
  }
  return best;
}

static hl_status max_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  geometry g = geometry_of(&c->in[0], &c->out[0], c->attrs);
  for (int64_t o = 0; o < outputs(&g); o++) out[0][o] = in[0][first_maximum(&g, o, in[0])];
  return HL_OK;
}

static void clear(const hl_desc *d, double *x) {
  memset(x, 0, (size_t)hl_shape_numel(&d->shape) * sizeof *x);
}

static hl_status max_grad_ref(const hl_call *c, const double *const *in, double *const *out,
                              hl_err *e) {
  (void)e;
  geometry g = geometry_of(&c->in[0], &c->in[1], c->attrs);
  clear(&c->out[0], out[0]);
  for (int64_t o = 0; o < outputs(&g); o++) out[0][first_maximum(&g, o, in[0])] += in[1][o];
  return HL_OK;
}

/* ---- mean: the taps of a window, each with its share ---- */

static int64_t rule(const void *attrs, const int64_t from[3], const int64_t to_size[3], int axis,
                    int64_t to, int64_t k, hl_tap *tap) {
  (void)to_size;
  const hl_avg_pool_attrs *a = attrs; /* the common beginning */
  int64_t size = from[axis], padding = a->padding[axis];
  int64_t start = to * a->stride[axis] - padding, end = start + a->kernel[axis];
  if (end > size + padding) end = size + padding;
  int64_t first = start > 0 ? start : 0, last = end < size ? end : size;
  tap->source = first + k;
  tap->weight = 1 / (double)(a->count_include_pad ? end - start : last - first);
  return last - first;
}

hl_taps hl_avg_pool_taps(const hl_call *c) {
  return hl_taps_of(rule, c->attrs, &c->in[0], &c->out[0]);
}

hl_taps hl_avg_pool_grad_taps(const hl_call *c) {
  hl_taps t = hl_taps_of(rule, c->attrs, &c->out[0], &c->in[0]);
  t.transpose = true;
  return t;
}

static hl_status avg_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  hl_taps t = hl_avg_pool_taps(c);
  hl_taps_ref(&t, in[0], out[0]);
  return HL_OK;
}

static hl_status avg_grad_ref(const hl_call *c, const double *const *in, double *const *out,
                              hl_err *e) {
  (void)e;
  hl_taps t = hl_avg_pool_grad_taps(c);
  hl_taps_ref(&t, in[0], out[0]);
  return HL_OK;
}

/* ---- mean of all voxels ---- */

static hl_status global_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  const int64_t one[3] = {1, 1, 1}, *x = c->in[0].shape.dim;
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], x[AXIS_C], one);
  return hl_rule_out(c, &y, e);
}

static hl_status global_ref(const hl_call *c, const double *const *in, double *const *out,
                            hl_err *e) {
  (void)e;
  int64_t n = hl_image_voxels(&c->in[0]);
  for (int64_t p = 0; p < hl_shape_numel(&c->out[0].shape); p++) {
    out[0][p] = 0;
    for (int64_t i = 0; i < n; i++) out[0][p] += in[0][p * n + i] / (double)n;
  }
  return HL_OK;
}

/* ---- gradient rules ---- */

static hl_status max_vjp(const hl_vjp *v, hl_err *e) {
  return hl_vjp_emit(v, &hl_op_max_pool_grad, v->call->attrs, &v->din[0], e, v->in[0], v->dout[0]);
}

static hl_status avg_vjp(const hl_vjp *v, hl_err *e) {
  const hl_avg_pool_attrs *own = v->call->attrs;
  hl_avg_pool_grad_attrs a;
  memset(&a, 0, sizeof a);
  memcpy(a.kernel, own->kernel, sizeof a.kernel);
  memcpy(a.stride, own->stride, sizeof a.stride);
  memcpy(a.padding, own->padding, sizeof a.padding);
  a.ceil_mode = own->ceil_mode;
  a.count_include_pad = own->count_include_pad;
  memcpy(a.size, v->call->in[0].shape.dim + AXIS_Z, sizeof a.size);
  return hl_vjp_emit(v, &hl_op_avg_pool_grad, &a, &v->din[0], e, v->dout[0]);
}

static hl_status global_vjp(const hl_vjp *v, hl_err *e) {
  const hl_desc *x = &v->call->in[0];
  char text[64];
  hl_var each;
  snprintf(text, sizeof text, "scale=%.17g", 1 / (double)hl_image_voxels(x));
  HL_TRY(hl_vjp_emit_text(v, &hl_op_affine, text, &each, e, v->dout[0]));
  return hl_vjp_broadcast(v, each, &v->call->out[0], x, &v->din[0], e);
}

/* ---- definitions ---- */

static const hl_sample max_samples[] = {
    {"even", {"2x3x4x6x8 image distinct"}, "kernel=2"},
    {"ragged", {"1x4x5x5x5 image distinct"}, "kernel=2 stride=3"},
    {"overlap", {"1x2x5x6x7 image distinct"}, "kernel=3 stride=1,2,2 padding=1"},
    {"flat image", {"2x5x1x6x8 image distinct"}, "kernel=1,2,2"},
    {"wide padding", {"1x1x4x4x4 image distinct"}, "kernel=3,4,2 stride=2 padding=2,3,1"},
    {"many channels", {"1x70x2x2x3 image distinct"}, "kernel=2,2,1"},
    {"ties", {"1x3x4x4x4 image binary"}, "kernel=2"},
    {"ceil", {"1x3x5x6x7 image distinct"}, "kernel=2 ceil_mode=1"},
    {"ceil, padded", {"2x2x5x6x7 image distinct"}, "kernel=3 stride=2,3,2 padding=1 ceil_mode=1"},
    {0},
};
static const hl_sample max_grad_samples[] = {
    {"even", {"2x3x4x6x8 image distinct", "2x3x2x3x4 image"}, "kernel=2"},
    {"overlap", {"1x2x5x6x7 image distinct", "1x2x5x3x4 image"}, "kernel=3 stride=1,2,2 padding=1"},
    {"many channels", {"1x70x2x2x3 image distinct", "1x70x1x1x3 image"}, "kernel=2,2,1"},
    {"ties", {"1x3x4x4x4 image binary", "1x3x2x2x2 image"}, "kernel=2"},
    {"ceil", {"1x3x5x6x7 image distinct", "1x3x3x3x4 image"}, "kernel=2 ceil_mode=1"},
    {0},
};
static const hl_sample avg_samples[] = {
    {"even", {"2x3x4x6x8 image"}, "kernel=2"},
    {"ragged", {"1x4x5x5x5 image"}, "kernel=2 stride=3"},
    {"overlap", {"1x2x5x6x7 image"}, "kernel=3 stride=1,2,2 padding=1"},
    {"flat image", {"2x5x1x6x8 image"}, "kernel=1,2,2"},
    {"many channels", {"1x70x2x2x3 image"}, "kernel=2,2,1"},
    {"ceil", {"1x3x5x6x7 image"}, "kernel=2 ceil_mode=1"},
    {"ceil, padded", {"2x8x5x6x7 image"}, "kernel=3 stride=2,3,2 padding=1 ceil_mode=1"},
    {"ceil, cut short", {"1x2x2x6x4 image"}, "kernel=3,2,6 stride=2,2,3 ceil_mode=1"},
    {"padding not counted", {"1x4x5x6x7 image"}, "kernel=3 stride=2 padding=1 count_include_pad=0"},
    {"ceil, padding not counted",
     {"1x1x5x6x7 image"},
     "kernel=3 stride=2,3,2 padding=1 ceil_mode=1 count_include_pad=0"},
    {0},
};
static const hl_sample avg_grad_samples[] = {
    {"even", {"2x3x2x3x4 image"}, "kernel=2 size=4,6,8"},
    {"ragged", {"1x4x2x2x2 image"}, "kernel=2 stride=3 size=5"},
    {"overlap", {"1x2x5x3x4 image"}, "kernel=3 stride=1,2,2 padding=1 size=5,6,7"},
    {"ceil, padding not counted",
     {"1x16x3x3x4 image"},
     "kernel=3 stride=2,3,2 padding=1 ceil_mode=1 count_include_pad=0 size=5,6,7"},
    {0},
};
static const hl_sample global_samples[] = {
    {"image", {"2x3x4x5x6 image"}, NULL},
    {"flat image", {"1x8x1x9x7 image"}, NULL},
    {"large", {"1x5x33x35x37 image"}, NULL},
    {"one voxel", {"2x3x1x1x1 image"}, NULL},
    {0},
};

/* Windows along z lie side by side and cover the image. */
static bool windows_by_slabs(const hl_call *c) {
  const hl_pool_attrs *a = c->attrs; /* the common beginning */
  return a->stride[0] == a->kernel[0] && a->padding[0] == 0 &&
         c->in[0].shape.dim[AXIS_Z] % a->kernel[0] == 0;
}

const hl_op hl_op_max_pool = {
    .name = "max_pool",
    .brief = "Maximum over a sliding window; the padding never wins.",
    .math = "y[n,c,p] = max(x[n,c,p*stride - padding + k])",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_pool_attrs),
    .attrs = schema,
    .samples = max_samples,
    .by_slabs = windows_by_slabs,
    .shape = shape,
    .ref = max_ref,
    .vjp = max_vjp,
};

const hl_op hl_op_max_pool_grad = {
    .name = "max_pool_grad",
    .brief = "Gradient of max_pool: to the first maximum of each window.",
    .math = "dx[n,c,argmax(window(p))] += dy[n,c,p]",
    .args = "x, dy",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_pool_attrs),
    .attrs = schema,
    .samples = max_grad_samples,
    .by_slabs = windows_by_slabs,
    .internal = true,
    .shape = max_grad_shape,
    .ref = max_grad_ref,
};

const hl_op hl_op_avg_pool = {
    .name = "avg_pool",
    .brief = "Mean over a sliding window; the padding counts as zeros or not at all.",
    .math = "y[n,c,p] = sum(x[n,c,p*stride - padding + k]) / size(window)",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_avg_pool_attrs),
    .attrs = avg_schema,
    .samples = avg_samples,
    .by_slabs = windows_by_slabs,
    .shape = shape,
    .ref = avg_ref,
    .vjp = avg_vjp,
};

const hl_op hl_op_avg_pool_grad = {
    .name = "avg_pool_grad",
    .brief = "Gradient of avg_pool: spread evenly over each window.",
    .math = "dx[n,c,q] = sum(dy[n,c,p] / size(window)) over the windows p that hold q",
    .args = "dy",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_avg_pool_grad_attrs),
    .attrs = avg_grad_schema,
    .samples = avg_grad_samples,
    .internal = true,
    .shape = avg_grad_shape,
    .ref = avg_grad_ref,
};

const hl_op hl_op_global_avg_pool = {
    .name = "global_avg_pool",
    .brief = "Mean of all voxels of each image and channel, as an image of one voxel.",
    .math = "y[n,c] = sum(x[n,c,p]) / voxels",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .samples = global_samples,
    .shape = global_shape,
    .ref = global_ref,
    .vjp = global_vjp,
};
