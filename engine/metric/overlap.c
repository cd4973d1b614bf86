#include <hilum/metric.h>

#include <math.h>

/* Row-major f32 copies (or the tensor itself), so that one loop serves every type and layout. */
static hl_status as_floats(const hl_tensor *t, hl_tensor **out, hl_err *e) {
  return hl_tensor_dense(out, (hl_tensor *)t, HL_F32, HL_PLAIN, e); /* only referenced */
}

static void count(const float *a, const float *b, const float *valid, int64_t n, float threshold,
                  hl_overlap *out) {
  for (int64_t i = 0; i < n; i++) {
    if (valid != NULL && !(valid[i] > 0.5F)) continue;
    bool in_a = a[i] > threshold, in_b = b[i] > threshold;
    out->in_a += in_a;
    out->in_b += in_b;
    out->both += in_a && in_b;
  }
  int64_t sum = out->in_a + out->in_b;
  out->dice = sum == 0 ? NAN : 2.0 * (double)out->both / (double)sum;
}

hl_status hl_overlap_measure(const hl_tensor *a, const hl_tensor *b, const hl_tensor *valid,
                             double threshold, hl_overlap *out, hl_err *e) {
  *out = (hl_overlap){.dice = NAN};
  const hl_tensor *all[] = {a, b, valid};
  for (int i = 1; i < 3; i++) {
    char ta[HL_DESC_TEXT], tb[HL_DESC_TEXT];
    if (all[i] != NULL && !hl_shape_equal(hl_tensor_shape(a), hl_tensor_shape(all[i])))
      return hl_fail(e, HL_ESHAPE, "overlap: %s and %s have different shapes",
                     hl_desc_text(hl_tensor_desc(a), ta), hl_desc_text(hl_tensor_desc(all[i]), tb));
  }
  hl_tensor *dense[3] = {0};
  hl_status s = HL_OK;
  for (int i = 0; i < 3 && s == HL_OK; i++)
    if (all[i] != NULL) s = as_floats(all[i], &dense[i], e);
  if (s == HL_OK)
    count(hl_tensor_f32(dense[0]), hl_tensor_f32(dense[1]),
          valid == NULL ? NULL : hl_tensor_f32(dense[2]), hl_tensor_numel(a), (float)threshold,
          out);
  for (int i = 0; i < 3; i++) hl_tensor_unref(dense[i]);
  return s;
}
