#include "deal.h"

#include <stdio.h>

hl_status hl_deal_take(const hl_call *c, int first, int n, const char *name, int64_t *channels,
                       hl_err *e) {
  *channels = 0;
  if (n < 1 || n > DEAL_MOST)
    return hl_fail(e, HL_EINVAL, "takes 1 to %d images %s, not %d", DEAL_MOST, name, n);
  const hl_shape *s = &c->in[first].shape;
  for (int i = first; i < first + n; i++) {
    char label[32];
    snprintf(label, sizeof label, "%s %d", name, i - first + 1);
    HL_TRY(hl_rule_image(c, i, n == 1 ? name : label, e));
    const hl_shape *t = &c->in[i].shape;
    *channels += t->dim[AXIS_C];
    if (t->dim[AXIS_N] == s->dim[AXIS_N] &&
        memcmp(t->dim + AXIS_Z, s->dim + AXIS_Z, 3 * sizeof *t->dim) == 0)
      continue;
    return hl_fail(e, HL_ESHAPE,
                   "%s has %lld samples of %lld x %lld x %lld voxels, but %s 1 has %lld of %lld x "
                   "%lld x %lld: images joined by channels must agree in all else",
                   label, (long long)t->dim[AXIS_N], (long long)t->dim[AXIS_Z],
                   (long long)t->dim[AXIS_Y], (long long)t->dim[AXIS_X], name,
                   (long long)s->dim[AXIS_N], (long long)s->dim[AXIS_Z], (long long)s->dim[AXIS_Y],
                   (long long)s->dim[AXIS_X]);
  }
  return HL_OK;
}

hl_status hl_deal_out(hl_call *c, const hl_ints *sizes, int64_t channels, const hl_desc *like,
                      hl_err *e) {
  int64_t sum = 0;
  for (int64_t i = 0; i < sizes->n; i++) sum += sizes->v[i];
  if (sizes->n > 0 && sum != channels)
    return hl_fail(e, HL_ESHAPE, "sizes add up to %lld, but there are %lld channels to deal out",
                   (long long)sum, (long long)channels);
  hl_desc d = *like;
  d.shape.dim[AXIS_C] = channels;
  if (sizes->n == 0) return hl_rule_out(c, &d, e);
  for (int64_t i = 0; i < sizes->n; i++) {
    d.shape.dim[AXIS_C] = sizes->v[i];
    HL_TRY(hl_rule_out(c, &d, e));
  }
  return HL_OK;
}

hl_ints hl_deal_sizes(const hl_call *c, int first, int n) {
  hl_ints sizes = {.n = n};
  for (int i = 0; i < n; i++) sizes.v[i] = c->in[first + i].shape.dim[AXIS_C];
  return sizes;
}

/* Which image holds a channel of the joined ones; *offset is where its plane begins there. */
static int locate(const hl_desc *d, int64_t n, int64_t channel, int64_t *offset) {
  int i = 0;
  for (; channel >= d[i].shape.dim[AXIS_C]; i++) channel -= d[i].shape.dim[AXIS_C];
  *offset = (n * d[i].shape.dim[AXIS_C] + channel) * hl_image_voxels(&d[i]);
  return i;
}

const double *hl_deal_plane(const hl_desc *d, const double *const *data, int64_t n,
                            int64_t channel) {
  int64_t offset;
  int i = locate(d, n, channel, &offset);
  return data[i] + offset;
}

double *hl_deal_plane_out(const hl_desc *d, double *const *data, int64_t n, int64_t channel) {
  int64_t offset;
  int i = locate(d, n, channel, &offset);
  return data[i] + offset;
}

hl_status hl_deal_arriving(const hl_vjp *v, hl_var any, const hl_desc *from, hl_var dout[DEAL_MOST],
                           hl_err *e) {
  const hl_call *c = v->call;
  for (int i = 0; i < c->n_out; i++) {
    dout[i] = v->dout[i];
    hl_desc like = c->out[i];
    like.dtype = hl_dtype_of_gradient(like.dtype);
    if (dout[i] == HL_NO_VAR) HL_TRY(hl_vjp_zeros(v, any, from, &like, &dout[i], e));
  }
  return HL_OK;
}

bool hl_deal_needs(const hl_vjp *v, int first, int n) {
  for (int i = first; i < first + n; i++)
    if (v->needs[i]) return true;
  return false;
}

/* ---- narrow images as rows of floats ---- */

enum { BLOCK = 2048 }; /* numbers that are converted at once */

static char *voxels_from(const hl_deal *d, int i, int64_t voxel) {
  return (char *)d->data[i] + (size_t)(voxel * d->channels[i]) * hl_dtype_size(d->type[i]);
}

/* Whole voxels of a block, at least one where they are no wider than it. */
static int64_t rows_at_once(int64_t channels) {
  return channels < BLOCK ? BLOCK / channels : 1;
}

void hl_deal_gather_narrow(const hl_deal *d, int i, int64_t voxel, int64_t n, float *rows,
                           int64_t step) {
  int64_t channels = d->channels[i], most = rows_at_once(channels);
  bool straight = step == channels || channels > BLOCK;
  if (straight) most = step == channels ? n : 1;
  float block[BLOCK];
  for (int64_t r = 0; r < n; r += most) {
    int64_t m = hl_min_i64(most, n - r);
    float *to = straight ? rows + r * step : block;
    hl_narrow_widen(d->type[i], to, voxels_from(d, i, voxel + r), m * channels);
    if (!straight) hl_copy_rows(rows + r * step, step, block, channels, channels, m);
  }
}

void hl_deal_scatter_narrow(const hl_deal *d, int i, int64_t voxel, int64_t n, const float *rows,
                            int64_t step) {
  int64_t channels = d->channels[i], most = rows_at_once(channels);
  bool straight = step == channels || channels > BLOCK;
  if (straight) most = step == channels ? n : 1;
  float block[BLOCK];
  for (int64_t r = 0; r < n; r += most) {
    int64_t m = hl_min_i64(most, n - r);
    if (!straight) hl_copy_rows(block, channels, rows + r * step, step, channels, m);
    hl_narrow_round(d->type[i], voxels_from(d, i, voxel + r), straight ? rows + r * step : block,
                    m * channels);
  }
}
