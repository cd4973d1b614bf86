/* Our own convolutions against sums in f64: random sizes, channels, padding and batches, whatever
 * the table that chooses them says. Run once for each set of instructions (HILUM_ISA). */
#define TAP_LEDGER
#include "tap.h"

#include "isa.h"
#include "wide.h"
#include "winograd.h"

#include <hilum/bf16.h>
#include <hilum/parallel.h>
#include <hilum/rng.h>

#include <stdlib.h>

enum { TRIALS = 45, TAPS = 27 };

static const double tolerance = 2e-5; /* of the largest result */

typedef struct method {
  const char *name;
  uint32_t stream; /* of its trials */
  bool (*can)(const hl_convolution *c);
  hl_status (*workspace)(const hl_convolution *c, size_t *bytes, hl_err *e);
  hl_status (*run)(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                   void *workspace, hl_err *e);
} method;

static const method methods[] = {
    {"in groups", 0, hl_winograd_can, hl_winograd_workspace, hl_winograd_run},
    {"in slabs", TRIALS, hl_wide_can, hl_wide_workspace, hl_wide_run},
};

typedef struct trial {
  const method *m;
  hl_convolution c;
  int64_t n_x, n_y, n_weight, n_result;
  float *x, *y, *weight, *bias;
  float *result; /* one of these */
  float *before; /* what the result is added to, or NaN */
  double *expected;
} trial;

static void *room(size_t bytes) {
  void *p = malloc(bytes > 0 ? bytes : 1);
  if (p == NULL) exit(1);
  memset(p, 0xff, bytes); /* NaN: what is read before it is written shows */
  return p;
}

static float *normal(int64_t n, hl_rng *r) {
  float *p = room((size_t)n * sizeof *p);
  for (int64_t i = 0; i < n; i++) p[i] = (float)hl_rng_normal(r);
  return p;
}

static int64_t upto(hl_rng *r, uint32_t most) {
  return 1 + hl_rng_below(r, most);
}

/* Few channels mostly, all numbers of them; larger images where they are few. */
static void draw(hl_convolution *c, hl_rng *r, hl_conv_kind kind, hl_dtype type) {
  static const uint32_t channels[] = {4, 8, 16, 33, 64, 128};
  uint32_t most = channels[hl_rng_below(r, 6)];
  *c = (hl_convolution){.kind = kind, .dtype = type, .groups = 1};
  c->bias = kind == HL_CONV_FORWARD && hl_rng_below(r, 2) == 0;
  c->n = upto(r, 2);
  c->in = hl_rng_below(r, 2) == 0 ? most : upto(r, most);
  c->out = hl_rng_below(r, 2) == 0 ? most : upto(r, most);
  if (type == HL_BF16) c->in = (int64_t)4 << hl_rng_below(r, 4);
  if (type == HL_BF16) c->out = (int64_t)4 << hl_rng_below(r, 4);
  for (int i = 0; i < 3; i++) {
    c->kernel[i] = 3;
    c->stride[i] = c->dilation[i] = 1;
    c->padding[i] = hl_rng_below(r, 4) > 0 ? 1 : hl_rng_below(r, 3);
    c->far[i] = hl_rng_below(r, 4) > 0 ? 1 : hl_rng_below(r, 3);
    c->x[i] = upto(r, most > 33 ? 6 : 17);
    if (i == 2 && most <= 8) c->x[i] = upto(r, 80);
    if (c->x[i] + c->padding[i] + c->far[i] < 3) c->x[i] = 3;
    c->y[i] = c->x[i] + c->padding[i] + c->far[i] - 2;
  }
}

/* All products of one voxel of y with the source voxel that tap k reaches. */
static void visit(const trial *t, int64_t voxel, const int64_t from[3], int64_t n, int k) {
  const hl_convolution *c = &t->c;
  int64_t source = ((n * c->x[0] + from[0]) * c->x[1] + from[1]) * c->x[2] + from[2];
  const float *x = t->x + source * c->in, *y = t->y + voxel * c->out;
  double *e = t->expected;
  for (int64_t o = 0; o < c->out; o++)
    for (int64_t i = 0; i < c->in; i++) {
      int64_t w = (o * c->in + i) * TAPS + k;
      if (c->kind == HL_CONV_FORWARD)
        e[voxel * c->out + o] += (double)x[i] * (double)t->weight[w];
      else if (c->kind == HL_CONV_GRAD_INPUT)
        e[source * c->in + i] += (double)y[o] * (double)t->weight[w];
      else
        e[w] += (double)x[i] * (double)y[o];
    }
}

static void expect(const trial *t) {
  const hl_convolution *c = &t->c;
  for (int64_t i = 0; i < t->n_result; i++)
    t->expected[i] =
        (c->add != 0 ? (double)t->before[i] : 0) + (c->bias != 0 ? (double)t->bias[i % c->out] : 0);
  int64_t voxels = c->n * c->y[0] * c->y[1] * c->y[2];
  for (int64_t v = 0; v < voxels; v++)
    for (int k = 0; k < TAPS; k++) {
      const int64_t at[3] = {v / c->y[2] / c->y[1] % c->y[0] + k / 9 - c->padding[0],
                             v / c->y[2] % c->y[1] + k / 3 % 3 - c->padding[1],
                             v % c->y[2] + k % 3 - c->padding[2]};
      bool inside = true;
      for (int i = 0; i < 3; i++) inside = inside && at[i] >= 0 && at[i] < c->x[i];
      if (inside) visit(t, v, at, v / c->y[2] / c->y[1] / c->y[0], k);
    }
}

static void round_numbers(float *p, int64_t n) {
  for (int64_t i = 0; i < n; i++) p[i] = hl_bf16_widen(hl_bf16_round(p[i]));
}

static trial begin(const method *m, hl_conv_kind kind, hl_dtype type, uint32_t number) {
  hl_rng r =
      hl_rng_stream(4, "winograd", 2 * (uint32_t)kind + (type == HL_BF16), m->stream + number);
  trial t = {.m = m};
  do draw(&t.c, &r, kind, type);
  while (!m->can(&t.c));
  const hl_convolution *c = &t.c;
  t.n_x = c->n * c->in * c->x[0] * c->x[1] * c->x[2];
  t.n_y = c->n * c->out * c->y[0] * c->y[1] * c->y[2];
  t.n_weight = c->out * c->in * TAPS;
  t.x = normal(t.n_x, &r);
  t.y = normal(t.n_y, &r);
  if (type == HL_BF16) round_numbers(t.x, t.n_x);
  if (type == HL_BF16) round_numbers(t.y, t.n_y);
  t.weight = normal(t.n_weight, &r);
  t.bias = normal(c->out, &r);
  t.result = kind == HL_CONV_FORWARD ? t.y : kind == HL_CONV_GRAD_INPUT ? t.x : t.weight;
  t.n_result = kind == HL_CONV_FORWARD ? t.n_y : kind == HL_CONV_GRAD_INPUT ? t.n_x : t.n_weight;
  t.c.add = kind != HL_CONV_GRAD_WEIGHT && hl_rng_below(&r, 3) == 0;
  t.before = room((size_t)t.n_result * sizeof(float));
  if (t.c.add != 0) memcpy(t.before, t.result, (size_t)t.n_result * sizeof(float));
  t.expected = room((size_t)t.n_result * sizeof(double));
  return t;
}

static void end(trial *t) {
  void *all[] = {t->x, t->y, t->weight, t->bias, t->before, t->expected};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void *narrowed(const float *p, int64_t n) {
  uint16_t *half = room((size_t)n * sizeof *half);
  hl_bf16_round_all(half, p, n);
  return half;
}

/* The images of t in bf16 and back. */
static hl_status run_half(const trial *t, float *bias, void *work, hl_err *e) {
  void *x = narrowed(t->x, t->n_x), *y = narrowed(t->y, t->n_y);
  hl_status s = t->m->run(&t->c, x, t->weight, bias, y, work, e);
  hl_bf16_widen_all(t->x, x, t->n_x);
  hl_bf16_widen_all(t->y, y, t->n_y);
  free(x);
  free(y);
  return s;
}

/* With exactly the scratch that was asked for. */
static hl_status compute(const trial *t, int threads, hl_err *e) {
  size_t bytes;
  hl_set_compute_threads(threads);
  memcpy(t->result, t->before, (size_t)t->n_result * sizeof(float));
  HL_TRY(t->m->workspace(&t->c, &bytes, e));
  void *work = room(bytes);
  float *bias = t->c.bias != 0 ? t->bias : NULL;
  hl_status s = t->c.dtype == HL_BF16 ? run_half(t, bias, work, e)
                                      : t->m->run(&t->c, t->x, t->weight, bias, t->y, work, e);
  free(work);
  return s;
}

/* Beside what rounding a result to bf16 alone may bring, half a unit of its 8 bits. */
static double worst_error(const trial *t) {
  double worst = 0, largest = 0;
  bool rounded = t->c.dtype == HL_BF16 && t->c.kind != HL_CONV_GRAD_WEIGHT;
  for (int64_t i = 0; i < t->n_result; i++) {
    double error = fabs((double)t->result[i] - t->expected[i]);
    if (rounded) error -= 0x1p-8 * fabs(t->expected[i]);
    if (rounded && error < 0) error = 0;
    if (!(error <= worst)) worst = error;
    if (fabs(t->expected[i]) > largest) largest = fabs(t->expected[i]);
  }
  return worst / largest;
}

static double check(const method *m, hl_conv_kind kind, hl_dtype type, uint32_t number) {
  static const char *const names[] = {"result", "gradient of the input", "gradient of the weight"};
  trial t = begin(m, kind, type, number);
  hl_err e = {0};
  const hl_convolution *c = &t.c;
  expect(&t);
  succeeds(compute(&t, 2, &e), &e, "%s, %s of %d images in %s, %d to %d channels", m->name,
           names[kind], (int)c->n, hl_dtype_name(type), (int)c->in, (int)c->out);
  double error = worst_error(&t);
  ok(error <= tolerance, "size %d×%d×%d, padding %d%d%d, %d%d%d%s%s: error %.1e", (int)c->x[0],
     (int)c->x[1], (int)c->x[2], (int)c->padding[0], (int)c->padding[1], (int)c->padding[2],
     (int)c->far[0], (int)c->far[1], (int)c->far[2], c->bias != 0 ? ", bias" : "",
     c->add != 0 ? ", added" : "", error);
  size_t bytes = (size_t)t.n_result * sizeof(float);
  float *two = room(bytes);
  memcpy(two, t.result, bytes);
  succeeds(compute(&t, 1, &e), &e, "one thread");
  ok(memcmp(two, t.result, bytes) == 0, "the same bits");
  free(two);
  end(&t);
  return error;
}

/* What it does not compute is left to others. */
static void check_refusals(const method *m) {
  hl_rng r = hl_rng_stream(4, "refusals", 0, 0);
  hl_convolution good, c;
  tap_diag("%s", m->name);
  draw(&good, &r, HL_CONV_FORWARD, HL_F32);
  ok(m->can(&good), "3×3×3 can be computed");
  c = good, c.kernel[0] = 1, ok(!m->can(&c), "kernel 1×3×3 cannot");
  c = good, c.stride[2] = 2, ok(!m->can(&c), "stride 2 cannot");
  c = good, c.dilation[1] = 2, ok(!m->can(&c), "dilation 2 cannot");
  c = good, c.padding[1] = 3, ok(!m->can(&c), "padding 3 cannot");
  c = good, c.groups = 2, ok(!m->can(&c), "groups cannot");
  c = good, c.dtype = HL_F64, ok(!m->can(&c), "f64 cannot");
}

int main(void) {
  static const char *const names[] = {"none", "portable", "avx2", "avx512"};
  const char *wanted = getenv("HILUM_ISA");
  tap_diag("instructions: %s", names[hl_isa()]);
  if (wanted != NULL && strcmp(wanted, names[hl_isa()]) != 0)
    return tap_skip_all("this processor does not have %s", wanted);
  for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
    const method *m = &methods[k];
    double worst = 0;
    check_refusals(m);
    for (uint32_t i = 0; i < TRIALS; i++)
      for (int kind = HL_CONV_FORWARD; kind <= HL_CONV_GRAD_WEIGHT; kind++) {
        worst = fmax(worst, check(m, (hl_conv_kind)kind, HL_F32, i));
        if (i % 3 == 0) worst = fmax(worst, check(m, (hl_conv_kind)kind, HL_BF16, i));
      }
    tap_diag("%s, worst error: %.1e of the largest number", m->name, worst);
  }
  return tap_done();
}
