#include "group_norm.h"

#include "norm.h"

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  *bytes = hl_norm_workspace(&c->in[0]);
  return HL_OK;
}

static double scale_of(const float *scale, int64_t channel) {
  return scale != NULL ? (double)scale[channel] : 1;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  const hl_group_norm_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], a->slope, work);
  hl_norm_images(&j, in[0], out[0]);
  const float *scale = c->n_in > 1 ? hl_tensor_f32(in[1]) : NULL;
  const float *offset = c->n_in > 2 ? hl_tensor_f32(in[2]) : NULL;
  float *stats = hl_tensor_f32(out[1]);
  int64_t wide = j.l.channels / a->groups;
  hl_norm_sums(&j);
  for (int64_t i = 0; i < j.l.images * a->groups; i++) {
    int64_t image = i / a->groups, first = i % a->groups * wide;
    double all[2] = {0};
    for (int64_t k = first; k < first + wide; k++) {
      double sums[2];
      hl_norm_total(&j, image, k, sums);
      all[0] += sums[0];
      all[1] += sums[1];
    }
    hl_norm_stats(all, (double)(j.l.voxels * wide), a->eps, stats + 2 * i);
    for (int64_t k = first; k < first + wide; k++)
      hl_norm_set_channel(&j, image, k, (double)stats[2 * i], (double)stats[2 * i + 1], scale,
                          offset);
  }
  hl_norm_map(&j);
  return HL_OK;
}

/* The group's sums of scale·g and scale·g·h, and what follows from them for its channels. */
static void set_group(const hl_norm *j, int64_t image, int64_t first, int64_t wide, double rstd,
                      const float *scale, double *dscale, double *doffset) {
  double sum = 0, dot = 0, n = (double)(j->l.voxels * wide);
  for (int64_t k = first; k < first + wide; k++) {
    double sums[2]; /* Σ g, Σ g·h */
    hl_norm_total(j, image, k, sums);
    sum += scale_of(scale, k) * sums[0];
    dot += scale_of(scale, k) * sums[1];
    doffset[k - first] += sums[0];
    dscale[k - first] += sums[1];
  }
  for (int64_t k = first; k < first + wide; k++) {
    hl_norm_set(j, image, HL_NORM_SHIFT, k, -rstd * sum / n);
    hl_norm_set(j, image, HL_NORM_SLANT, k, -rstd * rstd * dot / n);
  }
}

/* Channels are taken in groups, images one after the other, so that both sums have one order. */
static hl_status run_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  const hl_group_norm_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], a->slope, work);
  hl_norm_images(&j, in[0], out[0]);
  hl_norm_arriving(&j, in[2]);
  const float *stats = hl_tensor_f32(in[1]);
  const float *scale = c->n_in > 3 ? hl_tensor_f32(in[3]) : NULL;
  const float *offset = c->n_in > 4 ? hl_tensor_f32(in[4]) : NULL;
  int64_t channels = j.l.channels, wide = channels / a->groups;
  for (int64_t i = 0; i < j.l.images * channels; i++) {
    const float *s = stats + 2 * (i / wide);
    hl_norm_set_channel(&j, i / channels, i % channels, (double)s[0], (double)s[1], scale, offset);
  }
  hl_norm_sums(&j);
  double *affine = j.room; /* dscale, doffset */
  for (int64_t k = 0; k < 2 * channels; k++) affine[k] = 0;
  for (int64_t i = 0; i < j.l.images * a->groups; i++) {
    int64_t first = i % a->groups * wide;
    set_group(&j, i / a->groups, first, wide, (double)stats[2 * i + 1], scale, affine + first,
              affine + channels + first);
  }
  for (int k = 1; k < c->n_out; k++)
    for (int64_t i = 0; i < channels; i++)
      hl_tensor_f32(out[k])[i] = (float)affine[(k - 1) * channels + i];
  hl_norm_map(&j);
  return HL_OK;
}

const hl_kernel hl_cpu_group_norm = {
    .workspace = workspace, .run = run, .takes_bf16 = hl_always_bf16};
const hl_kernel hl_cpu_group_norm_grad = {
    .workspace = workspace, .run = run_grad, .takes_bf16 = hl_always_bf16};
