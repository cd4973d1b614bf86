/* Weights to the points of z and y: lanes are channels of the result, which lie far apart, so
 * squares of numbers are turned over in registers. */
#include "winograd_kernel.h"

enum { ALL_TAPS = HL_TAPS * HL_TAPS * HL_TAPS, UNITS_STAGED = 8 };

/* LANES rows of a square become its columns: rows are interleaved with those half a square below,
 * until each number has moved all the way. */
INLINE void turn_over(vec v[LANES]) {
  for (int step = 1; step < LANES; step *= 2) {
    vec w[LANES];
#pragma GCC unroll 16
    for (int i = 0; i < LANES / 2; i++) {
      vec a = v[i], b = v[i + LANES / 2];
#if LANES == 16
      w[2 * i] =
          __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      w[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                             30, 15, 31);
#elif LANES == 8
      w[2 * i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
      w[2 * i + 1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
      w[2 * i] = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      w[2 * i + 1] = __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
    }
    memcpy(v, w, sizeof w);
  }
}

/* n ≥ LANES numbers of LANES rows, `stride` apart, to n vectors. */
static void columns_of(const float *from, int64_t stride, int64_t n, float *to) {
  for (int64_t at = 0; at < n; at += LANES) {
    int64_t i = least(at, n - LANES); /* the last square reaches back */
    vec v[LANES];
    for (int64_t l = 0; l < LANES; l++) v[l] = load(from + l * stride + i);
    turn_over(v);
    for (int64_t l = 0; l < LANES; l++) store(to + (i + l) * LANES, v[l]);
  }
}

/* The taps of one lane after the other, where lanes are not channels or too few. */
static void pick_taps(const hl_winograd_weights *w, int64_t block, int64_t unit, float *to) {
  for (int64_t lane = 0; lane < LANES; lane++) {
    int64_t out = (block * LANES + lane) / w->split, in = unit * w->split + lane % w->split;
    int64_t pair = w->back ? in * w->out + out : out * w->in + in;
    bool there = out < w->out && in < w->in;
    for (int k = 0; k < ALL_TAPS; k++)
      to[k * LANES + lane] = there ? w->plain[pair * ALL_TAPS + k] : 0;
  }
}

/* Taps of `count` units from `unit` on: [units][taps][lanes]. */
static void stage_taps(const hl_winograd_weights *w, int64_t block, int64_t unit, int64_t count,
                       float *to) {
  enum { STEP = ALL_TAPS * LANES };
  if (w->split > 1 || (block + 1) * LANES > w->out) {
    for (int64_t i = 0; i < count; i++) pick_taps(w, block, unit + i, to + i * STEP);
    return;
  }
  if (!w->back) {
    columns_of(w->plain + (block * LANES * w->in + unit) * ALL_TAPS, w->in * ALL_TAPS,
               count * ALL_TAPS, to);
    return;
  }
  for (int64_t i = 0; i < count; i++)
    columns_of(w->plain + ((unit + i) * w->out + block * LANES) * ALL_TAPS, ALL_TAPS, ALL_TAPS,
               to + i * STEP);
}

/* G: three taps to the six points. */
INLINE void weigh(vec g0, vec g1, vec g2, vec u[HL_SEEN]) {
  const float p = 1 / (2 * P2 * (P2 - Q2)), q = 1 / (2 * Q2 * (Q2 - P2));
  vec even_p = (g0 + g2 * P2) * p, odd_p = g1 * (P1 * p);
  vec even_q = (g0 + g2 * Q2) * q, odd_q = g1 * (Q1 * q);
  u[0] = g0;
  u[1] = even_p + odd_p;
  u[2] = even_p - odd_p;
  u[3] = even_q + odd_q;
  u[4] = even_q - odd_q;
  u[5] = g2;
}

/* One unit at one position of the kernel along x; points are `step` apart. */
INLINE void spread_taps(const float *taps, int x, bool back, float *to, int64_t step) {
  vec half[HL_TAPS][HL_SEEN];
  for (int y = 0; y < HL_TAPS; y++) {
    vec g[HL_TAPS];
    for (int z = 0; z < HL_TAPS; z++) {
      int k = (z * HL_TAPS + y) * HL_TAPS + x;
      g[z] = load(taps + (back ? ALL_TAPS - 1 - k : k) * LANES);
    }
    weigh(g[0], g[1], g[2], half[y]);
  }
  for (int z = 0; z < HL_SEEN; z++) {
    vec u[HL_SEEN];
    weigh(half[0][z], half[1][z], half[2][z], u);
    for (int y = 0; y < HL_SEEN; y++, to += step) store(to, u[y]);
  }
}

static void spread_weights(const hl_winograd_weights *w, int64_t block, int64_t begin,
                           int64_t end) {
  int64_t step = w->blocks * w->units * HL_TAPS * LANES;
  float taps[UNITS_STAGED * ALL_TAPS * LANES];
  for (int64_t first = begin; first < end; first += UNITS_STAGED) {
    int64_t count = least(UNITS_STAGED, end - first);
    stage_taps(w, block, first, count, taps);
    for (int64_t i = 0; i < count; i++)
      for (int x = 0; x < HL_TAPS; x++)
        spread_taps(taps + i * ALL_TAPS * LANES, x, w->back,
                    w->spread + ((block * w->units + first + i) * HL_TAPS + x) * LANES, step);
  }
}
