/* Images on another grid. With n samples in and m out, position i takes the sample at
 *   linear                  (i + 1/2)·n/m − 1/2, clamped to 0 … n − 1
 *   linear, align_corners   i·(n − 1)/(m − 1), or 0 if m is 1
 *   nearest                 floor(i·n/m)
 *   nearest-exact           floor((i + 1/2)·n/m)
 * as PyTorch does. Linear in three axes is trilinear; an axis of one sample stays constant. */
#include "interpolate.h"

#include <math.h>
#include <string.h>

#define MODE                                                                                       \
  {                                                                                                \
    "mode", HL_A_CHOICE, "linear", offsetof(hl_interpolate_attrs, mode), 0, 0,                     \
        "linear|nearest|nearest-exact: how samples are taken"                                      \
  }
#define ALIGN                                                                                      \
  {                                                                                                \
    "align_corners", HL_A_BOOL, "0", offsetof(hl_interpolate_attrs, align_corners), 0, 1,          \
        "linear: the first and last samples of both grids coincide"                                \
  }

static const hl_attr schema[] = {
    MODE,
    ALIGN,
    {"size", HL_A_INT3, "0", offsetof(hl_interpolate_attrs, size), 0, 1 << 30,
     "of the result (z, y, x); or give scale"},
    {"scale", HL_A_REAL3, "0", offsetof(hl_interpolate_attrs, scale), 0, 1 << 30,
     "size of the result over that of x, rounded down; or give size"},
    {0},
};
static const hl_attr grad_schema[] = {
    MODE,
    ALIGN,
    {"size", HL_A_INT3, NULL, offsetof(hl_interpolate_grad_attrs, size), 1, 1 << 30,
     "of x (z, y, x)"},
    {0},
};

/* ---- shape rules ---- */

static bool given(const hl_interpolate_attrs *a, bool *size, bool *scale) {
  *size = *scale = true;
  for (int i = 0; i < 3; i++) {
    *size = *size && a->size[i] > 0;
    *scale = *scale && a->scale[i] > 0;
  }
  return *size != *scale;
}

static hl_status new_size(const hl_interpolate_attrs *a, const int64_t *from, int64_t to[3],
                          hl_err *e) {
  static const char *const names[3] = {"z", "y", "x"};
  bool size, scale;
  if (!given(a, &size, &scale))
    return hl_fail(e, HL_EINVAL, "give either size or scale, three positive numbers (z, y, x)%s",
                   size ? ", not both" : "");
  for (int i = 0; i < 3; i++) {
    double wanted = scale ? floor((double)from[i] * a->scale[i]) : (double)a->size[i];
    if (wanted < 1 || wanted > INT32_MAX)
      return hl_fail(e, HL_ESHAPE, "scale %g makes %g positions of %lld on axis %s", a->scale[i],
                     wanted, (long long)from[i], names[i]);
    to[i] = (int64_t)wanted;
  }
  return HL_OK;
}

static hl_status mode_fits(int64_t mode, bool align_corners, hl_err *e) {
  if (mode == INTERPOLATE_LINEAR || !align_corners) return HL_OK;
  return hl_fail(e, HL_EINVAL, "align_corners belongs to mode linear alone");
}

static hl_status shape(hl_call *c, hl_err *e) {
  const hl_interpolate_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  HL_TRY(mode_fits(a->mode, a->align_corners, e));
  const int64_t *x = c->in[0].shape.dim;
  int64_t size[3];
  HL_TRY(new_size(a, x + AXIS_Z, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], x[AXIS_C], size);
  return hl_rule_out(c, &y, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  const hl_interpolate_grad_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "dy", e));
  HL_TRY(mode_fits(a->mode, a->align_corners, e));
  const int64_t *dy = c->in[0].shape.dim;
  hl_desc dx = hl_desc_image(c->in[0].dtype, dy[AXIS_N], dy[AXIS_C], a->size);
  return hl_rule_out(c, &dx, e);
}

/* ---- which samples a position takes ---- */

static int64_t linear(bool align_corners, int64_t n, int64_t m, int64_t i, int64_t k, hl_tap *tap) {
  double place;
  if (align_corners)
    place = m > 1 ? (double)i * (double)(n - 1) / (double)(m - 1) : 0;
  else
    place = ((double)i + 0.5) * (double)n / (double)m - 0.5;
  place = place < 0 ? 0 : place;
  int64_t low = (int64_t)floor(place);
  low = low < n - 1 ? low : n - 1;
  double share = place - (double)low; /* of the next sample */
  int64_t count = low + 1 < n && share > 0 ? 2 : 1;
  tap->source = low + k;
  tap->weight = count == 1 ? 1 : k == 0 ? 1 - share : share;
  return count;
}

static int64_t rule(const void *attrs, const int64_t from[3], const int64_t to_size[3], int axis,
                    int64_t to, int64_t k, hl_tap *tap) {
  const hl_interpolate_attrs *a = attrs; /* the common beginning */
  int64_t n = from[axis], m = to_size[axis];
  if (a->mode == INTERPOLATE_LINEAR) return linear(a->align_corners, n, m, to, k, tap);
  tap->source = a->mode == INTERPOLATE_NEAREST ? to * n / m : (2 * to + 1) * n / (2 * m);
  tap->weight = 1;
  return 1;
}

hl_taps hl_interpolate_taps(const hl_call *c) {
  return hl_taps_of(rule, c->attrs, &c->in[0], &c->out[0]);
}

hl_taps hl_interpolate_grad_taps(const hl_call *c) {
  hl_taps t = hl_taps_of(rule, c->attrs, &c->out[0], &c->in[0]);
  t.transpose = true;
  return t;
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  hl_taps t = hl_interpolate_taps(c);
  hl_taps_ref(&t, in[0], out[0]);
  return HL_OK;
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  hl_taps t = hl_interpolate_grad_taps(c);
  hl_taps_ref(&t, in[0], out[0]);
  return HL_OK;
}

static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_interpolate_attrs *a = v->call->attrs;
  hl_interpolate_grad_attrs g;
  memset(&g, 0, sizeof g);
  g.mode = a->mode;
  g.align_corners = a->align_corners;
  memcpy(g.size, v->call->in[0].shape.dim + AXIS_Z, sizeof g.size);
  return hl_vjp_emit(v, &hl_op_interpolate_grad, &g, &v->din[0], e, v->dout[0]);
}

/* ---- definitions ---- */

static const hl_sample samples[] = {
    {"double", {"2x4x3x4x5 image"}, "scale=2"},
    {"corners", {"1x8x3x4x5 image"}, "scale=2 align_corners=1"},
    {"to a size", {"1x3x4x5x6 image"}, "size=7,3,11"},
    {"to a size, corners", {"1x16x4x5x6 image"}, "size=1,8,5 align_corners=1"},
    {"down", {"1x2x7x8x9 image"}, "scale=0.5,0.4,0.34"},
    {"nearest", {"2x3x4x5x6 image"}, "mode=nearest size=7,3,6"},
    {"nearest, double", {"1x5x3x4x5 image"}, "mode=nearest scale=2"},
    {"nearest-exact", {"1x4x4x5x6 image"}, "mode=nearest-exact size=7,3,6"},
    {"flat image", {"2x1x1x6x7 image"}, "scale=1,2,1.5"},
    {"same size", {"1x3x2x3x4 image"}, "size=2,3,4"},
    {"one voxel", {"1x33x1x1x1 image"}, "size=2,3,4"},
    {0},
};
static const hl_sample grad_samples[] = {
    {"double", {"2x4x6x8x10 image"}, "size=3,4,5"},
    {"corners", {"1x8x6x8x10 image"}, "size=3,4,5 align_corners=1"},
    {"to a size", {"1x3x7x3x11 image"}, "size=4,5,6"},
    {"nearest, skipping", {"1x16x7x3x6 image"}, "mode=nearest size=4,5,12"},
    {"nearest-exact", {"1x1x7x3x6 image"}, "mode=nearest-exact size=4,5,6"},
    {0},
};

const hl_op hl_op_interpolate = {
    .name = "interpolate",
    .brief = "Image on a finer or coarser grid, trilinear or nearest, by size or by scale.",
    .math = "y[n,c,i] = x at (i + 1/2)*from/to - 1/2; align_corners: at i*(from - 1)/(to - 1)",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_interpolate_attrs),
    .attrs = schema,
    .samples = samples,
    .shape = shape,
    .ref = ref,
    .vjp = vjp,
};

const hl_op hl_op_interpolate_grad = {
    .name = "interpolate_grad",
    .brief = "Gradient of interpolate: its transpose.",
    .math = "dx[n,c,q] = sum(weight(p, q) * dy[n,c,p]) over the positions p that take sample q",
    .args = "dy",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_interpolate_grad_attrs),
    .attrs = grad_schema,
    .samples = grad_samples,
    .internal = true,
    .shape = grad_shape,
    .ref = grad_ref,
};
