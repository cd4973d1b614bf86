#include <hilum/narrow.h>

#include <hilum/bf16.h>

#include <stdatomic.h>
#include <string.h>

enum { LARGEST = 32767, BLOCK = 1024 };

/* 1.5 * 2^23: what is added to it is rounded to a whole number, which then stands in its low bits.
 * 1.5 * 2^(23 - fraction) does the same with steps of 2^-fraction. */
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

/* ---- f32 ---- */

static void widen_fixed(float *restrict to, const int16_t *restrict from, float step, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = (float)from[i] * step;
}

void hl_narrow_widen(hl_dtype t, float *to, const void *from, int64_t n) {
  if (t == HL_BF16)
    hl_bf16_widen_all(to, from, n);
  else
    widen_fixed(to, from, 1 / scale_of(t), n);
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

static int32_t bits_of(float x) {
  hl_f32_bits bits;
  bits.f = x;
  return (int32_t)bits.u;
}

/* The nearest number of the grid that `magic` belongs to, in steps; what is beyond the range gives
 * something beyond it, NaN too. */
static inline int32_t steps_of(float x, float magic, int32_t magic_bits) {
  return (int32_t)((uint32_t)bits_of(x + magic) - (uint32_t)magic_bits);
}

static inline uint32_t magnitude(int32_t x) {
  return x < 0 ? 0U - (uint32_t)x : (uint32_t)x;
}

/* All n numbers, which may be beyond the range; returns how many are. */
static int32_t round_slowly(int16_t *restrict to, const float *restrict from, float scale,
                            int64_t n) {
  int32_t off = 0;
  for (int64_t i = 0; i < n; i++) {
    float x = from[i] * scale;
    off += is_off(x);
    to[i] = in_range(x);
  }
  return off;
}

/* Hardly ever is a number beyond the range: then they are rounded again, cut off and counted. */
static int32_t round_fixed(int16_t *restrict to, const float *restrict from, float scale,
                           int64_t n) {
  float magic = MAGIC / scale;
  int32_t magic_bits = bits_of(magic);
  uint32_t seen = 0;
  for (int64_t i = 0; i < n; i++) {
    int32_t steps = steps_of(from[i], magic, magic_bits);
    seen |= magnitude(steps);
    to[i] = (int16_t)steps;
  }
  return seen > LARGEST ? round_slowly(to, from, scale, n) : 0;
}

void hl_narrow_round(hl_dtype t, void *to, const float *from, int64_t n) {
  if (t == HL_BF16) {
    hl_bf16_round_all(to, from, n);
    return;
  }
  int64_t off = 0;
  for (int64_t i = 0; i < n; i += BLOCK) /* short enough to count in 32 bits */
    off += round_fixed((int16_t *)to + i, from + i, scale_of(t), n - i < BLOCK ? n - i : BLOCK);
  hl_fixed_note_clipped(off);
}

/* ---- sums ---- */

/* y = x + part, in steps; a part beyond the range is cut off before it is added. */
static int32_t add_slowly(int16_t *y, const int16_t *x, const float *restrict part, float scale,
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

/* The sums with sign 1 or -1, and the highest bits of what must not leave the range. */
#define ADD(NAME, PART)                                                                            \
  static uint32_t NAME(int16_t *restrict sums, const int16_t *restrict x,                          \
                       const uint16_t *restrict part, float step, float magic, int32_t sign,       \
                       int64_t n) {                                                                \
    int32_t magic_bits = bits_of(magic);                                                           \
    uint32_t seen = 0;                                                                             \
    (void)step;                                                                                    \
    for (int64_t i = 0; i < n; i++) {                                                              \
      int32_t steps = steps_of(PART, magic, magic_bits);                                           \
      int32_t sum = (int32_t)((uint32_t)x[i] + (uint32_t)sign * (uint32_t)steps); /* may wrap */   \
      seen |= magnitude(steps) | magnitude(sum);                                                   \
      sums[i] = (int16_t)sum;                                                                      \
    }                                                                                              \
    return seen;                                                                                   \
  }
ADD(add_bf16, hl_bf16_widen(part[i]))
ADD(add_fixed, (float)(int16_t)part[i] * step)

/* One block, y being possibly x: sums are kept beside it until it is known that they are right. */
static int32_t add_block(hl_dtype t, int16_t *y, const int16_t *x, hl_dtype part_type,
                         const uint16_t *part, float factor, int64_t n) {
  int16_t sums[BLOCK];
  float scale = scale_of(t), step = 1 / scale_of(part_type), magic = MAGIC / scale;
  int32_t sign = factor < 0 ? -1 : 1;
  bool whole = factor == (float)sign;
  if (whole && (part_type == HL_BF16 ? add_bf16 : add_fixed)(sums, x, part, step, magic, sign, n) <=
                   LARGEST) {
    memcpy(y, sums, (size_t)n * sizeof *y);
    return 0;
  }
  float wide[BLOCK];
  hl_narrow_widen(part_type, wide, part, n);
  return add_slowly(y, x, wide, factor * scale, n);
}

void hl_fixed_add(hl_dtype t, int16_t *y, const int16_t *x, hl_dtype part_type, const void *part,
                  float factor, int64_t n) {
  int64_t off = 0;
  for (int64_t i = 0; i < n; i += BLOCK)
    off += add_block(t, y + i, x + i, part_type, (const uint16_t *)part + i, factor,
                     n - i < BLOCK ? n - i : BLOCK);
  hl_fixed_note_clipped(off);
}
