/* From image to image: winograd_kernel.h's groups multiplied with the weights. Included after BLOCK
 * is defined, the voxels whose sums fit the registers. */
#include "winograd_kernel.h"

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
GATHER(vec)
GATHER(float)

/* The same on rows of n numbers. */
static void gather_rows(const float *const from[HL_SEEN], float *const to[HL_TILE], int64_t n) {
  int64_t i = 0;
  for (; n - i >= LANES; i += LANES) {
    vec a[HL_SEEN], b[HL_TILE];
    for (int k = 0; k < HL_SEEN; k++) a[k] = load(from[k] + i);
    gather_vec(a, b);
    for (int k = 0; k < HL_TILE; k++) store(to[k] + i, b[k]);
  }
  for (; i < n; i++) {
    float a[HL_SEEN], b[HL_TILE];
    for (int k = 0; k < HL_SEEN; k++) a[k] = from[k][i];
    gather_float(a, b);
    for (int k = 0; k < HL_TILE; k++) to[k][i] = b[k];
  }
}

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

static void finish_half(uint16_t *to, const float *from, const float *bias, bool add, int64_t n) {
  int64_t i = 0;
  for (; n - i >= LANES; i += LANES) {
    vec v = load(from + i);
    if (bias != NULL) v += load(bias + i);
    if (add) v += load_image(to, i, true);
    store_half(to + i, v);
  }
  for (; i < n; i++) {
    float v = from[i];
    if (bias != NULL) v += bias[i];
    to[i] = hl_bf16_round(add ? hl_bf16_widen(to[i]) + v : v);
  }
}

/* A row of the result, from number `at` of the image on. */
static void finish(const group *g, const float *from, int64_t at) {
  const hl_winograd_job *j = g->j;
  const float *bias = j->bias != NULL ? g->biases : NULL;
  float *to = j->half ? NULL : (float *)j->result + at;
  if (j->half) {
    finish_half((uint16_t *)j->result + at, from, bias, j->add, g->width * j->out);
    return;
  }
  if (j->out == j->out_filled) {
    finish_row(to, from, bias, j->add, g->width * j->out);
    return;
  }
  for (int64_t x = 0; x < g->width; x++)
    finish_row(to + x * j->out, from + x * j->out_filled, bias, j->add, j->out);
}

/* Adds n numbers of `count` rows and their squares to the moments: those of neighbouring rows in
 * f32, from there on in f64. A moment is that of a channel or, where lanes are more than channels,
 * of a lane. */
static void add_moments(float *const rows[HL_TILE], int64_t count, int64_t n, int64_t all,
                        double *moments) {
  typedef double wide __attribute__((vector_size(LANES * sizeof(double))));
  int64_t i = 0;
  for (int64_t c = 0; c < all; c += LANES) {
    wide total, square;
    memcpy(&total, moments + c, sizeof total);
    memcpy(&square, moments + all + c, sizeof square);
    for (i = c; n - i >= LANES; i += all) {
      vec sum = {0}, squares = {0};
      for (int64_t k = 0; k < count; k++) {
        vec v = load(rows[k] + i);
        sum += v;
        squares += v * v;
      }
      total += __builtin_convertvector(sum, wide);
      square += __builtin_convertvector(squares, wide);
    }
    memcpy(moments + c, &total, sizeof total);
    memcpy(moments + all + c, &square, sizeof square);
  }
  for (int64_t lane = 0; all == LANES && i < n; i++, lane++)
    for (int64_t k = 0; k < count; k++) {
      double v = (double)rows[k][i];
      moments[lane] += v;
      moments[all + lane] += v * v;
    }
}

static void gather_along_z(const group *g, double *moments) {
  const hl_winograd_job *j = g->j;
  bool straight = j->out == j->out_filled && j->bias == NULL && !j->add && !j->half;
  int64_t row = most(j->spread_row, j->gathered_row), count = least(HL_TILE, j->to[0] - g->z);
  int64_t rows = least(g->tiles * HL_TILE, j->to[1] - g->y);
  for (int64_t x = 0; j->bias != NULL && x < g->width; x++)
    memcpy(g->biases + x * j->out, j->bias, (size_t)j->out * sizeof(float));
  for (int64_t r = 0; r < rows; r++) {
    const float *from[HL_SEEN];
    float *to[HL_TILE];
    int64_t at[HL_TILE];
    for (int k = 0; k < HL_SEEN; k++)
      from[k] = g->gathered + (k * g->tiles * HL_TILE + r) * j->gathered_row;
    for (int k = 0; k < HL_TILE; k++) {
      int64_t z = g->z + k, line = ((g->n * j->to[0] + z) * j->to[1] + g->y + r) * j->to[2] + g->x;
      at[k] = line * j->out;
      to[k] = k < count && straight ? (float *)j->result + at[k] : g->plain + k * row;
    }
    gather_rows(from, to, g->width * j->out_filled);
    if (moments != NULL)
      add_moments(to, count, g->width * j->out_filled, hl_winograd_moments(j) / 2, moments);
    for (int64_t k = 0; k < count && !straight; k++) finish(g, to[k], at[k]);
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
  gather_along_z(
      &g, j->moments == NULL ? NULL : j->moments + number / j->groups[2] * hl_winograd_moments(j));
}
