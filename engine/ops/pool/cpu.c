/* Maxima on channels-last images: a window is walked voxel by voxel, each step a row of channels.
 * Means are sums along the axes. */
#include "pool.h"

#include "separable.h"
#include "sum.h"

#include <hilum/op.h>
#include <hilum/parallel.h>

#include <math.h>
#include <string.h>

enum {
  LANES = 64,   /* channels handled together when positions must be kept */
  GRAIN = 16384 /* numbers of output per task, about */
};

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

/* Number of the voxels of w; voxel t of them as a flat index into an image of that size. */
static int64_t count(const window *w) {
  int64_t n = 1;
  for (int i = 0; i < 3; i++) n *= w->last[i] > w->first[i] ? w->last[i] - w->first[i] : 0;
  return n;
}
static int64_t voxel(const window *w, const int64_t size[3], int64_t t) {
  int64_t ny = w->last[1] - w->first[1], nx = w->last[2] - w->first[2];
  int64_t z = w->first[0] + t / (ny * nx), y = w->first[1] + t / nx % ny;
  return (z * size[1] + y) * size[2] + w->first[2] + t % nx;
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

/* ---- maximum ---- */

static void max_row(const float *restrict x, float *restrict best, int64_t channels) {
  for (int64_t c = 0; c < channels; c++)
    if (x[c] > best[c] || isnan(x[c])) best[c] = x[c];
}

static void max_voxels(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t o = begin; o < end; o++) {
    int64_t at[3], image = place(o, j->y, at);
    window w = window_of(j, at);
    const float *x = j->in + image * volume(j->x) * j->channels;
    float *y = j->out + o * j->channels;
    memcpy(y, x + voxel(&w, j->x, 0) * j->channels, (size_t)j->channels * sizeof *y);
    for (int64_t t = 1, n = count(&w); t < n; t++)
      max_row(x + voxel(&w, j->x, t) * j->channels, y, j->channels);
  }
}

/* Adds dy of one pooled voxel to the first maximum of its window; `channels` ≤ LANES of them. */
static void scatter(const job *j, const window *w, const float *x, const float *dy, float *dx,
                    int channels) {
  int64_t where[LANES];
  float best[LANES];
  for (int64_t t = 0, n = count(w); t < n; t++) {
    int64_t v = voxel(w, j->x, t) * j->channels;
    for (int c = 0; c < channels; c++) {
      float value = x[v + c];
      if (t > 0 && !(value > best[c] || (isnan(value) && !isnan(best[c])))) continue;
      best[c] = value;
      where[c] = v;
    }
  }
  for (int c = 0; c < channels; c++) dx[where[c] + c] += dy[c];
}

static void scatter_voxels(const job *j, int64_t begin, int64_t end) {
  for (int64_t o = begin; o < end; o++) {
    int64_t at[3], image = place(o, j->y, at), skip = image * volume(j->x) * j->channels;
    window w = window_of(j, at);
    for (int64_t c = 0; c < j->channels; c += LANES) {
      int64_t width = j->channels - c < LANES ? j->channels - c : LANES;
      scatter(j, &w, j->in + skip + c, j->dy + o * j->channels + c, j->out + skip + c, (int)width);
    }
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
  memset(j.out, 0, hl_tensor_bytes(out[0]));
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
  hl_sum_run(&sum, hl_tensor_f32(in[0]), hl_tensor_f32(out[0]),
             1 / (double)hl_image_voxels(&c->in[0]), work);
  return HL_OK;
}

const hl_kernel hl_cpu_max_pool = {NULL, run_max};
const hl_kernel hl_cpu_max_pool_grad = {NULL, run_max_grad};
const hl_kernel hl_cpu_avg_pool = {avg_workspace, run_avg};
const hl_kernel hl_cpu_avg_pool_grad = {avg_grad_workspace, run_avg_grad};
const hl_kernel hl_cpu_global_avg_pool = {global_workspace, run_global};
