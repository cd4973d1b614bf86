#include <hilum/narrow.h>

#include <hilum/bf16.h>

#include <stdatomic.h>

enum { LARGEST = 32767, BLOCK = 1024 };

/* 1.5 * 2^23: what is added to it is rounded to a whole number, which then stands in its low bits.
 */
#define MAGIC 12582912.0F

static _Atomic int64_t clipped;

int64_t hl_fixed_take_clipped(void) {
  return atomic_exchange_explicit(&clipped, 0, memory_order_relaxed);
}

void hl_fixed_note_clipped(int64_t n) {
  if (n > 0) atomic_fetch_add_explicit(&clipped, n, memory_order_relaxed);
}

int hl_dtype_fraction(hl_dtype t) {
  return t >= HL_Q10 && t <= HL_Q7 ? 10 - (int)(t - HL_Q10) : 0;
}

static float scale_of(hl_dtype t) {
  return (float)(1 << hl_dtype_fraction(t));
}

static void widen_fixed(float *restrict to, const int16_t *restrict from, float step, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = (float)from[i] * step;
}

/* Is x, in steps, no number of the range? NaN is none. */
static inline int32_t is_off(float x) {
  return x >= -(float)LARGEST - 0.5F && x <= (float)LARGEST + 0.5F ? 0 : 1;
}

/* The nearest number of the range to x, in steps. */
static inline int16_t in_range(float x) {
  float low = x > -(float)LARGEST ? x : x == x ? -(float)LARGEST : 0;
  hl_f32_bits bits;
  bits.f = (low < (float)LARGEST ? low : (float)LARGEST) + MAGIC;
  return (int16_t)(uint16_t)(bits.u & 0xFFFFU);
}

static void round_fixed(int16_t *restrict to, const float *restrict from, float scale, int64_t n) {
  int32_t off = 0;
  for (int64_t i = 0; i < n; i++) {
    float x = from[i] * scale;
    off += is_off(x);
    to[i] = in_range(x);
  }
  hl_fixed_note_clipped(off);
}

void hl_narrow_widen(hl_dtype t, float *to, const void *from, int64_t n) {
  if (t == HL_BF16)
    hl_bf16_widen_all(to, from, n);
  else
    widen_fixed(to, from, 1 / scale_of(t), n);
}

void hl_narrow_round(hl_dtype t, void *to, const float *from, int64_t n) {
  if (t == HL_BF16) {
    hl_bf16_round_all(to, from, n);
    return;
  }
  for (int64_t i = 0; i < n; i += BLOCK) /* short enough to count in 32 bits */
    round_fixed((int16_t *)to + i, from + i, scale_of(t), n - i < BLOCK ? n - i : BLOCK);
}

/* y = x + part, in steps; a part beyond the range is cut off before it is added. */
static int32_t add_steps(int16_t *y, const int16_t *x, const float *restrict part, float scale,
                         int64_t n) {
  int32_t off = 0;
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
  for (int64_t i = 0; i < n; i++) {
    float steps = part[i] * scale;
    int32_t sum = x[i] + in_range(steps);
    int32_t kept = sum > LARGEST ? LARGEST : sum < -LARGEST ? -LARGEST : sum;
    off += is_off(steps) | (kept != sum);
    y[i] = (int16_t)kept;
  }
  return off;
}

void hl_fixed_add(hl_dtype t, int16_t *y, const int16_t *x, hl_dtype part_type, const void *part,
                  float sign, int64_t n) {
  float wide[BLOCK];
  int64_t off = 0;
  for (int64_t i = 0; i < n; i += BLOCK) {
    int64_t m = n - i < BLOCK ? n - i : BLOCK;
    hl_narrow_widen(part_type, wide, (const uint16_t *)part + i, m);
    off += add_steps(y + i, x + i, wide, sign * scale_of(t), m);
  }
  hl_fixed_note_clipped(off);
}
