/* Softmax and its logarithm along one axis. The largest element of a line is subtracted first, so
 * that nothing overflows. */
#include "axis.h"

#include <math.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  int axis;
  HL_TRY(hl_rule_axis(c, c->attrs, &axis, e));
  if (c->in[0].shape.dim[axis] == 0) return hl_fail(e, HL_ESHAPE, "axis %d is empty", axis + 1);
  return hl_rule_out(c, &c->in[0], e);
}

static hl_status grad_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  HL_TRY(hl_rule_is(c, 1, "dy", &c->in[0], "y", e));
  return shape(c, e);
}

static hl_lines lines_of(const hl_call *c) {
  const hl_ints *axis = c->attrs;
  return hl_lines_logical(&c->in[0].shape, (int)axis->v[0]);
}

/* Calls one(a, b, y, n, step) for every line. */
typedef void (*line_body)(const double *a, const double *b, double *y, int64_t n, int64_t step);

static hl_status each_line(const hl_call *c, const double *const *in, double *y, line_body one) {
  hl_lines l = lines_of(c);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t k = 0; k < l.inner; k++) {
      int64_t at = o * l.size * l.inner + k;
      one(in[0] + at, c->n_in > 1 ? in[1] + at : NULL, y + at, l.size, l.inner);
    }
  return HL_OK;
}

static double line_max(const double *x, int64_t n, int64_t step) {
  double max = x[0];
  for (int64_t i = 1; i < n; i++) max = fmax(max, x[i * step]);
  return max;
}

static double line_sum(const double *x, double max, int64_t n, int64_t step) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += exp(x[i * step] - max);
  return sum;
}

static void softmax_line(const double *x, const double *unused, double *y, int64_t n,
                         int64_t step) {
  (void)unused;
  double max = line_max(x, n, step), sum = line_sum(x, max, n, step);
  for (int64_t i = 0; i < n * step; i += step) y[i] = exp(x[i] - max) / sum;
}

static void log_softmax_line(const double *x, const double *unused, double *y, int64_t n,
                             int64_t step) {
  (void)unused;
  double max = line_max(x, n, step), sum = line_sum(x, max, n, step);
  for (int64_t i = 0; i < n * step; i += step) y[i] = x[i] - max - log(sum);
}

static void softmax_grad_line(const double *y, const double *dy, double *dx, int64_t n,
                              int64_t step) {
  double dot = 0;
  for (int64_t i = 0; i < n * step; i += step) dot += y[i] * dy[i];
  for (int64_t i = 0; i < n * step; i += step) dx[i] = y[i] * (dy[i] - dot);
}

static void log_softmax_grad_line(const double *y, const double *dy, double *dx, int64_t n,
                                  int64_t step) {
  double sum = 0;
  for (int64_t i = 0; i < n * step; i += step) sum += dy[i];
  for (int64_t i = 0; i < n * step; i += step) dx[i] = dy[i] - exp(y[i]) * sum;
}

static const hl_attr attrs[] = {
    {"axis", HL_A_AXES, "1", 0, 0, 0, "the axis along which the results sum up to 1"}, {0}};

static const hl_sample samples[] = {{"channels", {"2x3x3x4x5 image"}, NULL},
                                    {"many channels", {"1x40x1x2x3 image"}, NULL},
                                    {"along z", {"1x3x4x5x6 image"}, "axis=2"},
                                    {"along n", {"3x2x1x4x5 image"}, "axis=0"},
                                    {"plain", {"7x5"}, "axis=1"},
                                    {"plain, first axis", {"7x70"}, "axis=0"},
                                    {"long line", {"2x1000"}, "axis=1"},
                                    {"many lines", {"300x4"}, "axis=1"},
                                    {"many lines of two", {"71x2"}, "axis=1"},
                                    {"many lines of seven", {"71x7"}, "axis=1"},
                                    {"many lines of 29", {"71x29"}, "axis=1"},
                                    {"one element", {"1"}, "axis=0"},
                                    {0}};
static const hl_sample grad_samples[] = {
    {"channels", {"2x3x3x4x5 image", "2x3x3x4x5 image"}, NULL},
    {"many channels", {"1x40x1x2x3 image", "1x40x1x2x3 image"}, NULL},
    {"along z", {"1x3x4x5x6 image", "1x3x4x5x6 image"}, "axis=2"},
    {"plain, first axis", {"7x70", "7x70"}, "axis=0"},
    {"long line", {"2x1000", "2x1000"}, "axis=1"},
    {0}};

#define SOFTMAX(NAME, BRIEF, MATH)                                                                 \
  static hl_status NAME##_ref(const hl_call *c, const double *const *in, double *const *out,       \
                              hl_err *e) {                                                         \
    (void)e;                                                                                       \
    return each_line(c, in, out[0], NAME##_line);                                                  \
  }                                                                                                \
  static hl_status NAME##_grad_ref(const hl_call *c, const double *const *in, double *const *out,  \
                                   hl_err *e) {                                                    \
    (void)e;                                                                                       \
    return each_line(c, in, out[0], NAME##_grad_line);                                             \
  }                                                                                                \
  static hl_status NAME##_vjp(const hl_vjp *v, hl_err *e) {                                        \
    return hl_vjp_emit(v, &hl_op_##NAME##_grad, v->call->attrs, &v->din[0], e, v->out[0],          \
                       v->dout[0]);                                                                \
  }                                                                                                \
  const hl_op hl_op_##NAME = {.name = #NAME,                                                       \
                              .brief = BRIEF,                                                      \
                              .math = MATH,                                                        \
                              .args = "x",                                                         \
                              .min_in = 1,                                                         \
                              .max_in = 1,                                                         \
                              .attr_size = sizeof(hl_ints),                                        \
                              .attrs = attrs,                                                      \
                              .samples = samples,                                                  \
                              .by_slabs = hl_axis_is_channels,                                     \
                              .inplace = 1,                                                        \
                              .shape = shape,                                                      \
                              .ref = NAME##_ref,                                                   \
                              .vjp = NAME##_vjp};                                                  \
  const hl_op hl_op_##NAME##_grad = {.name = #NAME "_grad",                                        \
                                     .brief = "Gradient of " #NAME " from its result.",            \
                                     .math = "see " #NAME,                                         \
                                     .args = "y, dy",                                              \
                                     .min_in = 2,                                                  \
                                     .max_in = 2,                                                  \
                                     .attr_size = sizeof(hl_ints),                                 \
                                     .attrs = attrs,                                               \
                                     .samples = grad_samples,                                      \
                                     .by_slabs = hl_axis_is_channels,                              \
                                     .inplace = 3,                                                 \
                                     .internal = true,                                             \
                                     .shape = grad_shape,                                          \
                                     .ref = NAME##_grad_ref};

SOFTMAX(softmax, "Exponentials that sum up to 1 along an axis.", "y = exp(x) / sum of exp(x)")
SOFTMAX(log_softmax, "Logarithm of softmax, exact for logits of any size.",
        "y = x - ln(sum of exp(x))")
