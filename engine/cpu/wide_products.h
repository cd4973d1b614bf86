/* Gradients of weights, for wide.c: sums of products of two images at the points, taken back to
 * taps at once, while they are in the first-level cache. */
#include "wide_points.h"

/* Voxel i of a row of the other image, zeros beyond it. */
INLINE vec other_voxel(const hl_wide_job *j, const float *row, int64_t i) {
  return i >= 0 && i < j->to[2] ? load(row + i * LANES) : (vec){0};
}

/* At one point, over all rows: sum [units][3][lanes]. Each broadcast of the source meets three
 * voxels of the other image. */
static void sum_products(const hl_wide_job *j, const float *source, const float *other,
                         int64_t rows, float *sum) {
  int64_t from = j->from[2], ahead = j->padding[2], inside = most(0, least(from, j->to[2] - ahead));
  vec s[UNITS * HL_TAPS];
#pragma GCC unroll 32
  for (int i = 0; i < UNITS * HL_TAPS; i++) s[i] = (vec){0};
  for (int64_t r = 0; r < rows; r++) {
    const float *v = source + r * j->point_row, *e = other + r * j->other_row;
    vec e0 = other_voxel(j, e, ahead - 1), e1 = other_voxel(j, e, ahead - 2), e2;
    e += ahead * LANES;
#define STEP(NEXT)                                                                                 \
  e2 = e1, e1 = e0, e0 = NEXT;                                                                     \
  _Pragma("GCC unroll 32") for (int i = 0; i < UNITS; i++) {                                       \
    vec b = broadcast(v + i, 1);                                                                   \
    s[HL_TAPS * i] += b * e0;                                                                      \
    s[HL_TAPS * i + 1] += b * e1;                                                                  \
    s[HL_TAPS * i + 2] += b * e2;                                                                  \
  }
    int64_t x = 0;
    for (; x < inside; x++, v += LANES, e += LANES) {
      STEP(load(e))
    }
    for (; x < from; x++, v += LANES) {
      STEP((vec){0})
    }
#undef STEP
  }
#pragma GCC unroll 32
  for (int i = 0; i < UNITS * HL_TAPS; i++) store(sum + i * LANES, s[i]);
}

/* The transpose of `weigh`: sums at six points of y to three taps. */
INLINE void unweigh(const vec m[HL_SEEN], vec h[HL_TAPS]) {
  const float p = 1 / (2 * P2 * (P2 - Q2)), q = 1 / (2 * Q2 * (Q2 - P2));
  vec sum_p = (m[1] + m[2]) * p, less_p = (m[1] - m[2]) * (P1 * p);
  vec sum_q = (m[3] + m[4]) * q, less_q = (m[3] - m[4]) * (Q1 * q);
  h[0] = m[0] + sum_p + sum_q;
  h[1] = less_p + less_q;
  h[2] = m[5] + sum_p * P2 + sum_q * Q2;
}

/* Sums at one point of z, [6 of y][units][3][lanes], to the taps [units][27][lanes]. */
static void gather_sums(const float *sum, const float weighed_by[HL_TAPS], float *taps) {
  enum { STEP = UNITS * HL_TAPS * LANES, PLANE = HL_TAPS * HL_TAPS * LANES };
  for (int unit = 0; unit < UNITS; unit++, taps += ALL_TAPS * LANES)
    for (int x = 0; x < HL_TAPS; x++, sum += LANES) {
      vec m[HL_SEEN], h[HL_TAPS];
      for (int y = 0; y < HL_SEEN; y++) m[y] = load(sum + y * STEP);
      unweigh(m, h);
      for (int z = 0; z < HL_TAPS; z++) {
        if (weighed_by[z] == 0) continue;
        float *to = taps + z * PLANE + x * LANES;
        for (int y = 0; y < HL_TAPS; y++, to += HL_TAPS * LANES)
          store(to, load(to) + h[y] * weighed_by[z]);
      }
    }
}

/* n ≥ LANES vectors to LANES rows, `stride` apart. */
static void rows_of(const float *from, int64_t n, float *to, int64_t stride) {
  for (int64_t at = 0; at < n; at += LANES) {
    int64_t i = least(at, n - LANES); /* the last square reaches back */
    vec v[LANES];
    for (int64_t l = 0; l < LANES; l++) v[l] = load(from + (i + l) * LANES);
    turn_over(v);
    for (int64_t l = 0; l < LANES; l++) store(to + l * stride + i, v[l]);
  }
}

static void write_taps(const hl_wide_job *j, int64_t block, int64_t unit, const float *taps) {
  int64_t n = least(UNITS, j->in - unit) * ALL_TAPS, stride = j->in * ALL_TAPS;
  int64_t lanes = least(LANES, j->out - block * LANES);
  float *to = j->gradient + block * LANES * stride + unit * ALL_TAPS;
  if (lanes == LANES) {
    rows_of(taps, n, to, stride);
    return;
  }
  for (int64_t l = 0; l < lanes; l++)
    for (int64_t i = 0; i < n; i++) to[l * stride + i] = taps[i * LANES + l];
}

static void wide_multiply(const hl_wide_job *j, int64_t rows, int64_t task, bool begins,
                          bool ends) {
  enum { TAPS_OF_TASK = UNITS * ALL_TAPS * LANES };
  int64_t each = (j->in + UNITS - 1) / UNITS, block = task / each, unit = task % each * UNITS;
  float sum[HL_SEEN][UNITS * HL_TAPS * LANES], *taps = j->sums + task * TAPS_OF_TASK;
  const float *v = j->point + unit / LANES * j->from[2] * LANES + unit % LANES;
  const float *e = j->expanded + block * j->to[2] * LANES;
  if (begins) memset(taps, 0, TAPS_OF_TASK * sizeof *taps);
  for (int64_t z = 0; z < j->points; z++) {
    for (int64_t y = 0; y < HL_SEEN; y++, v += j->point_step, e += j->other_step)
      sum_products(j, v, e, rows, sum[y]);
    gather_sums(sum[0], weighed[j->way][z], taps);
  }
  if (ends) write_taps(j, block, unit, taps);
}
