/* Products of windows of voxels with small matrices, one matrix per channel.
 *
 * The work is cut into rows of coarse voxels along x. For windows of 8, 4 and 2 voxels the matrix
 * loops have constant bounds; lanes are the window's coefficients, which are neighbours in coarse
 * memory. */
#include "resample.h"

enum { MOST_CHUNKS = 32, MOST_WINDOW = RESAMPLE_STRIDE * RESAMPLE_STRIDE * RESAMPLE_STRIDE };

typedef struct job {
  hl_deal fine, coarse;
  int64_t stride[3], size[3]; /* size: coarse voxels along z, y, x */
  int64_t rows, window;
  const float *matrix; /* down: transposed, [c][k][row]; up: [c][row][k] */
  float *rows_buffer;  /* per chunk: one coarse row, where images do not hold whole windows */
  double *sums;        /* per chunk, [c][k][row] */
  float *out;
  int64_t grain, chunks;
  bool through_buffer;
} job;

/* One channel along a coarse row: where its fine voxels and its coarse coefficients lie. */
typedef struct lane {
  float *fine[MOST_WINDOW]; /* voxel k of the first window */
  int64_t fine_step;        /* from window to window */
  float *coarse;
  int64_t coarse_step, n;
} lane;

/* Rows of all samples are numbered through, and so are their planes in memory. */
static void fine_pointers(const job *j, int64_t row, int i, int64_t channel, lane *l) {
  int64_t channels = j->fine.channels[i], y = row % j->size[1], z = row / j->size[1];
  float *base = j->fine.data[i] + channel - j->fine.first[i];
  int64_t y_step = j->size[2] * j->stride[2], z_step = j->size[1] * j->stride[1] * y_step;
  base += (z * j->stride[0] * z_step + y * j->stride[1] * y_step) * channels;
  for (int64_t k = 0; k < j->window; k++) {
    int64_t at[3];
    hl_resample_place(j->stride, k, at);
    l->fine[k] = base + (at[0] * z_step + at[1] * y_step + at[2]) * channels;
  }
  l->fine_step = j->stride[2] * channels;
}

static void coarse_pointer(const job *j, int64_t row, float *buffer, int64_t channel, lane *l) {
  int64_t first = channel * j->window;
  l->n = j->size[2];
  if (j->through_buffer) {
    l->coarse = buffer + first;
    l->coarse_step = j->coarse.total;
    return;
  }
  int i = 0;
  while (first >= j->coarse.first[i] + j->coarse.channels[i]) i++;
  l->coarse_step = j->coarse.channels[i];
  l->coarse = j->coarse.data[i] + row * l->n * l->coarse_step + first - j->coarse.first[i];
}

/* ---- down ---- */

HL_INLINE void down_tile(const int windows, const int s, float *const *fine, int64_t fine_step,
                         const float *restrict m, float *restrict y, int64_t y_step) {
  float sum[4][8] = {{0}};
  for (int k = 0; k < s; k++)
    for (int w = 0; w < windows; w++)
      for (int r = 0; r < s; r++)
        sum[w][r] = hl_madd(m[k * s + r], fine[k][w * fine_step], sum[w][r]);
  for (int w = 0; w < windows; w++)
    for (int r = 0; r < s; r++) y[w * y_step + r] = sum[w][r];
}

HL_INLINE void down_lane(const int s, const lane *l, const float *m) {
  float *at[8];
  for (int k = 0; k < s; k++) at[k] = l->fine[k];
  int64_t w = 0;
  for (; w + 4 <= l->n; w += 4) {
    down_tile(4, s, at, l->fine_step, m, l->coarse + w * l->coarse_step, l->coarse_step);
    for (int k = 0; k < s; k++) at[k] += 4 * l->fine_step;
  }
  for (; w < l->n; w++) {
    down_tile(1, s, at, l->fine_step, m, l->coarse + w * l->coarse_step, l->coarse_step);
    for (int k = 0; k < s; k++) at[k] += l->fine_step;
  }
}

static void down_any(int64_t s, const lane *l, const float *m) {
  for (int64_t w = 0; w < l->n; w++) {
    float *restrict y = l->coarse + w * l->coarse_step;
    for (int64_t r = 0; r < s; r++) y[r] = 0;
    for (int64_t k = 0; k < s; k++) {
      float x = l->fine[k][w * l->fine_step];
      for (int64_t r = 0; r < s; r++) y[r] = hl_madd(m[k * s + r], x, y[r]);
    }
  }
}

static void down_window(int64_t s, const lane *l, const float *m) {
  if (s == 8)
    down_lane(8, l, m);
  else if (s == 4)
    down_lane(4, l, m);
  else if (s == 2)
    down_lane(2, l, m);
  else
    down_any(s, l, m);
}

static void down_row(const job *j, int64_t row, float *buffer) {
  lane l;
  for (int i = 0; i < j->fine.n; i++)
    for (int64_t c = j->fine.first[i]; c < j->fine.first[i] + j->fine.channels[i]; c++) {
      fine_pointers(j, row, i, c, &l);
      coarse_pointer(j, row, buffer, c, &l);
      down_window(j->window, &l, j->matrix + c * j->window * j->window);
    }
  if (j->through_buffer) hl_deal_scatter(&j->coarse, row * l.n, l.n, buffer, j->coarse.total);
}

static float *buffer_of(const job *j, int64_t begin) {
  return j->rows_buffer + begin / j->grain * j->size[2] * j->coarse.total;
}

static void down_range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t row = begin; row < end; row++) down_row(j, row, buffer_of(j, begin));
}

/* ---- up ---- */

/* Four channels and two windows at once: sums[w·4 + c][k]. */
HL_INLINE void up_sums(const int windows, const int channels, const int s, const float *restrict y,
                       int64_t y_step, const float *restrict m, float sum[8][8]) {
  for (int i = 0; i < windows * channels; i++)
    for (int k = 0; k < s; k++) sum[i][k] = 0;
  for (int r = 0; r < s; r++)
    for (int c = 0; c < channels; c++)
      for (int w = 0; w < windows; w++)
        for (int k = 0; k < s; k++)
          sum[w * channels + c][k] =
              hl_madd(m[(c * s + r) * s + k], y[w * y_step + c * s + r], sum[w * channels + c][k]);
}

typedef float four __attribute__((vector_size(16)));

HL_INLINE four load(const float *p) {
  four x;
  memcpy(&x, p, sizeof x);
  return x;
}

/* Rows of four coefficients, eight floats apart, to columns. */
HL_INLINE void transpose(const float *rows, float *const to[4], int64_t offset) {
  four a = load(rows), b = load(rows + 8), c = load(rows + 16), d = load(rows + 24);
  four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  four out[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                 __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                 __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                 __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
  for (int k = 0; k < 4; k++) memcpy(to[k] + offset, &out[k], sizeof out[k]);
}

/* Four neighbouring channels: l is the lane of the first. */
HL_INLINE void up_four(const int windows, const int s, const lane *l, int64_t w, const float *m) {
  float sum[8][8];
  up_sums(windows, 4, s, l->coarse + w * l->coarse_step, l->coarse_step, m, sum);
  for (int i = 0; i < windows; i++)
    for (int k = 0; k < s; k += 4) transpose(&sum[i * 4][k], l->fine + k, (w + i) * l->fine_step);
}

HL_INLINE void up_lanes(const int s, const lane *l, const float *m) {
  int64_t w = 0;
  for (; w + 2 <= l->n; w += 2) up_four(2, s, l, w, m);
  if (w < l->n) up_four(1, s, l, w, m);
}

HL_INLINE void up_lane(const int s, const lane *l, const float *m) {
  for (int64_t w = 0; w < l->n; w++) {
    float sum[8][8];
    up_sums(1, 1, s, l->coarse + w * l->coarse_step, 0, m, sum);
    for (int k = 0; k < s; k++) l->fine[k][w * l->fine_step] = sum[0][k];
  }
}

static void up_any(int64_t s, const lane *l, const float *m) {
  for (int64_t w = 0; w < l->n; w++) {
    const float *x = l->coarse + w * l->coarse_step;
    float sum[MOST_WINDOW];
    for (int64_t k = 0; k < s; k++) sum[k] = 0;
    for (int64_t r = 0; r < s; r++)
      for (int64_t k = 0; k < s; k++) sum[k] = hl_madd(m[r * s + k], x[r], sum[k]);
    for (int64_t k = 0; k < s; k++) l->fine[k][w * l->fine_step] = sum[k];
  }
}

/* As many of `left` neighbouring channels as one call can do; returns how many. */
static int64_t up_window(int64_t s, int64_t left, const lane *l, const float *m) {
  if (s == 8 && left >= 4)
    up_lanes(8, l, m);
  else if (s == 4 && left >= 4)
    up_lanes(4, l, m);
  else {
    if (s == 8)
      up_lane(8, l, m);
    else if (s == 4)
      up_lane(4, l, m);
    else
      up_any(s, l, m);
    return 1;
  }
  return 4;
}

/* Channels from c on whose coefficients lie side by side: those of one fine and one coarse image.
 */
static int64_t together(const job *j, int i, int64_t c) {
  int64_t end = j->fine.first[i] + j->fine.channels[i];
  for (int o = 0; o < j->coarse.n && !j->through_buffer; o++) {
    int64_t border = (j->coarse.first[o] + j->coarse.channels[o]) / j->window;
    if (border > c) return hl_min_i64(end, border) - c;
  }
  return end - c;
}

static void up_row(const job *j, int64_t row, float *buffer) {
  lane l;
  if (j->through_buffer)
    hl_deal_gather(&j->coarse, row * j->size[2], j->size[2], buffer, j->coarse.total);
  for (int i = 0; i < j->fine.n; i++)
    for (int64_t c = j->fine.first[i]; c < j->fine.first[i] + j->fine.channels[i];) {
      fine_pointers(j, row, i, c, &l);
      coarse_pointer(j, row, buffer, c, &l);
      c += up_window(j->window, together(j, i, c), &l, j->matrix + c * j->window * j->window);
    }
}

static void up_range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t row = begin; row < end; row++) up_row(j, row, buffer_of(j, begin));
}

/* ---- gradient of the matrices ---- */

/* sum[k][r] += Σ coarse[r] fine[k] along a row: f32 within 64 windows, f64 beyond. */
HL_INLINE void grad_lane(const int s, const lane *l, double *restrict sum) {
  for (int64_t from = 0; from < l->n; from += 64) {
    int64_t to = hl_min_i64(from + 64, l->n);
    float part[8][8] = {{0}};
    for (int64_t w = from; w < to; w++)
      for (int k = 0; k < s; k++)
        for (int r = 0; r < s; r++)
          part[k][r] =
              hl_madd(l->coarse[w * l->coarse_step + r], l->fine[k][w * l->fine_step], part[k][r]);
    for (int k = 0; k < s; k++)
      for (int r = 0; r < s; r++) sum[k * s + r] += (double)part[k][r];
  }
}

static void grad_any(int64_t s, const lane *l, double *restrict sum) {
  for (int64_t w = 0; w < l->n; w++)
    for (int64_t k = 0; k < s; k++) {
      double x = (double)l->fine[k][w * l->fine_step];
      for (int64_t r = 0; r < s; r++)
        sum[k * s + r] += x * (double)l->coarse[w * l->coarse_step + r];
    }
}

static void grad_row(const job *j, int64_t row, float *buffer, double *sums) {
  lane l;
  if (j->through_buffer)
    hl_deal_gather(&j->coarse, row * j->size[2], j->size[2], buffer, j->coarse.total);
  for (int i = 0; i < j->fine.n; i++)
    for (int64_t c = j->fine.first[i]; c < j->fine.first[i] + j->fine.channels[i]; c++) {
      fine_pointers(j, row, i, c, &l);
      coarse_pointer(j, row, buffer, c, &l);
      double *sum = sums + c * j->window * j->window;
      if (j->window == 8)
        grad_lane(8, &l, sum);
      else if (j->window == 4)
        grad_lane(4, &l, sum);
      else
        grad_any(j->window, &l, sum);
    }
}

static void grad_range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->fine.total * j->window * j->window;
  double *sums = j->sums + begin / j->grain * n;
  memset(sums, 0, (size_t)n * sizeof *sums);
  for (int64_t row = begin; row < end; row++) grad_row(j, row, buffer_of(j, begin), sums);
}

/* The chunks' sums in the order of the chunks, transposed to [c][row][k]. */
static void grad_finish(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t s = j->window, n = j->fine.total * s * s;
  for (int64_t c = begin; c < end; c++)
    for (int64_t r = 0; r < s; r++)
      for (int64_t k = 0; k < s; k++) {
        double sum = 0;
        for (int64_t i = 0; i < j->chunks; i++) sum += j->sums[i * n + (c * s + k) * s + r];
        j->out[(c * s + r) * s + k] = (float)sum;
      }
}

/* ---- calls ---- */

/* A window's coefficients lie in one image, so that they can be used where they are. */
static bool whole_windows(const hl_desc *coarse, int n, int64_t window) {
  for (int i = 0; i < n; i++)
    if (coarse[i].shape.dim[AXIS_C] % window != 0) return false;
  return true;
}

/* What follows from descriptions alone: the same for the workspace and for the run. */
static void plan(job *j, const hl_desc *coarse, int n, const int64_t stride[3], bool sums) {
  const int64_t *dim = coarse->shape.dim;
  int64_t channels = 0;
  for (int i = 0; i < n; i++) channels += coarse[i].shape.dim[AXIS_C];
  memcpy(j->stride, stride, sizeof j->stride);
  memcpy(j->size, dim + AXIS_Z, sizeof j->size);
  j->window = hl_resample_window(stride);
  j->rows = dim[AXIS_N] * dim[AXIS_Z] * dim[AXIS_Y];
  j->through_buffer = !whole_windows(coarse, n, j->window);
  j->grain = hl_ceil_div(HL_GRAIN, dim[AXIS_X] * channels);
  if (sums || j->through_buffer) /* few chunks, as each needs memory of its own */
    j->grain = hl_max_i64(j->grain, hl_ceil_div(j->rows, MOST_CHUNKS));
  j->chunks = hl_ceil_div(j->rows, j->grain);
}

static size_t matrix_bytes(const hl_desc *matrix) {
  return (size_t)hl_shape_numel(&matrix->shape) * sizeof(float);
}

static size_t buffer_bytes(const job *j, const hl_desc *coarse, int n) {
  int64_t channels = 0;
  for (int i = 0; i < n; i++) channels += coarse[i].shape.dim[AXIS_C];
  return j->through_buffer ? (size_t)(j->chunks * j->size[2] * channels) * sizeof(float) : 0;
}

static hl_status down_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  const hl_resample_attrs *a = c->attrs;
  job j;
  plan(&j, c->out, c->n_out, a->stride, false);
  *bytes = matrix_bytes(&c->in[c->n_in - 1]) + buffer_bytes(&j, c->out, c->n_out);
  return HL_OK;
}

static hl_status down_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)e;
  const hl_resample_attrs *a = c->attrs;
  job j = {.fine = hl_deal_of(in, c->n_in - 1), .coarse = hl_deal_of(out, c->n_out)};
  plan(&j, c->out, c->n_out, a->stride, false);
  int64_t s = j.window, channels = j.fine.total;
  const float *m = hl_tensor_f32(in[c->n_in - 1]);
  float *transposed = workspace;
  for (int64_t i = 0; i < channels * s; i++)
    for (int64_t k = 0; k < s; k++) transposed[(i / s * s + k) * s + i % s] = m[i * s + k];
  j.matrix = transposed;
  j.rows_buffer = transposed + channels * s * s;
  hl_parallel_for(j.rows, j.grain, down_range, &j);
  return HL_OK;
}

static hl_status up_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  const hl_resample_attrs *a = c->attrs;
  job j;
  plan(&j, c->in, c->n_in - 1, a->stride, false);
  *bytes = buffer_bytes(&j, c->in, c->n_in - 1);
  return HL_OK;
}

static hl_status up_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                        void *workspace, hl_err *e) {
  (void)e;
  const hl_resample_attrs *a = c->attrs;
  job j = {.fine = hl_deal_of(out, c->n_out), .coarse = hl_deal_of(in, c->n_in - 1)};
  plan(&j, c->in, c->n_in - 1, a->stride, false);
  j.matrix = hl_tensor_f32(in[c->n_in - 1]);
  j.rows_buffer = workspace;
  hl_parallel_for(j.rows, j.grain, up_range, &j);
  return HL_OK;
}

static hl_status grad_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  const hl_resample_grad_attrs *a = c->attrs;
  job j;
  plan(&j, c->in, (int)a->parts, a->stride, true);
  *bytes = (size_t)(j.chunks * hl_shape_numel(&c->out[0].shape)) * sizeof(double) +
           buffer_bytes(&j, c->in, (int)a->parts);
  return HL_OK;
}

static hl_status grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)e;
  const hl_resample_grad_attrs *a = c->attrs;
  int parts = (int)a->parts;
  job j = {.coarse = hl_deal_of(in, parts), .fine = hl_deal_of(in + parts, c->n_in - parts)};
  plan(&j, c->in, parts, a->stride, true);
  j.sums = workspace;
  j.rows_buffer = (float *)(j.sums + j.chunks * hl_shape_numel(&c->out[0].shape));
  j.out = hl_tensor_f32(out[0]);
  hl_parallel_for(j.rows, j.grain, grad_range, &j);
  hl_parallel_for(j.fine.total, 1, grad_finish, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_resample_down = {.workspace = down_workspace, .run = down_run};
const hl_kernel hl_cpu_resample_up = {.workspace = up_workspace, .run = up_run};
const hl_kernel hl_cpu_resample_grad_matrix = {.workspace = grad_workspace, .run = grad_run};
