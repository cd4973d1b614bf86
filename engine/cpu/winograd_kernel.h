/* The kernels behind winograd.c, for vectors of LANES numbers. Included by one file for each set of
 * instructions, which defines LANES and BLOCK, the voxels whose sums fit the registers.
 *
 * A group is one tile along z, a few along y, a stretch of voxels along x. Its source is taken to
 * the points of z and y; then, one point of z after the other, multiplied (directly along x) and
 * taken back along y; at the end back along z. With few channels all that stays in the first-level
 * cache. Transforms are sums of whole rows. */
#include "winograd_job.h"

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
/* Aᵀ: products at the six points to four results. */
#define GATHER(T)                                                                                  \
  INLINE void gather_##T(const T m[HL_SEEN], T y[HL_TILE]) {                                       \
    T sum_p = m[1] + m[2], less_p = m[1] - m[2];                                                   \
    T sum_q = m[3] + m[4], less_q = m[3] - m[4];                                                   \
    y[0] = m[0] + sum_p + sum_q;                                                                   \
    y[1] = less_p * P1 + less_q * Q1;                                                              \
    y[2] = sum_p * P2 + sum_q * Q2;                                                                \
    y[3] = m[5] + less_p * P3 + less_q * Q3;                                                       \
  }
SPREAD(vec)
SPREAD(float)
GATHER(vec)
GATHER(float)

/* One of the transforms on rows of n numbers. */
#define ROWS(NAME, FROM, TO)                                                                       \
  static void NAME##_rows(const float *const from[FROM], float *const to[TO], int64_t n) {         \
    int64_t i = 0;                                                                                 \
    for (; n - i >= LANES; i += LANES) {                                                           \
      vec a[FROM], b[TO];                                                                          \
      for (int k = 0; k < FROM; k++) a[k] = load(from[k] + i);                                     \
      NAME##_vec(a, b);                                                                            \
      for (int k = 0; k < TO; k++) store(to[k] + i, b[k]);                                         \
    }                                                                                              \
    for (; i < n; i++) {                                                                           \
      float a[FROM], b[TO];                                                                        \
      for (int k = 0; k < FROM; k++) a[k] = from[k][i];                                            \
      NAME##_float(a, b);                                                                          \
      for (int k = 0; k < TO; k++) to[k][i] = b[k];                                                \
    }                                                                                              \
  }
ROWS(gather, HL_SEEN, HL_TILE)

/* ---- a group ---- */

/* Where a group lies, and its share of scratch. */
typedef struct group {
  const hl_winograd_job *j;
  int64_t n, z, y, x, width, tiles; /* of the result: its first voxel, voxels along x, tiles */
  float *point;                     /* [6 of z][6 of y][tiles]: the source at the points */
  float *product;                   /* [6 of y][tiles]: products at one point of z */
  float *gathered;                  /* [6 of z][4·tiles]: transformed back along y */
  float *plain;                     /* rows as they come, filled up */
  float *nothing;                   /* a row of zeros */
  float *biases;                    /* a row of them */
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
  g.plain = g.gathered + HL_SEEN * j->tiles * HL_TILE * j->gathered_row;
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
static void find_rows(const group *g, const float *image, const int64_t size[3], int64_t channels,
                      int64_t filled, const int64_t at[3], int64_t voxels, int count, float *plain,
                      const float **rows) {
  int64_t row = most(g->j->spread_row, g->j->gathered_row);
  for (int k = 0; k < count; k++) {
    int64_t z = at[0] + k;
    rows[k] = g->nothing;
    if (z < 0 || z >= size[0] || at[1] < 0 || at[1] >= size[1]) continue;
    rows[k] = image + (((g->n * size[0] + z) * size[1] + at[1]) * size[2] + at[2]) * channels;
    if (channels == filled) continue;
    refill(rows[k], channels, plain + k * row, filled, voxels);
    rows[k] = plain + k * row;
  }
}

/* n numbers of 6 rows (y) of 6 (z) to the 36 points of both; rows of the result are `step` apart.
 */
static void spread_tile(const float *from[HL_SEEN][HL_SEEN], float *to, int64_t step, int64_t n) {
  int64_t i = 0;
  for (; n - i >= LANES; i += LANES) {
    vec half[HL_SEEN][HL_SEEN];
    for (int y = 0; y < HL_SEEN; y++) {
      vec d[HL_SEEN], v[HL_SEEN];
      for (int z = 0; z < HL_SEEN; z++) d[z] = load(from[y][z] + i);
      spread_vec(d, v);
      for (int z = 0; z < HL_SEEN; z++) half[z][y] = v[z];
    }
    float *at = to + i;
    for (int z = 0; z < HL_SEEN; z++) {
      vec v[HL_SEEN];
      spread_vec(half[z], v);
      for (int y = 0; y < HL_SEEN; y++, at += step) store(at, v[y]);
    }
  }
  for (; i < n; i++) {
    float half[HL_SEEN][HL_SEEN];
    for (int y = 0; y < HL_SEEN; y++) {
      float d[HL_SEEN], v[HL_SEEN];
      for (int z = 0; z < HL_SEEN; z++) d[z] = from[y][z][i];
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

/* The source of a group at the points of z and y, with zeros around the image. */
static void spread(const group *g) {
  const hl_winograd_job *j = g->j;
  int64_t channels = j->in_filled, voxels = g->width + 2, step = g->tiles * j->spread_row;
  int64_t x = g->x - j->padding[2], first = most(0, -x), last = least(voxels, j->from[2] - x);
  int64_t row = most(j->spread_row, j->gathered_row);
  if (last < first) last = first;
  for (int64_t t = 0; t < g->tiles; t++) {
    const float *from[HL_SEEN][HL_SEEN];
    float *to = g->point + t * j->spread_row;
    for (int k = 0; k < HL_SEEN; k++) {
      const int64_t at[3] = {g->z - j->padding[0], g->y + t * HL_TILE + k - j->padding[1],
                             x + first};
      find_rows(g, j->source, j->from, j->in, channels, at, last - first, HL_SEEN,
                g->plain + k * HL_SEEN * row, from[k]);
    }
    for (int k = 0; k < HL_SEEN * HL_SEEN; k++) {
      memset(to + k * step, 0, (size_t)(first * channels) * sizeof *to);
      memset(to + k * step + last * channels, 0, (size_t)((voxels - last) * channels) * sizeof *to);
    }
    spread_tile(from, to + first * channels, step, (last - first) * channels);
  }
}

/* ---- products along x ---- */

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

/* Sums of `split` neighbouring lanes: LANES / split numbers. */
INLINE void store_sums(float *to, vec v, int split) {
  for (int i = 0; i < LANES / split; i++) {
    float sum = v[i * split];
    for (int k = 1; k < split; k++) sum += v[i * split + k];
    to[i] = sum;
  }
}

#if LANES >= 8
/* Of two vectors: as many numbers as lanes. */
INLINE vec add_pairs(vec a, vec b) {
#if LANES == 16
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#else
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#endif
}
#endif

/* `voxels` results: each broadcast meets the three taps along x. All but v, u, units, m, step are
 * constants where this is inlined. */
INLINE void row_block(int voxels, int split, int64_t channels, const float *v, const float *u,
                      int64_t units, float *m, int64_t step) {
  vec sum[BLOCK];
#pragma GCC unroll 32
  for (int x = 0; x < voxels; x++) sum[x] = (vec){0};
  for (int64_t k = 0; k < units; k++, u += HL_TAPS * LANES, v += split) {
    vec w0 = load(u), w1 = load(u + LANES), w2 = load(u + 2 * LANES);
#pragma GCC unroll 32
    for (int x = 0; x < voxels + 2; x++) {
      vec b = broadcast(v + x * channels, split);
      if (x < voxels) sum[x] += w0 * b;
      if (x > 0 && x <= voxels) sum[x - 1] += w1 * b;
      if (x > 1) sum[x - 2] += w2 * b;
    }
  }
#if LANES >= 8
  if (split == 2 && voxels % 2 == 0) {
#pragma GCC unroll 32
    for (int x = 0; x < voxels; x += 2) store(m + x * step, add_pairs(sum[x], sum[x + 1]));
    return;
  }
  if (split == 4 && voxels % 4 == 0) {
#pragma GCC unroll 32
    for (int x = 0; x < voxels; x += 4)
      store(m + x * step,
            add_pairs(add_pairs(sum[x], sum[x + 1]), add_pairs(sum[x + 2], sum[x + 3])));
    return;
  }
#endif
#pragma GCC unroll 32
  for (int x = 0; x < voxels; x++) {
    if (split == 1)
      store(m + x * step, sum[x]);
    else
      store_sums(m + x * step, sum[x], split);
  }
}

/* A whole row; `channels` is a constant where the distance of voxels is a common one. */
INLINE void row(int split, int64_t channels, const float *v, const float *u, int64_t units,
                float *m, int64_t step, int64_t voxels) {
  int64_t x = 0;
#define STRETCH(N)                                                                                 \
  for (; (N) <= BLOCK && voxels - x >= (N); x += (N))                                              \
    row_block((N) <= BLOCK ? (N) : 1, split, channels, v + x * channels, u, units, m + x * step,   \
              step);
  STRETCH(BLOCK)
  STRETCH(16)
  STRETCH(8)
  STRETCH(4)
  STRETCH(1)
#undef STRETCH
}

#define ROW(SPLIT, CHANNELS)                                                                       \
  static void row_##SPLIT##_##CHANNELS(int64_t channels, const float *v, const float *u,           \
                                       int64_t units, float *m, int64_t step, int64_t voxels) {    \
    (void)channels;                                                                                \
    row(SPLIT, CHANNELS, v, u, units, m, step, voxels);                                            \
  }
typedef void row_kernel(int64_t channels, const float *v, const float *u, int64_t units, float *m,
                        int64_t step, int64_t voxels);
#define EVERY(SPLIT)                                                                               \
  ROW(SPLIT, 4)                                                                                    \
  ROW(SPLIT, 8)                                                                                    \
  ROW(SPLIT, 16)                                                                                   \
  ROW(SPLIT, 32)                                                                                   \
  ROW(SPLIT, 64)                                                                                   \
  ROW(SPLIT, 128)                                                                                  \
  static void row_##SPLIT(int64_t channels, const float *v, const float *u, int64_t units,         \
                          float *m, int64_t step, int64_t voxels) {                                \
    int64_t x = 0;                                                                                 \
    for (; voxels - x >= 8; x += 8)                                                                \
      row_block(8, SPLIT, channels, v + x * channels, u, units, m + x * step, step);               \
    for (; x < voxels; x++)                                                                        \
      row_block(1, SPLIT, channels, v + x * channels, u, units, m + x * step, step);               \
  }                                                                                                \
  static row_kernel *choose_##SPLIT(int64_t channels) {                                            \
    switch (channels) {                                                                            \
    case 4:                                                                                        \
      return row_##SPLIT##_4;                                                                      \
    case 8:                                                                                        \
      return row_##SPLIT##_8;                                                                      \
    case 16:                                                                                       \
      return row_##SPLIT##_16;                                                                     \
    case 32:                                                                                       \
      return row_##SPLIT##_32;                                                                     \
    case 64:                                                                                       \
      return row_##SPLIT##_64;                                                                     \
    case 128:                                                                                      \
      return row_##SPLIT##_128;                                                                    \
    default:                                                                                       \
      return row_##SPLIT;                                                                          \
    }                                                                                              \
  }
EVERY(1)
#if LANES >= 8
EVERY(2)
#endif
#if LANES >= 16
EVERY(4)
#endif

static row_kernel *choose(const hl_winograd_job *j) {
#if LANES >= 8
  if (j->split == 2) return choose_2(j->in_filled);
#endif
#if LANES >= 16
  if (j->split == 4) return choose_4(j->in_filled);
#endif
  return choose_1(j->in_filled);
}

static void convolve_rows(const group *g, int64_t zf, row_kernel *kernel) {
  const hl_winograd_job *j = g->j;
  int64_t block = j->units * HL_TAPS * LANES, width = LANES / j->split;
  for (int64_t yf = 0; yf < HL_SEEN; yf++)
    for (int64_t b = 0; b < j->blocks; b++) {
      int64_t f = zf * HL_SEEN + yf;
      const float *u = j->weight + (f * j->blocks + b) * block;
      for (int64_t t = 0; t < g->tiles; t++)
        kernel(j->in_filled, g->point + (f * g->tiles + t) * j->spread_row, u, j->units,
               g->product + (yf * g->tiles + t) * j->gathered_row + b * width, j->out_filled,
               g->width);
    }
}

/* ---- back ---- */

static void gather_along_y(const group *g, int64_t zf) {
  const hl_winograd_job *j = g->j;
  int64_t n = (g->width * j->out_filled + LANES - 1) / LANES * LANES;
  for (int64_t t = 0; t < g->tiles; t++) {
    const float *from[HL_SEEN];
    float *to[HL_TILE];
    for (int k = 0; k < HL_SEEN; k++) from[k] = g->product + (k * g->tiles + t) * j->gathered_row;
    for (int k = 0; k < HL_TILE; k++)
      to[k] = g->gathered + ((zf * g->tiles + t) * HL_TILE + k) * j->gathered_row;
    gather_rows(from, to, n);
  }
}

/* n numbers of a result: with the bias, added to what is there if wanted. */
static void finish_row(float *to, const float *from, const float *bias, bool add, int64_t n) {
  int64_t i = 0;
  for (; n - i >= LANES; i += LANES) {
    vec v = load(from + i);
    if (bias != NULL) v += load(bias + i);
    if (add) v += load(to + i);
    store(to + i, v);
  }
  for (; i < n; i++) {
    float v = from[i];
    if (bias != NULL) v += bias[i];
    to[i] = add ? to[i] + v : v;
  }
}

static void finish(const group *g, const float *from, float *to) {
  const hl_winograd_job *j = g->j;
  const float *bias = j->bias != NULL ? g->biases : NULL;
  if (j->out == j->out_filled) {
    finish_row(to, from, bias, j->add, g->width * j->out);
    return;
  }
  for (int64_t x = 0; x < g->width; x++)
    finish_row(to + x * j->out, from + x * j->out_filled, bias, j->add, j->out);
}

static void gather_along_z(const group *g) {
  const hl_winograd_job *j = g->j;
  bool straight = j->out == j->out_filled && j->bias == NULL && !j->add;
  int64_t row = most(j->spread_row, j->gathered_row), count = least(HL_TILE, j->to[0] - g->z);
  int64_t rows = least(g->tiles * HL_TILE, j->to[1] - g->y);
  for (int64_t x = 0; j->bias != NULL && x < g->width; x++)
    memcpy(g->biases + x * j->out, j->bias, (size_t)j->out * sizeof(float));
  for (int64_t r = 0; r < rows; r++) {
    const float *from[HL_SEEN];
    float *to[HL_TILE], *end[HL_TILE] = {0};
    for (int k = 0; k < HL_SEEN; k++)
      from[k] = g->gathered + (k * g->tiles * HL_TILE + r) * j->gathered_row;
    for (int k = 0; k < HL_TILE; k++) {
      int64_t z = g->z + k, line = ((g->n * j->to[0] + z) * j->to[1] + g->y + r) * j->to[2] + g->x;
      to[k] = g->plain + k * row;
      if (k < count) end[k] = j->result + line * j->out;
      if (k < count && straight) to[k] = end[k];
    }
    gather_rows(from, to, g->width * j->out_filled);
    for (int64_t k = 0; k < count && !straight; k++) finish(g, to[k], end[k]);
  }
}

static void convolve(const hl_winograd_job *j, int64_t number, float *scratch) {
  group g = group_at(j, number, scratch);
  row_kernel *kernel = choose(j);
  spread(&g);
  for (int64_t zf = 0; zf < HL_SEEN; zf++) {
    convolve_rows(&g, zf, kernel);
    gather_along_y(&g, zf);
  }
  gather_along_z(&g);
}
