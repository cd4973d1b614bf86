/* What f32 kernels share. Private to engine/ops.
 *
 * Inner loops are plain C with constant trip counts or contiguous rows, written for the compiler's
 * vectoriser. Where a kernel may work in place its loops carry HL_INDEPENDENT instead of
 * `restrict`: element i is read before it is written and no other element depends on it. */
#ifndef HILUM_OPS_KERNEL_H
#define HILUM_OPS_KERNEL_H

#include <hilum/op.h>
#include <hilum/parallel.h>

/* Blocks of a kernel that are compiled once per constant argument. */
#define HL_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define HL_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define HL_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Elements per chunk of an elementwise kernel: 64 KiB per operand, so that operands stay in the
 * second-level cache and a chunk outweighs its scheduling. */
#define HL_GRAIN 16384

/* a·b + c, fused where the processor can: said here and not left to the compiler's contraction. */
HL_INLINE float hl_madd(float a, float b, float c) {
#ifdef __FP_FAST_FMAF
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/* For hl_kernel.takes_bf16: always. */
static inline bool hl_always_bf16(const hl_call *c) {
  (void)c;
  return true;
}

static inline int64_t hl_ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

static inline int64_t hl_max_i64(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static inline int64_t hl_min_i64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

#endif
