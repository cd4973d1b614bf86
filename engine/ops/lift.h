/* Orthogonal matrices applied to fixed-point numbers so that they can be undone bit for bit:
 * lifting (Sweldens 1996), with the factors of Hao and Shi 2001 (IEEE Trans. Signal Processing 49,
 * 2314).
 *
 * A matrix of determinant ±1 is P L U S R: permutations P and R, a unit lower and a unit upper
 * triangle, and a unit matrix whose last row alone is different. Each row of a factor adds a sum
 * over *other* numbers to one number; rounded to a whole step, it can be taken away again exactly.
 * The result is that of the matrix within a few steps. Matrices that are not orthogonal, or whose
 * factors are so large that they would raise the rounding, are applied as they are and rounded
 * once: not exactly invertible.
 *
 * Private to the kernels of engine/ops. */
#ifndef HILUM_OPS_LIFT_H
#define HILUM_OPS_LIFT_H

#include "kernel.h"

enum {
  HL_LIFT_LANES = 128, /* vectors handled together */
  HL_LIFT_MOST = 128   /* rows of a matrix */
};

typedef struct hl_lift {
  int64_t n;
  const float *factors; /* L below the diagonal, U above, then S's last row; or the matrix itself */
  /* Number k of a vector is row from[k] of a block before, number k of the product row to[k] after;
   * on the way back it is the other way round. */
  const int32_t *from, *to;
  bool exact;
  bool negative; /* the last number changes its sign between U and L */
} hl_lift;

/* The factors of `count` matrices of n rows of n numbers, at most HL_LIFT_MOST, in memory of so
 * many bytes, a multiple of 64. The same matrix gives the same factors. */
size_t hl_lift_bytes(int64_t count, int64_t n);
const hl_lift *hl_lift_make(const float *q, int64_t count, int64_t n, void *memory);

/* Room for a block of up to HL_LIFT_LANES vectors: rows[i * HL_LIFT_LANES + v] is a number of
 * vector v, a whole one. */
typedef struct hl_lift_block {
  float *rows;
  int vectors; /* registers' full of lanes in which there is something */
} hl_lift_block;

size_t hl_lift_block_bytes(int64_t rows);
hl_lift_block hl_lift_block_at(void *memory, int64_t rows);
/* For n vectors. */
void hl_lift_block_of(hl_lift_block *b, int64_t n);
/* The block that begins with row `first`. */
hl_lift_block hl_lift_block_from(const hl_lift_block *b, int64_t first);

/* Applies the matrix, or its inverse, the transpose. */
void hl_lift_there(const hl_lift *l, const hl_lift_block *b);
void hl_lift_back(const hl_lift *l, const hl_lift_block *b);

/* `channels` neighbouring channels of n voxels that lie `step` apart to rows row[0], row[1], …, and
 * back. Numbers that leave the range are cut off and counted (hilum/narrow.h). */
void hl_lift_load(const hl_lift_block *b, const int32_t *row, const int16_t *from, int64_t step,
                  int64_t channels, int64_t n);
void hl_lift_store(const hl_lift_block *b, const int32_t *row, int16_t *to, int64_t step,
                   int64_t channels, int64_t n);

#endif
