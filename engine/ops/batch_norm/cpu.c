#include "batch_norm.h"

#include "norm.h"

#include <math.h>

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  *bytes = hl_norm_workspace(&c->in[0]);
  return HL_OK;
}

/* scale and offset are inputs number `first` and the next; `biased` is 1 or, for a variance that
 * was divided by N − 1, (N − 1)/N. */
typedef struct vectors {
  const float *scale, *offset, *mean, *variance;
  double biased;
} vectors;

static hl_norm begin(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     int affine, vectors *v) {
  const hl_batch_norm_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], a->slope, work);
  j.x = hl_tensor_f32(in[0]);
  j.y = hl_tensor_f32(out[0]);
  *v = (vectors){.biased = 1};
  if (c->n_in > affine) v->scale = hl_tensor_f32(in[affine]);
  if (c->n_in > affine + 1) v->offset = hl_tensor_f32(in[affine + 1]);
  return j;
}

static double numbers(const hl_norm *j) {
  return (double)(j->l.images * j->l.voxels);
}

static double factor_of(const vectors *v, int64_t channel, double rstd) {
  return rstd * (v->scale != NULL ? (double)v->scale[channel] : 1);
}

/* Every image gets the statistics of the batch. */
static void set_channel(const hl_norm *j, const vectors *v, int64_t channel, double mean,
                        double rstd) {
  for (int64_t image = 0; image < j->l.images; image++)
    hl_norm_set_channel(j, image, channel, mean, rstd, v->scale, v->offset);
}

static void total(const hl_norm *j, int64_t channel, double sums[2]) {
  sums[0] = sums[1] = 0;
  for (int64_t image = 0; image < j->l.images; image++) {
    double own[2];
    hl_norm_total(j, image, channel, own);
    sums[0] += own[0];
    sums[1] += own[1];
  }
}

static double rstd_of(const vectors *v, int64_t channel, const hl_call *c) {
  const hl_batch_norm_attrs *a = c->attrs;
  return 1 / sqrt((double)v->variance[channel] * v->biased + a->eps);
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  const hl_batch_norm_attrs *a = c->attrs;
  vectors v;
  hl_norm j = begin(c, in, out, work, 1, &v);
  double n = numbers(&j);
  hl_norm_sums(&j);
  for (int64_t channel = 0; channel < j.l.channels; channel++) {
    double sums[2], mean, variance;
    total(&j, channel, sums);
    hl_norm_moments(sums, n, &mean, &variance);
    hl_tensor_f32(out[1])[channel] = (float)mean;
    hl_tensor_f32(out[2])[channel] = (float)(variance * n / (n - 1));
    set_channel(&j, &v, channel, mean, 1 / sqrt(variance + a->eps));
  }
  hl_norm_map(&j);
  return HL_OK;
}

static hl_status run_eval(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  vectors v;
  hl_norm j = begin(c, in, out, work, 3, &v);
  v.variance = hl_tensor_f32(in[2]);
  for (int64_t channel = 0; channel < j.l.channels; channel++)
    set_channel(&j, &v, channel, (double)hl_tensor_f32(in[1])[channel], rstd_of(&v, channel, c));
  hl_norm_map(&j);
  return HL_OK;
}

/* The sums of both gradients: dy is input 3, mean and variance are inputs 1 and 2. */
static void sum_gradients(hl_norm *j, vectors *v, const hl_call *c, hl_tensor *const *in) {
  j->dy = hl_tensor_f32(in[3]);
  v->mean = hl_tensor_f32(in[1]);
  v->variance = hl_tensor_f32(in[2]);
  for (int64_t channel = 0; channel < j->l.channels; channel++)
    set_channel(j, v, channel, (double)v->mean[channel], rstd_of(v, channel, c));
  hl_norm_sums(j);
}

static void set_shift(const hl_norm *j, int64_t channel, double shift, double slant) {
  for (int64_t image = 0; image < j->l.images; image++) {
    hl_norm_set(j, image, HL_NORM_SHIFT, channel, shift);
    hl_norm_set(j, image, HL_NORM_SLANT, channel, slant);
  }
}

static hl_status run_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  vectors v;
  hl_norm j = begin(c, in, out, work, 6, &v);
  double n = numbers(&j);
  v.biased = (n - 1) / n;
  sum_gradients(&j, &v, c, in);
  for (int64_t channel = 0; channel < j.l.channels; channel++) {
    double sums[2], rstd = rstd_of(&v, channel, c), factor = factor_of(&v, channel, rstd);
    double dmean = (double)hl_tensor_f32(in[4])[channel];
    double dvariance = (double)hl_tensor_f32(in[5])[channel];
    total(&j, channel, sums);
    set_shift(&j, channel, (dmean - factor * sums[0]) / n,
              2 * dvariance / (n - 1) - factor * rstd * sums[1] / n);
    for (int i = 1; i < c->n_out; i++) hl_tensor_f32(out[i])[channel] = (float)sums[2 - i];
  }
  hl_norm_map(&j);
  return HL_OK;
}

static hl_status run_eval_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                               void *work, hl_err *e) {
  (void)e;
  vectors v;
  hl_norm j = begin(c, in, out, work, 4, &v);
  sum_gradients(&j, &v, c, in);
  for (int64_t channel = 0; channel < j.l.channels; channel++) {
    double sums[2], rstd = rstd_of(&v, channel, c), factor = factor_of(&v, channel, rstd);
    total(&j, channel, sums);
    set_shift(&j, channel, 0, 0);
    hl_tensor_f32(out[1])[channel] = (float)(-factor * sums[0]);
    hl_tensor_f32(out[2])[channel] = (float)(-factor * rstd * sums[1] / 2);
    for (int i = 3; i < c->n_out; i++) hl_tensor_f32(out[i])[channel] = (float)sums[4 - i];
  }
  hl_norm_map(&j);
  return HL_OK;
}

const hl_kernel hl_cpu_batch_norm = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_batch_norm_grad = {.workspace = workspace, .run = run_grad};
const hl_kernel hl_cpu_batch_norm_eval = {.workspace = workspace, .run = run_eval};
const hl_kernel hl_cpu_batch_norm_eval_grad = {.workspace = workspace, .run = run_eval_grad};
