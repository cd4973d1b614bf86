/* Instance normalisation on channels-last rows.
 *
 * An image's memory is read as rows of L numbers: for C ≤ 32 channels several whole voxels (32
 * lanes exactly where C divides 32), else one voxel, in groups of 32 channels. What belongs to a
 * channel (mean, factors, sums) is repeated along the row, so that every inner loop runs over lanes
 * with the same step.
 *
 * Sums are taken over chunks of a fixed size and added in the order of the chunks: the bits depend
 * on the shape alone. Statistics are summed in f64 throughout: E[x²] − mean² is then as good as two
 * passes in f32 as long as the mean is below about 10⁴ standard deviations. Sums of gradients,
 * which know no such cancellation, are taken in f32 over 16 rows and from there on in f64.
 */
#include "instance_norm.h"

#include <hilum/op.h>
#include <hilum/parallel.h>

#include <math.h>
#include <string.h>

enum { LANES = 32, BLOCK = 16, CHUNK = 16384 /* numbers per task, about */ };

/* What a channel needs, each repeated to `lanes` numbers. */
enum { MEAN, FACTOR, OFFSET, RSTD, MEAN_G, MEAN_GH, PARAMETERS };

typedef struct layout {
  int64_t images, channels, voxels;
  int64_t lanes;  /* numbers in a row */
  int64_t chunk;  /* voxels per task */
  int64_t chunks; /* per image */
} layout;

typedef struct job {
  layout l;
  const float *x, *dy;
  float *y; /* or dx */
  float slope;
  double *partial;  /* [image][chunk][2][channel] */
  float *parameter; /* [image][PARAMETERS][lane] */
} job;

/* As many voxels as fit into the lanes, if possible so that a row is a whole number of vectors. */
static int64_t voxels_in_row(int64_t channels) {
  enum { VECTOR = 8 };
  int64_t most = channels < LANES ? LANES / channels : 1;
  for (int64_t n = most; n > 0; n--)
    if (n * channels % VECTOR == 0) return n;
  return most;
}

static layout layout_of(const hl_desc *x) {
  const int64_t *d = x->shape.dim;
  layout l = {.images = d[0], .channels = d[1], .voxels = d[2] * d[3] * d[4]};
  int64_t together = voxels_in_row(l.channels);
  l.lanes = together * l.channels;
  l.chunk = (CHUNK / l.lanes + 1) * together;
  l.chunks = (l.voxels + l.chunk - 1) / l.chunk;
  return l;
}

static size_t partial_bytes(const layout *l) {
  return (size_t)(l->images * l->chunks * 2 * l->channels) * sizeof(double);
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  layout l = layout_of(&c->in[0]);
  *bytes = partial_bytes(&l) + (size_t)(l.images * PARAMETERS * l.lanes) * sizeof(float);
  return HL_OK;
}

static job job_of(const hl_call *c, void *work) {
  const hl_instance_norm_attrs *a = c->attrs;
  job j = {.l = layout_of(&c->in[0]), .slope = (float)a->slope, .partial = work};
  j.parameter = (float *)(void *)((char *)work + partial_bytes(&j.l));
  return j;
}

/* ---- sums over `rows` rows that lie `step` numbers apart, lane by lane ---- */

/* The sums are arrays of the function's own, so that they can live in registers. */
static inline void sum_squares(const float *restrict x, int64_t rows, int64_t step, int width,
                               double *restrict sum, double *restrict second) {
  double total[LANES] = {0}, square[LANES] = {0};
  for (int64_t r = 0; r < rows; r++)
    for (int i = 0; i < width; i++) {
      double v = x[r * step + i];
      total[i] += v;
      square[i] += v * v;
    }
  for (int i = 0; i < width; i++) sum[i] += total[i];
  for (int i = 0; i < width; i++) second[i] += square[i];
}

static inline float gradient(float dy, float x, float mean, float factor, float offset,
                             float slope) {
  return (x - mean) * factor + offset > 0 ? dy : slope * dy;
}

/* Products and sums of up to BLOCK rows in f32, these sums in f64. */
static inline void sum_gradients(const float *restrict x, const float *restrict dy,
                                 const float *restrict p, int64_t lanes, float slope, int64_t rows,
                                 int64_t step, int width, double *restrict sum,
                                 double *restrict second) {
  for (int64_t first = 0; first < rows; first += BLOCK) {
    int64_t last = rows - first < BLOCK ? rows : first + BLOCK;
    float total[LANES] = {0}, dot[LANES] = {0};
    for (int64_t r = first; r < last; r++)
      for (int i = 0; i < width; i++) {
        float v = x[r * step + i], mean = p[MEAN * lanes + i];
        float g = gradient(dy[r * step + i], v, mean, p[FACTOR * lanes + i], p[OFFSET * lanes + i],
                           slope);
        total[i] += g;
        dot[i] += g * ((v - mean) * p[RSTD * lanes + i]);
      }
    for (int i = 0; i < width; i++) sum[i] += (double)total[i];
    for (int i = 0; i < width; i++) second[i] += (double)dot[i];
  }
}

/* Sums of `rows` rows from number `at` of the image on, for lanes from `lane` on. */
static void sum_rows(const job *j, int64_t image, int64_t at, int64_t lane, int64_t rows,
                     int64_t step, int width, double *sum, double *second) {
  int64_t start = image * j->l.voxels * j->l.channels + at;
  const float *x = j->x + start;
  if (j->dy == NULL) {
    if (width == LANES)
      sum_squares(x, rows, step, LANES, sum, second);
    else
      sum_squares(x, rows, step, width, sum, second);
    return;
  }
  const float *dy = j->dy + start, *p = j->parameter + image * PARAMETERS * j->l.lanes + lane;
  if (width == LANES)
    sum_gradients(x, dy, p, j->l.lanes, j->slope, rows, step, LANES, sum, second);
  else
    sum_gradients(x, dy, p, j->l.lanes, j->slope, rows, step, width, sum, second);
}

/* Channels up to 32: rows of whole voxels and a shorter one at the end; lanes fold to channels. */
static void sum_narrow(const job *j, int64_t image, int64_t begin, int64_t end, double *partial) {
  int64_t c = j->l.channels, lanes = j->l.lanes, rows = (end - begin) * c / lanes;
  double sum[2][LANES] = {{0}};
  sum_rows(j, image, begin * c, 0, rows, lanes, (int)lanes, sum[0], sum[1]);
  int64_t done = begin * c + rows * lanes;
  sum_rows(j, image, done, 0, 1, lanes, (int)(end * c - done), sum[0], sum[1]);
  memset(partial, 0, (size_t)(2 * c) * sizeof *partial);
  for (int k = 0; k < 2; k++)
    for (int64_t i = 0; i < lanes; i++) partial[k * c + i % c] += sum[k][i];
}

static void sum_wide(const job *j, int64_t image, int64_t begin, int64_t end, double *partial) {
  int64_t c = j->l.channels;
  for (int64_t first = 0; first < c; first += LANES) {
    int64_t width = c - first < LANES ? c - first : LANES;
    double sum[2][LANES] = {{0}};
    sum_rows(j, image, begin * c + first, first, end - begin, c, (int)width, sum[0], sum[1]);
    for (int k = 0; k < 2; k++)
      memcpy(partial + k * c + first, sum[k], (size_t)width * sizeof *partial);
  }
}

static void sum_chunks(int64_t first, int64_t last, void *ctx) {
  const job *j = ctx;
  const layout *l = &j->l;
  for (int64_t task = first; task < last; task++) {
    int64_t image = task / l->chunks, begin = task % l->chunks * l->chunk;
    int64_t end = begin + l->chunk < l->voxels ? begin + l->chunk : l->voxels;
    double *partial = j->partial + task * 2 * l->channels;
    if (l->channels <= LANES)
      sum_narrow(j, image, begin, end, partial);
    else
      sum_wide(j, image, begin, end, partial);
  }
}

/* Sums of one image and channel over its chunks, in their order. */
static void total(const job *j, int64_t image, int64_t channel, double sums[2]) {
  const layout *l = &j->l;
  sums[0] = sums[1] = 0;
  for (int64_t chunk = 0; chunk < l->chunks; chunk++) {
    const double *p = j->partial + (image * l->chunks + chunk) * 2 * l->channels + channel;
    sums[0] += p[0];
    sums[1] += p[l->channels];
  }
}

/* ---- element by element ---- */

static inline void normalise_row(const float *x, float *y, const float *restrict p, int64_t lanes,
                                 int64_t width, float slope) {
  for (int64_t i = 0; i < width; i++) {
    float u = (x[i] - p[MEAN * lanes + i]) * p[FACTOR * lanes + i] + p[OFFSET * lanes + i];
    y[i] = u > 0 ? u : slope * u;
  }
}

/* dx may be dy. */
static inline void pull_back_row(const float *x, const float *dy, float *dx,
                                 const float *restrict p, int64_t lanes, int64_t width,
                                 float slope) {
  for (int64_t i = 0; i < width; i++) {
    float mean = p[MEAN * lanes + i], factor = p[FACTOR * lanes + i];
    float g = gradient(dy[i], x[i], mean, factor, p[OFFSET * lanes + i], slope);
    float h = (x[i] - mean) * p[RSTD * lanes + i];
    dx[i] = factor * (g - p[MEAN_G * lanes + i] - h * p[MEAN_GH * lanes + i]);
  }
}

static void map_row(const job *j, int64_t at, const float *p, int64_t lanes, int64_t width) {
  if (j->dy == NULL)
    normalise_row(j->x + at, j->y + at, p, lanes, width, j->slope);
  else
    pull_back_row(j->x + at, j->dy + at, j->y + at, p, lanes, width, j->slope);
}

static void map_chunks(int64_t first, int64_t last, void *ctx) {
  const job *j = ctx;
  const layout *l = &j->l;
  for (int64_t task = first; task < last; task++) {
    int64_t image = task / l->chunks, begin = task % l->chunks * l->chunk;
    int64_t end = begin + l->chunk < l->voxels ? begin + l->chunk : l->voxels;
    const float *p = j->parameter + image * PARAMETERS * l->lanes;
    int64_t at = (image * l->voxels + begin) * l->channels;
    int64_t stop = (image * l->voxels + end) * l->channels;
    if (l->lanes == LANES)
      for (; at + LANES <= stop; at += LANES) map_row(j, at, p, LANES, LANES);
    for (; at < stop; at += l->lanes)
      map_row(j, at, p, l->lanes, stop - at < l->lanes ? stop - at : l->lanes);
  }
}

/* ---- kernels ---- */

/* Sets one parameter of a channel in all lanes that carry the channel. */
static void set(const job *j, int64_t image, int which, int64_t channel, double value) {
  float *p = j->parameter + (image * PARAMETERS + which) * j->l.lanes;
  for (int64_t i = channel; i < j->l.lanes; i += j->l.channels) p[i] = (float)value;
}

static void set_channel(const job *j, int64_t image, int64_t channel, const float stats[2],
                        const float *scale, const float *offset) {
  set(j, image, MEAN, channel, (double)stats[0]);
  set(j, image, RSTD, channel, (double)stats[1]);
  set(j, image, FACTOR, channel, (double)stats[1] * (scale != NULL ? (double)scale[channel] : 1));
  set(j, image, OFFSET, channel, offset != NULL ? (double)offset[channel] : 0);
}

static void statistics(const double sums[2], int64_t n, double eps, float stats[2]) {
  double mean = sums[0] / (double)n, var = sums[1] / (double)n - mean * mean;
  stats[0] = (float)mean;
  stats[1] = (float)(1 / sqrt((var > 0 || isnan(var) ? var : 0) + eps));
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  const hl_instance_norm_attrs *a = c->attrs;
  job j = job_of(c, work);
  j.x = hl_tensor_f32(in[0]);
  j.y = hl_tensor_f32(out[0]);
  const float *scale = c->n_in > 1 ? hl_tensor_f32(in[1]) : NULL;
  const float *offset = c->n_in > 2 ? hl_tensor_f32(in[2]) : NULL;
  float *stats = hl_tensor_f32(out[1]);
  hl_parallel_for(j.l.images * j.l.chunks, 1, sum_chunks, &j);
  for (int64_t i = 0; i < j.l.images * j.l.channels; i++) {
    int64_t image = i / j.l.channels, channel = i % j.l.channels;
    double sums[2];
    total(&j, image, channel, sums);
    statistics(sums, j.l.voxels, a->eps, stats + 2 * i);
    set_channel(&j, image, channel, stats + 2 * i, scale, offset);
  }
  hl_parallel_for(j.l.images * j.l.chunks, 1, map_chunks, &j);
  return HL_OK;
}

static hl_status run_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  job j = job_of(c, work);
  j.x = hl_tensor_f32(in[0]);
  j.dy = hl_tensor_f32(in[2]);
  j.y = hl_tensor_f32(out[0]);
  const float *stats = hl_tensor_f32(in[1]);
  const float *scale = c->n_in > 3 ? hl_tensor_f32(in[3]) : NULL;
  const float *offset = c->n_in > 4 ? hl_tensor_f32(in[4]) : NULL;
  for (int64_t i = 0; i < j.l.images * j.l.channels; i++)
    set_channel(&j, i / j.l.channels, i % j.l.channels, stats + 2 * i, scale, offset);
  hl_parallel_for(j.l.images * j.l.chunks, 1, sum_chunks, &j);
  for (int64_t channel = 0; channel < j.l.channels; channel++) {
    double all[2] = {0}, n = (double)j.l.voxels;
    for (int64_t image = 0; image < j.l.images; image++) {
      double sums[2]; /* Σ g, Σ g·h */
      total(&j, image, channel, sums);
      set(&j, image, MEAN_G, channel, sums[0] / n);
      set(&j, image, MEAN_GH, channel, sums[1] / n);
      all[0] += sums[0];
      all[1] += sums[1];
    }
    if (c->n_out > 1) hl_tensor_f32(out[1])[channel] = (float)all[1];
    if (c->n_out > 2) hl_tensor_f32(out[2])[channel] = (float)all[0];
  }
  hl_parallel_for(j.l.images * j.l.chunks, 1, map_chunks, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_instance_norm = {workspace, run};
const hl_kernel hl_cpu_instance_norm_grad = {workspace, run_grad};
