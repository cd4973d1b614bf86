#include "instance_norm.h"

#include "norm.h"

#include <math.h>

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  *bytes = hl_norm_workspace(&c->in[0]);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  const hl_instance_norm_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], a->slope, work);
  j.x = hl_tensor_f32(in[0]);
  j.y = hl_tensor_f32(out[0]);
  const float *scale = c->n_in > 1 ? hl_tensor_f32(in[1]) : NULL;
  const float *offset = c->n_in > 2 ? hl_tensor_f32(in[2]) : NULL;
  float *stats = hl_tensor_f32(out[1]);
  hl_norm_sums(&j);
  for (int64_t i = 0; i < j.l.images * j.l.channels; i++) {
    int64_t image = i / j.l.channels, channel = i % j.l.channels;
    double sums[2], mean, variance;
    hl_norm_total(&j, image, channel, sums);
    hl_norm_moments(sums, (double)j.l.voxels, &mean, &variance);
    stats[2 * i] = (float)mean;
    stats[2 * i + 1] = (float)(1 / sqrt(variance + a->eps));
    hl_norm_set_channel(&j, image, channel, (double)stats[2 * i], (double)stats[2 * i + 1], scale,
                        offset);
  }
  hl_norm_map(&j);
  return HL_OK;
}

static hl_status run_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  const hl_instance_norm_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], a->slope, work);
  j.x = hl_tensor_f32(in[0]);
  j.dy = hl_tensor_f32(in[2]);
  j.y = hl_tensor_f32(out[0]);
  const float *stats = hl_tensor_f32(in[1]);
  const float *scale = c->n_in > 3 ? hl_tensor_f32(in[3]) : NULL;
  const float *offset = c->n_in > 4 ? hl_tensor_f32(in[4]) : NULL;
  for (int64_t i = 0; i < j.l.images * j.l.channels; i++)
    hl_norm_set_channel(&j, i / j.l.channels, i % j.l.channels, (double)stats[2 * i],
                        (double)stats[2 * i + 1], scale, offset);
  hl_norm_sums(&j);
  for (int64_t channel = 0; channel < j.l.channels; channel++) {
    double all[2] = {0}, n = (double)j.l.voxels;
    for (int64_t image = 0; image < j.l.images; image++) {
      double sums[2]; /* Σ g, Σ g·h */
      double rstd = (double)stats[2 * (image * j.l.channels + channel) + 1];
      double factor = rstd * (scale != NULL ? (double)scale[channel] : 1);
      hl_norm_total(&j, image, channel, sums);
      hl_norm_set(&j, image, HL_NORM_SHIFT, channel, -factor * sums[0] / n);
      hl_norm_set(&j, image, HL_NORM_SLANT, channel, -factor * rstd * sums[1] / n);
      all[0] += sums[0];
      all[1] += sums[1];
    }
    if (c->n_out > 1) hl_tensor_f32(out[1])[channel] = (float)all[1];
    if (c->n_out > 2) hl_tensor_f32(out[2])[channel] = (float)all[0];
  }
  hl_norm_map(&j);
  return HL_OK;
}

const hl_kernel hl_cpu_instance_norm = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_instance_norm_grad = {.workspace = workspace, .run = run_grad};
