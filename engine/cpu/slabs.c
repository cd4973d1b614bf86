#include "slabs.h"

#include <string.h>

/* oneDNN's scratch is two to six times the slab's images: about 30 MiB for ELEMENTS. */
enum {
  ELEMENTS = 1 << 20, /* of the wider image in a slab, about */
  LANES = 16,         /* channels are filled up to so many */
  SLICES = 4,         /* at least: neighbouring slabs read the slices between them twice */
  ALIGNMENT = 64
};

bool hl_slabs_takes(const hl_convolution *c) {
  return c->dtype == HL_BF16 && c->kind == HL_CONV_GRAD_WEIGHT;
}

/* Slices of y in a slab; 0: the batch is taken at once. */
static int64_t thickness(const hl_convolution *c) {
  int64_t channels = c->in > c->out ? c->in : c->out;
  int64_t slice = c->y[1] * c->y[2], seen = c->x[1] * c->x[2] * c->stride[0];
  if (seen > slice) slice = seen; /* voxels that a slice of y needs on either side */
  int64_t voxels = ELEMENTS / (channels > LANES ? channels : LANES);
  int64_t slices = (voxels + slice - 1) / slice;
  if (c->n * c->y[0] * slice <= voxels) return 0;
  return slices < SLICES ? SLICES : slices;
}

typedef struct slab {
  hl_convolution c;
  int64_t x, y; /* where it begins, in elements */
  bool empty;   /* y sees nothing but padding */
} slab;

/* Slices [begin, end) of y in one image, and those of x that they see. */
static slab cut(const hl_convolution *c, int64_t image, int64_t begin, int64_t end) {
  slab s = {.c = *c};
  int64_t first = begin * c->stride[0] - c->padding[0];
  int64_t last = (end - 1) * c->stride[0] - c->padding[0] + (c->kernel[0] - 1) * c->dilation[0];
  int64_t from = first > 0 ? first : 0, to = last < c->x[0] ? last + 1 : c->x[0];
  s.empty = from >= to;
  s.c.n = 1;
  s.c.x[0] = to - from;
  s.c.y[0] = end - begin;
  s.c.padding[0] = from - first;
  s.c.far[0] = last + 1 - to;
  s.x = (image * c->x[0] + from) * c->x[1] * c->x[2] * c->in;
  s.y = (image * c->y[0] + begin) * c->y[1] * c->y[2] * c->out;
  return s;
}

static size_t weight_bytes(const hl_convolution *c) {
  int64_t n = c->out * (c->in / c->groups) * c->kernel[0] * c->kernel[1] * c->kernel[2];
  return ((size_t)n * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

hl_status hl_slabs_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  int64_t thick = thickness(c);
  if (thick == 0) return hl_convolution_workspace(c, bytes, e);
  size_t most = 0;
  for (int64_t begin = 0; begin < c->y[0]; begin += thick) {
    slab s = cut(c, 0, begin, begin + thick < c->y[0] ? begin + thick : c->y[0]);
    size_t own = 0;
    if (!s.empty) HL_TRY(hl_convolution_workspace(&s.c, &own, e));
    if (own > most) most = own;
  }
  *bytes = weight_bytes(c) + most;
  return HL_OK;
}

/* Adds a slab's gradient to the sum. */
static hl_status add_slab(const slab *s, char *x, char *y, float *sum, float *part, int64_t n,
                          void *work, hl_err *e) {
  x += s->x * (int64_t)hl_dtype_size(HL_BF16);
  y += s->y * (int64_t)hl_dtype_size(HL_BF16);
  HL_TRY(hl_convolution_run(&s->c, x, part, NULL, y, work, e));
  for (int64_t i = 0; i < n; i++) sum[i] += part[i];
  return HL_OK;
}

hl_status hl_slabs_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                       void *workspace, hl_err *e) {
  int64_t thick = thickness(c);
  if (thick == 0) return hl_convolution_run(c, x, weight, bias, y, workspace, e);
  char *work = (char *)workspace + weight_bytes(c);
  int64_t n = c->out * (c->in / c->groups) * c->kernel[0] * c->kernel[1] * c->kernel[2];
  memset(weight, 0, (size_t)n * sizeof *weight);
  for (int64_t image = 0; image < c->n; image++)
    for (int64_t begin = 0; begin < c->y[0]; begin += thick) {
      slab s = cut(c, image, begin, begin + thick < c->y[0] ? begin + thick : c->y[0]);
      if (!s.empty) HL_TRY(add_slab(&s, x, y, weight, workspace, n, work, e));
    }
  return HL_OK;
}
