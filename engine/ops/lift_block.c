/* Blocks of vectors, to which the factors of a matrix are applied, and how they come from images of
 * fixed-point numbers and go back. */
#include "lift.h"

#include "lanes.h"

#include <hilum/narrow.h>

enum { ROW = HL_LIFT_LANES, TILE = 8, HALF = TILE / 2, LARGEST = 32767 };
enum { TOGETHER = 4, FEW = 2 }; /* rows and vectors of a product in registers */

size_t hl_lift_block_bytes(int64_t rows) {
  return (size_t)(rows * ROW) * sizeof(float);
}

hl_lift_block hl_lift_block_at(void *memory, int64_t rows) {
  (void)rows; /* one area of so many */
  return (hl_lift_block){memory, ROW / HL_LANES};
}

void hl_lift_block_of(hl_lift_block *b, int64_t n) {
  b->vectors = (int)hl_ceil_div(n, HL_LANES);
}

hl_lift_block hl_lift_block_from(const hl_lift_block *b, int64_t first) {
  return (hl_lift_block){b->rows + first * ROW, b->vectors};
}

/* ---- factors ---- */

/* 1.5 * 2^23: what is added to it is rounded to a whole number. */
#define MAGIC 12582912.0F
#define MOST_STEPS 4194303.0F

/* The nearest whole numbers, below 2^22. A row is added to at most twice, so that all its numbers
 * stay below 2^24: what is added and taken away in f32 is exact. */
HL_INLINE lanes_full whole(lanes_full x) {
  return within_full(x, -MOST_STEPS, MOST_STEPS) + MAGIC - MAGIC;
}

/* sum = Σ factor[j · step] · row j, j from `first` to `last` − 1. */
HL_INLINE void sum_rows(const int vectors, const float *rows, int64_t first, int64_t last,
                        const float *factor, int64_t step, lanes_full *sum) {
  HL_UNROLL for (int i = 0; i < vectors; i++) sum[i] = (lanes_full){0};
  for (int64_t j = first; j < last; j++) {
    float f = factor[j * step];
    HL_UNROLL for (int i = 0; i < vectors; i++) sum[i] +=
        f * load_full(rows + j * ROW + i * HL_LANES);
  }
}

/* Adds to `row`, or takes away, the whole number next to a sum over other rows. Not inlined: there
 * and back must be the same instructions. */
#define ADD_ROWS(N)                                                                                \
  __attribute__((noinline)) static void add_rows_##N(float *row, const float *rows, int64_t first, \
                                                     int64_t last, const float *factor,            \
                                                     float sign) {                                 \
    lanes_full sum[N];                                                                             \
    sum_rows(N, rows, first, last, factor, 1, sum);                                                \
    HL_UNROLL for (int i = 0; i < (N); i++)                                                        \
        store_full(row + i * HL_LANES, load_full(row + i * HL_LANES) + sign * whole(sum[i]));      \
  }
ADD_ROWS(8)
ADD_ROWS(4)
ADD_ROWS(2)
ADD_ROWS(1)

static void add_rows(const hl_lift_block *b, int64_t i, int64_t first, int64_t last,
                     const float *factor, float sign) {
  if (first >= last) return;
  float *row = b->rows + i * ROW;
  const float *rows = b->rows;
  int left = b->vectors;
  for (; left >= 8; left -= 8, row += 8 * HL_LANES, rows += 8 * HL_LANES)
    add_rows_8(row, rows, first, last, factor, sign);
  for (; left >= 4; left -= 4, row += 4 * HL_LANES, rows += 4 * HL_LANES)
    add_rows_4(row, rows, first, last, factor, sign);
  for (; left >= 2; left -= 2, row += 2 * HL_LANES, rows += 2 * HL_LANES)
    add_rows_2(row, rows, first, last, factor, sign);
  if (left > 0) add_rows_1(row, rows, first, last, factor, sign);
}

static void negate(const hl_lift_block *b, int64_t i) {
  for (int64_t v = i * ROW; v < (i + 1) * ROW; v++) b->rows[v] = -b->rows[v];
}

/* `count` rows of a product with the matrix, or with its transpose, rounded once, for `vectors`. */
HL_INLINE void multiply_rows(const int count, const int vectors, const float *rows, int64_t n,
                             const float *factor, bool transposed, float *made) {
  int64_t next = transposed ? 1 : n, step = transposed ? n : 1;
  lanes_full sum[TOGETHER * FEW];
  HL_UNROLL for (int i = 0; i < count * vectors; i++) sum[i] = (lanes_full){0};
  for (int64_t j = 0; j < n; j++)
    HL_UNROLL for (int i = 0; i < count * vectors; i++) sum[i] +=
        factor[j * step + i / vectors * next] * load_full(rows + j * ROW + i % vectors * HL_LANES);
  HL_UNROLL for (int i = 0; i < count * vectors; i++)
      store_full(made + (i / vectors * FEW + i % vectors) * HL_LANES, whole(sum[i]));
}

HL_INLINE void multiply_some(const int vectors, const hl_lift *l, float *rows, bool transposed) {
  float made[HL_LIFT_MOST * FEW * HL_LANES];
  int64_t n = l->n, step = transposed ? 1 : n, i = 0;
  for (; i + TOGETHER <= n; i += TOGETHER)
    multiply_rows(TOGETHER, vectors, rows, n, l->factors + i * step, transposed,
                  made + i * FEW * HL_LANES);
  for (; i < n; i++)
    multiply_rows(1, vectors, rows, n, l->factors + i * step, transposed,
                  made + i * FEW * HL_LANES);
  for (i = 0; i < n; i++)
    memcpy(rows + i * ROW, made + i * FEW * HL_LANES, (size_t)vectors * sizeof(lanes_full));
}

static void multiply(const hl_lift *l, const hl_lift_block *b, bool transposed) {
  int v = 0;
  for (; v + FEW <= b->vectors; v += FEW) multiply_some(FEW, l, b->rows + v * HL_LANES, transposed);
  for (; v < b->vectors; v++) multiply_some(1, l, b->rows + v * HL_LANES, transposed);
}

void hl_lift_there(const hl_lift *l, const hl_lift_block *b) {
  int64_t n = l->n;
  const float *f = l->factors;
  if (!l->exact) {
    multiply(l, b, false);
    return;
  }
  add_rows(b, n - 1, 0, n - 1, f + n * n, 1);
  for (int64_t i = 0; i + 1 < n; i++) add_rows(b, i, i + 1, n, f + i * n, 1);
  if (l->negative) negate(b, n - 1);
  for (int64_t i = n - 1; i > 0; i--) add_rows(b, i, 0, i, f + i * n, 1);
}

void hl_lift_back(const hl_lift *l, const hl_lift_block *b) {
  int64_t n = l->n;
  const float *f = l->factors;
  if (!l->exact) {
    multiply(l, b, true);
    return;
  }
  for (int64_t i = 1; i < n; i++) add_rows(b, i, 0, i, f + i * n, -1);
  if (l->negative) negate(b, n - 1);
  for (int64_t i = n - 2; i >= 0; i--) add_rows(b, i, i + 1, n, f + i * n, -1);
  add_rows(b, n - 1, 0, n - 1, f + n * n, -1);
}

/* ---- between images and blocks: tiles of HL_LANES voxels and 8 channels ---- */

typedef int32_t ints4 __attribute__((vector_size(16)));
typedef int64_t longs2 __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(4 * HL_LANES)));

#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* In every 128 bits of two vectors: numbers 0 and 1, or 2 and 3, by turns, pairs 0 or 1 of them;
 * and vectors of 128 bits to one and back. */
#if HL_LANES == 16
#define LOW(a, b) PICK(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(a, b) PICK(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_PAIRS(a, b) PICK(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_PAIRS(a, b) PICK(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define PAIR4(x, i) PICK(x[i], x[i + 1], 0, 1, 2, 3, 4, 5, 6, 7)
#define JOIN4(x)                                                                                   \
  PICK(PAIR4(x, 0), PAIR4(x, 2), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#elif HL_LANES == 8
#define LOW(a, b) PICK(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b) PICK(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_PAIRS(a, b) PICK(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH_PAIRS(a, b) PICK(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define JOIN4(x) PICK(x[0], x[1], 0, 1, 2, 3, 4, 5, 6, 7)
#else
#define LOW(a, b) PICK(a, b, 0, 4, 1, 5)
#define HIGH(a, b) PICK(a, b, 2, 6, 3, 7)
#define LOW_PAIRS(a, b) PICK(a, b, 0, 1, 4, 5)
#define HIGH_PAIRS(a, b) PICK(a, b, 2, 3, 6, 7)
#define JOIN4(x) x[0]
#endif

/* Rows of 4x4 blocks, side by side, to columns. */
HL_INLINE void transpose(ints x[4]) {
  ints low01 = LOW(x[0], x[1]), low23 = LOW(x[2], x[3]);
  ints high01 = HIGH(x[0], x[1]), high23 = HIGH(x[2], x[3]);
  x[0] = LOW_PAIRS(low01, low23);
  x[1] = HIGH_PAIRS(low01, low23);
  x[2] = LOW_PAIRS(high01, high23);
  x[3] = HIGH_PAIRS(high01, high23);
}

HL_INLINE ints4 take_one(const int count, const int16_t *from) {
  int64_t x[2] = {0, 0};
  memcpy(&x[0], from, sizeof x[0]);
  if (count == TILE) memcpy(&x[1], from + HALF, sizeof x[1]);
  return (ints4)(longs2){x[0], x[1]};
}

/* The first `count` channels of every fourth voxel, two channels in each number; and back. */
HL_INLINE ints take(const int count, const int16_t *from, int64_t step) {
  ints4 x[HL_LANES / 4];
  HL_UNROLL for (int k = 0; k < HL_LANES / 4; k++) x[k] = take_one(count, from + 4 * k * step);
  return JOIN4(x);
}

HL_INLINE void give(const int count, ints x, int16_t *to, int64_t step) {
  HL_UNROLL for (int k = 0; k < HL_LANES / 4; k++) {
    memcpy(to + 4 * k * step, (const ints4 *)&x + k, (size_t)count * 2);
  }
}

HL_INLINE void load_tile(const int count, const hl_lift_block *b, const int32_t *row,
                         const int16_t *from, int64_t step, int64_t v) {
  ints pair[4];
  for (int i = 0; i < 4; i++) pair[i] = take(count, from + i * step, step);
  transpose(pair);
  HL_UNROLL for (int c = 0; c < count; c++) {
    ints x = c % 2 == 0 ? pair[c / 2] << 16 >> 16 : pair[c / 2] >> 16;
    store_full(b->rows + row[c] * (int64_t)ROW + v, __builtin_convertvector(x, lanes_full));
  }
}

/* Bits of *lost are set where numbers are cut off. */
HL_INLINE void store_tile(const int count, const hl_lift_block *b, const int32_t *row, int16_t *to,
                          int64_t step, int64_t v, ints *lost) {
  ints pair[4] = {{0}};
  HL_UNROLL for (int c = 0; c < count; c++) {
    lanes_full x = load_full(b->rows + row[c] * (int64_t)ROW + v);
    lanes_full kept = within_full(x, -LARGEST, LARGEST);
    *lost |= (ints)x ^ (ints)kept;
    ints steps = __builtin_convertvector(kept, ints);
    pair[c / 2] |= c % 2 == 0 ? steps & 0xFFFF : steps << 16;
  }
  transpose(pair);
  for (int i = 0; i < 4; i++) give(count, pair[i], to + i * step, step);
}

/* `count` channels of n voxels; fewer than HL_LANES voxels by way of a tile. */
HL_INLINE void load_channels(const int count, const hl_lift_block *b, const int32_t *row,
                             const int16_t *from, int64_t step, int64_t n) {
  int64_t v = 0;
  for (; v + HL_LANES <= n; v += HL_LANES) load_tile(count, b, row, from + v * step, step, v);
  if (v == n) return;
  int16_t tile[HL_LANES * TILE] = {0};
  for (int64_t i = v; i < n; i++)
    memcpy(tile + (i - v) * TILE, from + i * step, (size_t)count * sizeof *tile);
  load_tile(count, b, row, tile, TILE, v);
}

HL_INLINE void store_channels(const int count, const hl_lift_block *b, const int32_t *row,
                              int16_t *to, int64_t step, int64_t n, ints *lost) {
  int64_t v = 0;
  for (; v + HL_LANES <= n; v += HL_LANES) store_tile(count, b, row, to + v * step, step, v, lost);
  if (v == n) return;
  int16_t tile[HL_LANES * TILE];
  store_tile(count, b, row, tile, TILE, v, lost);
  for (int64_t i = v; i < n; i++)
    memcpy(to + i * step, tile + (i - v) * TILE, (size_t)count * sizeof *tile);
}

/* One channel; the lanes after the last voxel become 0. */
static void load_one(const hl_lift_block *b, int32_t row, const int16_t *from, int64_t step,
                     int64_t n) {
  float *at = b->rows + row * (int64_t)ROW;
  for (int64_t v = 0; v < n; v++) at[v] = from[v * step];
  for (int64_t v = n; v < b->vectors * HL_LANES; v++) at[v] = 0;
}

static void store_one(const hl_lift_block *b, int32_t row, int16_t *to, int64_t step, int64_t n) {
  const float *at = b->rows + row * (int64_t)ROW;
  for (int64_t v = 0; v < n; v++) {
    float low = at[v] > -LARGEST ? at[v] : -LARGEST;
    to[v * step] = (int16_t)(low < LARGEST ? low : LARGEST);
  }
}

void hl_lift_load(const hl_lift_block *b, const int32_t *row, const int16_t *from, int64_t step,
                  int64_t channels, int64_t n) {
  int64_t c = 0;
  for (; c + TILE <= channels; c += TILE) load_channels(TILE, b, row + c, from + c, step, n);
  for (; c + HALF <= channels; c += HALF) load_channels(HALF, b, row + c, from + c, step, n);
  for (; c < channels; c++) load_one(b, row[c], from + c, step, n);
}

static int64_t off(const float *row, int64_t n) {
  int64_t count = 0;
  for (int64_t v = 0; v < n; v++) count += row[v] > LARGEST || row[v] < -LARGEST;
  return count;
}

void hl_lift_store(const hl_lift_block *b, const int32_t *row, int16_t *to, int64_t step,
                   int64_t channels, int64_t n) {
  ints lost = {0};
  int64_t c = 0, cut = 0;
  for (; c + TILE <= channels; c += TILE) store_channels(TILE, b, row + c, to + c, step, n, &lost);
  for (; c + HALF <= channels; c += HALF) store_channels(HALF, b, row + c, to + c, step, n, &lost);
  int64_t tiled = c;
  int32_t any = 0;
  for (int l = 0; l < HL_LANES; l++) any |= lost[l];
  for (; c < channels; c++) store_one(b, row[c], to + c, step, n);
  for (c = any != 0 ? 0 : tiled; c < channels; c++) cut += off(b->rows + row[c] * (int64_t)ROW, n);
  hl_fixed_note_clipped(cut);
}
