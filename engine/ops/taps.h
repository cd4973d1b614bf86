/* Images computed axis by axis: along each axis every position of the result is a weighted sum of a
 * few positions of the source. Padding, interpolation and mean pooling differ only in the rule that
 * names these positions, and each one's gradient is its transpose. Private to engine/ops. */
#ifndef HILUM_OPS_TAPS_H
#define HILUM_OPS_TAPS_H

#include "opkit.h"

typedef struct hl_tap {
  int64_t source;
  double weight;
} hl_tap;

/* How many taps position `to` of an axis (0 … 2: z, y, x) has; tap number k < that is written. Taps
 * come in ascending order of their source. `attrs` are those of the op. */
typedef int64_t (*hl_tap_rule)(const void *attrs, const int64_t from_size[3],
                               const int64_t to_size[3], int axis, int64_t to, int64_t k,
                               hl_tap *tap);

typedef struct hl_taps {
  hl_tap_rule rule;
  const void *attrs;
  int64_t images, channels;
  int64_t from[3], to[3]; /* sizes (z, y, x) */
  bool transpose;         /* of the sum: takes an image of size `to`, gives one of size `from` */
  double fill;            /* the value where an axis has no tap */
} hl_taps;

hl_taps hl_taps_of(hl_tap_rule rule, const void *attrs, const hl_desc *from, const hl_desc *to);

/* The f64 reference: planes one after the other, rows in row-major order. */
void hl_taps_ref(const hl_taps *t, const double *in, double *out);

static inline int64_t hl_taps_at(const hl_taps *t, int axis, int64_t to, int64_t k, hl_tap *tap) {
  return t->rule(t->attrs, t->from, t->to, axis, to, k, tap);
}

#endif
