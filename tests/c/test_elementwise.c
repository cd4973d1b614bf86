/* Elementwise ops where samples do not reach: accuracy over all of f32, extreme values, the words
 * of refusals. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include <float.h>

static hl_tensor *run(const char *name, const char *text, int n, hl_tensor *const *in) {
  hl_err e = {0};
  attr_space attrs;
  hl_tensor *out[HL_MAX_ARGS] = {0};
  int n_out = 0;
  const hl_op *op = hl_op_find(name);
  hl_status s = op->attr_size > 0 ? hl_attrs_parse(op, text, &attrs, &e) : HL_OK;
  if (s == HL_OK) s = hl_op_eager(op, &attrs, n, in, &n_out, out, &e);
  if (s != HL_OK && !succeeds(s, &e, "%s", name)) exit(1);
  return out[0];
}

static hl_tensor *vector(int64_t n) {
  hl_err e = {0};
  const hl_desc d = {HL_F32, HL_PLAIN, {1, {n}}};
  hl_tensor *t;
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "numbers", &e) != HL_OK) exit(1);
  return t;
}

static hl_tensor *list(int64_t n, const float *values) {
  hl_tensor *t = vector(n);
  memcpy(hl_tensor_f32(t), values, (size_t)n * sizeof *values);
  return t;
}

/* ---- accuracy ---- */

static double sigmoid_of(double x) {
  return 1 / (1 + exp(-x));
}

static double softplus_of(double x) {
  return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double logsigmoid_of(double x) {
  return -softplus_of(-x);
}

static double elu_of(double x) {
  return x > 0 ? x : expm1(x);
}

static double rsqrt_of(double x) {
  return 1 / sqrt(x);
}

static double reciprocal_of(double x) {
  return 1 / x;
}

static double gelu_of(double x) {
  return x * erfc(-x / sqrt(2)) / 2;
}

static double power_of(double x) {
  return pow(x, -2.5);
}

/* Distance in units of the last place of f32 at the true value. */
static double ulps(float got, double want) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  if (isinf((float)want)) return (float)want == got ? 0 : INFINITY;
  float size = fabsf((float)want);
  double unit =
      size < FLT_MIN ? (double)nextafterf(0, 1) : (double)(nextafterf(size, INFINITY) - size);
  return fabs((double)got - want) / unit;
}

static void check_accuracy_with(const char *name, const char *attrs, double (*truth)(double),
                                double allowed) {
  enum { N = 1 << 19 };
  hl_tensor *x = vector(N);
  for (uint32_t i = 0; i < N; i++) { /* every 8191st of all numbers, infinities and NaN */
    uint32_t bits = i * 8191;
    memcpy(hl_tensor_f32(x) + i, &bits, sizeof bits);
  }
  hl_tensor *y = run(name, attrs, 1, &x);
  double worst = 0;
  float where = 0;
  for (int64_t i = 0; i < N; i++) {
    float argument = hl_tensor_f32(x)[i];
    double error = ulps(hl_tensor_f32(y)[i], truth((double)argument));
    if (error > worst) where = argument;
    worst = fmax(worst, error);
  }
  ok(worst <= allowed, "%s: at most %.2f units in the last place (at %g)", name, worst,
     (double)where);
  hl_tensor_unref(x);
  hl_tensor_unref(y);
}

static void check_accuracy(const char *name, double (*truth)(double), double allowed) {
  check_accuracy_with(name, NULL, truth, allowed);
}

/* Largest error relative to |x|, for functions that behave like x or vanish. */
static void check_gelu(void) {
  enum { N = 40001 };
  hl_tensor *x = vector(N);
  for (int i = 0; i < N; i++) hl_tensor_f32(x)[i] = (float)(i - N / 2) * 1e-3F;
  hl_tensor *y = run("gelu", NULL, 1, &x);
  double worst = 0;
  for (int i = 0; i < N; i++) {
    double argument = (double)hl_tensor_f32(x)[i];
    double error = fabs((double)hl_tensor_f32(y)[i] - gelu_of(argument));
    worst = fmax(worst, argument == 0 ? error : error / fabs(argument));
  }
  ok(worst <= 2.2e-7, "gelu: error at most %.1e of |x|", worst);
  unref_all(2, (hl_tensor *[]){x, y});
}

static void check_extremes(void) {
  static const float in[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0, -0.0F, 1e-42F};
  static const struct {
    const char *op, *attrs;
    float out[8];
  } cases[] = {
      {"exp", NULL, {NAN, INFINITY, 0, INFINITY, 0, 1, 1, 1}},
      {"log", NULL, {NAN, INFINITY, NAN, 88.7228394F, NAN, -INFINITY, -INFINITY, -96.708046F}},
      {"sigmoid", NULL, {NAN, 1, 0, 1, 0, 0.5F, 0.5F, 0.5F}},
      {"softplus", NULL, {NAN, INFINITY, 0, FLT_MAX, 0, 0.693147182F, 0.693147182F, 0.693147182F}},
      {"tanh", NULL, {NAN, 1, -1, 1, -1, 0, 0, 1e-42F}},
      {"relu", NULL, {NAN, INFINITY, 0, FLT_MAX, 0, 0, 0, 1e-42F}},
      {"clamp", "low=-1 high=2", {NAN, 2, -1, 2, -1, 0, 0, 1e-42F}},
      {"clamp",
       "low=-1e300 high=1e300",
       {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0, 0, 1e-42F}},
      {"affine", "scale=0 shift=3", {3, 3, 3, 3, 3, 3, 3, 3}},
  };
  hl_tensor *x = list(8, in);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    hl_tensor *y = run(cases[i].op, cases[i].attrs, 1, &x);
    bool good = true;
    for (int k = 0; k < 8; k++) {
      float got = hl_tensor_f32(y)[k], want = cases[i].out[k];
      bool same = isnan(want) ? isnan(got) : got == want || fabsf(got / want - 1) < 2e-7F;
      if (!same)
        tap_diag("  of %g: got %.9g, expected %.9g", (double)in[k], (double)got, (double)want);
      good = good && same;
    }
    ok(good, "%s of NaN, infinities, zeros and a subnormal number", cases[i].op);
    hl_tensor_unref(y);
  }
  hl_tensor_unref(x);
}

/* Sums of f32 keep the accuracy of f64. */
static void check_long_sum(void) {
  enum { N = 3000001 };
  hl_tensor *x = vector(N);
  for (int64_t i = 0; i < N; i++) hl_tensor_f32(x)[i] = i % 2 == 0 ? 1e4F : -1e4F + 0.125F;
  hl_tensor *sum = run("sum", NULL, 1, &x), *mean = run("mean", NULL, 1, &x);
  is_near((double)*hl_tensor_f32(sum), 1e4 + 0.125 * (N - 1) / 2, 0.02,
          "a sum of large numbers that cancel");
  is_near((double)*hl_tensor_f32(mean), (1e4 + 0.125 * (N - 1) / 2) / N, 1e-8, "and their mean");
  unref_all(3, (hl_tensor *[]){x, sum, mean});
}

static void check_nothing(void) {
  hl_tensor *none = vector(0), *zero = run("sum", NULL, 1, &none), *y = run("exp", NULL, 1, &none);
  is_near((double)*hl_tensor_f32(zero), 0, 0, "the sum of no elements is 0");
  is_int(hl_tensor_numel(y), 0, "a function of no elements has none");
  unref_all(3, (hl_tensor *[]){none, zero, y});
}

static void check_clock(void) {
  static const double clocks[][2] = {{NAN, 1}, {0.1, INFINITY}, {0.1, 0}, {0.1, -1}};
  static const char *const words[] = {"rate nan", "step inf", "counted from 1, but is 0",
                                      "counted from 1, but is -1"};
  hl_err e = {0};
  hl_tensor *in[5], *out[HL_MAX_ARGS];
  attr_space attrs;
  const hl_op *adam = hl_op_find("adam");
  const hl_desc d = {HL_F64, HL_PLAIN, {1, {2}}};
  for (int i = 0; i < 4; i++) in[i] = vector(3);
  succeeds(hl_tensor_zeros(&in[4], &d, HL_MEM_DATA, "a clock", &e), &e, "a clock");
  succeeds(hl_attrs_parse(adam, NULL, &attrs, &e), &e, "adam's defaults");
  for (int i = 0; i < 4; i++) {
    int n;
    memcpy(hl_tensor_f64(in[4]), clocks[i], sizeof clocks[i]);
    hl_status s = hl_op_eager(adam, &attrs, 5, in, &n, out, &e);
    fails(s, i < 2 ? HL_ENONFINITE : HL_EINVAL, &e, words[i], "adam refuses %s", words[i]);
  }
  unref_all(5, in);
}

static const refusal refusals[] = {
    {"add",
     {"2x3x4x5x6 image", "4x1x1x1"},
     NULL,
     "add: the shapes do not broadcast: axis 2 has size 3 on one side and 4 on the other (axes are "
     "matched from the last one; sizes must be equal or 1)\n  inputs: f32{n2 c3 z4 y5 x6}, "
     "f32[4,1,1,1]",
     HL_ESHAPE},
    {"mul", {"2x3x4x5x6 image", "1x1x1x1x1x1"}, NULL, "at most 5 axes, not 6", HL_ESHAPE},
    {"clamp", {"3"}, "low=2 high=1", "low (2) must not be above high (1)", HL_EINVAL},
    {"clamp", {"3"}, "low=2", "attribute 'high' is required", HL_EINVAL},
    {"leaky_relu", {"3"}, "slope=2", "slope must lie between 0 and 1", HL_EINVAL},
    {"sum", {"3x4"}, "axes=2", "x has 2 axes: there is no axis 3", HL_EINVAL},
    {"sum", {"3x4"}, "axes=1,0", "once each and in ascending order", HL_EINVAL},
    {"mean", {"3x0"}, NULL, "there is no mean of no elements", HL_ESHAPE},
    {"broadcast",
     {"3x1"},
     "shape=2,4",
     "axis 1 has size 3 on one side and 2 on the other",
     HL_ESHAPE},
    {"broadcast",
     {"3x1x4"},
     "shape=3,4",
     "shape is [3,4], but together with the other shape it would be [3,3,4]",
     HL_ESHAPE},
    {"broadcast", {"3"}, "shape=2,3 image=1", "an image has 5 axes", HL_ESHAPE},
    {"broadcast", {"3"}, "shape=1,1,1,1,1,1,1,1,3", "a shape has at most 8 axes, not 9", HL_ESHAPE},
    {"sum_to",
     {"3x4"},
     "shape=2,3,4",
     "x is [3,4], but together with the other shape it would be [2,3,4]",
     HL_ESHAPE},
    {"reshape", {"3x4"}, "shape=5,2", "x has 12 elements, but shape [5,2] has 10", HL_ESHAPE},
    {"reshape", {"1x2x3x4x5 image"}, "shape=120", "x must be in plain layout", HL_ETYPE},
    {"adam", {"3", "4", "3", "3"}, NULL, "takes 5 to 6 inputs", HL_EINVAL},
};

int main(void) {
  check_accuracy("exp", exp, 1.05);
  check_accuracy("log", log, 1);
  check_accuracy("sigmoid", sigmoid_of, 2.4);
  check_accuracy("softplus", softplus_of, 2.6);
  check_accuracy("tanh", tanh, 2.6);
  check_accuracy("sqrt", sqrt, 0.5);
  check_accuracy("logsigmoid", logsigmoid_of, 2.6);
  check_accuracy("elu", elu_of, 1);
  check_accuracy("rsqrt", rsqrt_of, 1.5);
  check_accuracy("reciprocal", reciprocal_of, 0.5);
  check_accuracy_with("pow", "exponent=-2.5", power_of, 6);
  check_gelu();
  check_extremes();
  check_long_sum();
  check_nothing();
  check_clock();
  check_refusals(refusals, sizeof refusals / sizeof *refusals);
  return tap_done();
}
