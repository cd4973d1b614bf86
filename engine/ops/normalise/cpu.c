#include "normalise.h"

#include "norm.h"

#include <math.h>

static hl_status stats_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  *bytes = hl_norm_workspace(&c->in[0]);
  return HL_OK;
}

static hl_status stats_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *work, hl_err *e) {
  (void)e;
  const hl_instance_stats_attrs *a = c->attrs;
  hl_norm j = hl_norm_begin(&c->in[0], 1, work);
  hl_norm_images(&j, in[0], in[0]);
  hl_norm_instance_stats(&j, a->eps, hl_tensor_f32(out[0]));
  return HL_OK;
}

/* Of x, input `first`, and what follows it. */
static hl_norm begin(const hl_call *c, int first, hl_tensor *const *in, double slope, void *work) {
  hl_norm j = hl_norm_begin(&c->in[first], slope, work);
  hl_norm_images(&j, in[first], in[first]);
  hl_norm_set_instances(&j, hl_tensor_f32(in[first + 1]),
                        c->n_in > first + 2 ? hl_tensor_f32(in[first + 2]) : NULL,
                        c->n_in > first + 3 ? hl_tensor_f32(in[first + 3]) : NULL);
  return j;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  const hl_normalise_attrs *a = c->attrs;
  hl_norm j = begin(c, 0, in, a->slope, work);
  hl_norm_images(&j, in[0], out[0]);
  hl_norm_map(&j);
  return HL_OK;
}

static hl_status add_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  *bytes = hl_norm_workspace(&c->in[1]);
  return HL_OK;
}

static hl_status add_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                         hl_err *e) {
  (void)e;
  const hl_normalise_add_attrs *a = c->attrs;
  hl_norm j = begin(c, 1, in, a->slope, work);
  hl_norm_onto(&j, in[0], (float)a->sign, out[0]);
  hl_norm_map(&j);
  return HL_OK;
}

/* Onto fixed point beside bf16. */
static bool takes_fixed(const hl_call *c) {
  return c->in[1].dtype == HL_BF16;
}

const hl_kernel hl_cpu_instance_stats = {
    .workspace = stats_workspace, .run = stats_run, .takes_bf16 = hl_always_bf16};
const hl_kernel hl_cpu_normalise = {
    .workspace = stats_workspace, .run = run, .takes_bf16 = hl_always_bf16};
const hl_kernel hl_cpu_normalise_add = {.workspace = add_workspace,
                                        .run = add_run,
                                        .takes_bf16 = hl_always_bf16,
                                        .takes_fixed = takes_fixed};
