#include "instance_norm.h"

#include "norm.h"

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
  hl_norm_images(&j, in[0], out[0]);
  const float *scale = c->n_in > 1 ? hl_tensor_f32(in[1]) : NULL;
  const float *offset = c->n_in > 2 ? hl_tensor_f32(in[2]) : NULL;
  hl_norm_instance_stats(&j, a->eps, hl_tensor_f32(out[1]));
  hl_norm_set_instances(&j, hl_tensor_f32(out[1]), scale, offset);
  hl_norm_map(&j);
  return HL_OK;
}

static hl_status run_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  const hl_instance_norm_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], a->slope, work);
  hl_norm_images(&j, in[0], out[0]);
  hl_norm_arriving(&j, in[2]);
  const float *stats = hl_tensor_f32(in[1]);
  const float *scale = c->n_in > 3 ? hl_tensor_f32(in[3]) : NULL;
  const float *offset = c->n_in > 4 ? hl_tensor_f32(in[4]) : NULL;
  hl_norm_set_instances(&j, stats, scale, offset);
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

const hl_kernel hl_cpu_instance_norm = {
    .workspace = workspace, .run = run, .takes_bf16 = hl_always_bf16};
const hl_kernel hl_cpu_instance_norm_grad = {
    .workspace = workspace, .run = run_grad, .takes_bf16 = hl_always_bf16};
