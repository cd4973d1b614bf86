/* What the kernels behind winograd.c share, for vectors of LANES numbers. Included by one file for
 * each set of instructions, which defines LANES.
 *
 * A group is one tile along z, a few along y, a stretch of voxels along x. Its source is taken to
 * the points of z and y; then, one point of z after the other, multiplied (directly along x) and
 * taken back along y; at the end back along z. With few channels all that stays in the first-level
 * cache. Transforms are sums of whole rows. */
#ifndef HILUM_CPU_WINOGRAD_KERNEL_H
#define HILUM_CPU_WINOGRAD_KERNEL_H

#include "winograd_job.h"

#include <hilum/bf16.h>

#include <string.h>
#if LANES == 16
#include <immintrin.h>
#endif

/* Vectors are passed only between functions that are inlined: how does not matter. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

#define REPEAT4(a) a, a, a, a
#define REPEAT8(a) REPEAT4(a), REPEAT4(a)
#define REPEAT16(a) REPEAT8(a), REPEAT8(a)
#if LANES == 16
#define REPEAT REPEAT16
#define REPEAT_PAIR REPEAT8
#elif LANES == 8
#define REPEAT REPEAT8
#define REPEAT_PAIR REPEAT4
#else
#define REPEAT REPEAT4
#endif

INLINE vec load(const float *p) {
  vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void store(float *p, vec v) {
  memcpy(p, &v, sizeof v);
}

/* bf16 is the upper half of an f32. */
typedef uint16_t halves __attribute__((vector_size(LANES * sizeof(uint16_t))));
typedef uint32_t words __attribute__((vector_size(LANES * sizeof(uint32_t))));

/* Numbers i … of a row of an image. `half` is a constant where this is inlined. */
INLINE vec load_image(const void *row, int64_t i, bool half) {
  halves narrow;
  vec v;
  if (!half) return load((const float *)row + i);
  memcpy(&narrow, (const uint16_t *)row + i, sizeof narrow);
  words wide = __builtin_convertvector(narrow, words) << 16;
  memcpy(&v, &wide, sizeof v);
  return v;
}
INLINE float number_of_image(const void *row, int64_t i, bool half) {
  return half ? hl_bf16_widen(((const uint16_t *)row)[i]) : ((const float *)row)[i];
}

/* Rounded as hl_bf16_round does. */
INLINE void store_half(uint16_t *p, vec v) {
  words w;
  memcpy(&w, &v, sizeof w);
  words nan = (words)(v != v), kept = (w >> 16) | 0x40;
  words rounded = (w + 0x7fff + ((w >> 16) & 1)) >> 16;
  halves narrow = __builtin_convertvector((nan & kept) | (~nan & rounded), halves);
  memcpy(p, &narrow, sizeof narrow);
}

/* `split` neighbouring numbers, over and over. */
INLINE vec broadcast(const float *p, int split) {
  vec v;
#if LANES >= 8
  typedef double pairs __attribute__((vector_size(LANES * sizeof(float))));
  double pair;
  if (split == 2) {
    memcpy(&pair, p, sizeof pair);
    pairs all = {REPEAT_PAIR(pair)};
    memcpy(&v, &all, sizeof v);
    return v;
  }
#endif
#if LANES >= 16
  if (split == 4) {
    /* The compiler's own shuffle is loaded and spread in five steps. */
    __m512 all = _mm512_broadcast_f32x4(_mm_loadu_ps(p));
    memcpy(&v, &all, sizeof v);
    return v;
  }
#endif
  (void)split;
  v = (vec){REPEAT(*p)};
  return v;
}

/* ---- transforms, for vectors and for single numbers ---- */

#define P1 ((float)HL_WINOGRAD_P)
#define Q1 ((float)HL_WINOGRAD_Q)
#define P2 ((float)(HL_WINOGRAD_P * HL_WINOGRAD_P))
#define Q2 ((float)(HL_WINOGRAD_Q * HL_WINOGRAD_Q))
#define P3 ((float)(HL_WINOGRAD_P * HL_WINOGRAD_P * HL_WINOGRAD_P))
#define Q3 ((float)(HL_WINOGRAD_Q * HL_WINOGRAD_Q * HL_WINOGRAD_Q))
#define P2_Q2 ((float)(HL_WINOGRAD_P * HL_WINOGRAD_P + HL_WINOGRAD_Q * HL_WINOGRAD_Q))

/* Bᵀ: six numbers of the source to their values at the six points; p²q² = 1. */
#define SPREAD(T)                                                                                  \
  INLINE void spread_##T(const T d[HL_SEEN], T v[HL_SEEN]) {                                       \
    T even_p = d[4] - d[2] * Q2, odd_p = d[3] - d[1] * Q2;                                         \
    T even_q = d[4] - d[2] * P2, odd_q = d[3] - d[1] * P2;                                         \
    v[0] = d[0] + d[4] - d[2] * P2_Q2;                                                             \
    v[1] = even_p + odd_p * P1;                                                                    \
    v[2] = even_p - odd_p * P1;                                                                    \
    v[3] = even_q + odd_q * Q1;                                                                    \
    v[4] = even_q - odd_q * Q1;                                                                    \
    v[5] = d[1] + d[5] - d[3] * P2_Q2;                                                             \
  }
SPREAD(vec)
SPREAD(float)

/* ---- a group ---- */

/* Where a group lies, and its share of scratch. */
typedef struct group {
  const hl_winograd_job *j;
  int64_t n, z, y, x, width, tiles; /* of the result: its first voxel, voxels along x, tiles */
  float *point;                     /* [6 of z][6 of y][tiles]: the source at the points */
  float *product;  /* [6 of y][tiles]: products at one point of z; or the other image
                    * at all 36 points */
  float *gathered; /* [6 of z][4·tiles]: transformed back along y */
  float *plain;    /* rows as they come, filled up */
  float *nothing;  /* a row of zeros */
  float *biases;   /* a row of them */
} group;

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static group group_at(const hl_winograd_job *j, int64_t number, float *scratch) {
  group g = {.j = j};
  g.x = number % j->groups[2] * j->width;
  number /= j->groups[2];
  g.y = number % j->groups[1] * j->tiles * HL_TILE;
  number /= j->groups[1];
  g.z = number % j->groups[0] * HL_TILE;
  g.n = number / j->groups[0];
  g.width = least(j->width, j->to[2] - g.x);
  g.tiles = least(j->tiles, (j->to[1] - g.y + HL_TILE - 1) / HL_TILE);
  /* Whole vectors begin where the image begins in a row of the source. */
  int64_t before = most(0, j->padding[2] - g.x) * j->in_filled;
  g.point = scratch + (LANES - before % LANES) % LANES;
  g.product = scratch + LANES + HL_SEEN * HL_SEEN * j->tiles * j->spread_row;
  g.gathered = g.product + HL_SEEN * j->tiles * j->gathered_row;
  g.plain = g.product + HL_SEEN * HL_SEEN * j->tiles * j->gathered_row;
  int64_t row = most(j->spread_row, j->gathered_row);
  g.nothing = g.plain + HL_SEEN * HL_SEEN * row;
  g.biases = g.nothing + row;
  memset(g.nothing, 0, (size_t)row * sizeof(float));
  return g;
}

/* Copies voxels between rows of `has` and of `filled` channels; what is missing becomes zero. */
static void refill(const float *from, int64_t has, float *to, int64_t filled, int64_t voxels) {
  int64_t both = least(has, filled);
  for (int64_t v = 0; v < voxels; v++, from += has, to += filled) {
    for (int64_t c = 0; c < both; c++) to[c] = from[c];
    for (int64_t c = both; c < filled; c++) to[c] = 0;
  }
}

/* `count` rows along z from (z, y, x) on: in the image, or filled up in `plain`, or zeros where
 * there is no such row. */
static void find_rows(const group *g, const void *image, const int64_t size[3], int64_t channels,
                      int64_t filled, const int64_t at[3], int64_t voxels, int count, float *plain,
                      const void **rows) {
  int64_t row = most(g->j->spread_row, g->j->gathered_row);
  for (int k = 0; k < count; k++) {
    int64_t z = at[0] + k;
    rows[k] = g->nothing;
    if (z < 0 || z >= size[0] || at[1] < 0 || at[1] >= size[1]) continue;
    int64_t line = ((g->n * size[0] + z) * size[1] + at[1]) * size[2] + at[2];
    size_t number = g->j->half ? sizeof(uint16_t) : sizeof(float);
    rows[k] = (const char *)image + (size_t)(line * channels) * number;
    if (channels == filled) continue;
    refill(rows[k], channels, plain + k * row, filled, voxels);
    rows[k] = plain + k * row;
  }
}

enum { MEAN, FACTOR, OFFSET, NUMBERS_OF_READING };

/* How the source is read where it is normalised and activated on the way. */
typedef struct reading {
  float repeated[NUMBERS_OF_READING][LANES]; /* of fewer channels than lanes */
  const float *at[NUMBERS_OF_READING];       /* of the channels, as many as `period` */
  int64_t period;                            /* at least LANES */
  float slope, present[HL_SEEN][HL_SEEN];    /* 0 for rows (y, z) outside the image, else 1 */
} reading;

static void start_reading(const group *g, reading *r) {
  const hl_winograd_job *j = g->j;
  const float *const of_image[] = {j->mean, j->factor, j->offset};
  r->period = most(j->in, LANES);
  r->slope = j->slope;
  for (int k = 0; k < NUMBERS_OF_READING; k++) {
    r->at[k] = of_image[k] + g->n * j->in;
    if (j->in >= LANES) continue;
    for (int i = 0; i < LANES; i++) r->repeated[k][i] = r->at[k][i % j->in];
    r->at[k] = r->repeated[k];
  }
}

/* The larger of two numbers each; NaN if b is. */
INLINE vec larger(vec a, vec b) {
#if LANES == 16
  return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#else
  vec c;
  for (int i = 0; i < LANES; i++) c[i] = a[i] > b[i] ? a[i] : b[i];
  return c;
#endif
}

INLINE float larger_number(float a, float b) {
  return a > b ? a : b;
}

/* Outside the image there are zeros, not activated ones. */
INLINE vec read_vec(const reading *r, vec x, const vec of[NUMBERS_OF_READING], int y, int z) {
  vec u = (x - of[MEAN]) * of[FACTOR] + of[OFFSET];
  return larger(u * r->slope, u) * r->present[y][z];
}
INLINE float read_float(const reading *r, float x, int64_t at, int y, int z) {
  float u = (x - r->at[MEAN][at]) * r->at[FACTOR][at] + r->at[OFFSET][at];
  return larger_number(u * r->slope, u) * r->present[y][z];
}

/* n numbers of 6 rows (y) of 6 (z) to the 36 points of both; rows of the result are `step` apart.
 * The last two are constants where this is inlined. */
INLINE void spread_tile(const void *from[HL_SEEN][HL_SEEN], float *to, int64_t step, int64_t n,
                        const reading *r, bool half_image, bool reads) {
  int64_t i = 0, at = 0;
  for (; n - i >= LANES; i += LANES) {
    vec half[HL_SEEN][HL_SEEN], of[NUMBERS_OF_READING];
    for (int k = 0; k < NUMBERS_OF_READING && reads; k++) of[k] = load(r->at[k] + at);
    if (reads) at = at + LANES < r->period ? at + LANES : 0;
    for (int y = 0; y < HL_SEEN; y++) {
      vec d[HL_SEEN], v[HL_SEEN];
      for (int z = 0; z < HL_SEEN; z++) d[z] = load_image(from[y][z], i, half_image);
      for (int z = 0; z < HL_SEEN && reads; z++) d[z] = read_vec(r, d[z], of, y, z);
      spread_vec(d, v);
      for (int z = 0; z < HL_SEEN; z++) half[z][y] = v[z];
    }
    float *point = to + i;
    for (int z = 0; z < HL_SEEN; z++) {
      vec v[HL_SEEN];
      spread_vec(half[z], v);
      for (int y = 0; y < HL_SEEN; y++, point += step) store(point, v[y]);
    }
  }
  for (; i < n; i++, at++) {
    float half[HL_SEEN][HL_SEEN];
    for (int y = 0; y < HL_SEEN; y++) {
      float d[HL_SEEN], v[HL_SEEN];
      for (int z = 0; z < HL_SEEN; z++) d[z] = number_of_image(from[y][z], i, half_image);
      for (int z = 0; z < HL_SEEN && reads; z++) d[z] = read_float(r, d[z], at, y, z);
      spread_float(d, v);
      for (int z = 0; z < HL_SEEN; z++) half[z][y] = v[z];
    }
    for (int z = 0; z < HL_SEEN; z++) {
      float v[HL_SEEN];
      spread_float(half[z], v);
      for (int y = 0; y < HL_SEEN; y++) to[(z * HL_SEEN + y) * step + i] = v[y];
    }
  }
}

#define SPREAD_TILE(NAME, HALF, READS)                                                             \
  static void spread_##NAME(const void *from[HL_SEEN][HL_SEEN], float *to, int64_t step,           \
                            int64_t n, const reading *r) {                                         \
    spread_tile(from, to, step, n, r, HALF, READS);                                                \
  }
SPREAD_TILE(whole, false, false)
SPREAD_TILE(half, true, false)
SPREAD_TILE(read, false, true)

/* The source of a group at the points of z and y, with zeros around the image. */
static void spread(const group *g) {
  const hl_winograd_job *j = g->j;
  int64_t channels = j->in_filled, voxels = g->width + 2, step = g->tiles * j->spread_row;
  int64_t x = g->x - j->padding[2], first = most(0, -x), last = least(voxels, j->from[2] - x);
  int64_t row = most(j->spread_row, j->gathered_row);
  bool reads = j->mean != NULL;
  reading r;
  if (reads) start_reading(g, &r);
  if (last < first) last = first;
  for (int64_t t = 0; t < g->tiles; t++) {
    const void *from[HL_SEEN][HL_SEEN];
    float *to = g->point + t * j->spread_row;
    for (int k = 0; k < HL_SEEN; k++) {
      const int64_t at[3] = {g->z - j->padding[0], g->y + t * HL_TILE + k - j->padding[1],
                             x + first};
      find_rows(g, j->source, j->from, j->in, channels, at, last - first, HL_SEEN,
                g->plain + k * HL_SEEN * row, from[k]);
      for (int z = 0; z < HL_SEEN; z++) r.present[k][z] = from[k][z] != (void *)g->nothing;
    }
    for (int k = 0; k < HL_SEEN * HL_SEEN; k++) {
      memset(to + k * step, 0, (size_t)(first * channels) * sizeof *to);
      memset(to + k * step + last * channels, 0, (size_t)((voxels - last) * channels) * sizeof *to);
    }
    (j->half ? spread_half
     : reads ? spread_read
             : spread_whole)(from, to + first * channels, step, (last - first) * channels, &r);
  }
}

#endif
