/* Resampling between axis-aligned grids: the weights of each axis are made once; then input rows
 * are summed for an output row, and that sum is sampled along x. */
#include "lines.h"

#include <hilum/parallel.h>
#include <hilum/volume.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* Fewer voxels are not worth waking threads for. */
enum { PARALLEL_FROM = 1 << 20, ROWS = 64 };

static const char *const kinds[HL_RESAMPLINGS] = {"linear", "nearest", "cubic", "area"};

const char *hl_resampling_name(hl_resampling kind) {
  return kind < HL_RESAMPLINGS ? kinds[kind] : "unknown";
}

hl_resampling hl_resampling_by_name(const char *name) {
  int k = 0;
  while (k < HL_RESAMPLINGS && strcmp(name, kinds[k]) != 0) k++;
  return (hl_resampling)k;
}

/* ---- weights ---- */

/* What one output index takes from an input axis: samples first … first + n - 1 of two lists. */
typedef struct tap {
  int64_t first;
  int n;
  bool inside;
} tap;

typedef struct axis_taps {
  tap *at;
  int64_t *index;
  double *weight;
  int64_t n, room; /* of index and weight */
} axis_taps;

typedef struct taps {
  axis_taps axis[3];
} taps;

static void taps_free(taps *t) {
  for (int a = 0; a < 3; a++) {
    hl_host_free(t->axis[a].at);
    hl_host_free(t->axis[a].index);
    hl_host_free(t->axis[a].weight);
  }
}

static hl_status add_tap(axis_taps *t, tap *to, int64_t index, double weight, hl_err *e) {
  if (t->n == t->room) {
    int64_t room = 2 * t->room + 256;
    int64_t *indices = hl_host_realloc(t->index, (size_t)room * sizeof *indices);
    if (indices) t->index = indices;
    double *weights = hl_host_realloc(t->weight, (size_t)room * sizeof *weights);
    if (weights) t->weight = weights;
    if (!indices || !weights) return hl_fail(e, HL_ENOMEM, "no memory for resampling weights");
    t->room = room;
  }
  t->index[t->n] = index;
  t->weight[t->n++] = weight;
  to->n++;
  return HL_OK;
}

static hl_status add_linear(axis_taps *t, tap *to, double index, int64_t n, hl_err *e) {
  double last = (double)(n - 1), clamped = index < 0 ? 0 : index > last ? last : index;
  int64_t low = (int64_t)clamped;
  double part = low < n - 1 ? clamped - (double)low : 0;
  HL_TRY(add_tap(t, to, low, 1 - part, e));
  return part > 0 ? add_tap(t, to, low + 1, part, e) : HL_OK;
}

static hl_status add_cubic(axis_taps *t, tap *to, double index, int64_t n, hl_err *e) {
  int64_t low = (int64_t)floor(index);
  double weight[4];
  spline_weights(index - (double)low, weight);
  for (int k = 0; k < 4; k++)
    HL_TRY(add_tap(t, to, boundary_index(HL_MIRROR, low - 1 + k, n), weight[k], e));
  return HL_OK;
}

static hl_status add_nearest(axis_taps *t, tap *to, double index, int64_t n, hl_err *e) {
  int64_t at = (int64_t)floor(index + 0.5);
  return add_tap(t, to, at < 0 ? 0 : at > n - 1 ? n - 1 : at, 1, e);
}

/* Position, in mm, of a continuous index of one axis. */
static double position_mm(const hl_grid *g, int a, double index) {
  double in[3] = {0, 0, 0}, at_mm[3];
  in[a] = index;
  hl_grid_position(g, in, at_mm);
  return at_mm[a];
}

static double index_of(const hl_grid *g, int a, double mm) {
  double at_mm[3] = {0, 0, 0}, index[3];
  at_mm[a] = mm;
  hl_grid_index(g, at_mm, index);
  return index[a];
}

/* Each input voxel by the length of it that lies in output voxel k, which ends with the input. */
static hl_status add_area(axis_taps *t, tap *to, const hl_grid *from, const hl_grid *grid, int a,
                          int64_t k, hl_err *e) {
  int64_t n = from->size[a];
  double low = index_of(from, a, position_mm(grid, a, (double)k - 0.5));
  double high = index_of(from, a, position_mm(grid, a, (double)k + 0.5));
  low = fmax(low, -0.5);
  high = fmin(high, (double)n - 0.5);
  double whole_mm = position_mm(from, a, high) - position_mm(from, a, low);
  for (int64_t i = (int64_t)floor(low + 0.5); i < n && (double)i - 0.5 < high; i++) {
    double begin = fmax(low, (double)i - 0.5), end = fmin(high, (double)i + 0.5);
    double part_mm = position_mm(from, a, end) - position_mm(from, a, begin);
    if (part_mm > 0) HL_TRY(add_tap(t, to, i, part_mm / whole_mm, e));
  }
  return to->n ? HL_OK : add_nearest(t, to, 0.5 * (low + high), n, e);
}

static hl_status axis_new(axis_taps *t, const hl_grid *from, const hl_grid *to, int a,
                          hl_resampling kind, hl_err *e) {
  t->at = hl_host_calloc((size_t)to->size[a], sizeof *t->at);
  if (!t->at) return hl_fail(e, HL_ENOMEM, "no memory for resampling weights");
  for (int64_t k = 0; k < to->size[a]; k++) {
    double index = index_of(from, a, position_mm(to, a, (double)k));
    int64_t n = from->size[a];
    tap *p = &t->at[k];
    *p = (tap){.first = t->n, .inside = index >= -0.5 && index <= (double)n - 0.5};
    if (!p->inside) continue;
    if (kind == HL_RESAMPLE_LINEAR) HL_TRY(add_linear(t, p, index, n, e));
    if (kind == HL_RESAMPLE_CUBIC) HL_TRY(add_cubic(t, p, index, n, e));
    if (kind == HL_RESAMPLE_NEAREST) HL_TRY(add_nearest(t, p, index, n, e));
    if (kind == HL_RESAMPLE_AREA) HL_TRY(add_area(t, p, from, to, a, k, e));
  }
  return HL_OK;
}

static hl_status taps_new(taps *t, const hl_grid *from, const hl_grid *to, hl_resampling kind,
                          hl_err *e) {
  *t = (taps){0};
  hl_status status = HL_OK;
  for (int a = 0; a < 3 && status == HL_OK; a++)
    status = axis_new(&t->axis[a], from, to, a, kind, e);
  if (status != HL_OK) taps_free(t);
  return status;
}

/* ---- sums ---- */

typedef struct job {
  const taps *t;
  const hl_grid *from, *to;
  const hl_tensor *src;
  float *out; /* one of the three is made */
  double *out64;
  uint8_t *inside;
  double outside;
  atomic_bool failed;
} job;

#define ADD_ROW(name, type)                                                                        \
  static void name(double *restrict sum, const type *restrict row, int64_t n, double w) {          \
    for (int64_t x = 0; x < n; x++) sum[x] += w * (double)row[x];                                  \
  }
ADD_ROW(add_f32, float)
ADD_ROW(add_f64, double)
ADD_ROW(add_i16, int16_t)
ADD_ROW(add_u8, uint8_t)

/* sum += w · input row `row`, counted over all slices, from column `begin` to `end`. */
static void add_row(const job *j, int64_t row, double w, double *sum, int64_t begin, int64_t end) {
  int64_t at = row * j->from->size[2] + begin, n = end - begin;
  sum += begin;
  switch (hl_tensor_dtype(j->src)) {
  case HL_F64:
    add_f64(sum, hl_tensor_f64(j->src) + at, n, w);
    break;
  case HL_I16:
    add_i16(sum, hl_tensor_i16(j->src) + at, n, w);
    break;
  case HL_U8:
    add_u8(sum, hl_tensor_u8(j->src) + at, n, w);
    break;
  default:
    add_f32(sum, hl_tensor_f32(j->src) + at, n, w);
  }
}

/* The columns of the input that any voxel of an output row takes. */
static void columns(const axis_taps *x, int64_t *begin, int64_t *end) {
  *begin = INT64_MAX;
  *end = 0;
  for (int64_t i = 0; i < x->n; i++) {
    if (x->index[i] < *begin) *begin = x->index[i];
    if (x->index[i] + 1 > *end) *end = x->index[i] + 1;
  }
}

static double along_x(const axis_taps *t, const tap *p, const double *row) {
  const int64_t *index = t->index + p->first;
  const double *weight = t->weight + p->first;
  if (p->n == 1) return row[*index];
  if (p->n == 2) return weight[0] * row[index[0]] + weight[1] * row[index[1]];
  double sum = 0;
  for (int i = 0; i < p->n; i++) sum += weight[i] * row[index[i]];
  return sum;
}

static void store(const job *j, int64_t i, double v) {
  if (j->out64)
    j->out64[i] = v;
  else
    j->out[i] = (float)v;
}

static void resample_row(const job *j, int64_t r, double *sum, int64_t begin, int64_t end) {
  const axis_taps *z = &j->t->axis[0], *y = &j->t->axis[1], *x = &j->t->axis[2];
  const tap *pz = &z->at[r / j->to->size[1]], *py = &y->at[r % j->to->size[1]];
  bool inside = pz->inside && py->inside && begin < end;
  if (inside) memset(sum + begin, 0, (size_t)(end - begin) * sizeof *sum);
  for (int i = 0; inside && i < pz->n; i++)
    for (int k = 0; k < py->n; k++)
      add_row(j, z->index[pz->first + i] * j->from->size[1] + y->index[py->first + k],
              z->weight[pz->first + i] * y->weight[py->first + k], sum, begin, end);
  int64_t n = j->to->size[2];
  for (int64_t c = 0; c < n; c++)
    store(j, r * n + c, inside && x->at[c].inside ? along_x(x, &x->at[c], sum) : j->outside);
}

static void inside_row(const job *j, int64_t r) {
  const tap *z = &j->t->axis[0].at[r / j->to->size[1]], *y = &j->t->axis[1].at[r % j->to->size[1]];
  const tap *x = j->t->axis[2].at;
  uint8_t *out = j->inside + r * j->to->size[2];
  for (int64_t c = 0; c < j->to->size[2]; c++) out[c] = z->inside && y->inside && x[c].inside;
}

/* Output rows begin … end-1, counted over all slices. */
static void rows(int64_t begin, int64_t end, void *ctx) {
  job *j = ctx;
  if (j->inside) {
    for (int64_t r = begin; r < end; r++) inside_row(j, r);
    return;
  }
  double *sum = hl_host_calloc((size_t)j->from->size[2], sizeof *sum);
  if (!sum) {
    atomic_store(&j->failed, true);
    return;
  }
  int64_t low, high;
  columns(&j->t->axis[2], &low, &high);
  for (int64_t r = begin; r < end; r++) resample_row(j, r, sum, low, high);
  hl_host_free(sum);
}

static hl_status run(job *j, hl_resampling kind, hl_err *e) {
  taps t;
  HL_TRY(taps_new(&t, j->from, j->to, kind, e));
  j->t = &t;
  int64_t n = j->to->size[0] * j->to->size[1];
  if (n * j->to->size[2] < PARALLEL_FROM)
    rows(0, n, j);
  else
    hl_parallel_for(n, ROWS, rows, j);
  taps_free(&t);
  if (atomic_load(&j->failed)) return hl_fail(e, HL_ENOMEM, "no memory for a row of an image");
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
  if (d->dtype != HL_I16 && d->dtype != HL_U8 && d->dtype != HL_F32 && d->dtype != HL_F64)
    return hl_fail(e, HL_ETYPE, "cannot resample %s: expected i16, u8, f32 or f64",
                   hl_desc_text(d, text));
  return HL_OK;
}

/* *own is what is summed for a spline: its coefficients, as exact as the output. */
static hl_status resample(hl_tensor **out, hl_tensor **own, job *j, const hl_resample_options *how,
                          hl_err *e) {
  if (how->kind == HL_RESAMPLE_CUBIC) {
    HL_TRY(hl_spline_coefficients(own, j->src, HL_MIRROR, how->type, e));
    j->src = *own;
  }
  HL_TRY(image_new(out, how->type, j->to->size, "resampled volume", e));
  j->out = hl_tensor_f32(*out);
  j->out64 = hl_tensor_f64(*out);
  return run(j, how->kind, e);
}

hl_status hl_volume_resample(hl_tensor **out, const hl_tensor *src, const hl_grid *from,
                             const hl_grid *to, const hl_resample_options *how, hl_err *e) {
  *out = NULL;
  HL_TRY(hl_grid_check(from, e));
  HL_TRY(hl_grid_check(to, e));
  HL_TRY(check_source(src, from, e));
  if (how->kind >= HL_RESAMPLINGS || (how->type != HL_F32 && how->type != HL_F64))
    return hl_fail(e, HL_EINVAL, "resampling gives f32 or f64, by nearest, linear, cubic or area");
  hl_tensor *own = NULL;
  job j = {.from = from, .to = to, .src = src, .outside = how->outside};
  hl_status status = resample(out, &own, &j, how, e);
  hl_tensor_unref(own);
  if (status == HL_OK) return HL_OK;
  hl_tensor_unref(*out);
  *out = NULL;
  return status;
}

hl_status hl_volume_inside(hl_tensor **out, const hl_grid *from, const hl_grid *to, hl_err *e) {
  *out = NULL;
  HL_TRY(hl_grid_check(from, e));
  HL_TRY(hl_grid_check(to, e));
  hl_desc d = volume_desc(HL_U8, to);
  hl_tensor *t;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, "validity mask", e));
  job j = {.from = from, .to = to, .inside = hl_tensor_u8(t)};
  hl_status status = run(&j, HL_RESAMPLE_NEAREST, e);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}

static double windowed(double x, double lo, double hi) {
  return ((x < lo ? lo : x > hi ? hi : x) - lo) / (hi - lo);
}

hl_status hl_volume_window(hl_tensor *t, double lo, double hi, hl_err *e) {
  if (!(isfinite(lo) && isfinite(hi) && lo < hi))
    return hl_fail(e, HL_EINVAL, "window is %g … %g HU, expected two numbers, the lower first", lo,
                   hi);
  float *v = hl_tensor_f32(t);
  double *v64 = hl_tensor_f64(t);
  if ((!v && !v64) || !hl_tensor_is_dense(t))
    return hl_fail(e, HL_ETYPE, "a window is applied to a dense tensor of f32 or f64");
  int64_t n = hl_tensor_numel(t);
  for (int64_t i = 0; v && i < n; i++) v[i] = (float)windowed((double)v[i], lo, hi);
  for (int64_t i = 0; v64 && i < n; i++) v64[i] = windowed(v64[i], lo, hi);
  hl_tensor_touch(t);
  return HL_OK;
}
