/* Trilinear resampling between axis-aligned grids: the weights of each axis are made once. */
#include <hilum/parallel.h>
#include <hilum/volume.h>

#include <math.h>

/* Fewer voxels are not worth waking threads for. */
enum { PARALLEL_FROM = 1 << 20 };

/* Where one output index samples an input axis: between `lo` and `lo + step`, `t` of the way. */
typedef struct tap {
  int64_t lo;
  int step; /* 0 at the ends */
  bool inside;
  double t;
} tap;

static tap tap_at(double index, int64_t n) {
  double last = (double)(n - 1);
  tap p = {.inside = index >= -0.5 && index <= last + 0.5};
  double clamped = index < 0 ? 0 : index > last ? last : index;
  p.lo = (int64_t)clamped;
  p.step = p.lo < n - 1;
  p.t = p.step ? clamped - (double)p.lo : 0;
  return p;
}

typedef struct taps {
  tap *axis[3];
} taps;

static void taps_free(taps *t) {
  for (int a = 0; a < 3; a++) hl_host_free(t->axis[a]);
}

static hl_status taps_new(taps *t, const hl_grid *from, const hl_grid *to, hl_err *e) {
  *t = (taps){{NULL, NULL, NULL}};
  for (int a = 0; a < 3; a++) {
    t->axis[a] = hl_host_calloc((size_t)to->size[a], sizeof(tap));
    if (!t->axis[a]) {
      taps_free(t);
      return hl_fail(e, HL_ENOMEM, "no memory for resampling weights");
    }
    for (int64_t k = 0; k < to->size[a]; k++) {
      double out[3] = {0, 0, 0}, at_mm[3], index[3];
      out[a] = (double)k;
      hl_grid_position(to, out, at_mm);
      hl_grid_index(from, at_mm, index);
      t->axis[a][k] = tap_at(index[a], from->size[a]);
    }
  }
  return HL_OK;
}

typedef struct job {
  const taps *t;
  const hl_grid *from, *to;
  hl_dtype type;
  const void *src;
  float *out;
  uint8_t *inside;
  double outside;
} job;

static double value_at(const job *j, int64_t i) {
  if (j->type == HL_I16) return ((const int16_t *)j->src)[i];
  if (j->type == HL_U8) return ((const uint8_t *)j->src)[i];
  return (double)((const float *)j->src)[i];
}

static double lerp(double a, double b, double t) {
  return a + t * (b - a);
}

/* One input row, between two columns. */
static double along_x(const job *j, int64_t row, const tap *x) {
  int64_t i = row * j->from->size[2] + x->lo;
  return lerp(value_at(j, i), value_at(j, i + x->step), x->t);
}

static double sample(const job *j, const tap *z, const tap *y, const tap *x) {
  int64_t rows = j->from->size[1], near = z->lo * rows + y->lo, far = near + z->step * rows;
  double a = lerp(along_x(j, near, x), along_x(j, near + y->step, x), y->t);
  double b = lerp(along_x(j, far, x), along_x(j, far + y->step, x), y->t);
  return lerp(a, b, z->t);
}

static void resample_row(const job *j, const tap *z, const tap *y, float *out) {
  const tap *x = j->t->axis[2];
  for (int64_t c = 0; c < j->to->size[2]; c++)
    out[c] = (float)(z->inside && y->inside && x[c].inside ? sample(j, z, y, &x[c]) : j->outside);
}

static void inside_row(const job *j, const tap *z, const tap *y, uint8_t *out) {
  const tap *x = j->t->axis[2];
  for (int64_t c = 0; c < j->to->size[2]; c++) out[c] = z->inside && y->inside && x[c].inside;
}

/* Output rows begin … end-1, counted over all slices. */
static void rows(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t r = begin; r < end; r++) {
    const tap *z = &j->t->axis[0][r / j->to->size[1]], *y = &j->t->axis[1][r % j->to->size[1]];
    if (j->out) resample_row(j, z, y, j->out + r * j->to->size[2]);
    if (j->inside) inside_row(j, z, y, j->inside + r * j->to->size[2]);
  }
}

static hl_status run(job *j, hl_err *e) {
  taps t;
  HL_TRY(taps_new(&t, j->from, j->to, e));
  j->t = &t;
  int64_t n = j->to->size[0] * j->to->size[1];
  if (n * j->to->size[2] < PARALLEL_FROM)
    rows(0, n, j);
  else
    hl_parallel_for(n, 64, rows, j);
  taps_free(&t);
  return HL_OK;
}

static hl_desc volume_desc(hl_dtype type, const hl_grid *g) {
  return (hl_desc){.dtype = type, .layout = HL_PLAIN, .shape = hl_shape_make(3, g->size)};
}

static hl_status check_source(const hl_tensor *src, const hl_grid *from, hl_err *e) {
  char text[HL_DESC_TEXT];
  const hl_desc *d = hl_tensor_desc(src);
  hl_desc want = volume_desc(d->dtype, from);
  if (!hl_desc_equal(d, &want) || !hl_tensor_is_dense(src))
    return hl_fail(e, HL_ESHAPE,
                   "cannot resample %s: its grid has %lld x %lld x %lld voxels (z, y, x)",
                   hl_desc_text(d, text), (long long)from->size[0], (long long)from->size[1],
                   (long long)from->size[2]);
  if (d->dtype != HL_I16 && d->dtype != HL_U8 && d->dtype != HL_F32)
    return hl_fail(e, HL_ETYPE, "cannot resample %s: expected i16, u8 or f32",
                   hl_desc_text(d, text));
  return HL_OK;
}

hl_status hl_volume_resample(hl_tensor **out, const hl_tensor *src, const hl_grid *from,
                             const hl_grid *to, double outside, hl_err *e) {
  *out = NULL;
  HL_TRY(hl_grid_check(from, e));
  HL_TRY(hl_grid_check(to, e));
  HL_TRY(check_source(src, from, e));
  hl_desc d = volume_desc(HL_F32, to);
  hl_tensor *t;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, "resampled volume", e));
  job j = {.from = from,
           .to = to,
           .type = hl_tensor_dtype(src),
           .src = hl_tensor_data(src),
           .out = hl_tensor_f32(t),
           .outside = outside};
  hl_status status = run(&j, e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}

hl_status hl_volume_inside(hl_tensor **out, const hl_grid *from, const hl_grid *to, hl_err *e) {
  *out = NULL;
  HL_TRY(hl_grid_check(from, e));
  HL_TRY(hl_grid_check(to, e));
  hl_desc d = volume_desc(HL_U8, to);
  hl_tensor *t;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, "validity mask", e));
  job j = {.from = from, .to = to, .inside = hl_tensor_u8(t)};
  hl_status status = run(&j, e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}

hl_status hl_volume_window(hl_tensor *t, double lo, double hi, hl_err *e) {
  if (!(isfinite(lo) && isfinite(hi) && lo < hi))
    return hl_fail(e, HL_EINVAL, "window is %g … %g HU, expected two numbers, the lower first", lo,
                   hi);
  float *v = hl_tensor_f32(t);
  if (!v || !hl_tensor_is_dense(t))
    return hl_fail(e, HL_ETYPE, "a window is applied to a dense f32 tensor");
  int64_t n = hl_tensor_numel(t);
  for (int64_t i = 0; i < n; i++) {
    double x = (double)v[i];
    v[i] = (float)(((x < lo ? lo : x > hi ? hi : x) - lo) / (hi - lo));
  }
  return HL_OK;
}
