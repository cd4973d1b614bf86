/* Functions of f32 without branches, so that loops over them vectorise. Private to engine/ops.
 *
 * Largest errors in units of the last place of the true value, found by trying every third f32
 * number against libm in f64: exp 1.1, log 0.9, sigmoid 2.5, softplus 2.5, tanh 2.5, expm1 0.9
 * (subnormal results in units of the smallest one). tests/c/test_elementwise.c watches them. The
 * tail of the normal distribution is exp(-x²/2) with x² rounded: its relative error grows to 4e-6
 * where it ends, while gelu is within 2.1e-7 of |x|.
 * Coefficients of exp and log: S. Moshier, Cephes mathematical library, single precision; the
 * others are fits of our own (Remez's exchange in 40 digits). */
#ifndef HILUM_OPS_VMATH_H
#define HILUM_OPS_VMATH_H

#include "kernel.h"

#include <math.h>
#include <string.h>

HL_INLINE float hl_f32_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

HL_INLINE uint32_t hl_bits_of_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Not further from 0 than `limit`, found on the bits: a comparison of numbers is followed into
 * branches by the compiler. NaN becomes ±limit. */
HL_INLINE float hl_within_f32(float x, float limit) {
  uint32_t bits = hl_bits_of_f32(x);
  int32_t size = (int32_t)(bits & 0x7FFFFFFFU), most = (int32_t)hl_bits_of_f32(limit);
  size = size < most ? size : most;
  return hl_f32_of_bits((uint32_t)size | (bits & 0x80000000U));
}

/* x = n ln 2 + r, |r| ≤ ln 2 / 2, for |x| ≤ 104. Returns n, leaves exp(r) - 1. */
HL_INLINE int32_t hl_exp_parts_f32(float x, float *above_one) {
  const float round =
      12582912.0F; /* 1.5·2²³: adding it leaves the nearest integer in the low bits */
  float shifted = hl_madd(x, 1.44269504088896341F, round);
  float whole = shifted - round;
  float r = hl_madd(whole, -0.693359375F, x);
  r = hl_madd(whole, 2.12194440e-4F, r);
  float p = 1.9875691500e-4F;
  p = hl_madd(p, r, 1.3981999507e-3F);
  p = hl_madd(p, r, 8.3334519073e-3F);
  p = hl_madd(p, r, 4.1665795894e-2F);
  p = hl_madd(p, r, 1.6666665459e-1F);
  p = hl_madd(p, r, 5.0000001201e-1F);
  *above_one = hl_madd(p, r * r, r);
  return (int32_t)(hl_bits_of_f32(shifted) - 0x4B400000U);
}

HL_INLINE float hl_power_of_two_f32(int32_t n) {
  return hl_f32_of_bits((uint32_t)(n + 127) << 23);
}

/* 0 and infinity from |x| = 104 on. NaN stays NaN. */
HL_INLINE float hl_exp_f32(float x) {
  float p;
  int32_t n = hl_exp_parts_f32(hl_within_f32(x, 104.0F), &p);
  /* 2^n in two factors: each is a normal number where the product need not be one. */
  int32_t half = n >> 1;
  float y = (p + 1.0F) * hl_power_of_two_f32(half) * hl_power_of_two_f32(n - half);
  return x != x ? x : y;
}

/* For x ≤ 0. NaN stays NaN. */
HL_INLINE float hl_exp_below_f32(float x) {
  float p;
  int32_t n = hl_exp_parts_f32(hl_within_f32(x, 104.0F), &p);
  float y = (p + 1.0F) * hl_power_of_two_f32(n + 24) * 5.9604644775390625e-8F; /* times 2⁻²⁴ */
  return x != x ? x : y;
}

/* exp(x) - 1 for x ≤ 0, without loss near 0. NaN stays NaN. */
HL_INLINE float hl_expm1_below_f32(float x) {
  float p;
  int32_t n = hl_exp_parts_f32(hl_within_f32(x, 25.0F), &p);
  float scale = hl_power_of_two_f32(n), y = hl_madd(scale, p, scale - 1.0F);
  return x != x ? x : y;
}

/* ln x = e ln 2 + ln m, m between sqrt(1/2) and sqrt 2. */
HL_INLINE float hl_log_f32(float x) {
  float scaled = x < 1.17549435e-38F ? x * 8388608.0F : x; /* subnormal numbers: times 2²³ */
  float shift = x < 1.17549435e-38F ? -23.0F : 0.0F;
  uint32_t bits = hl_bits_of_f32(scaled);
  int32_t power = (int32_t)(bits - 0x3F3504F3U) >> 23; /* 0x3F3504F3: sqrt(1/2) */
  float f = hl_f32_of_bits(bits - ((uint32_t)power << 23)) - 1.0F;
  float exponent = (float)power + shift;
  float z = f * f;
  float p = 7.0376836292e-2F;
  p = hl_madd(p, f, -1.1514610310e-1F);
  p = hl_madd(p, f, 1.1676998740e-1F);
  p = hl_madd(p, f, -1.2420140846e-1F);
  p = hl_madd(p, f, 1.4249322787e-1F);
  p = hl_madd(p, f, -1.6668057665e-1F);
  p = hl_madd(p, f, 2.0000714765e-1F);
  p = hl_madd(p, f, -2.4999993993e-1F);
  p = hl_madd(p, f, 3.3333331174e-1F);
  float y = hl_madd(exponent, -2.12194440e-4F, p * f * z);
  y = hl_madd(z, -0.5F, y);
  y = hl_madd(exponent, 0.693359375F, f + y);
  y = x == INFINITY ? x : y;
  y = x == 0.0F ? -INFINITY : y;
  return x >= 0.0F ? y : NAN; /* NaN and negative numbers */
}

/* ln(1 + z) for 0 ≤ z ≤ 1, a minimax fit: relative error 4.8e-9 before rounding. */
HL_INLINE float hl_log1p_unit_f32(float z) {
  float p = -3.24402282e-3F;
  p = hl_madd(p, z, 1.98514442e-2F);
  p = hl_madd(p, z, -5.69594839e-2F);
  p = hl_madd(p, z, 1.06036479e-1F);
  p = hl_madd(p, z, -1.53055871e-1F);
  p = hl_madd(p, z, 1.96759368e-1F);
  p = hl_madd(p, z, -2.49541331e-1F);
  p = hl_madd(p, z, 3.33299623e-1F);
  p = hl_madd(p, z, -4.99999024e-1F);
  return hl_madd(p, z * z, z);
}

HL_INLINE float hl_sigmoid_f32(float x) {
  float z = hl_exp_below_f32(-fabsf(x));
  return (x < 0.0F ? z : 1.0F) / (1.0F + z);
}

HL_INLINE float hl_softplus_f32(float x) {
  float positive = x > 0.0F ? x : 0.0F;
  return positive + hl_log1p_unit_f32(hl_exp_below_f32(-fabsf(x)));
}

/* With u = exp(-2|x|) - 1: tanh |x| = -u / (2 + u). */
HL_INLINE float hl_tanh_f32(float x) {
  float u = hl_expm1_below_f32(-2.0F * fabsf(x));
  return copysignf(u / (2.0F + u), x);
}

/* Distribution function of the normal distribution at x, and exp(-x²/2) in *bell. For z = |x| it is
 * 1 - exp(-z²/2) q P(q) with q = 1 / (1 + 0.21 z); P is a minimax fit to Mills' ratio over q on
 * 0 ≤ z ≤ 15, where exp(-z²/2) ends: relative error of the tail 2.3e-8 before rounding. */
HL_INLINE float hl_normal_bell_f32(float x, float *bell) {
  float z = fabsf(x);
  float q = 1.0F / hl_madd(z, 0.21F, 1.0F);
  *bell = hl_exp_below_f32(-0.5F * z * z);
  float p = -0.0709445898F;
  p = hl_madd(p, q, 0.28007910483F);
  p = hl_madd(p, q, -0.3228653462F);
  p = hl_madd(p, q, 0.34074172767F);
  p = hl_madd(p, q, -0.0877541905F);
  p = hl_madd(p, q, 0.12213847362F);
  p = hl_madd(p, q, 0.06992684430F);
  p = hl_madd(p, q, 0.08495951408F);
  p = hl_madd(p, q, 0.08371847331F);
  float upper = *bell * (p * q), lower = 1.0F - upper;
  return x < 0.0F ? upper : lower;
}

HL_INLINE float hl_normal_f32(float x) {
  float bell;
  return hl_normal_bell_f32(x, &bell);
}

#endif
