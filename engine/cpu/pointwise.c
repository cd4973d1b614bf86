#include "pointwise.h"

#include <hilum/parallel.h>

#include <string.h>

/* One side of the convolution is narrow (k ≤ 4 channels), the other wide (w channels). With the
 * matrix m[k][w] all three kinds are one of
 *   expand    wide[v][w]   = Σ_k narrow[v][k]·m[k][w] (+ bias[w])
 *   contract  narrow[v][k] = Σ_w wide[v][w]·m[k][w]   (+ bias[k])
 *   outer     m[k][w]      = Σ_v narrow[v][k]·wide[v][w]. */
enum {
  NARROW = 4,
  LANES = 8,   /* partial sums of a contraction: added pairwise at the end */
  CHUNK = 2048 /* voxels per task: fixed, so that sums do not depend on threads */
};

typedef struct job {
  int64_t voxels, k, w;
  float *narrow, *wide;
  const float *bias;
  float *m;       /* [k][w] */
  float *partial; /* outer: [chunk][k][w] */
} job;

static bool narrow_is_input(const hl_convolution *c) {
  return c->in <= c->out;
}

bool hl_pointwise_takes(const hl_convolution *c) {
  if (c->dtype != HL_F32 || (c->in > NARROW && c->out > NARROW)) return false;
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
  int64_t matrices = c->kind == HL_CONV_GRAD_WEIGHT ? 1 + chunks_of(voxels_of(c)) : 1;
  *bytes = (size_t)(matrices * c->in * c->out) * sizeof(float);
  return HL_OK;
}

/* ---- rows of voxels; `w` is a constant where the caller makes it one ---- */

static inline void expand_rows(const job *j, int64_t begin, int64_t end, int64_t w) {
  for (int64_t v = begin; v < end; v++) {
    float *restrict row = j->wide + v * w;
    const float *restrict x = j->narrow + v * j->k;
    const float *restrict m = j->m;
    if (j->bias != NULL)
      for (int64_t c = 0; c < w; c++) row[c] = x[0] * m[c] + j->bias[c];
    else
      for (int64_t c = 0; c < w; c++) row[c] = x[0] * m[c];
    for (int64_t k = 1; k < j->k; k++)
      for (int64_t c = 0; c < w; c++) row[c] += x[k] * m[k * w + c];
  }
}

static inline float dot(const float *restrict a, const float *restrict b, int64_t n) {
  float lane[LANES] = {0}, rest = 0;
  int64_t whole = n - n % LANES;
  for (int64_t i = 0; i < whole; i += LANES)
    for (int l = 0; l < LANES; l++) lane[l] += a[i + l] * b[i + l];
  for (int64_t i = whole; i < n; i++) rest += a[i] * b[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7])) +
         rest;
}

static inline void contract_rows(const job *j, int64_t begin, int64_t end, int64_t w) {
  for (int64_t v = begin; v < end; v++)
    for (int64_t k = 0; k < j->k; k++) {
      float sum = dot(j->wide + v * w, j->m + k * w, w);
      j->narrow[v * j->k + k] = j->bias != NULL ? sum + j->bias[k] : sum;
    }
}

/* One row of the matrix. Up to 64 columns the sums live outside the workspace, where the compiler
 * may keep them in registers. */
static inline void outer_row(const job *j, int64_t k, int64_t begin, int64_t end, int64_t w,
                             float *restrict sum) {
  for (int64_t c = 0; c < w; c++) sum[c] = 0;
  for (int64_t v = begin; v < end; v++) {
    float x = j->narrow[v * j->k + k];
    const float *restrict row = j->wide + v * w;
    for (int64_t c = 0; c < w; c++) sum[c] += x * row[c];
  }
}

static inline void outer_rows(const job *j, int64_t begin, int64_t end, int64_t w) {
  enum { MOST = 64 };
  float local[MOST];
  float *partial = j->partial + begin / CHUNK * j->k * w;
  for (int64_t k = 0; k < j->k; k++) {
    float *sum = w <= MOST ? local : partial + k * w;
    outer_row(j, k, begin, end, w, sum);
    if (sum == local) memcpy(partial + k * w, local, (size_t)w * sizeof *local);
  }
}

/* The usual widths as constants, so that a row is a fixed number of vectors. */
#define FOR_WIDTH(rows)                                                                            \
  static void rows##_chunk(int64_t begin, int64_t end, void *ctx) {                                \
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
    default:                                                                                       \
      rows(j, begin, end, j->w);                                                                   \
    }                                                                                              \
  }
FOR_WIDTH(expand_rows)
FOR_WIDTH(contract_rows)
FOR_WIDTH(outer_rows)

/* weight[o][i] lies as [k][w] if the output is narrow, as [w][k] if the input is. */
static void weight_to_matrix(const job *j, const float *weight, bool transposed) {
  for (int64_t k = 0; k < j->k; k++)
    for (int64_t c = 0; c < j->w; c++)
      j->m[k * j->w + c] = weight[transposed ? c * j->k + k : k * j->w + c];
}

static void sum_partials(const job *j, float *weight, bool transposed) {
  int64_t chunks = chunks_of(j->voxels), size = j->k * j->w;
  for (int64_t i = 0; i < size; i++) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; chunk++) sum += (double)j->partial[chunk * size + i];
    weight[transposed ? i % j->w * j->k + i / j->w : i] = (float)sum;
  }
}

hl_status hl_pointwise_run(const hl_convolution *c, float *x, float *weight, float *bias, float *y,
                           void *workspace, hl_err *e) {
  (void)e;
  bool input = narrow_is_input(c);
  job j = {.voxels = voxels_of(c),
           .k = input ? c->in : c->out,
           .w = input ? c->out : c->in,
           .narrow = input ? x : y,
           .wide = input ? y : x,
           .bias = bias,
           .m = workspace};
  j.partial = j.m + j.k * j.w;
  if (c->kind == HL_CONV_GRAD_WEIGHT) {
    hl_parallel_for(j.voxels, CHUNK, outer_rows_chunk, &j);
    sum_partials(&j, weight, input);
    return HL_OK;
  }
  weight_to_matrix(&j, weight, input);
  bool expands = (c->kind == HL_CONV_FORWARD) == input;
  hl_parallel_for(j.voxels, CHUNK, expands ? expand_rows_chunk : contract_rows_chunk, &j);
  return HL_OK;
}
