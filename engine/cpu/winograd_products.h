/* Products of two images, for the gradient of the weights: the transpose of the way from weights to
 * result. Included after UNITS is defined, the units of the source whose sums fit the registers. */
#include "winograd_kernel.h"

/* A: four numbers of a gradient to their values at the six points. */
#define EXPAND(T)                                                                                  \
  INLINE void expand_##T(const T d[HL_TILE], T v[HL_SEEN]) {                                       \
    T even_p = d[0] + d[2] * P2, odd_p = d[1] * P1 + d[3] * P3;                                    \
    T even_q = d[0] + d[2] * Q2, odd_q = d[1] * Q1 + d[3] * Q3;                                    \
    v[0] = d[0];                                                                                   \
    v[1] = even_p + odd_p;                                                                         \
    v[2] = even_p - odd_p;                                                                         \
    v[3] = even_q + odd_q;                                                                         \
    v[4] = even_q - odd_q;                                                                         \
    v[5] = d[3];                                                                                   \
  }
EXPAND(vec)
EXPAND(float)

/* n numbers of 4 rows (y) of 4 (z) to the 36 points of both; rows of the result are `step` apart.
 */
INLINE void expand_tile(const void *from[HL_TILE][HL_TILE], float *to, int64_t step, int64_t n,
                        bool half_image) {
  int64_t i = 0;
  for (; n - i >= LANES; i += LANES) {
    vec half[HL_SEEN][HL_TILE];
    for (int y = 0; y < HL_TILE; y++) {
      vec d[HL_TILE], v[HL_SEEN];
      for (int z = 0; z < HL_TILE; z++) d[z] = load_image(from[y][z], i, half_image);
      expand_vec(d, v);
      for (int z = 0; z < HL_SEEN; z++) half[z][y] = v[z];
    }
    float *at = to + i;
    for (int z = 0; z < HL_SEEN; z++) {
      vec v[HL_SEEN];
      expand_vec(half[z], v);
      for (int y = 0; y < HL_SEEN; y++, at += step) store(at, v[y]);
    }
  }
  for (; i < n; i++) {
    float half[HL_SEEN][HL_TILE];
    for (int y = 0; y < HL_TILE; y++) {
      float d[HL_TILE], v[HL_SEEN];
      for (int z = 0; z < HL_TILE; z++) d[z] = number_of_image(from[y][z], i, half_image);
      expand_float(d, v);
      for (int z = 0; z < HL_SEEN; z++) half[z][y] = v[z];
    }
    for (int z = 0; z < HL_SEEN; z++) {
      float v[HL_SEEN];
      expand_float(half[z], v);
      for (int y = 0; y < HL_SEEN; y++) to[(z * HL_SEEN + y) * step + i] = v[y];
    }
  }
}

static void expand_whole(const void *from[HL_TILE][HL_TILE], float *to, int64_t step, int64_t n) {
  expand_tile(from, to, step, n, false);
}
static void expand_half(const void *from[HL_TILE][HL_TILE], float *to, int64_t step, int64_t n) {
  expand_tile(from, to, step, n, true);
}

/* The other image of a group at the points of z and y, with two voxels of zeros behind it along x.
 */
static void expand(const group *g, float *to) {
  const hl_winograd_job *j = g->j;
  int64_t channels = j->out_filled, step = g->tiles * j->gathered_row;
  int64_t row = most(j->spread_row, j->gathered_row);
  for (int64_t t = 0; t < g->tiles; t++, to += j->gathered_row) {
    const void *from[HL_TILE][HL_TILE];
    for (int k = 0; k < HL_TILE; k++) {
      const int64_t at[3] = {g->z, g->y + t * HL_TILE + k, g->x};
      find_rows(g, j->other, j->to, j->out, channels, at, g->width, HL_TILE,
                g->plain + k * HL_TILE * row, from[k]);
    }
    for (int k = 0; k < HL_SEEN * HL_SEEN; k++)
      memset(to + k * step + g->width * channels, 0, (size_t)(2 * channels) * sizeof *to);
    if (j->half)
      expand_half(from, to, step, g->width * channels);
    else
      expand_whole(from, to, step, g->width * channels);
  }
}

/* LANES / split channels, each in `split` lanes. */
INLINE vec load_channels(const float *p, int split) {
  vec v = load(p);
#if LANES == 16
  if (split == 2)
    return __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  if (split == 4)
    return __builtin_shufflevector(v, v, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
#elif LANES == 8
  if (split == 2) return __builtin_shufflevector(v, v, 0, 0, 1, 1, 2, 2, 3, 3);
#endif
  (void)split;
  return v;
}

/* Where rows of a group at one point are, and what they are multiplied into. */
typedef struct lines {
  const float *source, *other;
  int64_t source_row, other_row, tiles, source_step, other_step, voxels;
} lines;

/* sum [units][3][lanes] += products: each broadcast of the source meets three voxels of the other
 * image. `units` and `split` are constants where this is inlined. */
INLINE void product_block(int units, int split, const lines *l, int64_t unit, float *sum) {
  vec s[HL_TAPS * UNITS];
#pragma GCC unroll 32
  for (int i = 0; i < HL_TAPS * units; i++) s[i] = load(sum + i * LANES);
  for (int64_t t = 0; t < l->tiles; t++) {
    const float *v = l->source + t * l->source_row + unit * split;
    const float *e = l->other + t * l->other_row;
    vec e0 = {0}, e1 = {0};
    for (int64_t x = 0; x < l->voxels + 2; x++, v += l->source_step, e += l->other_step) {
      vec e2 = e1;
      e1 = e0;
      e0 = load_channels(e, split);
#pragma GCC unroll 32
      for (int i = 0; i < units; i++) {
        vec b = broadcast(v + i * split, split);
        s[HL_TAPS * i] += b * e0;
        s[HL_TAPS * i + 1] += b * e1;
        s[HL_TAPS * i + 2] += b * e2;
      }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < HL_TAPS * units; i++) store(sum + i * LANES, s[i]);
}

INLINE void products(int split, const lines *l, int64_t units, float *sum) {
  int64_t i = 0;
  for (; units - i >= UNITS; i += UNITS)
    product_block(UNITS, split, l, i, sum + i * HL_TAPS * LANES);
#if UNITS > 4
  for (; units - i >= 4; i += 4) product_block(4, split, l, i, sum + i * HL_TAPS * LANES);
#endif
  for (; i < units; i++) product_block(1, split, l, i, sum + i * HL_TAPS * LANES);
}

static void products_1(const lines *l, int64_t units, float *sum) {
  products(1, l, units, sum);
}
#if LANES >= 8
static void products_2(const lines *l, int64_t units, float *sum) {
  products(2, l, units, sum);
}
#endif
#if LANES >= 16
static void products_4(const lines *l, int64_t units, float *sum) {
  products(4, l, units, sum);
}
#endif

static void multiply(const hl_winograd_job *j, int64_t number, float *scratch, float *sum) {
  group g = group_at(j, number, scratch);
  spread(&g);
  expand(&g, g.product);
  int64_t block = j->units * HL_TAPS * LANES, width = LANES / j->split;
  for (int64_t f = 0; f < HL_SEEN * HL_SEEN; f++)
    for (int64_t b = 0; b < j->blocks; b++, sum += block) {
      const lines l = {.source = g.point + f * g.tiles * j->spread_row,
                       .other = g.product + f * g.tiles * j->gathered_row + b * width,
                       .source_row = j->spread_row,
                       .other_row = j->gathered_row,
                       .tiles = g.tiles,
                       .source_step = j->in_filled,
                       .other_step = j->out_filled,
                       .voxels = g.width};
#if LANES >= 16
      if (j->split == 4) {
        products_4(&l, j->units, sum);
        continue;
      }
#endif
#if LANES >= 8
      if (j->split == 2) {
        products_2(&l, j->units, sum);
        continue;
      }
#endif
      products_1(&l, j->units, sum);
    }
}
