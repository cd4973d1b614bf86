/* Walking an output in the order of its memory while its operands are repeated or lie in another
 * order. Private to the kernels of engine/ops.
 *
 * Axes are put in the order of the output's memory and neighbours are merged where every operand
 * allows it, so that equal dense tensors become one long axis. */
#ifndef HILUM_OPS_STRIDED_H
#define HILUM_OPS_STRIDED_H

#include "kernel.h"

#define HL_BLOCK                                                                                   \
  1024 /* elements handled at a time: operands that need it are unrolled to a buffer */

enum { HL_OPERANDS = 3 };

typedef struct hl_walk {
  int rank, operands;
  int64_t numel;
  int64_t size[HL_MAX_RANK];
  int64_t stride[HL_OPERANDS][HL_MAX_RANK]; /* per operand: 0 where it is repeated */
  /* Element i of an operand is its element i mod period; numel if it has none. */
  int64_t period[HL_OPERANDS];
  int64_t block; /* at most HL_BLOCK; a multiple of every period that is not above HL_BLOCK */
} hl_walk;

/* Every operand broadcasts to `out`. */
void hl_walk_make(hl_walk *w, const hl_desc *out, int operands, const hl_desc *const *operand);

/* An operand of which a stretch can be had as contiguous numbers. One per thread. */
typedef struct hl_reader {
  const hl_walk *walk;
  const float *data;
  int operand;
  bool dense, repeats;
  float buffer[HL_BLOCK];
} hl_reader;

void hl_reader_open(hl_reader *r, const hl_walk *w, int operand, const float *data);

/* Elements [begin, begin + n) of the operand as the output sees them, n ≤ w->block. If the operand
 * repeats within a block, begin must be a multiple of w->block. Valid until the next call. */
const float *hl_reader_get(hl_reader *r, int64_t begin, int64_t n);

/* The same written to `to`, any n. */
void hl_walk_fill(const hl_walk *w, int operand, const float *data, int64_t begin, int64_t n,
                  float *to);
/* The same from narrow numbers of type t. */
void hl_walk_fill_narrow(const hl_walk *w, int operand, hl_dtype t, const void *data, int64_t begin,
                         int64_t n, float *to);

/* y = f(a, b) over n contiguous elements; y may be a or b. */
typedef void (*hl_combine)(const float *a, const float *b, float *y, int64_t n);
/* The f32 kernel of an op of two operands that broadcast to its output. */
void hl_pairs_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, hl_combine f);

/* Axes of a dense tensor in the order of its memory, slowest first. */
void hl_memory_order(const hl_desc *d, int order[HL_MAX_RANK]);

#endif
