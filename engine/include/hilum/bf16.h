/* bf16, the upper half of an f32: its range, and 8 bits of precision (a rounding changes a number
 * by at most 2^-8 of it). Numbers are stored so and computed in f32. */
#ifndef HILUM_BF16_H
#define HILUM_BF16_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef union hl_f32_bits {
  uint32_t u;
  float f;
} hl_f32_bits;

static inline float hl_bf16_widen(uint16_t bits) {
  hl_f32_bits wide;
  wide.u = (uint32_t)bits << 16;
  return wide.f;
}

/* To nearest, ties to even; NaN stays NaN. */
static inline uint16_t hl_bf16_round(float f) {
  hl_f32_bits bits;
  bits.f = f;
  uint32_t u = bits.u, nearest = (u + 0x7FFFU + (u >> 16 & 1U)) >> 16, nan = u >> 16 | 0x40U;
  return (uint16_t)((u & 0x7FFFFFFFU) > 0x7F800000U ? nan : nearest);
}

static inline void hl_bf16_widen_all(float *to, const uint16_t *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = hl_bf16_widen(from[i]);
}

static inline void hl_bf16_round_all(uint16_t *to, const float *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = hl_bf16_round(from[i]);
}

#ifdef __cplusplus
}
#endif
#endif
