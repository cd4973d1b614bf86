/* Narrow numbers: 16 bits in which images are stored and nothing is computed. bf16 (hilum/bf16.h),
 * and fixed point: q10 holds k * 2^-10, q9 k * 2^-9, q8 and q7 likewise, k being a whole number
 * from -32767 to 32767. So q10 reaches 32, q9 64, q8 128, q7 256.
 *
 * Sums and differences of fixed-point numbers are exact as long as they stay in range: what has
 * been added can be taken away again, bit for bit. What leaves the range is cut off and counted,
 * never wrapped round; so is NaN, which becomes 0. */
#ifndef HILUM_NARROW_H
#define HILUM_NARROW_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bits behind the point, 10 to 7; 0 for types that are not fixed point. */
int hl_dtype_fraction(hl_dtype t);
static inline bool hl_dtype_is_fixed(hl_dtype t) {
  return hl_dtype_fraction(t) > 0;
}
static inline bool hl_dtype_is_narrow(hl_dtype t) {
  return t == HL_BF16 || hl_dtype_is_fixed(t);
}
/* What gradients with respect to numbers of this type are stored in: bf16 for fixed point, whose
 * step is too coarse for them; else the type itself. */
static inline hl_dtype hl_dtype_of_gradient(hl_dtype t) {
  return hl_dtype_is_fixed(t) ? HL_BF16 : t;
}

/* n numbers of a narrow type t to f32, exactly; and back, to nearest, ties to even. */
void hl_narrow_widen(hl_dtype t, float *to, const void *from, int64_t n);
void hl_narrow_round(hl_dtype t, void *to, const float *from, int64_t n);
/* y = x + factor * part, all n of them of fixed-point type t or, the part, bf16 or fixed point: the
 * product is rounded to the grid first, so that the opposite factor gives x back. y may be x. */
void hl_fixed_add(hl_dtype t, int16_t *y, const int16_t *x, hl_dtype part_type, const void *part,
                  float factor, int64_t n);

/* How many numbers were cut off since the last call, in all threads together. Who cuts off numbers
 * by other means than these functions notes how many. */
int64_t hl_fixed_take_clipped(void);
void hl_fixed_note_clipped(int64_t n);

#ifdef __cplusplus
}
#endif
#endif
