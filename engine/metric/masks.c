#include "internal.h"

hl_status masks_open(masks *m, const char *what, const hl_tensor *a, const hl_tensor *b,
                     const hl_tensor *valid, hl_err *e) {
  *m = (masks){.n = hl_tensor_numel(a)};
  const hl_tensor *all[] = {a, b, valid};
  for (int i = 1; i < 3; i++) {
    char ta[HL_DESC_TEXT], tb[HL_DESC_TEXT];
    if (all[i] != NULL && !hl_shape_equal(hl_tensor_shape(a), hl_tensor_shape(all[i])))
      return hl_fail(e, HL_ESHAPE, "%s: %s and %s have different shapes", what,
                     hl_desc_text(hl_tensor_desc(a), ta), hl_desc_text(hl_tensor_desc(all[i]), tb));
  }
  hl_status s = HL_OK;
  for (int i = 0; i < 3 && s == HL_OK; i++) /* the tensors are only referenced */
    if (all[i] != NULL) s = hl_tensor_dense(&m->held[i], (hl_tensor *)all[i], HL_F32, HL_PLAIN, e);
  if (s != HL_OK) {
    masks_close(m);
    return s;
  }
  m->a = hl_tensor_f32(m->held[0]);
  m->b = hl_tensor_f32(m->held[1]);
  m->valid = valid == NULL ? NULL : hl_tensor_f32(m->held[2]);
  return HL_OK;
}

void masks_close(masks *m) {
  for (int i = 0; i < 3; i++) hl_tensor_unref(m->held[i]);
  *m = (masks){0};
}

hl_status masks_size(const hl_tensor *a, const char *what, int64_t size[3], hl_err *e) {
  const hl_shape *s = hl_tensor_shape(a);
  bool one = true;
  for (int i = 0; i < s->rank - 3; i++) one = one && s->dim[i] == 1;
  for (int k = 0; k < 3; k++) {
    int axis = s->rank - 3 + k;
    size[k] = axis < 0 ? 1 : s->dim[axis];
    one = one && size[k] > 0;
  }
  char text[HL_DESC_TEXT];
  if (one && s->rank > 0) return HL_OK;
  return hl_fail(e, HL_ESHAPE, "%s: expected one mask with axes z, y, x, not %s", what,
                 hl_desc_text(hl_tensor_desc(a), text));
}
