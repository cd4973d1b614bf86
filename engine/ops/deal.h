/* Ops that take several images as one (their channels in order) and deal the resulting channels out
 * to several images again: regroup, mix, resample. Private to engine/ops.
 *
 * They exist because the state of an invertible network is a pair of dense halves: concatenating
 * and splitting around each step would cost a copy of the state. */
#ifndef HILUM_OPS_DEAL_H
#define HILUM_OPS_DEAL_H

#include "kernel.h"
#include "logical.h"

#include <hilum/narrow.h>

#include <string.h>

enum { DEAL_MOST = HL_MAX_PARTS }; /* images on one side */

/* ---- definitions ---- */

/* Inputs first … first + n − 1 are images of one size; *channels is the sum of theirs. */
HL_MUST_CHECK hl_status hl_deal_take(const hl_call *c, int first, int n, const char *name,
                                     int64_t *channels, hl_err *e);
/* One output of sizes[i] channels each (no sizes: one output with all), otherwise like `like`. */
HL_MUST_CHECK hl_status hl_deal_out(hl_call *c, const hl_ints *sizes, int64_t channels,
                                    const hl_desc *like, hl_err *e);
/* The channels of inputs first … first + n − 1: the sizes that undo the joining. */
hl_ints hl_deal_sizes(const hl_call *c, int first, int n);

/* The plane of channel `channel`, sample `n`, of the joined images, for references. */
const double *hl_deal_plane(const hl_desc *d, const double *const *data, int64_t n,
                            int64_t channel);
/* The same of outputs. */
double *hl_deal_plane_out(const hl_desc *d, double *const *data, int64_t n, int64_t channel);

/* The gradients that arrive, with zeros where none does. `any` is a value of the element type,
 * described by `from`, that can be read cheaply. */
HL_MUST_CHECK hl_status hl_deal_arriving(const hl_vjp *v, hl_var any, const hl_desc *from,
                                         hl_var dout[DEAL_MOST], hl_err *e);

/* True if any of inputs first … first + n − 1 needs a gradient. */
bool hl_deal_needs(const hl_vjp *v, int first, int n);

/* ---- kernels ---- */

/* Do all images that a call takes and gives lie on one fixed-point grid? */
static inline bool hl_deal_is_fixed(const hl_call *c, int n_in) {
  bool all = hl_dtype_is_fixed(c->in[0].dtype);
  for (int i = 0; i < n_in; i++) all = all && c->in[i].dtype == c->in[0].dtype;
  return all;
}

typedef struct hl_deal {
  int n;
  int64_t total; /* channels */
  float *data[DEAL_MOST];
  hl_dtype type[DEAL_MOST];
  int64_t channels[DEAL_MOST];
  int64_t first[DEAL_MOST]; /* channel of the joined images with which each begins */
} hl_deal;

/* Of f32 images; of narrow ones `data` is not what its C type says: they are gathered and
 * scattered, or read through hl_deal_fixed. */
static inline hl_deal hl_deal_of(hl_tensor *const *t, int n) {
  hl_deal d = {.n = n};
  for (int i = 0; i < n; i++) {
    d.data[i] = hl_tensor_data(t[i]);
    d.type[i] = hl_tensor_desc(t[i])->dtype;
    d.channels[i] = hl_tensor_shape(t[i])->dim[AXIS_C];
    d.first[i] = d.total;
    d.total += d.channels[i];
  }
  return d;
}

HL_INLINE void hl_copy_rows_of(const int64_t count, float *restrict to, int64_t to_step,
                               const float *restrict from, int64_t from_step, int64_t rows) {
  for (int64_t r = 0; r < rows; r++)
    memcpy(to + r * to_step, from + r * from_step, (size_t)count * sizeof *to);
}

/* `count` floats from each of `rows` places to others; the counts of common channel numbers are
 * known to the compiler. */
static inline void hl_copy_rows(float *restrict to, int64_t to_step, const float *restrict from,
                                int64_t from_step, int64_t count, int64_t rows) {
  if (to_step == count && from_step == count) {
    hl_copy_rows_of(count * rows, to, 0, from, 0, 1);
    return;
  }
  int64_t done = 0;
  for (; count - done >= 32; done += 32)
    hl_copy_rows_of(32, to + done, to_step, from + done, from_step, rows);
  for (; count - done >= 8; done += 8)
    hl_copy_rows_of(8, to + done, to_step, from + done, from_step, rows);
  for (; count - done >= 4; done += 4)
    hl_copy_rows_of(4, to + done, to_step, from + done, from_step, rows);
  for (; count > done; done++) hl_copy_rows_of(1, to + done, to_step, from + done, from_step, rows);
}

/* Image i, of fixed-point numbers. */
static inline int16_t *hl_deal_fixed(const hl_deal *d, int i) {
  return (int16_t *)(void *)d->data[i];
}

/* Voxels [voxel, voxel + n) of the joined images as rows of `step` floats, and back. Narrow numbers
 * are widened, and rounded. */
void hl_deal_gather_narrow(const hl_deal *d, int i, int64_t voxel, int64_t n, float *rows,
                           int64_t step);
void hl_deal_scatter_narrow(const hl_deal *d, int i, int64_t voxel, int64_t n, const float *rows,
                            int64_t step);

static inline void hl_deal_gather(const hl_deal *d, int64_t voxel, int64_t n, float *restrict rows,
                                  int64_t step) {
  for (int i = 0; i < d->n; i++) {
    if (hl_dtype_is_narrow(d->type[i]))
      hl_deal_gather_narrow(d, i, voxel, n, rows + d->first[i], step);
    else
      hl_copy_rows(rows + d->first[i], step, d->data[i] + voxel * d->channels[i], d->channels[i],
                   d->channels[i], n);
  }
}

static inline void hl_deal_scatter(const hl_deal *d, int64_t voxel, int64_t n,
                                   const float *restrict rows, int64_t step) {
  for (int i = 0; i < d->n; i++) {
    if (hl_dtype_is_narrow(d->type[i]))
      hl_deal_scatter_narrow(d, i, voxel, n, rows + d->first[i], step);
    else
      hl_copy_rows(d->data[i] + voxel * d->channels[i], d->channels[i], rows + d->first[i], step,
                   d->channels[i], n);
  }
}

/* Is one of them narrow, so that it can only be gathered and scattered? */
static inline bool hl_deal_any_narrow(const hl_deal *d) {
  bool any = false;
  for (int i = 0; i < d->n; i++) any = any || hl_dtype_is_narrow(d->type[i]);
  return any;
}

#endif
