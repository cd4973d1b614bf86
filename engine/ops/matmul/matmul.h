#ifndef HILUM_OPS_MATMUL_H
#define HILUM_OPS_MATMUL_H

#include <hilum/op.h>

typedef struct hl_matmul_attrs {
  bool transpose_a, transpose_b;
} hl_matmul_attrs;

/* The products of a call, of its row-major operands: for each index of `batch`
 * y[i, j] = sum over l < k of a[i·a_row + l·a_column] · b[l·b_row + j·b_column]. */
typedef struct hl_product {
  hl_shape batch;
  int64_t a_batch[HL_MAX_RANK], b_batch[HL_MAX_RANK]; /* strides of the operands under batch */
  int64_t m, k, n, a_row, a_column, b_row, b_column;
} hl_product;

void hl_product_of(const hl_call *c, hl_product *p);

#endif
