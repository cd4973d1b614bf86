/* Functions of f32 without branches, so that loops over them vectorise. Private to engine/ops.
 *
 * Largest errors in units of the last place of the true value, found by trying every third f32
 * number against libm in f64: exp 1.0, log 0.8, sigmoid 2.4, softplus 2.7, tanh 1.3 (subnormal
 * results in units of the smallest one). tests/c/test_elementwise.c watches them.
 * Coefficients of exp, log, tanh and erf: S. Moshier, Cephes mathematical library, single
 * precision. */
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

/* exp(x) = 2^n exp(r), |r| ≤ ln 2 / 2. NaN stays NaN. */
HL_INLINE float hl_exp_f32(float x) {
  const float round =
      12582912.0F;           /* 1.5·2²³: adding it leaves the nearest integer in the low bits */
  x = x > 89.0F ? 89.0F : x; /* beyond: infinity */
  x = x < -104.0F ? -104.0F : x; /* beyond: 0 */
  float shifted = x * 1.44269504088896341F + round;
  uint32_t n = hl_bits_of_f32(shifted) - 0x4B400000U;
  float whole = shifted - round;
  float r = hl_madd(whole, -0.693359375F, x);
  r = hl_madd(whole, 2.12194440e-4F, r);
  float p = 1.9875691500e-4F;
  p = hl_madd(p, r, 1.3981999507e-3F);
  p = hl_madd(p, r, 8.3334519073e-3F);
  p = hl_madd(p, r, 4.1665795894e-2F);
  p = hl_madd(p, r, 1.6666665459e-1F);
  p = hl_madd(p, r, 5.0000001201e-1F);
  p = hl_madd(p, r * r, r) + 1.0F;
  /* 2^n in two factors: each is a normal number where the product need not be one. */
  int32_t half = (int32_t)n >> 1;
  int32_t rest = (int32_t)n - half;
  return p * hl_f32_of_bits((uint32_t)(half + 127) << 23) *
         hl_f32_of_bits((uint32_t)(rest + 127) << 23);
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

/* ln(1 + z) for 0 ≤ z ≤ 1, as 2 artanh(z / (2 + z)). */
HL_INLINE float hl_log1p_unit_f32(float z) {
  float s = z / (2.0F + z);
  float w = s * s;
  float p = 1.0F / 13.0F;
  p = hl_madd(p, w, 1.0F / 11.0F);
  p = hl_madd(p, w, 1.0F / 9.0F);
  p = hl_madd(p, w, 1.0F / 7.0F);
  p = hl_madd(p, w, 1.0F / 5.0F);
  p = hl_madd(p, w, 1.0F / 3.0F);
  return 2.0F * hl_madd(p * w, s, s);
}

HL_INLINE float hl_sigmoid_f32(float x) {
  float z = hl_exp_f32(-fabsf(x));
  return (x < 0.0F ? z : 1.0F) / (1.0F + z);
}

HL_INLINE float hl_softplus_f32(float x) {
  float positive = x > 0.0F ? x : 0.0F;
  float y = positive + hl_log1p_unit_f32(hl_exp_f32(-fabsf(x)));
  return x != x ? x : y;
}

HL_INLINE float hl_tanh_f32(float x) {
  float a = fabsf(x);
  float z = x * x;
  float p = -5.70498872745e-3F;
  p = hl_madd(p, z, 2.06390887954e-2F);
  p = hl_madd(p, z, -5.37397155531e-2F);
  p = hl_madd(p, z, 1.33314422036e-1F);
  p = hl_madd(p, z, -3.33332819422e-1F);
  float near = hl_madd(p * z, x, x);
  float far = copysignf(1.0F - 2.0F / (hl_exp_f32(2.0F * a) + 1.0F), x);
  return a < 0.625F ? near : far;
}

/* exp(x) - 1 for x ≤ 0, as 2 t / (1 - t) with t = tanh(x / 2). */
HL_INLINE float hl_expm1_below_f32(float x) {
  float t = hl_tanh_f32(0.5F * x);
  return 2.0F * t / (1.0F - t);
}

/* erf(z) for 0 ≤ z ≤ 1. */
HL_INLINE float hl_erf_unit_f32(float z) {
  float w = z * z;
  float p = 7.853861353153693e-5F;
  p = hl_madd(p, w, -8.010193625184903e-4F);
  p = hl_madd(p, w, 5.188327685732524e-3F);
  p = hl_madd(p, w, -2.685381193529856e-2F);
  p = hl_madd(p, w, 1.128358514861418e-1F);
  p = hl_madd(p, w, -3.761262582423300e-1F);
  p = hl_madd(p, w, 1.128379165726710F);
  return z * p;
}

/* erfc(z) = exp(-z²) p(1/z²) / z for z ≥ 1, with one polynomial up to 2 and one beyond. */
HL_INLINE float hl_erfc_tail_f32(float z) {
  float q = 1.0F / z, w = q * q;
  float p = 2.326819970068386e-2F;
  p = hl_madd(p, w, -1.387039388740657e-1F);
  p = hl_madd(p, w, 3.687424674597105e-1F);
  p = hl_madd(p, w, -5.824733027278666e-1F);
  p = hl_madd(p, w, 6.210004621745983e-1F);
  p = hl_madd(p, w, -4.944515323274145e-1F);
  p = hl_madd(p, w, 3.404879937665872e-1F);
  p = hl_madd(p, w, -2.741127028184656e-1F);
  p = hl_madd(p, w, 5.638259427386472e-1F);
  float r = -1.047766399936249e+1F;
  r = hl_madd(r, w, 1.297719955372516e+1F);
  r = hl_madd(r, w, -7.495518717768503F);
  r = hl_madd(r, w, 2.921019019210786F);
  r = hl_madd(r, w, -1.015265279202700F);
  r = hl_madd(r, w, 4.218463358204948e-1F);
  r = hl_madd(r, w, -2.820767439740514e-1F);
  r = hl_madd(r, w, 5.641895067754075e-1F);
  return hl_exp_f32(-z * z) * q * (z < 2.0F ? p : r);
}

/* Distribution function of the normal distribution, (1 + erf(x / sqrt 2)) / 2. */
HL_INLINE float hl_normal_f32(float x) {
  float z = fabsf(x) * 0.70710678118654752F;
  float inside = z < 1.0F ? z : 1.0F, outside = z < 1.0F ? 1.0F : z;
  outside = outside > 12.0F ? 12.0F : outside; /* beyond: 0 in f32 */
  /* Both are computed for every x: loops without branches vectorise. */
  float near = 0.5F - 0.5F * hl_erf_unit_f32(inside), far = 0.5F * hl_erfc_tail_f32(outside);
  float upper = z < 1.0F ? near : far, lower = 1.0F - upper;
  float y = x < 0.0F ? upper : lower;
  return x != x ? x : y;
}

#endif
