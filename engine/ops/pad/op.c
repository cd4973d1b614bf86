/* Padding and cropping of images along z, y, x. */
#include "pad.h"

#include <string.h>

static const char *const axis_names[3] = {"z", "y", "x"};

/* hl_pad_grad_attrs begins like hl_pad_attrs, so these rows serve both. */
#define COMMON                                                                                     \
  {"before",                                                                                       \
   HL_A_INT3,                                                                                      \
   "0",                                                                                            \
   offsetof(hl_pad_attrs, before),                                                                 \
   -(1 << 30),                                                                                     \
   1 << 30,                                                                                        \
   "positions added before each axis (z, y, x); negative: cropped"},                               \
      {"after",                                                                                    \
       HL_A_INT3,                                                                                  \
       "0",                                                                                        \
       offsetof(hl_pad_attrs, after),                                                              \
       -(1 << 30),                                                                                 \
       1 << 30,                                                                                    \
       "positions added after each axis; negative: cropped"},                                      \
  {                                                                                                \
    "mode", HL_A_CHOICE, "constant", offsetof(hl_pad_attrs, mode), 0, 0,                           \
        "constant|reflect|replicate|circular: what the added positions hold; reflect does not "    \
        "repeat the last sample"                                                                   \
  }

static const hl_attr schema[] = {
    COMMON,
    {"value", HL_A_REAL, "0", offsetof(hl_pad_attrs, value), 0, 0, "of constant padding"},
    {0},
};
static const hl_attr grad_schema[] = {
    COMMON,
    {"size", HL_A_INT3, NULL, offsetof(hl_pad_grad_attrs, size), 1, 1 << 30, "of x (z, y, x)"},
    {0},
};

/* ---- shape rules ---- */

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* How far a mode can reach beyond an image of `size` positions. */
static hl_status reach_fits(int axis, int64_t mode, int64_t size, int64_t before, int64_t after,
                            hl_err *e) {
  int64_t reach = larger(before, after);
  if (mode == PAD_REFLECT && reach >= size)
    return hl_fail(e, HL_ESHAPE,
                   "reflect can add at most size − 1 = %lld positions on axis %s, not %lld",
                   (long long)size - 1, axis_names[axis], (long long)reach);
  if (mode == PAD_CIRCULAR && reach > size)
    return hl_fail(e, HL_ESHAPE,
                   "circular can add at most the size, %lld positions, on axis %s, not %lld",
                   (long long)size, axis_names[axis], (long long)reach);
  return HL_OK;
}

static hl_status padded_size(const hl_pad_attrs *a, const int64_t *size, int64_t padded[3],
                             hl_err *e) {
  for (int i = 0; i < 3; i++) {
    int64_t crop = larger(-a->before[i], 0) + larger(-a->after[i], 0);
    padded[i] = size[i] + a->before[i] + a->after[i];
    if (crop >= size[i] || padded[i] < 1)
      return hl_fail(e, HL_ESHAPE, "nothing is left on axis %s: %lld %+lld %+lld", axis_names[i],
                     (long long)size[i], (long long)a->before[i], (long long)a->after[i]);
    HL_TRY(reach_fits(i, a->mode, size[i], a->before[i], a->after[i], e));
  }
  return HL_OK;
}

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "x", e));
  const int64_t *x = c->in[0].shape.dim;
  int64_t size[3];
  HL_TRY(padded_size(c->attrs, x + AXIS_Z, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, x[AXIS_N], x[AXIS_C], size);
  return hl_rule_out(c, &y, e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  const hl_pad_grad_attrs *a = c->attrs;
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_image(c, 0, "dy", e));
  const int64_t *dy = c->in[0].shape.dim;
  hl_pad_attrs same = {.mode = a->mode};
  memcpy(same.before, a->before, sizeof same.before);
  memcpy(same.after, a->after, sizeof same.after);
  int64_t size[3];
  HL_TRY(padded_size(&same, a->size, size, e));
  hl_desc y = hl_desc_image(c->in[0].dtype, dy[AXIS_N], dy[AXIS_C], size);
  HL_TRY(hl_rule_is(c, 0, "dy", &y, "the padded image", e));
  hl_desc dx = hl_desc_image(c->in[0].dtype, dy[AXIS_N], dy[AXIS_C], a->size);
  return hl_rule_out(c, &dx, e);
}

/* ---- which sample a position holds ---- */

/* Position i of an axis that may lie outside 0 … n − 1. Circular repeats what is left after
 * cropping. */
static int64_t folded(const hl_pad_attrs *a, int axis, int64_t i, int64_t n) {
  int64_t first = larger(-a->before[axis], 0), period = n - larger(-a->after[axis], 0) - first;
  switch (a->mode) {
  case PAD_REFLECT:
    return i < 0 ? -i : i < n ? i : 2 * (n - 1) - i;
  case PAD_REPLICATE:
    return i < 0 ? 0 : i < n ? i : n - 1;
  case PAD_CIRCULAR:
    return first + ((i - first) % period + period) % period;
  default:
    return i < 0 || i >= n ? -1 : i;
  }
}

static int64_t rule(const void *attrs, const int64_t from[3], const int64_t to_size[3], int axis,
                    int64_t to, int64_t k, hl_tap *tap) {
  (void)k;
  (void)to_size;
  const hl_pad_attrs *a = attrs; /* the common beginning */
  tap->source = folded(a, axis, to - a->before[axis], from[axis]);
  tap->weight = 1;
  return tap->source < 0 ? 0 : 1;
}

hl_taps hl_pad_taps(const hl_call *c) {
  const hl_pad_attrs *a = c->attrs;
  hl_taps t = hl_taps_of(rule, a, &c->in[0], &c->out[0]);
  t.fill = a->value;
  return t;
}

hl_taps hl_pad_grad_taps(const hl_call *c) {
  hl_taps t = hl_taps_of(rule, c->attrs, &c->out[0], &c->in[0]);
  t.transpose = true;
  return t;
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  hl_taps t = hl_pad_taps(c);
  hl_taps_ref(&t, in[0], out[0]);
  return HL_OK;
}

static hl_status grad_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)e;
  hl_taps t = hl_pad_grad_taps(c);
  hl_taps_ref(&t, in[0], out[0]);
  return HL_OK;
}

/* Constant padding is undone by cropping, cropping by padding with 0. */
static hl_status vjp(const hl_vjp *v, hl_err *e) {
  const hl_pad_attrs *a = v->call->attrs;
  if (a->mode == PAD_CONSTANT) {
    hl_pad_attrs back = {.mode = PAD_CONSTANT};
    for (int i = 0; i < 3; i++) {
      back.before[i] = -a->before[i];
      back.after[i] = -a->after[i];
    }
    return hl_vjp_emit(v, &hl_op_pad, &back, &v->din[0], e, v->dout[0]);
  }
  hl_pad_grad_attrs g = {.mode = a->mode};
  memcpy(g.before, a->before, sizeof g.before);
  memcpy(g.after, a->after, sizeof g.after);
  memcpy(g.size, v->call->in[0].shape.dim + AXIS_Z, sizeof g.size);
  return hl_vjp_emit(v, &hl_op_pad_grad, &g, &v->din[0], e, v->dout[0]);
}

/* ---- definitions ---- */

static const hl_sample samples[] = {
    {"constant", {"2x3x3x4x5 image"}, "before=1,0,2 after=0,3,1 value=-1.5"},
    {"crop", {"1x4x5x6x7 image"}, "before=-1,-2,0 after=-2,0,-3"},
    {"crop and pad", {"1x8x4x4x4 image"}, "before=-1,2,0 after=2,-3,1"},
    {"reflect", {"2x3x4x5x6 image"}, "mode=reflect before=3,2,1 after=1,4,5"},
    {"reflect and crop", {"1x2x5x5x5 image"}, "mode=reflect before=-2,1,4 after=3,-2,0"},
    {"replicate", {"1x5x2x3x4 image"}, "mode=replicate before=3,0,2 after=4,1,5"},
    {"circular", {"2x1x3x4x5 image"}, "mode=circular before=3,1,2 after=2,4,5"},
    {"circular and crop", {"1x3x5x5x5 image"}, "mode=circular before=-1,2,3 after=2,-2,1"},
    {"flat image", {"2x4x1x6x5 image"}, "mode=reflect before=0,2,3 after=0,1,4"},
    {"nothing", {"1x2x2x3x4 image"}, NULL},
    {"many channels", {"1x37x2x3x4 image"}, "mode=replicate before=1 after=1"},
    {0},
};
static const hl_sample grad_samples[] = {
    {"constant", {"1x2x6x5x4 image"}, "before=1 after=2,1,0 size=3,3,3"},
    {"reflect", {"2x3x8x11x12 image"}, "mode=reflect before=3,2,1 after=1,4,5 size=4,5,6"},
    {"replicate", {"1x8x9x4x11 image"}, "mode=replicate before=3,0,2 after=4,1,5 size=2,3,4"},
    {"circular", {"1x16x8x9x12 image"}, "mode=circular before=3,1,2 after=2,4,5 size=3,4,5"},
    {"circular and crop", {"1x3x6x5x9 image"}, "mode=circular before=-1,2,3 after=2,-2,1 size=5"},
    {0},
};

const hl_op hl_op_pad = {
    .name = "pad",
    .brief = "Adds positions around an image, or crops it.",
    .math = "y[n,c,p] = x[n,c,p - before] inside, outside a value or a sample of x by mode",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_pad_attrs),
    .attrs = schema,
    .samples = samples,
    .shape = shape,
    .ref = ref,
    .vjp = vjp,
};

const hl_op hl_op_pad_grad = {
    .name = "pad_grad",
    .brief = "Gradient of pad: each sample gathers from the positions that hold it.",
    .math = "dx[n,c,q] = sum(dy[n,c,p]) over the positions p that hold sample q",
    .args = "dy",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_pad_grad_attrs),
    .attrs = grad_schema,
    .samples = grad_samples,
    .internal = true,
    .shape = grad_shape,
    .ref = grad_ref,
};
