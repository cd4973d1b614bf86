#include "axis.h"

hl_lines hl_lines_logical(const hl_shape *s, int axis) {
  hl_lines l = {1, s->dim[axis], 1};
  for (int i = 0; i < s->rank; i++) *(i < axis ? &l.outer : &l.inner) *= i == axis ? 1 : s->dim[i];
  return l;
}

hl_lines hl_lines_memory(const hl_desc *d, int axis) {
  if (d->layout != HL_IMAGE) return hl_lines_logical(&d->shape, axis);
  static const int place[] = {0, 4, 1, 2, 3}; /* of n, c, z, y, x in memory */
  hl_shape s = {.rank = IMAGE_AXES};
  for (int i = 0; i < IMAGE_AXES; i++) s.dim[place[i]] = d->shape.dim[i];
  return hl_lines_logical(&s, place[axis]);
}

hl_status hl_rule_axis(const hl_call *c, const hl_ints *list, int *axis, hl_err *e) {
  if (list->n != 1)
    return hl_fail(e, HL_EINVAL, "axis names one axis, not %lld", (long long)list->n);
  int rank = c->in[0].shape.rank;
  if (list->v[0] < 0 || list->v[0] >= rank)
    return hl_fail(e, HL_EINVAL, "x has %d axes: there is no axis %lld", rank,
                   (long long)list->v[0] + 1);
  *axis = (int)list->v[0];
  return HL_OK;
}

bool hl_axis_is_channels(const hl_call *c) {
  return ((const hl_ints *)c->attrs)->v[0] == AXIS_C;
}
