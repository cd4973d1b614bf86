/* From image to image, for wide.c. */
#include "wide_products.h"

/* Stretches of the result whose sums fit the registers: `stretches` of them, each of `voxels`, of
 * which broadcasts meet three taps along x. Both are constants where this is inlined. */
INLINE void stretch_block(int stretches, int voxels, const float *const *source, int64_t in,
                          int64_t group_step, const float *u, float *const *to) {
  vec sum[BLOCK];
  const float *v[BLOCK];
#pragma GCC unroll 32
  for (int i = 0; i < stretches * voxels; i++) sum[i] = (vec){0};
#pragma GCC unroll 32
  for (int s = 0; s < stretches; s++) v[s] = source[s];
  for (int64_t left = in; left > 0; left -= LANES) {
    int64_t count = least(left, LANES);
    for (int64_t c = 0; c < count; c++, u += HL_TAPS * LANES) {
      vec w0 = load(u), w1 = load(u + LANES), w2 = load(u + 2 * LANES);
#pragma GCC unroll 32
      for (int s = 0; s < stretches; s++) {
#pragma GCC unroll 32
        for (int x = 0; x < voxels + 2; x++) {
          vec b = broadcast(v[s] + c + x * LANES, 1);
          if (x < voxels) sum[s * voxels + x] += w0 * b;
          if (x > 0 && x <= voxels) sum[s * voxels + x - 1] += w1 * b;
          if (x > 1) sum[s * voxels + x - 2] += w2 * b;
        }
      }
    }
#pragma GCC unroll 32
    for (int s = 0; s < stretches; s++) v[s] += group_step;
  }
#pragma GCC unroll 32
  for (int s = 0; s < stretches; s++)
#pragma GCC unroll 32
    for (int x = 0; x < voxels; x++) store(to[s] + x * LANES, sum[s * voxels + x]);
}

enum { MOST_STRETCHES = HL_WIDE_MOST_VOXELS / 4 };

/* All stretches of some rows at one point; none is left alone if that can be. */
static void convolve_stretches(const hl_wide_job *j, const float *const *source, float *const *to,
                               int64_t count, const float *u) {
  int64_t step = j->point_row / j->groups, i = 0;
#define TAKE(N, VOXELS)                                                                            \
  if ((N) * (VOXELS) <= BLOCK)                                                                     \
    for (; count - i >= (N) && ((N) == 2 || count - i != (N) + 1); i += (N))                       \
      stretch_block((N) * (VOXELS) <= BLOCK ? (N) : 1, VOXELS, source + i, j->in, step, u, to + i);
#define LAST(VOXELS)                                                                               \
  for (; i < count; i++) stretch_block(1, VOXELS, source + i, j->in, step, u, to + i);
  if (j->stretch == 8) {
    TAKE(3, 8)
    TAKE(2, 8)
    LAST(8)
  } else {
    TAKE(6, 4)
    TAKE(4, 4)
    TAKE(2, 4)
    LAST(4)
  }
#undef TAKE
#undef LAST
}

/* Products of `voxels` at six points of y to rows of the result, at one point of z. */
static void gather_lines(const float *product, float *to, int64_t voxels) {
  enum { STEP = HL_WIDE_MOST_VOXELS * LANES };
  for (int64_t x = 0; x < voxels; x++) {
    vec m[HL_SEEN], y[HL_TILE];
    for (int k = 0; k < HL_SEEN; k++) m[k] = load(product + k * STEP + x * LANES);
    gather_vec(m, y);
    for (int k = 0; k < HL_TILE; k++) store(to + k * STEP + x * LANES, y[k]);
  }
}

/* A vector of the result, from number `at` of the image on. */
INLINE void put(const hl_wide_job *j, vec v, int64_t at, int64_t count) {
  float *whole = (float *)j->result + at, all[LANES];
  uint16_t *rounded = (uint16_t *)j->result + at;
  if (count == LANES && j->half) {
    store_half(rounded, j->add ? v + load_image(rounded, 0, true) : v);
    return;
  }
  if (count == LANES) {
    store(whole, j->add ? v + load(whole) : v);
    return;
  }
  store(all, v);
  for (int64_t i = 0; i < count && j->half; i++)
    rounded[i] = hl_bf16_round(j->add ? all[i] + hl_bf16_widen(rounded[i]) : all[i]);
  for (int64_t i = 0; i < count && !j->half; i++) whole[i] = j->add ? all[i] + whole[i] : all[i];
}

/* A row of tiles of a block of channels. */
INLINE void finish_tiles(int way, const hl_wide_job *j, const float *gathered, place p,
                         int64_t block) {
  enum { STEP = HL_WIDE_MOST_VOXELS * LANES };
  int64_t count = least(LANES, j->out - block * LANES),
          slices = least(tile_of(way), j->to[0] - p.z);
  int64_t slice = j->to[1] * j->to[2] * j->out;
  vec bias = {0};
  if (j->bias != NULL) bias = load_some((const char *)(j->bias + block * LANES), count, false);
  for (int64_t k = 0; k < least(HL_TILE, j->to[1] - p.y); k++, gathered += STEP) {
    int64_t line = ((p.n * j->to[0] + p.z) * j->to[1] + p.y + k) * j->to[2];
    for (int64_t x = 0; x < j->to[2]; x++) {
      vec m[HL_SEEN], y[HL_TILE];
      for (int z = 0; z < points_of(way); z++)
        m[z] = load(gathered + z * HL_TILE * STEP + x * LANES);
      gather_slices(way, m, y);
      for (int z = 0; z < tile_of(way); z++)
        if (z < slices) put(j, y[z] + bias, (line + x) * j->out + block * LANES + z * slice, count);
    }
  }
}

static void wide_convolve(const hl_wide_job *j, int64_t first, int64_t begin, int64_t end,
                          int64_t block) {
  enum { STEP = HL_WIDE_MOST_VOXELS * LANES };
  float product[HL_SEEN * STEP], gathered[HL_SEEN * HL_TILE * STEP];
  const float *source[MOST_STRETCHES], *u = j->weight + block * j->weight_block;
  float *to[MOST_STRETCHES];
  int64_t count = 0, voxels = (end - begin) * j->voxels;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < j->voxels; x += j->stretch, count++) {
      source[count] = j->point + row * j->point_row + x * LANES;
      to[count] = product + count * j->stretch * LANES;
    }
  for (int64_t z = 0; z < j->points; z++) {
    for (int y = 0; y < HL_SEEN; y++, u += j->weight_step) {
      convolve_stretches(j, source, to, count, u);
      for (int64_t i = 0; i < count; i++) source[i] += j->point_step;
      for (int64_t i = 0; i < count; i++) to[i] += y < HL_SEEN - 1 ? STEP : -STEP * (HL_SEEN - 1);
    }
    gather_lines(product, gathered + z * HL_TILE * STEP, voxels);
  }
  for (int64_t row = begin; row < end; row++) {
    const float *from = gathered + (row - begin) * j->voxels * LANES;
    place p = place_of(j, first + row);
    if (j->way == HL_WIDE_FOUR)
      finish_tiles(HL_WIDE_FOUR, j, from, p, block);
    else if (j->way == HL_WIDE_TWO)
      finish_tiles(HL_WIDE_TWO, j, from, p, block);
    else
      finish_tiles(HL_WIDE_ONE, j, from, p, block);
  }
}
