#include "taps.h"

#include <string.h>

hl_taps hl_taps_of(hl_tap_rule rule, const void *attrs, const hl_desc *from, const hl_desc *to) {
  hl_taps t = {.rule = rule,
               .attrs = attrs,
               .images = from->shape.dim[AXIS_N],
               .channels = from->shape.dim[AXIS_C]};
  memcpy(t.from, from->shape.dim + AXIS_Z, sizeof t.from);
  memcpy(t.to, to->shape.dim + AXIS_Z, sizeof t.to);
  return t;
}

/* Product number k of one position of the result: its flat place in the source, its weight. */
static double product(const hl_taps *t, const int64_t at[3], const int64_t count[3], int64_t k,
                      int64_t *source) {
  double weight = 1;
  int64_t step = 1;
  *source = 0;
  for (int axis = 2; axis >= 0; axis--) {
    hl_tap tap = {0};
    hl_taps_at(t, axis, at[axis], k % count[axis], &tap);
    k /= count[axis];
    weight *= tap.weight;
    *source += tap.source * step;
    step *= t->from[axis];
  }
  return weight;
}

/* One position (flat in a plane of size `to`) of one plane. */
static void visit(const hl_taps *t, int64_t position, const double *in, double *out) {
  int64_t at[3], count[3], products = 1, rest = position, source;
  for (int axis = 2; axis >= 0; axis--) {
    hl_tap tap;
    at[axis] = rest % t->to[axis];
    rest /= t->to[axis];
    count[axis] = hl_taps_at(t, axis, at[axis], 0, &tap);
    products *= count[axis];
  }
  if (!t->transpose) out[position] = products == 0 ? t->fill : 0;
  for (int64_t k = 0; k < products; k++) {
    double weight = product(t, at, count, k, &source);
    if (t->transpose)
      out[source] += weight * in[position];
    else
      out[position] += weight * in[source];
  }
}

void hl_taps_ref(const hl_taps *t, const double *in, double *out) {
  int64_t from = t->from[0] * t->from[1] * t->from[2], to = t->to[0] * t->to[1] * t->to[2];
  int64_t planes = t->images * t->channels;
  if (t->transpose) memset(out, 0, (size_t)(planes * from) * sizeof *out);
  for (int64_t p = 0; p < planes; p++)
    for (int64_t i = 0; i < to; i++)
      visit(t, i, in + p * (t->transpose ? to : from), out + p * (t->transpose ? from : to));
}
