/* Products of windows of voxels with small matrices, one matrix per channel.
 *
 * The work is cut into rows of coarse voxels along x. For windows of 8 and 4 voxels there are
 * loops of their own; their lanes are a window's coefficients, which are neighbours in coarse
 * memory. Rows of narrow images are widened before and rounded after, in buffers that stay in the
 * second-level cache. */
#include "lanes.h"
#include "resample.h"

enum {
  MOST_CHUNKS = 32,
  MOST_WINDOW = RESAMPLE_STRIDE * RESAMPLE_STRIDE * RESAMPLE_STRIDE,
  L1_FLOATS = 6144 /* 24 KiB */
};

/* One channel along a stretch of a coarse row: where its fine voxels and its coarse coefficients
 * lie. */
typedef struct lane {
  float *fine[MOST_WINDOW]; /* voxel k of the first window */
  int64_t fine_step;        /* from window to window */
  float *coarse;
  int64_t coarse_step, n;
} lane;

typedef struct job job;

/* Does the work of `channel`, and of more of the `left` channels that lie beside it in both images;
 * returns how many. `sums` are the chunk's. */
typedef int64_t (*visitor)(const job *j, const lane *l, int64_t channel, int64_t left,
                           double *sums);

struct job {
  hl_deal fine, coarse;
  int64_t stride[3], size[3]; /* size: coarse voxels along z, y, x */
  int64_t rows, window;
  /* Voxel k of a window, counted in fine voxels from its first one: in an image, and in a buffer,
   * where the fine rows of a coarse one follow each other. */
  int64_t place[MOST_WINDOW], packed[MOST_WINDOW];
  const float *matrix; /* down: transposed, [c][k][row]; up: [c][row][k] */
  float *
      buffers; /* per chunk: a coarse row and its fine rows, as far as they are not used in place */
  double *sums; /* per chunk, [c][k][row] */
  float *out;
  int64_t grain, chunks;
  int64_t block; /* windows whose voxels and coefficients fit the first-level cache */
  visitor visit;
  bool joined; /* a coarse row goes through the buffer: images do not hold whole windows */
  bool narrow; /* rows of narrow images go through it */
  bool reads_fine, reads_coarse; /* the other side is written */
};

/* Where the images' rows begin: in place or in the buffer. */
typedef struct rows {
  float *fine[DEAL_MOST], *coarse[DEAL_MOST];
} rows;

/* ---- walking ---- */

/* The first voxel of a row's first window. Rows of all samples are numbered through, and so are
 * their planes in memory. */
static int64_t fine_voxel(const job *j, int64_t row) {
  int64_t y = row % j->size[1], z = row / j->size[1];
  int64_t y_step = j->size[2] * j->stride[2], z_step = j->size[1] * j->stride[1] * y_step;
  return z * j->stride[0] * z_step + y * j->stride[1] * y_step;
}

static void rows_of(const job *j, int64_t row, float *buffer, rows *r) {
  int64_t x = j->size[2];
  for (int i = 0; i < j->fine.n; i++)
    r->fine[i] = hl_dtype_is_narrow(j->fine.type[i])
                     ? buffer + (j->coarse.total + j->fine.first[i] * j->window) * x
                     : j->fine.data[i] + fine_voxel(j, row) * j->fine.channels[i];
  for (int i = 0; i < j->coarse.n; i++)
    r->coarse[i] = hl_dtype_is_narrow(j->coarse.type[i])
                       ? buffer + j->coarse.first[i] * x
                       : j->coarse.data[i] + row * x * j->coarse.channels[i];
}

/* The first channel of fine image i, from window `w` of a row. */
static void lane_open(const job *j, const rows *r, int64_t w, int i, lane *l) {
  int64_t channels = j->fine.channels[i], first = w * j->stride[2];
  const int64_t *place = hl_dtype_is_narrow(j->fine.type[i]) ? j->packed : j->place;
  for (int64_t k = 0; k < j->window; k++) l->fine[k] = r->fine[i] + (first + place[k]) * channels;
  l->fine_step = j->stride[2] * channels;
  l->n = hl_min_i64(j->block, j->size[2] - w);
}

/* Points the lane to the coefficients of a channel; returns how many channels' lie side by side. */
static int64_t lane_coarse(const job *j, const rows *r, int64_t w, float *buffer, int64_t channel,
                           lane *l) {
  int64_t first = channel * j->window;
  if (j->joined) {
    l->coarse_step = j->coarse.total;
    l->coarse = buffer + w * l->coarse_step + first;
    return j->fine.total - channel;
  }
  int i = 0;
  while (first >= j->coarse.first[i] + j->coarse.channels[i]) i++;
  l->coarse_step = j->coarse.channels[i];
  l->coarse = r->coarse[i] + w * l->coarse_step + first - j->coarse.first[i];
  return (j->coarse.first[i] + j->coarse.channels[i] - first) / j->window;
}

static void walk_block(const job *j, const rows *r, int64_t w, float *buffer, double *sums) {
  lane l;
  for (int i = 0; i < j->fine.n; i++) {
    int64_t end = j->fine.first[i] + j->fine.channels[i], done;
    lane_open(j, r, w, i, &l);
    for (int64_t c = j->fine.first[i]; c < end; c += done) {
      int64_t together = lane_coarse(j, r, w, buffer, c, &l);
      done = j->visit(j, &l, c, hl_min_i64(together, end - c), sums);
      for (int64_t k = 0; k < j->window; k++) l.fine[k] += done;
    }
  }
}

/* Numbers `first` to first + n of narrow image i, into a buffer or out of it. */
static void convert(const hl_deal *d, int i, int64_t first, float *buffer, int64_t n, bool widen) {
  uint16_t *at = (uint16_t *)(void *)d->data[i] + first;
  if (widen)
    hl_narrow_widen(d->type[i], buffer, at, n);
  else
    hl_narrow_round(d->type[i], at, buffer, n);
}

static void convert_fine(const job *j, int64_t row, const rows *r, bool widen) {
  int64_t x = j->size[2] * j->stride[2], along_y = j->stride[1];
  for (int i = 0; i < j->fine.n; i++) {
    int64_t channels = j->fine.channels[i], n = x * channels;
    if (!hl_dtype_is_narrow(j->fine.type[i])) continue;
    for (int64_t k = 0; k < j->stride[0] * along_y; k++) {
      int64_t voxel = fine_voxel(j, row) + (k / along_y * j->size[1] * along_y + k % along_y) * x;
      convert(&j->fine, i, voxel * channels, r->fine[i] + k * n, n, widen);
    }
  }
}

static void convert_coarse(const job *j, int64_t row, const rows *r, float *buffer, bool widen) {
  int64_t x = j->size[2];
  if (j->joined && widen) hl_deal_gather(&j->coarse, row * x, x, buffer, j->coarse.total);
  if (j->joined && !widen) hl_deal_scatter(&j->coarse, row * x, x, buffer, j->coarse.total);
  for (int i = 0; i < j->coarse.n && !j->joined; i++) {
    int64_t n = x * j->coarse.channels[i];
    if (hl_dtype_is_narrow(j->coarse.type[i]))
      convert(&j->coarse, i, row * n, r->coarse[i], n, widen);
  }
}

static int64_t buffer_floats(const job *j, int64_t channels) {
  return (j->narrow ? 2 : j->joined ? 1 : 0) * j->size[2] * channels;
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t chunk = begin / j->grain, numbers = j->coarse.total * j->window;
  float *buffer = j->buffers + chunk * buffer_floats(j, j->coarse.total);
  double *sums = j->sums != NULL ? j->sums + chunk * numbers : NULL;
  if (sums != NULL) memset(sums, 0, (size_t)numbers * sizeof *sums);
  for (int64_t row = begin; row < end; row++) {
    rows r;
    rows_of(j, row, buffer, &r);
    if (j->reads_fine) convert_fine(j, row, &r, true);
    if (j->reads_coarse) convert_coarse(j, row, &r, buffer, true);
    for (int64_t w = 0; w < j->size[2]; w += j->block) walk_block(j, &r, w, buffer, sums);
    if (!j->reads_fine) convert_fine(j, row, &r, false);
    if (!j->reads_coarse) convert_coarse(j, row, &r, buffer, false);
  }
}

/* ---- down ---- */

/* A window's coefficients are Σ_k fine[k] m[k][·]; eight windows at a time. */
#define DOWN(S)                                                                                    \
  HL_INLINE void down_tile_##S(const int windows, const lane *l, int64_t w0, const float *m,       \
                               float *y, int64_t y_step) {                                         \
    lanes##S sum[8];                                                                               \
    for (int w = 0; w < windows; w++) sum[w] = (lanes##S){0};                                      \
    for (int k = 0; k < S; k++) {                                                                  \
      lanes##S column = load##S(m + k * S);                                                        \
      const float *x = l->fine[k] + w0 * l->fine_step;                                             \
      for (int w = 0; w < windows; w++) sum[w] += column * x[w * l->fine_step];                    \
    }                                                                                              \
    for (int w = 0; w < windows; w++) store##S(y + w * y_step, sum[w]);                            \
  }                                                                                                \
  static void down_##S(const lane *l, const float *m) {                                            \
    int64_t step = l->coarse_step, w = 0;                                                          \
    for (; w + 8 <= l->n; w += 8) down_tile_##S(8, l, w, m, l->coarse + w * step, step);           \
    for (; w + 4 <= l->n; w += 4) down_tile_##S(4, l, w, m, l->coarse + w * step, step);           \
    for (; w < l->n; w++) down_tile_##S(1, l, w, m, l->coarse + w * step, step);                   \
  }
DOWN(8)
DOWN(4)

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

static int64_t visit_down(const job *j, const lane *l, int64_t channel, int64_t left,
                          double *sums) {
  (void)left;
  (void)sums;
  const float *m = j->matrix + channel * j->window * j->window;
  if (j->window == 8)
    down_8(l, m);
  else if (j->window == 4)
    down_4(l, m);
  else
    down_any(j->window, l, m);
  return 1;
}

/* ---- up ---- */

/* A window's voxels are Σ_r coarse[r] m[r][·], here of `channels` neighbouring channels of two
 * windows at a time. Four channels are stored as four neighbouring numbers. */
#define UP(S)                                                                                      \
  HL_INLINE void up_sums_##S(const int windows, const int channels, const lane *l, int64_t w,      \
                             const float *m, lanes##S sum[8]) {                                    \
    const float *y = l->coarse + w * l->coarse_step;                                               \
    for (int i = 0; i < windows * channels; i++) sum[i] = (lanes##S){0};                           \
    for (int r = 0; r < S; r++)                                                                    \
      for (int c = 0; c < channels; c++) {                                                         \
        lanes##S row = load##S(m + (c * S + r) * S);                                               \
        for (int i = 0; i < windows; i++)                                                          \
          sum[i * channels + c] += row * y[i * l->coarse_step + c * S + r];                        \
      }                                                                                            \
  }                                                                                                \
  HL_INLINE void up_four_##S(const int windows, const lane *l, int64_t w, const float *m) {        \
    lanes##S sum[8];                                                                               \
    up_sums_##S(windows, 4, l, w, m, sum);                                                         \
    for (int i = 0; i < windows; i++)                                                              \
      for (int k = 0; k < S; k += 4) {                                                             \
        lanes4 row[4], column[4];                                                                  \
        for (int c = 0; c < 4; c++) memcpy(&row[c], (float *)&sum[i * 4 + c] + k, sizeof row[c]);  \
        transpose4(row, column);                                                                   \
        for (int c = 0; c < 4; c++) store4(l->fine[k + c] + (w + i) * l->fine_step, column[c]);    \
      }                                                                                            \
  }                                                                                                \
  static void up_channels_##S(const lane *l, const float *m) {                                     \
    int64_t w = 0;                                                                                 \
    for (; w + 2 <= l->n; w += 2) up_four_##S(2, l, w, m);                                         \
    if (w < l->n) up_four_##S(1, l, w, m);                                                         \
  }                                                                                                \
  static void up_##S(const lane *l, const float *m) {                                              \
    for (int64_t w = 0; w < l->n; w++) {                                                           \
      lanes##S sum[8];                                                                             \
      up_sums_##S(1, 1, l, w, m, sum);                                                             \
      for (int k = 0; k < S; k++) l->fine[k][w * l->fine_step] = sum[0][k];                        \
    }                                                                                              \
  }
UP(8)
UP(4)

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

static int64_t visit_up(const job *j, const lane *l, int64_t channel, int64_t left, double *sums) {
  (void)sums;
  int64_t s = j->window;
  const float *m = j->matrix + channel * s * s;
  bool four = left >= 4 && (s == 8 || s == 4);
  if (s == 8)
    (four ? up_channels_8 : up_8)(l, m);
  else if (s == 4)
    (four ? up_channels_4 : up_4)(l, m);
  else
    up_any(s, l, m);
  return four ? 4 : 1;
}

/* ---- gradient of the matrices ---- */

/* sum[k][r] += Σ coarse[r] fine[k] along a row: f32 within 64 windows, f64 beyond. */
#define GRAD(S)                                                                                    \
  static void grad_##S(const lane *l, double *sum) {                                               \
    float *at[S];                                                                                  \
    for (int k = 0; k < S; k++) at[k] = l->fine[k];                                                \
    const float *coarse = l->coarse;                                                               \
    for (int64_t left = l->n; left > 0; left -= 64) {                                              \
      lanes##S part[S];                                                                            \
      for (int k = 0; k < S; k++) part[k] = (lanes##S){0};                                         \
      for (int64_t w = hl_min_i64(left, 64); w > 0; w--) {                                         \
        lanes##S row = load##S(coarse);                                                            \
        for (int k = 0; k < S; k++) {                                                              \
          part[k] += row * *at[k];                                                                 \
          at[k] += l->fine_step;                                                                   \
        }                                                                                          \
        coarse += l->coarse_step;                                                                  \
      }                                                                                            \
      for (int k = 0; k < S; k++) add##S(sum + k * S, part[k]);                                    \
    }                                                                                              \
  }
GRAD(8)
GRAD(4)

static void grad_any(int64_t s, const lane *l, double *restrict sum) {
  for (int64_t w = 0; w < l->n; w++)
    for (int64_t k = 0; k < s; k++) {
      double x = (double)l->fine[k][w * l->fine_step];
      for (int64_t r = 0; r < s; r++)
        sum[k * s + r] += x * (double)l->coarse[w * l->coarse_step + r];
    }
}

static int64_t visit_grad(const job *j, const lane *l, int64_t channel, int64_t left,
                          double *sums) {
  (void)left;
  double *sum = sums + channel * j->window * j->window;
  if (j->window == 8)
    grad_8(l, sum);
  else if (j->window == 4)
    grad_4(l, sum);
  else
    grad_any(j->window, l, sum);
  return 1;
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

static void set_places(job *j) {
  int64_t y_step = j->size[2] * j->stride[2], z_step = j->size[1] * j->stride[1] * y_step, at[3];
  for (int64_t k = 0; k < j->window; k++) {
    hl_resample_place(j->stride, k, at);
    j->place[k] = at[0] * z_step + at[1] * y_step + at[2];
    j->packed[k] = (at[0] * j->stride[1] + at[1]) * y_step + at[2];
  }
}

static bool any_narrow(const hl_call *c) {
  bool any = false;
  for (int i = 0; i < c->n_in; i++) any = any || hl_dtype_is_narrow(c->in[i].dtype);
  for (int i = 0; i < c->n_out; i++) any = any || hl_dtype_is_narrow(c->out[i].dtype);
  return any;
}

static int64_t channels_of(const hl_desc *images, int n) {
  int64_t channels = 0;
  for (int i = 0; i < n; i++) channels += images[i].shape.dim[AXIS_C];
  return channels;
}

/* What follows from descriptions alone: the same for the workspace and for the run. */
static void plan(job *j, const hl_call *c, const hl_desc *coarse, int n, const int64_t stride[3],
                 bool sums) {
  const int64_t *dim = coarse->shape.dim;
  int64_t channels = channels_of(coarse, n);
  memcpy(j->stride, stride, sizeof j->stride);
  memcpy(j->size, dim + AXIS_Z, sizeof j->size);
  j->window = hl_resample_window(stride);
  set_places(j);
  j->rows = dim[AXIS_N] * dim[AXIS_Z] * dim[AXIS_Y];
  j->block = hl_max_i64(1, L1_FLOATS / (2 * channels) / 8) * 8;
  j->joined = !whole_windows(coarse, n, j->window);
  j->narrow = any_narrow(c);
  j->grain = hl_ceil_div(HL_GRAIN, dim[AXIS_X] * channels);
  if (sums || j->joined || j->narrow) /* few chunks, as each needs memory of its own */
    j->grain = hl_max_i64(j->grain, hl_ceil_div(j->rows, MOST_CHUNKS));
  j->chunks = hl_ceil_div(j->rows, j->grain);
}

static size_t matrix_bytes(const hl_desc *matrix) {
  return (size_t)hl_shape_numel(&matrix->shape) * sizeof(float);
}

static size_t buffer_bytes(const job *j, const hl_desc *coarse, int n) {
  return (size_t)(j->chunks * buffer_floats(j, channels_of(coarse, n))) * sizeof(float);
}

static hl_status down_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  if (hl_resample_is_lifted(c)) {
    *bytes = hl_resample_lifted_workspace(c, true);
    return HL_OK;
  }
  const hl_resample_attrs *a = c->attrs;
  job j;
  plan(&j, c, c->out, c->n_out, a->stride, false);
  *bytes = matrix_bytes(&c->in[c->n_in - 1]) + buffer_bytes(&j, c->out, c->n_out);
  return HL_OK;
}

static hl_status down_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)e;
  if (hl_resample_is_lifted(c)) {
    hl_resample_lifted_run(c, in, out, workspace, true);
    return HL_OK;
  }
  const hl_resample_attrs *a = c->attrs;
  job j = {.fine = hl_deal_of(in, c->n_in - 1),
           .coarse = hl_deal_of(out, c->n_out),
           .visit = visit_down,
           .reads_fine = true};
  plan(&j, c, c->out, c->n_out, a->stride, false);
  int64_t s = j.window, channels = j.fine.total;
  const float *m = hl_tensor_f32(in[c->n_in - 1]);
  float *transposed = workspace;
  for (int64_t i = 0; i < channels * s; i++)
    for (int64_t k = 0; k < s; k++) transposed[(i / s * s + k) * s + i % s] = m[i * s + k];
  j.matrix = transposed;
  j.buffers = transposed + channels * s * s;
  hl_parallel_for(j.rows, j.grain, range, &j);
  return HL_OK;
}

static hl_status up_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  if (hl_resample_is_lifted(c)) {
    *bytes = hl_resample_lifted_workspace(c, false);
    return HL_OK;
  }
  const hl_resample_attrs *a = c->attrs;
  job j;
  plan(&j, c, c->in, c->n_in - 1, a->stride, false);
  *bytes = buffer_bytes(&j, c->in, c->n_in - 1);
  return HL_OK;
}

static hl_status up_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                        void *workspace, hl_err *e) {
  (void)e;
  if (hl_resample_is_lifted(c)) {
    hl_resample_lifted_run(c, in, out, workspace, false);
    return HL_OK;
  }
  const hl_resample_attrs *a = c->attrs;
  job j = {.fine = hl_deal_of(out, c->n_out),
           .coarse = hl_deal_of(in, c->n_in - 1),
           .visit = visit_up,
           .reads_coarse = true};
  plan(&j, c, c->in, c->n_in - 1, a->stride, false);
  j.matrix = hl_tensor_f32(in[c->n_in - 1]);
  j.buffers = workspace;
  hl_parallel_for(j.rows, j.grain, range, &j);
  return HL_OK;
}

static hl_status grad_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  const hl_resample_grad_attrs *a = c->attrs;
  job j;
  plan(&j, c, c->in, (int)a->parts, a->stride, true);
  *bytes = (size_t)(j.chunks * hl_shape_numel(&c->out[0].shape)) * sizeof(double) +
           buffer_bytes(&j, c->in, (int)a->parts);
  return HL_OK;
}

static hl_status grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)e;
  const hl_resample_grad_attrs *a = c->attrs;
  int parts = (int)a->parts;
  job j = {.coarse = hl_deal_of(in, parts),
           .fine = hl_deal_of(in + parts, c->n_in - parts),
           .visit = visit_grad,
           .reads_fine = true,
           .reads_coarse = true};
  plan(&j, c, c->in, parts, a->stride, true);
  j.sums = workspace;
  j.buffers = (float *)(j.sums + j.chunks * hl_shape_numel(&c->out[0].shape));
  j.out = hl_tensor_f32(out[0]);
  hl_parallel_for(j.rows, j.grain, range, &j);
  hl_parallel_for(j.fine.total, 1, grad_finish, &j);
  return HL_OK;
}

#define KERNEL(NAME, PART)                                                                         \
  const hl_kernel hl_cpu_##NAME = {.workspace = PART##_workspace,                                  \
                                   .run = PART##_run,                                              \
                                   .takes_bf16 = hl_always_bf16,                                   \
                                   .takes_fixed = hl_always_bf16};
KERNEL(resample_down, down)
KERNEL(resample_up, up)
KERNEL(resample_grad_matrix, grad)
