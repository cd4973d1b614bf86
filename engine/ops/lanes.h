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
#if defined(__AVX__)
#include <immintrin.h>
#endif

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

/* A register full of them. */
#if HL_LANES == 16
typedef lanes16 lanes_full;
#elif HL_LANES == 8
typedef lanes8 lanes_full;
#else
typedef lanes4 lanes_full;
#endif
HL_INLINE lanes_full load_full(const float *p) {
  lanes_full x;
  memcpy(&x, p, sizeof x);
  return x;
}
HL_INLINE void store_full(float *p, lanes_full x) {
  memcpy(p, &x, sizeof x);
}
/* sum[0 … HL_LANES) += x */
HL_INLINE void add_full(double *sum, lanes_full x) {
#if HL_LANES == 16
  typedef double doubles __attribute__((vector_size(64)));
  const lanes8 half[2] = {__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7),
                          __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)};
  for (int i = 0; i < 2; i++, sum += 8) {
    doubles all;
    memcpy(&all, sum, sizeof all);
    all += __builtin_convertvector(half[i], doubles);
    memcpy(sum, &all, sizeof all);
  }
#elif HL_LANES == 8
  add8(sum, x);
#else
  add4(sum, x);
#endif
}

/* The smaller and the larger one of each two, b where a is NaN. Compilers make one step of it only
 * when told. */
HL_INLINE lanes_full smaller_full(lanes_full a, lanes_full b) {
#if HL_LANES == 16
  return (lanes_full)_mm512_min_ps((__m512)a, (__m512)b);
#elif HL_LANES == 8
  return (lanes_full)_mm256_min_ps((__m256)a, (__m256)b);
#else
  for (int i = 0; i < HL_LANES; i++) a[i] = a[i] < b[i] ? a[i] : b[i];
  return a;
#endif
}
HL_INLINE lanes_full larger_full(lanes_full a, lanes_full b) {
#if HL_LANES == 16
  return (lanes_full)_mm512_max_ps((__m512)a, (__m512)b);
#elif HL_LANES == 8
  return (lanes_full)_mm256_max_ps((__m256)a, (__m256)b);
#else
  for (int i = 0; i < HL_LANES; i++) a[i] = a[i] > b[i] ? a[i] : b[i];
  return a;
#endif
}
HL_INLINE lanes_full within_full(lanes_full x, float low, float high) {
  const lanes_full none = {0};
  return smaller_full(larger_full(x, none + low), none + high);
}

/* Loops over registers: arrays of vectors stay in them only where the compiler unrolls at once. */
#define HL_UNROLL _Pragma("GCC unroll 32")

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
