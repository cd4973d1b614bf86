/* Each axis gives up to four samples with weights; a voxel is the sum over their products. */
#include "lines.h"

#include <hilum/parallel.h>

#include <math.h>
#include <string.h>

static const char *const kinds[HL_INTERPOLATIONS] = {"nearest", "linear", "cubic"};
static const char *const boundaries[HL_BOUNDARIES] = {"constant", "blend", "edge",   "mirror",
                                                      "reflect",  "wrap",  "overlap"};

const char *hl_interpolation_name(hl_interpolation kind) {
  return kind < HL_INTERPOLATIONS ? kinds[kind] : "unknown";
}

hl_interpolation hl_interpolation_by_name(const char *name) {
  int k = 0;
  while (k < HL_INTERPOLATIONS && strcmp(name, kinds[k]) != 0) k++;
  return (hl_interpolation)k;
}

const char *hl_boundary_name(hl_boundary b) {
  return b < HL_BOUNDARIES ? boundaries[b] : "unknown";
}

hl_boundary hl_boundary_by_name(const char *name) {
  int b = 0;
  while (b < HL_BOUNDARIES && strcmp(name, boundaries[b]) != 0) b++;
  return (hl_boundary)b;
}

static const unsigned TYPES =
    TYPE_BIT(HL_F32) | TYPE_BIT(HL_F64) | TYPE_BIT(HL_I16) | TYPE_BIT(HL_U8);

/* ---- what is sampled ---- */

/* The spline of an endless signal is that of the image with this many samples beyond its ends: the
 * pole's 12th power is 1e-7, and its influence goes there and back. */
enum { MARGIN = 12 };

typedef struct image {
  hl_tensor *own; /* spline coefficients; NULL if the image itself is sampled */
  hl_dtype type;
  const void *data;
  int64_t size[3];
  int64_t margin; /* voxels added on each side */
  hl_sampling how;
  hl_boundary beyond; /* of the samples that a coordinate needs */
} image;

static double value_at(const image *im, int64_t i) {
  switch (im->type) {
  case HL_F64:
    return ((const double *)im->data)[i];
  case HL_I16:
    return ((const int16_t *)im->data)[i];
  case HL_U8:
    return ((const uint8_t *)im->data)[i];
  default:
    return (double)((const float *)im->data)[i];
  }
}

/* The image with a margin of its end samples, or of what lies outside. */
static void pad(const image *from, const image *to) {
  double *out = hl_tensor_f64(to->own);
  for (int64_t z = 0; z < to->size[0]; z++)
    for (int64_t y = 0; y < to->size[1]; y++)
      for (int64_t x = 0; x < to->size[2]; x++) {
        int64_t iz = boundary_index(from->how.boundary, z - to->margin, from->size[0]);
        int64_t iy = boundary_index(from->how.boundary, y - to->margin, from->size[1]);
        int64_t ix = boundary_index(from->how.boundary, x - to->margin, from->size[2]);
        bool in = iz >= 0 && iy >= 0 && ix >= 0;
        *out++ =
            in ? value_at(from, (iz * from->size[1] + iy) * from->size[2] + ix) : from->how.outside;
      }
}

/* Replaces the image by its coefficients. */
static hl_status make_spline(image *im, const hl_tensor *src, hl_err *e) {
  hl_boundary b = im->how.boundary, filter = HL_MIRROR;
  if (b == HL_REFLECT || b == HL_WRAP) filter = b;
  if (b == HL_EDGE) filter = HL_REFLECT;
  image out = *im;
  if (b == HL_EDGE || b == HL_BLEND) out.margin = MARGIN;
  for (int a = 0; a < 3; a++) out.size[a] += 2 * out.margin;
  HL_TRY(image_new(&out.own, HL_F64, out.size, "spline coefficients", e));
  hl_status status = HL_OK;
  if (out.margin)
    pad(im, &out);
  else
    status = hl_tensor_copy(out.own, src, e);
  if (status == HL_OK) status = spline_prefilter(out.own, filter, e);
  out.type = HL_F64;
  out.data = hl_tensor_data(out.own);
  if (status != HL_OK)
    hl_tensor_unref(out.own);
  else
    *im = out;
  return status;
}

static hl_status open_image(image *im, const hl_tensor *src, const hl_sampling *how, hl_err *e) {
  *im = (image){.how = *how};
  HL_TRY(image_check(src, TYPES, "the image", e));
  if (how->kind >= HL_INTERPOLATIONS || how->boundary >= HL_BOUNDARIES)
    return hl_fail(e, HL_EINVAL, "unknown interpolation or boundary");
  im->type = hl_tensor_dtype(src);
  im->data = hl_tensor_data(src);
  memcpy(im->size, hl_tensor_shape(src)->dim, sizeof im->size);
  bool clipped = how->boundary == HL_CONSTANT || how->boundary == HL_OVERLAP;
  im->beyond = clipped ? HL_MIRROR : how->boundary;
  return how->kind == HL_CUBIC ? make_spline(im, src, e) : HL_OK;
}

/* ---- one coordinate ---- */

typedef struct taps {
  int n;
  int64_t index[4]; /* -1: what lies outside */
  double weight[4];
} taps;

/* Brings a coordinate near the axis, where its samples can be counted; false: outside. */
static bool settle(const image *im, int64_t n, double *x) {
  double last = (double)(n - 1);
  switch (im->how.boundary) {
  case HL_CONSTANT:
    return *x >= 0 && *x <= last;
  case HL_BLEND:
    return *x > -4 && *x < last + 4;
  case HL_EDGE:
    *x = fmin(fmax(*x, 0), last);
    return true;
  case HL_OVERLAP:
    if (*x >= 0 && *x <= last) return true;
    *x = n > 1 ? fmod(*x, last) : 0;
    if (*x < 0) *x += last;
    return true;
  default:
    if (*x < -last || *x > 2 * last)
      *x = fmod(*x, im->how.boundary == HL_MIRROR && n > 1 ? 2 * last
                    : im->how.boundary == HL_WRAP          ? (double)n
                                                           : 2 * (double)n);
    return true;
  }
}

/* The samples of axis `a` that coordinate x needs; false: the whole voxel lies outside. */
static bool taps_at(const image *im, int a, double x, taps *t) {
  int64_t n = im->size[a];
  x += (double)im->margin;
  if (!settle(im, n, &x)) return false;
  int64_t low = (int64_t)floor(im->how.kind == HL_NEAREST ? x + 0.5 : x), first = low;
  double part = x - (double)low;
  if (im->how.kind == HL_NEAREST) {
    t->n = 1;
    t->weight[0] = 1;
  } else if (im->how.kind == HL_LINEAR) {
    t->n = 2;
    t->weight[0] = 1 - part;
    t->weight[1] = part;
  } else {
    t->n = 4;
    first--;
    spline_weights(part, t->weight);
  }
  for (int k = 0; k < t->n; k++) t->index[k] = boundary_index(im->beyond, first + k, n);
  return true;
}

static double sum_taps(const image *im, const taps t[3]) {
  double sum = 0;
  for (int i = 0; i < t[0].n; i++)
    for (int j = 0; j < t[1].n; j++) {
      double part = 0;
      bool in = t[0].index[i] >= 0 && t[1].index[j] >= 0;
      int64_t row = (t[0].index[i] * im->size[1] + t[1].index[j]) * im->size[2];
      for (int k = 0; k < t[2].n; k++)
        part += t[2].weight[k] *
                (in && t[2].index[k] >= 0 ? value_at(im, row + t[2].index[k]) : im->how.outside);
      sum += t[0].weight[i] * t[1].weight[j] * part;
    }
  return sum;
}

static double sample(const image *im, const double at[3]) {
  taps t[3];
  for (int a = 0; a < 3; a++) {
    if (!isfinite(at[a])) return (double)NAN;
    if (!taps_at(im, a, at[a], &t[a])) return im->how.outside;
  }
  return sum_taps(im, t);
}

/* ---- many ---- */

typedef struct job {
  const image *im;
  hl_tensor *out;
  const double *points;
  int64_t n; /* points, or voxels of a row */
  int64_t rows;
  const double *matrix, *offset;
} job;

static void put(const job *j, int64_t i, double v) {
  double *d = hl_tensor_f64(j->out);
  if (d)
    d[i] = v;
  else
    hl_tensor_f32(j->out)[i] = (float)v;
}

static void sample_points(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i++) {
    const double at[3] = {j->points[i], j->points[j->n + i], j->points[2 * j->n + i]};
    put(j, i, sample(j->im, at));
  }
}

static void sample_rows(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t r = begin; r < end; r++)
    for (int64_t x = 0; x < j->n; x++) {
      const double o[3] = {(double)(r / j->rows), (double)(r % j->rows), (double)x};
      double at[3];
      for (int a = 0; a < 3; a++) {
        const double *m = j->matrix + (ptrdiff_t)3 * a;
        at[a] = m[0] * o[0] + m[1] * o[1] + m[2] * o[2] + j->offset[a];
      }
      put(j, r * j->n + x, sample(j->im, at));
    }
}

static hl_dtype type_for(const hl_tensor *src) {
  return hl_tensor_dtype(src) == HL_F64 ? HL_F64 : HL_F32;
}

hl_status hl_sample_points(hl_tensor **out, const hl_tensor *src, const hl_tensor *points,
                           const hl_sampling *how, hl_err *e) {
  *out = NULL;
  const hl_shape *s = hl_tensor_shape(points);
  char text[HL_DESC_TEXT];
  if (s->rank != 2 || s->dim[0] != 3 || !hl_tensor_f64(points) || !hl_tensor_is_dense(points) ||
      hl_tensor_layout(points) != HL_PLAIN)
    return hl_fail(e, HL_ESHAPE, "points are %s, expected a dense f64[3,n]",
                   hl_desc_text(hl_tensor_desc(points), text));
  image im;
  HL_TRY(open_image(&im, src, how, e));
  hl_desc d = {.dtype = type_for(src), .shape = hl_shape_make(1, &s->dim[1])};
  hl_status status = hl_tensor_new(out, &d, hl_ledger_main(), HL_MEM_DATA, "samples", e);
  if (status == HL_OK) {
    job j = {.im = &im, .out = *out, .points = hl_tensor_f64(points), .n = s->dim[1]};
    hl_parallel_for(j.n, 4096, sample_points, &j);
  }
  hl_tensor_unref(im.own);
  return status;
}

hl_status hl_sample_affine(hl_tensor **out, const hl_tensor *src, const int64_t size[3],
                           const double matrix[9], const double offset[3], const hl_sampling *how,
                           hl_err *e) {
  *out = NULL;
  image im;
  HL_TRY(open_image(&im, src, how, e));
  hl_status status = image_new(out, type_for(src), size, "a sampled image", e);
  if (status == HL_OK) {
    job j = {
        .im = &im, .out = *out, .n = size[2], .rows = size[1], .matrix = matrix, .offset = offset};
    hl_parallel_for(size[0] * size[1], 16, sample_rows, &j);
  }
  hl_tensor_unref(im.own);
  return status;
}
