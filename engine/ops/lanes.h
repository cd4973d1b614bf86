/* Short vectors of f32 for products of small matrices, which the compiler's own vectoriser does
 * not keep in registers. They are the compiler's vector types, no processor's: where registers are
 * shorter it splits them. Private to the kernels of engine/ops.
 *
 * Files that include this are compiled with -ffp-contract=fast (CMakeLists.txt): sum += a * b is
 * one fused step where the processor has it. */
#ifndef HILUM_OPS_LANES_H
#define HILUM_OPS_LANES_H

#include "kernel.h"

#include <string.h>

/* Every function here is inlined: how vectors are passed does not matter. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

/* Numbers in a register. Comparisons and shuffles of longer vectors are taken apart badly. */
#if defined(__AVX512F__)
#define HL_LANES 16
#elif defined(__AVX__)
#define HL_LANES 8
#else
#define HL_LANES 4
#endif

typedef float lanes16 __attribute__((vector_size(64)));
typedef float lanes8 __attribute__((vector_size(32)));
typedef float lanes4 __attribute__((vector_size(16)));

#define LANES(N)                                                                                   \
  HL_INLINE lanes##N load##N(const float *p) {                                                     \
    lanes##N x;                                                                                    \
    memcpy(&x, p, sizeof x);                                                                       \
    return x;                                                                                      \
  }                                                                                                \
  HL_INLINE void store##N(float *p, lanes##N x) {                                                  \
    memcpy(p, &x, sizeof x);                                                                       \
  }                                                                                                \
  /* sum[0 … N) += x */                                                                          \
  HL_INLINE void add##N(double *restrict sum, lanes##N x) {                                        \
    float each[N];                                                                                 \
    memcpy(each, &x, sizeof x);                                                                    \
    for (int i = 0; i < N; i++) sum[i] += (double)each[i];                                         \
  }
LANES(16)
LANES(8)
LANES(4)
#undef LANES

/* Rows of a 4x4 block to columns. */
HL_INLINE void transpose4(const lanes4 row[4], lanes4 column[4]) {
  lanes4 low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
  lanes4 high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
  lanes4 low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
  lanes4 high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
  column[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  column[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  column[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  column[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

#endif
