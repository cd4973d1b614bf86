#include "pointwise.h"

#include <hilum/parallel.h>

#include <string.h>

/* One side of the convolution has one channel (narrow), the other w (wide), and the weight is a
 * vector m of w numbers whichever side is which. All three kinds are one of
 *   expand    wide[v][c] = narrow[v]·m[c] (+ bias[c])
 *   contract  narrow[v]  = Σ_c wide[v][c]·m[c] (+ bias[0])
 *   outer     m[c]       = Σ_v narrow[v]·wide[v][c]. */
enum {
  LANES = 8,
  BLOCK = 32,  /* columns summed together */
  CHUNK = 2048 /* voxels per task: fixed, so that sums do not depend on threads */
};

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef float half __attribute__((vector_size(LANES / 2 * sizeof(float))));

typedef struct job {
  int64_t voxels, w;
  float *narrow, *wide;
  const float *bias, *m;
  float *partial; /* outer: [chunk][w] */
} job;

bool hl_pointwise_takes(const hl_convolution *c) {
  if (c->dtype != HL_F32 || c->groups != 1 || (c->in != 1 && c->out != 1)) return false;
  for (int i = 0; i < 3; i++)
    if (c->kernel[i] != 1 || c->stride[i] != 1 || c->padding[i] != 0) return false;
  return true;
}

static int64_t voxels_of(const hl_convolution *c) {
  return c->n * c->x[0] * c->x[1] * c->x[2];
}
static int64_t chunks_of(int64_t voxels) {
  return (voxels + CHUNK - 1) / CHUNK;
}

hl_status hl_pointwise_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  (void)e;
  bool sums = c->kind == HL_CONV_GRAD_WEIGHT;
  *bytes = sums ? (size_t)(chunks_of(voxels_of(c)) * c->in * c->out) * sizeof(float) : 0;
  return HL_OK;
}

/* ---- rows of voxels; `w` is a constant where the caller makes it one ---- */

/* One row. Plain multiplication if there is no bias: adding 0 would turn -0 into 0. */
static inline void expand_row(const job *j, int64_t v, int64_t w) {
  float x = j->narrow[v], *restrict row = j->wide + v * w;
  const float *restrict m = j->m, *restrict bias = j->bias;
  if (bias == NULL)
    for (int64_t c = 0; c < w; c++) row[c] = x * m[c];
  else
    for (int64_t c = 0; c < w; c++) row[c] = x * m[c] + bias[c];
}

static inline void expand_rows(const job *j, int64_t begin, int64_t end, int64_t w) {
  for (int64_t v = begin; v < end; v++) expand_row(j, v, w);
}

/* By address: how vectors are passed by value depends on the processor's generation. */
static inline void add_product(vector *sum, const float *a, const float *b) {
  vector x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  *sum += x * y;
}

/* Lanes are added pairwise, always in this order. */
static inline float sum_lanes(const vector *v) {
  half low, high;
  memcpy(&low, v, sizeof low);
  memcpy(&high, (const char *)v + sizeof low, sizeof high);
  low += high;
  return (low[0] + low[2]) + (low[1] + low[3]);
}

static inline float dot(const float *a, const float *b, int64_t n) {
  vector sum = {0};
  float rest = 0;
  int64_t whole = n - n % LANES;
  for (int64_t i = 0; i < whole; i += LANES) add_product(&sum, a + i, b + i);
  for (int64_t i = whole; i < n; i++) rest += a[i] * b[i];
  return sum_lanes(&sum) + rest;
}

static inline void contract_rows(const job *j, int64_t begin, int64_t end, int64_t w) {
  float bias = j->bias != NULL ? j->bias[0] : 0;
  for (int64_t v = begin; v < end; v++) j->narrow[v] = dot(j->wide + v * w, j->m, w) + bias;
}

/* Columns from `first` on, n vectors of them, whose sums stay in registers. */
static inline void outer_vectors(const job *j, int64_t begin, int64_t end, int64_t w, int64_t first,
                                 int64_t n, float *out) {
  vector sum[BLOCK / LANES] = {{0}};
  for (int64_t v = begin; v < end; v++)
    for (int64_t i = 0; i < n; i++) {
      vector row;
      memcpy(&row, j->wide + v * w + first + i * LANES, sizeof row);
      sum[i] += j->narrow[v] * row;
    }
  memcpy(out + first, sum, (size_t)n * sizeof *sum);
}

static inline void outer_rows(const job *j, int64_t begin, int64_t end, int64_t w) {
  float *out = j->partial + begin / CHUNK * w;
  int64_t blocks = w - w % BLOCK, vectors = w - w % LANES;
  for (int64_t c = 0; c < blocks; c += BLOCK)
    outer_vectors(j, begin, end, w, c, BLOCK / LANES, out);
  for (int64_t c = blocks; c < vectors; c += LANES) outer_vectors(j, begin, end, w, c, 1, out);
  for (int64_t c = vectors; c < w; c++) {
    float sum = 0;
    for (int64_t v = begin; v < end; v++) sum += j->narrow[v] * j->wide[v * w + c];
    out[c] = sum;
  }
}

/* The usual widths as constants, so that a row is a fixed number of vectors. */
#define FOR_WIDTH(rows)                                                                            \
  static void rows##_of(int64_t begin, int64_t end, void *ctx) {                                   \
    const job *j = ctx;                                                                            \
    switch (j->w) {                                                                                \
    case 8:                                                                                        \
      rows(j, begin, end, 8);                                                                      \
      return;                                                                                      \
    case 16:                                                                                       \
      rows(j, begin, end, 16);                                                                     \
      return;                                                                                      \
    case 32:                                                                                       \
      rows(j, begin, end, 32);                                                                     \
      return;                                                                                      \
    case 64:                                                                                       \
      rows(j, begin, end, 64);                                                                     \
      return;                                                                                      \
    default:                                                                                       \
      rows(j, begin, end, j->w);                                                                   \
    }                                                                                              \
  }
FOR_WIDTH(expand_rows)
FOR_WIDTH(contract_rows)
FOR_WIDTH(outer_rows)

static void sum_partials(const job *j, float *weight) {
  int64_t chunks = chunks_of(j->voxels);
  for (int64_t c = 0; c < j->w; c++) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; chunk++) sum += (double)j->partial[chunk * j->w + c];
    weight[c] = (float)sum;
  }
}

hl_status hl_pointwise_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                           void *workspace, hl_err *e) {
  (void)e;
  bool widens = c->in == 1;
  job j = {.voxels = voxels_of(c),
           .w = widens ? c->out : c->in,
           .narrow = widens ? x : y,
           .wide = widens ? y : x,
           .bias = bias,
           .m = weight,
           .partial = workspace};
  if (c->kind == HL_CONV_GRAD_WEIGHT) {
    hl_parallel_for(j.voxels, CHUNK, outer_rows_of, &j);
    sum_partials(&j, weight);
    return HL_OK;
  }
  bool expands = (c->kind == HL_CONV_FORWARD) == widens;
  hl_parallel_for(j.voxels, CHUNK, expands ? expand_rows_of : contract_rows_of, &j);
  return HL_OK;
}
