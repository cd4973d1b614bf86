/* What must hold for any input of the orthogonal ops: their matrices are orthogonal, resampling
 * and mixing are undone by their transposes and keep the norm, results do not depend on the number
 * of threads. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include <hilum/parallel.h>

static hl_tensor *random_of(const hl_desc *d, double scale, const char *purpose) {
  hl_err e = {0};
  hl_tensor *t;
  hl_status s = hl_tensor_new(&t, d, hl_ledger_main(), HL_MEM_DATA, purpose, &e);
  if (s != HL_OK && !succeeds(s, &e, "%s", purpose)) exit(1);
  hl_rng r = hl_rng_stream(seed, purpose, 0, 0);
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) {
    double x = (double)(float)(scale * hl_rng_normal(&r));
    if (d->dtype == HL_F64)
      hl_tensor_f64(t)[i] = x;
    else
      hl_tensor_f32(t)[i] = (float)x;
  }
  return t;
}

/* Runs an op; the caller owns the outputs. Ends the test if it fails: nothing can follow. */
static int run(const char *name, const char *text, int n_in, hl_tensor *const *in,
               hl_tensor **out) {
  hl_err e = {0};
  attr_space attrs;
  int n = 0;
  const hl_op *op = hl_op_find(name);
  hl_status s = op->attr_size > 0 ? hl_attrs_parse(op, text, &attrs, &e) : HL_OK;
  if (s == HL_OK) s = hl_op_eager(op, &attrs, n_in, in, &n, out, &e);
  if (s != HL_OK && !succeeds(s, &e, "%s %s", name, text != NULL ? text : "")) exit(1);
  return n;
}

static double at(const hl_tensor *t, int64_t i) {
  const float *narrow = hl_tensor_f32(t);
  return narrow != NULL ? (double)narrow[i] : hl_tensor_f64(t)[i];
}

static double distance(const hl_tensor *a, const hl_tensor *b) {
  double worst = 0;
  for (int64_t i = 0; i < hl_tensor_numel(a); i++) worst = fmax(worst, fabs(at(a, i) - at(b, i)));
  return worst;
}

static double squares(const hl_tensor *t) {
  double sum = 0;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) sum += at(t, i) * at(t, i);
  return sum;
}

/* ---- orthogonal matrices ---- */

/* Largest entry of transpose(Q) Q - I over a stack. */
static double off_orthogonal(const hl_tensor *q, int64_t n) {
  double worst = 0;
  for (int64_t m = 0; m < hl_tensor_numel(q); m += n * n)
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k <= i; k++) {
        double sum = i == k ? -1 : 0;
        for (int64_t r = 0; r < n; r++) sum += at(q, m + r * n + i) * at(q, m + r * n + k);
        worst = fmax(worst, fabs(sum));
      }
  return worst;
}

static hl_tensor *orthogonal_by(const char *op, const char *text, hl_dtype t, int64_t count,
                                int64_t n, double scale) {
  const hl_desc stack = {t, HL_PLAIN, {3, {count, n, n}}}, one = {t, HL_PLAIN, {2, {n, n}}};
  hl_tensor *w = random_of(count > 0 ? &stack : &one, scale, "weights"), *q;
  run(op, text, 1, &w, &q);
  hl_tensor_unref(w);
  return q;
}

static hl_tensor *orthogonal(hl_dtype t, int64_t count, int64_t n, double scale) {
  return orthogonal_by("cayley", NULL, t, count, n, scale);
}

static void check_orthogonal_of(const char *op, const char *text, int64_t n, double scale) {
  hl_tensor *q = orthogonal_by(op, text, HL_F32, 0, n, scale);
  double narrow = off_orthogonal(q, n);
  hl_tensor_unref(q);
  q = orthogonal_by(op, text, HL_F64, 0, n, scale);
  double wide = off_orthogonal(q, n);
  hl_tensor_unref(q);
  ok(narrow <= 1e-6 && wide <= 1e-12, "%s of %d x %d, scale %g, is orthogonal: %.1e, %.1e", op,
     (int)n, (int)n, scale, narrow, wide);
}

static void check_orthogonal(const char *op, const char *text) {
  static const int64_t sizes[] = {1, 2, 5, 8, 33, 64};
  static const double scales[] = {0, 0.01, 1, 30};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++)
      check_orthogonal_of(op, text, sizes[i], scales[k]);
  check_orthogonal_of(op, text, 256, 1);
}

/* exp of a rotation's generator is the rotation: W = [[0, a], [0, 0]] turns by a. */
static void check_rotation(double angle) {
  hl_err e = {0};
  const hl_desc d = {HL_F64, HL_PLAIN, {2, {2, 2}}};
  hl_tensor *w, *q;
  succeeds(hl_tensor_zeros(&w, &d, HL_MEM_DATA, "a weight", &e), &e, "a weight");
  hl_tensor_f64(w)[1] = angle;
  run("matrix_exp", NULL, 1, &w, &q);
  double worst = fmax(fabs(at(q, 0) - cos(angle)), fabs(at(q, 1) - sin(angle)));
  ok(worst <= 1e-13 * fmax(1, angle), "matrix_exp turns by %g: off by %.1e", angle, worst);
  hl_tensor_unref(w);
  hl_tensor_unref(q);
}

/* A column of zeros reflects nothing. */
static void check_no_reflection(void) {
  hl_err e = {0};
  const hl_desc d = {HL_F32, HL_PLAIN, {2, {4, 4}}};
  hl_tensor *v, *q;
  succeeds(hl_tensor_zeros(&v, &d, HL_MEM_DATA, "a weight", &e), &e, "a weight");
  run("householder", "eps=1e-5", 1, &v, &q);
  double worst = 0;
  for (int64_t i = 0; i < 16; i++) worst = fmax(worst, fabs(at(q, i) - (i % 5 == 0)));
  ok(worst == 0, "householder of zeros is the identity");
  hl_tensor_unref(v);
  hl_tensor_unref(q);
}

static void check_nan(const char *op) {
  hl_err e = {0};
  const hl_desc d = {HL_F32, HL_PLAIN, {3, {2, 3, 3}}};
  hl_tensor *w = random_of(&d, 1, "weights"), *q;
  const int64_t first[] = {0, 0, 1};
  succeeds(hl_tensor_set(w, first, NAN, &e), &e, "a NaN in the first matrix");
  run(op, NULL, 1, &w, &q);
  ok(isnan(at(q, 0)) && !isnan(at(q, 9)), "%s: a NaN spoils its own matrix and no other", op);
  hl_tensor_unref(w);
  hl_tensor_unref(q);
}

/* The weights from which the usual library starts for windows of 2 x 2 x 2, in closed form. */
static double haar_weight(int64_t i, int64_t k) {
  if (i >= k) return 0;
  int64_t differ = i ^ k, ones = (i & 1) + (i >> 1 & 1) + (i >> 2 & 1);
  if (differ == 7) return (ones % 2 == 0 ? 1 : -1) * (1 - sqrt(0.5));
  return (differ & (differ - 1)) == 0 ? -sqrt(0.5) : 0;
}

static void check_haar(void) {
  hl_err e = {0};
  const hl_desc d = {HL_F64, HL_PLAIN, {2, {8, 8}}};
  hl_tensor *w, *q;
  succeeds(hl_tensor_zeros(&w, &d, HL_MEM_DATA, "a weight", &e), &e, "a weight");
  for (int64_t i = 0; i < 64; i++) hl_tensor_f64(w)[i] = haar_weight(i / 8, i % 8);
  run("cayley", NULL, 1, &w, &q);
  double worst = 0;
  bool mean = true;
  for (int64_t i = 0; i < 64; i++) {
    worst = fmax(worst, fabs(fabs(at(q, i)) - sqrt(0.125)));
    mean = mean && (i >= 8 || at(q, i) > 0);
  }
  ok(worst < 1e-14 && mean, "the Haar matrix of 2 x 2 x 2: row 1 is the mean; off by %.1e", worst);
  hl_tensor_unref(w);
  hl_tensor_unref(q);
}

/* ---- there and back ---- */

typedef struct round_trip {
  const char *name;
  int n;
  int64_t channels[3];
  int64_t zyx[3];
  int64_t stride[3]; /* 0: mixing */
  const char *sizes; /* of what lies between */
} round_trip;

static const round_trip trips[] = {
    {"2x2x2", 1, {4}, {6, 8, 22}, {2, 2, 2}, ""},
    {"2x2x2, halves", 1, {16}, {4, 4, 40}, {2, 2, 2}, " sizes=64,64"},
    {"2x2x2, borders inside a window", 3, {3, 2, 6}, {4, 4, 6}, {2, 2, 2}, " sizes=37,50,1"},
    {"1x2x2", 2, {5, 4}, {5, 4, 18}, {1, 2, 2}, " sizes=20,16"},
    {"1x1x2", 1, {3}, {1, 1, 14}, {1, 1, 2}, ""},
    {"3x2x1", 1, {2}, {6, 4, 5}, {3, 2, 1}, ""},
    {"4x2x5", 1, {2}, {4, 4, 10}, {4, 2, 5}, ""},
    {"mixing 16", 2, {8, 8}, {5, 7, 9}, {0}, " sizes=8,8"},
    {"mixing 7", 2, {3, 4}, {5, 7, 9}, {0}, " sizes=4,3"},
    {"mixing 44", 2, {40, 4}, {3, 5, 5}, {0}, " sizes=12,32"},
};

static void attributes(const round_trip *t, bool back, const char *sizes, char *text, size_t n) {
  if (t->stride[0] == 0)
    snprintf(text, n, "transpose=%d%s", back, sizes);
  else
    snprintf(text, n, "stride=%d,%d,%d%s", (int)t->stride[0], (int)t->stride[1], (int)t->stride[2],
             sizes);
}

static void check_trip(const round_trip *t, hl_dtype dtype, double tolerance) {
  hl_tensor *x[4], *y[HL_MAX_ARGS + 1], *z[HL_MAX_ARGS];
  int64_t channels = 0, window = t->stride[0] * t->stride[1] * t->stride[2];
  char text[64], sizes[32] = " sizes=";
  double before = 0, between = 0, worst = 0;
  for (int i = 0; i < t->n; i++) {
    const hl_desc d = {dtype, HL_IMAGE, {5, {2, t->channels[i], t->zyx[0], t->zyx[1], t->zyx[2]}}};
    x[i] = random_of(&d, 1, "an image");
    channels += t->channels[i];
    before += squares(x[i]);
    snprintf(sizes + strlen(sizes), sizeof sizes - strlen(sizes), "%s%d", i > 0 ? "," : "",
             (int)t->channels[i]);
  }
  bool mix = window == 0;
  hl_tensor *q = mix ? orthogonal(dtype, 0, channels, 0.5) : orthogonal(dtype, channels, window, 1);
  x[t->n] = q;
  attributes(t, false, t->sizes, text, sizeof text);
  int n = run(mix ? "mix" : "resample_down", text, t->n + 1, x, y);
  for (int i = 0; i < n; i++) between += squares(y[i]);
  y[n] = q;
  attributes(t, true, sizes, text, sizeof text);
  run(mix ? "mix" : "resample_up", text, n + 1, y, z);
  for (int i = 0; i < t->n; i++) worst = fmax(worst, distance(x[i], z[i]));
  double norm = fabs(between / before - 1);
  ok(worst <= tolerance && norm <= tolerance, "%s, %s: there and back %.1e, norm %.1e", t->name,
     hl_dtype_name(dtype), worst, norm);
  unref_all(t->n, x);
  unref_all(n + 1, y);
  unref_all(t->n, z);
}

/* ---- threads ---- */

/* The same bits with one thread and with all, on images large enough for many chunks. */
static void check_bits(const char *op, const char *text, int n, const hl_desc *in) {
  hl_tensor *x[3], *many[HL_MAX_ARGS], *one[HL_MAX_ARGS];
  for (int i = 0; i < n; i++) x[i] = random_of(&in[i], 1, op);
  int threads = hl_compute_threads(), outputs = run(op, text, n, x, many);
  hl_set_compute_threads(1);
  run(op, text, n, x, one);
  hl_set_compute_threads(threads);
  bool same = true;
  for (int i = 0; i < outputs; i++)
    same = same &&
           memcmp(hl_tensor_data(many[i]), hl_tensor_data(one[i]), hl_tensor_bytes(one[i])) == 0;
  ok(same, "%s %s: the same bits with 1 and %d threads", op, text, threads);
  unref_all(n, x);
  unref_all(outputs, many);
  unref_all(outputs, one);
}

static void check_threads(void) {
  const hl_desc fine = {HL_F32, HL_IMAGE, {5, {1, 10, 24, 26, 28}}};
  const hl_desc coarse = {HL_F32, HL_IMAGE, {5, {1, 80, 12, 13, 14}}};
  const hl_desc matrix = {HL_F32, HL_PLAIN, {3, {10, 8, 8}}};
  const hl_desc square = {HL_F32, HL_PLAIN, {2, {10, 10}}};
  check_bits("mix_grad_matrix", "parts=1", 2, (hl_desc[]){fine, fine});
  check_bits("resample_grad_matrix", "parts=1", 2, (hl_desc[]){coarse, fine});
  check_bits("resample_down", "sizes=37,43", 2, (hl_desc[]){fine, matrix});
  check_bits("mix", "sizes=3,7", 2, (hl_desc[]){fine, square});
  check_bits("sum", "", 1, &fine);
  check_bits("mean", "axes=0,2,3,4", 1, &fine);
  check_bits("sum_to", "shape=1,1,24,26,28", 1, &fine);
}

/* ---- refusals ---- */

static const refusal refusals[] = {
    {"cayley", {"3x4"}, NULL, "W must hold square matrices, not 3 x 4", HL_ESHAPE},
    {"cayley", {"4"}, NULL, "W must have 2 or 3 axes [n,n] or [M,n,n], but has 1", HL_ESHAPE},
    {"cayley", {"0x0"}, NULL, "W is empty", HL_ESHAPE},
    {"matrix_exp", {"3x4"}, NULL, "W must hold square matrices, not 3 x 4", HL_ESHAPE},
    {"matrix_exp_grad", {"3x3", "2x2"}, NULL, "dQ is f32[2,2], but W is f32[3,3]", HL_ESHAPE},
    {"householder", {"4"}, NULL, "V must have 2 or 3 axes [n,k] or [M,n,k], but has 1", HL_ESHAPE},
    {"householder", {"4x0"}, NULL, "V is empty", HL_ESHAPE},
    {"householder", {"4x4"}, "eps=-1", "eps must lie between 0 and 1", HL_EINVAL},
    {"householder_grad", {"5x3", "5x3"}, NULL, "dQ is f32[5,3], but Q is f32[5,5]", HL_ESHAPE},
    {"regroup",
     {"2x3x2x3x5 image", "2x2x2x3x4 image"},
     NULL,
     "x 2 has 2 samples of 2 x 3 x 4 voxels, but x 1 has 2 of 2 x 3 x 5: images joined by channels "
     "must agree in all else",
     HL_ESHAPE},
    {"regroup",
     {"2x3x2x3x5 image", "2x2x2x3x5 image"},
     "sizes=4,2",
     "regroup: sizes add up to 6, but there are 5 channels to deal out\n  inputs: f32{n2 c3 z2 y3 "
     "x5}, f32{n2 c2 z2 y3 x5}",
     HL_ESHAPE},
    {"regroup", {"1x3x2x2x2 image"}, "sizes=3,0", "sizes must lie between 1", HL_EINVAL},
    {"mix",
     {"1x4x2x2x2 image", "3x3"},
     NULL,
     "matrix is f32[3,3], but what fits the channels of x is f32[4,4]",
     HL_ESHAPE},
    {"mix", {"4x4"}, NULL, "takes 2 to 17 inputs", HL_EINVAL},
    {"mix_grad_matrix",
     {"1x4x2x2x2 image", "1x3x2x2x2 image"},
     "parts=1",
     "x has 4 channels and dy 3",
     HL_ESHAPE},
    {"mix_grad_matrix",
     {"1x4x2x2x2 image", "1x4x2x2x3 image"},
     "parts=1",
     "dy is f32{n1 c4 z2 y2 x3}, but",
     HL_ESHAPE},
    {"mix_grad_matrix",
     {"1x4x2x2x2 image", "1x3x2x2x2 image"},
     "parts=2",
     "parts is 2, but there are 2 inputs in all",
     HL_EINVAL},
    {"resample_down",
     {"1x4x2x7x2 image", "4x8x8"},
     NULL,
     "x has size 7 along y, which stride 2 does not divide",
     HL_ESHAPE},
    {"resample_down",
     {"1x4x2x2x2 image", "4x8x8"},
     "stride=1,2,2",
     "matrix is f32[4,8,8], but what fits the channels and stride is f32[4,4,4]",
     HL_ESHAPE},
    {"resample_down", {"1x4x9x9x9 image", "4x8x8"}, "stride=9", "between 1 and 8", HL_EINVAL},
    {"resample_up",
     {"1x12x2x2x2 image", "4x8x8"},
     NULL,
     "x has 12 channels, which the 8 voxels of a window do not divide",
     HL_ESHAPE},
    {"resample_grad_matrix",
     {"1x32x2x2x2 image", "1x4x4x4x6 image"},
     "parts=1",
     "coarse is f32{n1 c32 z2 y2 x2} in all, but fine makes it f32{n1 c32 z2 y2 x3}",
     HL_ESHAPE},
};

int main(void) {
  check_orthogonal("cayley", NULL);
  check_orthogonal("matrix_exp", NULL);
  for (int64_t n = 1; n <= 64; n *= 4) check_orthogonal_of("householder", "eps=0", n, 1);
  check_rotation(0.3);
  check_rotation(40);
  check_no_reflection();
  check_nan("cayley");
  check_nan("matrix_exp");
  check_nan("householder");
  check_haar();
  for (size_t i = 0; i < sizeof trips / sizeof *trips; i++) {
    check_trip(&trips[i], HL_F32, 5e-6);
    check_trip(&trips[i], HL_F64, 1e-12);
  }
  check_threads();
  check_refusals(refusals, sizeof refusals / sizeof *refusals);
  return tap_done();
}
