/* Normalisation on channels-last rows.
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
#include "norm.h"

#include <hilum/bf16.h>
#include <hilum/narrow.h>

#include <math.h>
#include <string.h>

enum { LANES = 32, BLOCK = 16, CHUNK = 16384 /* numbers per task, about */ };

/* As many voxels as fit into the lanes, if possible so that a row is a whole number of vectors. */
static int64_t voxels_in_row(int64_t channels) {
  enum { VECTOR = 8 };
  int64_t most = channels < LANES ? LANES / channels : 1;
  for (int64_t n = most; n > 0; n--)
    if (n * channels % VECTOR == 0) return n;
  return most;
}

static hl_norm_layout layout_of(const hl_desc *x) {
  const int64_t *d = x->shape.dim;
  hl_norm_layout l = {.images = d[0], .channels = d[1], .voxels = d[2] * d[3] * d[4]};
  int64_t together = voxels_in_row(l.channels);
  l.lanes = together * l.channels;
  l.chunk = (CHUNK / l.lanes + 1) * together;
  l.chunks = (l.voxels + l.chunk - 1) / l.chunk;
  return l;
}

static size_t partial_bytes(const hl_norm_layout *l) {
  return (size_t)(l->images * l->chunks * 2 * l->channels) * sizeof(double);
}

size_t hl_norm_workspace(const hl_desc *x) {
  hl_norm_layout l = layout_of(x);
  return partial_bytes(&l) + (size_t)(2 * l.channels) * sizeof(double) +
         (size_t)(l.images * HL_NORM_PARAMETERS * l.lanes) * sizeof(float);
}

hl_norm hl_norm_begin(const hl_desc *x, double slope, void *work) {
  hl_norm j = {.l = layout_of(x), .slope = (float)slope, .partial = work};
  j.room = (double *)(void *)((char *)work + partial_bytes(&j.l));
  j.parameter = (float *)(void *)(j.room + 2 * j.l.channels);
  return j;
}

void hl_norm_images(hl_norm *j, const hl_tensor *x, const hl_tensor *y) {
  j->x = hl_tensor_f32(x);
  j->y = hl_tensor_f32(y);
  j->half_x = hl_tensor_bf16(x);
  j->half_y = hl_tensor_bf16(y);
}

void hl_norm_arriving(hl_norm *j, const hl_tensor *dy) {
  j->dy = hl_tensor_f32(dy);
  j->half_dy = hl_tensor_bf16(dy);
}

void hl_norm_onto(hl_norm *j, const hl_tensor *base, float sign, hl_tensor *sum) {
  j->base = base;
  j->sign = sign;
  j->sum = sum;
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
  return hl_madd(x - mean, factor, offset) > 0 ? dy : slope * dy;
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
        float v = x[r * step + i], mean = p[HL_NORM_MEAN * lanes + i];
        float g = gradient(dy[r * step + i], v, mean, p[HL_NORM_FACTOR * lanes + i],
                           p[HL_NORM_OFFSET * lanes + i], slope);
        total[i] += g;
        dot[i] += g * ((v - mean) * p[HL_NORM_RSTD * lanes + i]);
      }
    for (int i = 0; i < width; i++) sum[i] += (double)total[i];
    for (int i = 0; i < width; i++) second[i] += (double)dot[i];
  }
}

/* The sums of either way, by parameters p of the rows' first lane. */
static void sum_either(const hl_norm *j, const float *x, const float *dy, const float *p,
                       int64_t rows, int64_t step, int width, double *sum, double *second) {
  if (dy == NULL && width == LANES)
    sum_squares(x, rows, step, LANES, sum, second);
  else if (dy == NULL)
    sum_squares(x, rows, step, width, sum, second);
  else if (width == LANES)
    sum_gradients(x, dy, p, j->l.lanes, j->slope, rows, step, LANES, sum, second);
  else
    sum_gradients(x, dy, p, j->l.lanes, j->slope, rows, step, width, sum, second);
}

/* `rows` rows of `width` numbers that lie `step` apart, side by side. */
static void widen_rows(float *to, const uint16_t *from, int64_t rows, int64_t step, int64_t width) {
  if (step == width)
    hl_bf16_widen_all(to, from, rows * width);
  else
    for (int64_t r = 0; r < rows; r++) hl_bf16_widen_all(to + r * width, from + r * step, width);
}

static void sum_half_rows(const hl_norm *j, int64_t start, const float *p, int64_t rows,
                          int64_t step, int width, double *sum, double *second) {
  enum { ROWS = 64 };
  float x[ROWS * LANES], dy[ROWS * LANES];
  for (int64_t r = 0; r < rows; r += ROWS) {
    int64_t n = rows - r < ROWS ? rows - r : ROWS;
    widen_rows(x, j->half_x + start + r * step, n, step, width);
    if (j->half_dy != NULL) widen_rows(dy, j->half_dy + start + r * step, n, step, width);
    sum_either(j, x, j->half_dy != NULL ? dy : NULL, p, n, width, width, sum, second);
  }
}

/* Sums of `rows` rows from number `at` of the image on, for lanes from `lane` on. */
static void sum_rows(const hl_norm *j, int64_t image, int64_t at, int64_t lane, int64_t rows,
                     int64_t step, int width, double *sum, double *second) {
  int64_t start = image * j->l.voxels * j->l.channels + at;
  const float *p = j->parameter + image * HL_NORM_PARAMETERS * j->l.lanes + lane;
  if (j->half_x != NULL)
    sum_half_rows(j, start, p, rows, step, width, sum, second);
  else
    sum_either(j, j->x + start, j->dy != NULL ? j->dy + start : NULL, p, rows, step, width, sum,
               second);
}

/* Channels up to 32: rows of whole voxels and a shorter one at the end; lanes fold to channels. */
static void sum_narrow(const hl_norm *j, int64_t image, int64_t begin, int64_t end,
                       double *partial) {
  int64_t c = j->l.channels, lanes = j->l.lanes, rows = (end - begin) * c / lanes;
  double sum[2][LANES] = {{0}};
  sum_rows(j, image, begin * c, 0, rows, lanes, (int)lanes, sum[0], sum[1]);
  int64_t done = begin * c + rows * lanes;
  sum_rows(j, image, done, 0, 1, lanes, (int)(end * c - done), sum[0], sum[1]);
  memset(partial, 0, (size_t)(2 * c) * sizeof *partial);
  for (int k = 0; k < 2; k++)
    for (int64_t i = 0; i < lanes; i++) partial[k * c + i % c] += sum[k][i];
}

static void sum_wide(const hl_norm *j, int64_t image, int64_t begin, int64_t end, double *partial) {
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
  const hl_norm *j = ctx;
  const hl_norm_layout *l = &j->l;
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
void hl_norm_total(const hl_norm *j, int64_t image, int64_t channel, double sums[2]) {
  const hl_norm_layout *l = &j->l;
  sums[0] = sums[1] = 0;
  for (int64_t chunk = 0; chunk < l->chunks; chunk++) {
    const double *p = j->partial + (image * l->chunks + chunk) * 2 * l->channels + channel;
    sums[0] += p[0];
    sums[1] += p[l->channels];
  }
}

/* ---- element by element ---- */

HL_INLINE void normalise_row(const float *x, float *y, const float *restrict p, int64_t lanes,
                             int64_t width, float slope) {
  for (int64_t i = 0; i < width; i++) {
    float u = hl_madd(x[i] - p[HL_NORM_MEAN * lanes + i], p[HL_NORM_FACTOR * lanes + i],
                      p[HL_NORM_OFFSET * lanes + i]);
    y[i] = u > 0 ? u : slope * u;
  }
}

/* dx may be x or dy. */
HL_INLINE void pull_back_row(const float *x, const float *dy, float *dx, const float *restrict p,
                             int64_t lanes, int64_t width, float slope) {
  for (int64_t i = 0; i < width; i++) {
    float mean = p[HL_NORM_MEAN * lanes + i], factor = p[HL_NORM_FACTOR * lanes + i];
    float g = gradient(dy[i], x[i], mean, factor, p[HL_NORM_OFFSET * lanes + i], slope);
    dx[i] =
        factor * g + p[HL_NORM_SHIFT * lanes + i] + (x[i] - mean) * p[HL_NORM_SLANT * lanes + i];
  }
}

/* Where numbers of the result go: one of the two is NULL. */
typedef struct place {
  float *y;
  uint16_t *half;
} place;

/* `width` numbers by way of f32, LANES of them at a time. */
HL_INLINE void map_half_row(const hl_norm *j, int64_t at, uint16_t *to, const float *p,
                            int64_t lanes, int64_t width) {
  float x[LANES], dy[LANES], y[LANES];
  for (int64_t i = 0; i < width; i += LANES) {
    int64_t n = width - i < LANES ? width - i : LANES;
    hl_bf16_widen_all(x, j->half_x + at + i, n);
    if (j->half_dy == NULL) {
      normalise_row(x, y, p + i, lanes, n, j->slope);
    } else {
      hl_bf16_widen_all(dy, j->half_dy + at + i, n);
      pull_back_row(x, dy, y, p + i, lanes, n, j->slope);
    }
    hl_bf16_round_all(to + i, y, n);
  }
}

HL_INLINE void map_row(const hl_norm *j, int64_t at, place to, int64_t done, const float *p,
                       int64_t lanes, int64_t width) {
  if (j->half_x != NULL)
    map_half_row(j, at + done, to.half + done, p, lanes, width);
  else if (j->dy == NULL)
    normalise_row(j->x + at + done, to.y + done, p, lanes, width, j->slope);
  else
    pull_back_row(j->x + at + done, j->dy + at + done, to.y + done, p, lanes, width, j->slope);
}

/* n numbers from number `at` of the images on, which has the first of the lanes. */
static void map_rows(const hl_norm *j, int64_t at, int64_t n, const float *p, place to) {
  int64_t lanes = j->l.lanes, done = 0;
  if (lanes == LANES)
    for (; done + LANES <= n; done += LANES) map_row(j, at, to, done, p, LANES, LANES);
  for (; done < n; done += lanes)
    map_row(j, at, to, done, p, lanes, n - done < lanes ? n - done : lanes);
}

enum { PIECE = 2048 };

static void add_to_base(const hl_norm *j, int64_t at, place part, int64_t n) {
  hl_dtype t = hl_tensor_desc(j->base)->dtype;
  if (t == HL_F32) {
    const float *base = hl_tensor_f32(j->base) + at;
    float *sum = hl_tensor_f32(j->sum) + at;
    HL_INDEPENDENT
    for (int64_t i = 0; i < n; i++) sum[i] = base[i] + j->sign * part.y[i];
    return;
  }
  const uint16_t *base = (const uint16_t *)hl_tensor_data(j->base) + at;
  uint16_t *sum = (uint16_t *)hl_tensor_data(j->sum) + at;
  if (hl_dtype_is_fixed(t)) {
    hl_fixed_add(t, (int16_t *)sum, (const int16_t *)base, HL_BF16, part.half, j->sign, n);
    return;
  }
  float wide[PIECE];
  hl_bf16_widen_all(wide, base, n);
  for (int64_t i = 0; i < n; i++) wide[i] += j->sign * hl_bf16_widen(part.half[i]);
  hl_bf16_round_all(sum, wide, n);
}

/* Onto the base, a piece at a time that stays in the first-level cache: as many rows as fit, or a
 * part of a row. */
static void map_onto(const hl_norm *j, int64_t at, int64_t n, const float *p) {
  float y[PIECE];
  uint16_t half[PIECE];
  const place to = {y, half};
  int64_t lanes = j->l.lanes;
  for (int64_t done = 0, m; done < n; done += m) {
    int64_t lane = done % lanes;
    m = lanes <= PIECE ? PIECE / lanes * lanes : hl_min_i64(PIECE, lanes - lane);
    m = hl_min_i64(m, n - done);
    map_rows(j, at + done, m, p + lane, to);
    add_to_base(j, at + done, to, m);
  }
}

static void map_chunks(int64_t first, int64_t last, void *ctx) {
  const hl_norm *j = ctx;
  const hl_norm_layout *l = &j->l;
  for (int64_t task = first; task < last; task++) {
    int64_t image = task / l->chunks, begin = task % l->chunks * l->chunk;
    int64_t end = begin + l->chunk < l->voxels ? begin + l->chunk : l->voxels;
    const float *p = j->parameter + image * HL_NORM_PARAMETERS * l->lanes;
    int64_t at = (image * l->voxels + begin) * l->channels, n = (end - begin) * l->channels;
    const place to = {j->y == NULL ? NULL : j->y + at, j->half_y == NULL ? NULL : j->half_y + at};
    if (j->base != NULL)
      map_onto(j, at, n, p);
    else
      map_rows(j, at, n, p, to);
  }
}

/* ---- the doors ---- */

void hl_norm_sums(hl_norm *j) {
  hl_parallel_for(j->l.images * j->l.chunks, 1, sum_chunks, j);
}

void hl_norm_map(hl_norm *j) {
  hl_parallel_for(j->l.images * j->l.chunks, 1, map_chunks, j);
}

void hl_norm_set(const hl_norm *j, int64_t image, int which, int64_t channel, double value) {
  float *p = j->parameter + (image * HL_NORM_PARAMETERS + which) * j->l.lanes;
  for (int64_t i = channel; i < j->l.lanes; i += j->l.channels) p[i] = (float)value;
}

void hl_norm_set_channel(const hl_norm *j, int64_t image, int64_t channel, double mean, double rstd,
                         const float *scale, const float *offset) {
  hl_norm_set(j, image, HL_NORM_MEAN, channel, mean);
  hl_norm_set(j, image, HL_NORM_RSTD, channel, rstd);
  hl_norm_set(j, image, HL_NORM_FACTOR, channel,
              rstd * (scale != NULL ? (double)scale[channel] : 1));
  hl_norm_set(j, image, HL_NORM_OFFSET, channel, offset != NULL ? (double)offset[channel] : 0);
}

void hl_norm_moments(const double sums[2], double n, double *mean, double *variance) {
  double var = sums[1] / n - sums[0] / n * (sums[0] / n);
  *mean = sums[0] / n;
  *variance = var > 0 || isnan(var) ? var : 0;
}

void hl_norm_stats(const double sums[2], double n, double eps, float stats[2]) {
  double mean, variance;
  hl_norm_moments(sums, n, &mean, &variance);
  stats[0] = (float)mean;
  stats[1] = (float)(1 / sqrt(variance + eps));
}

void hl_norm_instance_stats(hl_norm *j, double eps, float *stats) {
  hl_norm_sums(j);
  for (int64_t i = 0; i < j->l.images * j->l.channels; i++) {
    double sums[2];
    hl_norm_total(j, i / j->l.channels, i % j->l.channels, sums);
    hl_norm_stats(sums, (double)j->l.voxels, eps, stats + 2 * i);
  }
}

void hl_norm_set_instances(const hl_norm *j, const float *stats, const float *scale,
                           const float *offset) {
  for (int64_t i = 0; i < j->l.images * j->l.channels; i++)
    hl_norm_set_channel(j, i / j->l.channels, i % j->l.channels, (double)stats[2 * i],
                        (double)stats[2 * i + 1], scale, offset);
}
