#include "lines.h"

#include <hilum/parallel.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Blocks of LANES lines that one thread takes at a time. */
enum { BLOCKS = 4 };

typedef struct work {
  hl_tensor *t;
  int64_t n, inner, lines; /* length and step of a line; how many there are */
  lines_filter filter;
  const void *ctx;
  int64_t scratch;
  atomic_bool failed;
} work;

static int64_t start_of(const work *w, int64_t line) {
  return line / w->inner * w->inner * w->n + line % w->inner;
}

/* Whether the lines lie side by side. */
static bool adjacent(const int64_t *start, int lanes) {
  return lanes == LANES && start[LANES - 1] == start[0] + LANES - 1;
}

static void load(const work *w, const int64_t *start, int lanes, double *v) {
  const double *d = hl_tensor_f64(w->t);
  const float *f = hl_tensor_f32(w->t);
  if (adjacent(start, lanes) && d) {
    for (int64_t i = 0; i < w->n; i++)
      memcpy(v + i * LANES, d + start[0] + i * w->inner, LANES * sizeof *v);
    return;
  }
  for (int l = 0; l < lanes; l++)
    for (int64_t i = 0, at = start[l]; i < w->n; i++, at += w->inner)
      v[i * LANES + l] = d ? d[at] : (double)f[at];
}

static void store(const work *w, const int64_t *start, int lanes, const double *v) {
  double *d = hl_tensor_f64(w->t);
  float *f = hl_tensor_f32(w->t);
  if (adjacent(start, lanes) && d) {
    for (int64_t i = 0; i < w->n; i++)
      memcpy(d + start[0] + i * w->inner, v + i * LANES, LANES * sizeof *v);
    return;
  }
  for (int l = 0; l < lanes; l++)
    for (int64_t i = 0, at = start[l]; i < w->n; i++, at += w->inner) {
      if (d)
        d[at] = v[i * LANES + l];
      else
        f[at] = (float)v[i * LANES + l];
    }
}

static void blocks(int64_t begin, int64_t end, void *ctx) {
  work *w = ctx;
  double *v = hl_host_calloc((size_t)(w->n * LANES + w->scratch), sizeof *v);
  if (!v) {
    atomic_store(&w->failed, true);
    return;
  }
  for (int64_t b = begin; b < end; b++) {
    int64_t start[LANES], left = w->lines - b * LANES;
    int lanes = left < LANES ? (int)left : LANES;
    for (int l = 0; l < lanes; l++) start[l] = start_of(w, b * LANES + l);
    load(w, start, lanes, v);
    w->filter(v, w->n, v + w->n * LANES, w->ctx);
    store(w, start, lanes, v);
  }
  hl_host_free(v);
}

hl_status lines_apply(hl_tensor *t, int axis, lines_filter filter, const void *ctx, int64_t scratch,
                      hl_err *e) {
  const int64_t *size = hl_tensor_shape(t)->dim;
  work w = {.t = t, .n = size[axis], .inner = 1, .filter = filter, .ctx = ctx, .scratch = scratch};
  for (int a = axis + 1; a < 3; a++) w.inner *= size[a];
  w.lines = hl_tensor_numel(t) / w.n;
  hl_parallel_for((w.lines + LANES - 1) / LANES, BLOCKS, blocks, &w);
  if (atomic_load(&w.failed)) return hl_fail(e, HL_ENOMEM, "no memory to filter an image");
  return HL_OK;
}

static int64_t positive_mod(int64_t i, int64_t period) {
  int64_t r = i % period;
  return r < 0 ? r + period : r;
}

int64_t boundary_index(hl_boundary b, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (b == HL_CONSTANT || b == HL_BLEND) return -1;
  if (b == HL_EDGE || n == 1) return i < 0 ? 0 : n - 1;
  if (b == HL_WRAP) return positive_mod(i, n);
  if (b == HL_OVERLAP) return positive_mod(i, n - 1);
  int64_t period = b == HL_MIRROR ? 2 * n - 2 : 2 * n, at = positive_mod(i, period);
  return at < n ? at : period - (b == HL_MIRROR ? 0 : 1) - at;
}

hl_status image_check(const hl_tensor *t, unsigned types, const char *what, hl_err *e) {
  char text[HL_DESC_TEXT], known[64] = "";
  const hl_desc *d = hl_tensor_desc(t);
  hl_desc_text(d, text);
  if (d->shape.rank != 3 || d->layout != HL_PLAIN || !hl_tensor_is_dense(t))
    return hl_fail(e, HL_ESHAPE, "%s is %s, expected a dense, plain tensor of z, y, x", what, text);
  for (int a = 0; a < 3; a++)
    if (d->shape.dim[a] < 1) return hl_fail(e, HL_ESHAPE, "%s is %s: it is empty", what, text);
  if (types & TYPE_BIT(d->dtype)) return HL_OK;
  for (int k = 0; k < HL_DTYPES; k++)
    if (types & TYPE_BIT(k)) {
      size_t n = strlen(known);
      snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", hl_dtype_name((hl_dtype)k));
    }
  return hl_fail(e, HL_ETYPE, "%s is %s, expected one of the types %s", what, text, known);
}

hl_status image_new(hl_tensor **out, hl_dtype type, const int64_t size[3], const char *label,
                    hl_err *e) {
  hl_desc d = {.dtype = type, .layout = HL_PLAIN, .shape = hl_shape_make(3, size)};
  HL_TRY(hl_shape_check(&d.shape, type, e));
  return hl_tensor_new(out, &d, hl_ledger_main(), HL_MEM_DATA, label, e);
}
