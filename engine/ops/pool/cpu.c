/* Maxima on channels-last images: a window is walked voxel by voxel, each step a stretch of
 * channels whose running maxima stay in registers. Means are sums along the axes. */
#include "pool.h"

#include "separable.h"
#include "sum.h"

#include "lanes.h"

#include <string.h>

enum { GRAIN = 16384 /* numbers of output per task, about */ };

typedef struct job {
  int64_t images, channels;
  int64_t x[3], y[3]; /* sizes of the image and of the pooled image (z, y, x) */
  const hl_pool_attrs *a;
  const float *in, *dy;
  float *out;
} job;

static job job_of(const hl_call *c, const hl_desc *x, const hl_desc *y) {
  const int64_t *d = x->shape.dim;
  job j = {.images = d[0], .channels = d[1], .a = c->attrs};
  memcpy(j.x, d + 2, sizeof j.x);
  memcpy(j.y, y->shape.dim + 2, sizeof j.y);
  return j;
}

/* The part of a window that lies in the image: [first, last) on each axis. */
typedef struct window {
  int64_t first[3], last[3];
} window;

static window window_of(const job *j, const int64_t at[3]) {
  window w;
  for (int i = 0; i < 3; i++) {
    int64_t start = at[i] * j->a->stride[i] - j->a->padding[i], end = start + j->a->kernel[i];
    w.first[i] = start > 0 ? start : 0;
    w.last[i] = end < j->x[i] ? end : j->x[i];
  }
  return w;
}

/* Splits a flat voxel number into image and position. */
static int64_t place(int64_t flat, const int64_t size[3], int64_t at[3]) {
  for (int i = 2; i >= 0; i--) {
    at[i] = flat % size[i];
    flat /= size[i];
  }
  return flat;
}

static int64_t volume(const int64_t size[3]) {
  return size[0] * size[1] * size[2];
}

/* Runs body over voxels of an image of that size, all images in a row. */
static void over_voxels(job *j, const int64_t size[3], hl_range_body body) {
  hl_parallel_for(j->images * volume(size), GRAIN / j->channels + 1, body, j);
}

/* Where a voxel's channels begin in its image. */
HL_INLINE int64_t voxel(const job *j, int64_t z, int64_t y, int64_t x) {
  return ((z * j->x[1] + y) * j->x[2] + x) * j->channels;
}

/* ---- maximum ---- */

/* For stretches of N channels. NaN counts as larger than any number; of equals the first stays.
 *
 * max_N: the maxima of one window. scatter_N: adds dy to the first maximum; its number in the
 * window is found, then every voxel takes its part. x, y, dy, dx point at the first channel. */
#define STRETCH(N)                                                                                 \
  typedef int32_t mask##N __attribute__((vector_size(N * sizeof(int32_t))));                       \
  HL_INLINE mask##N wins##N(lanes##N x, lanes##N best) {                                           \
    return (x > best) | ((x != x) & (best == best));                                               \
  }                                                                                                \
  HL_INLINE lanes##N pick##N(mask##N m, lanes##N a, lanes##N b) {                                  \
    return (lanes##N)((m & (mask##N)a) | (~m & (mask##N)b));                                       \
  }                                                                                                \
  static void max_##N(const job *j, const window *w, const float *restrict x, float *restrict y) { \
    lanes##N best = load##N(x + voxel(j, w->first[0], w->first[1], w->first[2]));                  \
    for (int64_t z = w->first[0]; z < w->last[0]; z++)                                             \
      for (int64_t r = w->first[1]; r < w->last[1]; r++)                                           \
        for (int64_t i = w->first[2]; i < w->last[2]; i++) {                                       \
          lanes##N v = load##N(x + voxel(j, z, r, i));                                             \
          best = pick##N(wins##N(v, best), v, best);                                               \
        }                                                                                          \
    store##N(y, best);                                                                             \
  }                                                                                                \
  static void scatter_##N(const job *j, const window *w, const float *restrict x,                  \
                          const float *restrict dy, float *restrict dx) {                          \
    lanes##N best = load##N(x + voxel(j, w->first[0], w->first[1], w->first[2]));                  \
    const lanes##N arriving = load##N(dy), none = {0};                                             \
    mask##N which = {0}, number = {0};                                                             \
    for (int64_t z = w->first[0]; z < w->last[0]; z++)                                             \
      for (int64_t r = w->first[1]; r < w->last[1]; r++)                                           \
        for (int64_t i = w->first[2]; i < w->last[2]; i++, number += 1) {                          \
          lanes##N v = load##N(x + voxel(j, z, r, i));                                             \
          mask##N take = wins##N(v, best);                                                         \
          which = (take & number) | (~take & which);                                               \
          best = pick##N(take, v, best);                                                           \
        }                                                                                          \
    number = (mask##N){0};                                                                         \
    for (int64_t z = w->first[0]; z < w->last[0]; z++)                                             \
      for (int64_t r = w->first[1]; r < w->last[1]; r++)                                           \
        for (int64_t i = w->first[2]; i < w->last[2]; i++, number += 1) {                          \
          float *v = dx + voxel(j, z, r, i);                                                       \
          store##N(v, load##N(v) + pick##N(which == number, arriving, none));                      \
        }                                                                                          \
  }
typedef float lanes1 __attribute__((vector_size(4)));
HL_INLINE lanes1 load1(const float *p) {
  return (lanes1){*p};
}
HL_INLINE void store1(float *p, lanes1 x) {
  *p = x[0];
}
STRETCH(16)
STRETCH(8)
STRETCH(4)
STRETCH(1)
#undef STRETCH

/* The channels of one pooled voxel, stretch by stretch. */
static void max_voxel(const job *j, const window *w, const float *x, float *y) {
  int64_t c = 0, n = j->channels;
  if (HL_LANES >= 16)
    for (; n - c >= 16; c += 16) max_16(j, w, x + c, y + c);
  if (HL_LANES >= 8)
    for (; n - c >= 8; c += 8) max_8(j, w, x + c, y + c);
  for (; n - c >= 4; c += 4) max_4(j, w, x + c, y + c);
  for (; c < n; c++) max_1(j, w, x + c, y + c);
}

static void scatter_voxel(const job *j, const window *w, const float *x, const float *dy,
                          float *dx) {
  int64_t c = 0, n = j->channels;
  if (HL_LANES >= 16)
    for (; n - c >= 16; c += 16) scatter_16(j, w, x + c, dy + c, dx + c);
  if (HL_LANES >= 8)
    for (; n - c >= 8; c += 8) scatter_8(j, w, x + c, dy + c, dx + c);
  for (; n - c >= 4; c += 4) scatter_4(j, w, x + c, dy + c, dx + c);
  for (; c < n; c++) scatter_1(j, w, x + c, dy + c, dx + c);
}

static void max_voxels(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t o = begin; o < end; o++) {
    int64_t at[3], image = place(o, j->y, at);
    window w = window_of(j, at);
    max_voxel(j, &w, j->in + image * volume(j->x) * j->channels, j->out + o * j->channels);
  }
}

static void scatter_voxels(const job *j, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; o++) {
    int64_t at[3], image = place(o, j->y, at), skip = image * volume(j->x) * j->channels;
    window w = window_of(j, at);
    scatter_voxel(j, &w, j->in + skip, j->dy + o * j->channels, j->out + skip);
  }
}

/* Windows that overlap along z write to the same voxels: then an image is one task, in order. */
static int64_t planes_per_task(const job *j) {
  return j->a->kernel[0] > j->a->stride[0] ? j->y[0] : 1;
}

static void scatter_planes(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t plane = j->y[1] * j->y[2];
  scatter_voxels(j, begin * plane, end * plane);
}

static void clear(int64_t begin, int64_t end, void *ctx) {
  memset((float *)ctx + begin, 0, (size_t)(end - begin) * sizeof(float));
}

/* ---- kernels ---- */

static hl_status run_max(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                         hl_err *e) {
  (void)work;
  (void)e;
  job j = job_of(c, &c->in[0], &c->out[0]);
  j.in = hl_tensor_f32(in[0]);
  j.out = hl_tensor_f32(out[0]);
  over_voxels(&j, j.y, max_voxels);
  return HL_OK;
}

static hl_status run_max_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                              void *work, hl_err *e) {
  (void)work;
  (void)e;
  job j = job_of(c, &c->in[0], &c->in[1]);
  j.in = hl_tensor_f32(in[0]);
  j.dy = hl_tensor_f32(in[1]);
  j.out = hl_tensor_f32(out[0]);
  hl_parallel_for(hl_tensor_numel(out[0]), 4 * GRAIN, clear, j.out);
  hl_parallel_for(j.images * j.y[0], planes_per_task(&j), scatter_planes, &j);
  return HL_OK;
}

static hl_status avg_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_taps t = hl_avg_pool_taps(c);
  *bytes = hl_separable_workspace(&t);
  return HL_OK;
}

static hl_status run_avg(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                         hl_err *e) {
  (void)e;
  hl_taps t = hl_avg_pool_taps(c);
  hl_separable_run(&t, hl_tensor_f32(in[0]), hl_tensor_f32(out[0]), work);
  return HL_OK;
}

static hl_status avg_grad_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_taps t = hl_avg_pool_grad_taps(c);
  *bytes = hl_separable_workspace(&t);
  return HL_OK;
}

static hl_status run_avg_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                              void *work, hl_err *e) {
  (void)e;
  hl_taps t = hl_avg_pool_grad_taps(c);
  hl_separable_run(&t, hl_tensor_f32(in[0]), hl_tensor_f32(out[0]), work);
  return HL_OK;
}

static hl_status global_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_sum sum;
  hl_sum_plan(&sum, &c->in[0], &c->out[0]);
  *bytes = hl_sum_workspace(&sum);
  return HL_OK;
}

static hl_status run_global(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *work, hl_err *e) {
  (void)e;
  hl_sum sum;
  hl_sum_plan(&sum, &c->in[0], &c->out[0]);
  hl_sum_run(&sum, in[0], out[0], 1 / (double)hl_image_voxels(&c->in[0]), work);
  return HL_OK;
}

const hl_kernel hl_cpu_max_pool = {.run = run_max};
const hl_kernel hl_cpu_max_pool_grad = {.run = run_max_grad};
const hl_kernel hl_cpu_avg_pool = {.workspace = avg_workspace, .run = run_avg};
const hl_kernel hl_cpu_avg_pool_grad = {.workspace = avg_grad_workspace, .run = run_avg_grad};
const hl_kernel hl_cpu_global_avg_pool = {.workspace = global_workspace,
                                          .run = run_global,
                                          .takes_bf16 = hl_always_bf16,
                                          .takes_fixed = hl_always_bf16};
