#include "depthwise.h"

#include <hilum/parallel.h>

#include <string.h>

/* Result and gradient of the input are the same walk: each voxel gathers, for every kernel position
 * that reaches it, one source voxel times a row of weights. The gradient of the weight sums
 * products of rows, in f32 along a row and in f64 from there on. */
enum { TASKS = 64 /* at most: each has sums of its own */ };

/* Vectors are passed only between functions that are inlined: how does not matter. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

typedef float lanes16 __attribute__((vector_size(64)));
typedef float lanes8 __attribute__((vector_size(32)));
typedef float lanes4 __attribute__((vector_size(16)));
typedef float lanes1 __attribute__((vector_size(4)));

/* Which kernel positions bring a source to a position of the result along an axis. */
typedef struct pair {
  int32_t k, source;
} pair;
typedef struct table {
  int64_t most; /* pairs of one position: the kernel's size; a shorter list ends with k = -1 */
  pair *pairs;  /* [position][most] */
} table;

typedef struct job {
  const hl_convolution *c;
  int64_t channels, taps, grain;
  int64_t in[3], out[3]; /* sizes of the source and of the result */
  const float *from, *bias, *x, *y;
  float *to, *weight; /* weight: [tap][channel] */
  table axis[3];
  double *partial; /* gradient of the weight: [task][tap][channel] */
} job;

bool hl_depthwise_takes(const hl_convolution *c) {
  return c->dtype == HL_F32 && c->groups > 1 && c->groups == c->in && c->groups == c->out;
}

static int64_t tap_count(const hl_convolution *c) {
  return c->kernel[0] * c->kernel[1] * c->kernel[2];
}

static int64_t row_grain(int64_t rows) {
  return (rows + TASKS - 1) / TASKS;
}

static const int64_t *result_size(const hl_convolution *c) {
  return c->kind == HL_CONV_GRAD_INPUT ? c->x : c->y;
}

hl_status hl_depthwise_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t numbers = tap_count(c) * c->in, rows = c->n * c->y[0] * c->y[1];
  if (c->kind == HL_CONV_GRAD_WEIGHT)
    *bytes = (size_t)((rows + row_grain(rows) - 1) / row_grain(rows) * numbers) * sizeof(double);
  else
    *bytes = (size_t)numbers * sizeof(float);
  for (int i = 0; i < 3; i++) *bytes += (size_t)(result_size(c)[i] * c->kernel[i]) * sizeof(pair);
  return HL_OK;
}

/* The source position along an axis that kernel position k brings to position `to` of the result;
 * -1 if there is none. */
static inline int64_t source(const job *j, int axis, int64_t to, int64_t k) {
  const hl_convolution *c = j->c;
  int64_t at;
  if (c->kind == HL_CONV_GRAD_INPUT) {
    at = to + c->padding[axis] - k * c->dilation[axis];
    if (at < 0 || at % c->stride[axis] != 0) return -1;
    at /= c->stride[axis];
  } else {
    at = to * c->stride[axis] - c->padding[axis] + k * c->dilation[axis];
  }
  return at >= 0 && at < j->in[axis] ? at : -1;
}

/* ---- stretches of N channels ---- */

/* gather_N: one voxel of the result in image n, from channel c on, by the pairs of its position.
 * products_N: sums over a row of dy times the row of x that one kernel position brings to it. */
#define STRETCH(N)                                                                                 \
  static inline __attribute__((always_inline)) lanes##N load##N(const float *p) {                  \
    lanes##N v;                                                                                    \
    memcpy(&v, p, sizeof v);                                                                       \
    return v;                                                                                      \
  }                                                                                                \
  static void gather_##N(const job *j, int64_t n, const pair *pz, const pair *py, const pair *px,  \
                         int64_t c, float *out) {                                                  \
    lanes##N sum = {0};                                                                            \
    int64_t channels = j->channels;                                                                \
    if (j->bias != NULL) sum = load##N(j->bias + c);                                               \
    for (int64_t a = 0; a < j->axis[0].most && pz[a].k >= 0; a++)                                  \
      for (int64_t b = 0; b < j->axis[1].most && py[b].k >= 0; b++) {                              \
        int64_t line = (n * j->in[0] + pz[a].source) * j->in[1] + py[b].source;                    \
        const float *row = j->from + line * j->in[2] * channels + c;                               \
        int64_t tap = (pz[a].k * j->axis[1].most + py[b].k) * j->axis[2].most;                     \
        const float *w = j->weight + tap * channels + c;                                           \
        for (int64_t i = 0; i < j->axis[2].most && px[i].k >= 0; i++)                              \
          sum += load##N(row + px[i].source * channels) * load##N(w + px[i].k * channels);         \
      }                                                                                            \
    memcpy(out, &sum, sizeof sum);                                                                 \
  }                                                                                                \
  static void products_##N(const job *j, const float *x, const float *dy, int64_t count,           \
                           double *total) {                                                        \
    lanes##N sum = {0};                                                                            \
    int64_t step = j->c->stride[2] * j->channels;                                                  \
    for (int64_t i = 0; i < count; i++)                                                            \
      sum += load##N(x + i * step) * load##N(dy + i * j->channels);                                \
    for (int i = 0; i < N; i++) total[i] += (double)sum[i];                                        \
  }
STRETCH(16)
STRETCH(8)
STRETCH(4)
STRETCH(1)
#undef STRETCH

/* ---- result, gradient of the input ---- */

/* Fills the tables into `room`. */
static void make_tables(job *j, pair *room) {
  for (int axis = 0; axis < 3; axis++) {
    table *t = &j->axis[axis];
    t->most = j->c->kernel[axis];
    t->pairs = room;
    for (int64_t to = 0; to < j->out[axis]; to++, room += t->most) {
      int64_t n = 0;
      for (int64_t k = 0; k < t->most; k++) {
        int64_t from = source(j, axis, to, k);
        if (from >= 0) room[n++] = (pair){(int32_t)k, (int32_t)from};
      }
      if (n < t->most) room[n].k = -1;
    }
  }
}

static const pair *pairs_of(const job *j, int axis, int64_t to) {
  return j->axis[axis].pairs + to * j->axis[axis].most;
}

static void gather_rows(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t channels = j->channels;
  for (int64_t r = begin; r < end; r++) {
    int64_t n = r / j->out[1] / j->out[0];
    const pair *z = pairs_of(j, 0, r / j->out[1] % j->out[0]), *y = pairs_of(j, 1, r % j->out[1]);
    float *out = j->to + r * j->out[2] * channels;
    for (int64_t at = 0; at < j->out[2]; at++, out += channels) {
      const pair *x = pairs_of(j, 2, at);
      int64_t c = 0;
      for (; channels - c >= 16; c += 16) gather_16(j, n, z, y, x, c, out + c);
      for (; channels - c >= 8; c += 8) gather_8(j, n, z, y, x, c, out + c);
      for (; channels - c >= 4; c += 4) gather_4(j, n, z, y, x, c, out + c);
      for (; c < channels; c++) gather_1(j, n, z, y, x, c, out + c);
    }
  }
}

/* ---- gradient of the weight ---- */

static int64_t divide_up(int64_t a, int64_t b) {
  return a <= 0 ? 0 : (a + b - 1) / b;
}

/* Adds the products of row r of dy with the row of x that kernel position (kz, ky, kx) brings. */
static void add_products(const job *j, int64_t r, const int64_t k[3], double *total) {
  const hl_convolution *c = j->c;
  int64_t n = r / c->y[1] / c->y[0], z = source(j, 0, r / c->y[1] % c->y[0], k[0]);
  int64_t y = source(j, 1, r % c->y[1], k[1]);
  if (z < 0 || y < 0) return;
  int64_t shift = k[2] * c->dilation[2] - c->padding[2]; /* x = position·stride + shift */
  int64_t first = divide_up(-shift, c->stride[2]), last = divide_up(c->x[2] - shift, c->stride[2]);
  if (last > c->y[2]) last = c->y[2];
  if (first >= last) return;
  const float *x = j->x + ((n * c->x[0] + z) * c->x[1] + y) * c->x[2] * j->channels;
  const float *dy = j->y + (r * c->y[2] + first) * j->channels;
  x += (first * c->stride[2] + shift) * j->channels;
  int64_t i = 0, channels = j->channels, count = last - first;
  for (; channels - i >= 16; i += 16) products_16(j, x + i, dy + i, count, total + i);
  for (; channels - i >= 8; i += 8) products_8(j, x + i, dy + i, count, total + i);
  for (; channels - i >= 4; i += 4) products_4(j, x + i, dy + i, count, total + i);
  for (; i < channels; i++) products_1(j, x + i, dy + i, count, total + i);
}

static void weight_rows(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const int64_t *kernel = j->c->kernel;
  double *total = j->partial + begin / j->grain * j->taps * j->channels;
  memset(total, 0, (size_t)(j->taps * j->channels) * sizeof *total);
  for (int64_t r = begin; r < end; r++)
    for (int64_t t = 0; t < j->taps; t++) {
      const int64_t k[3] = {t / (kernel[1] * kernel[2]), t / kernel[2] % kernel[1], t % kernel[2]};
      add_products(j, r, k, total + t * j->channels);
    }
}

static void sum_partials(const job *j, int64_t tasks, float *weight) {
  for (int64_t i = 0; i < j->taps * j->channels; i++) {
    double sum = 0;
    for (int64_t task = 0; task < tasks; task++)
      sum += j->partial[task * j->taps * j->channels + i];
    weight[i % j->channels * j->taps + i / j->channels] = (float)sum;
  }
}

hl_status hl_depthwise_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                           void *workspace, hl_err *e) {
  (void)e;
  job j = {.c = c, .channels = c->in, .taps = tap_count(c)};
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  memcpy(j.in, back ? c->y : c->x, sizeof j.in);
  memcpy(j.out, back ? c->x : c->y, sizeof j.out);
  int64_t rows = c->n * j.out[0] * j.out[1];
  j.grain = row_grain(rows);
  if (c->kind == HL_CONV_GRAD_WEIGHT) {
    j.x = x;
    j.y = y;
    j.partial = workspace;
    hl_parallel_for(rows, j.grain, weight_rows, &j);
    sum_partials(&j, (rows + j.grain - 1) / j.grain, weight);
    return HL_OK;
  }
  j.from = back ? y : x;
  j.to = back ? x : y;
  j.bias = bias;
  j.weight = workspace;
  make_tables(&j, (pair *)(void *)(j.weight + j.taps * j.channels));
  for (int64_t i = 0; i < j.taps * j.channels; i++)
    j.weight[i] = weight[i % j.channels * j.taps + i / j.channels];
  hl_parallel_for(rows, j.grain, gather_rows, &j);
  return HL_OK;
}
