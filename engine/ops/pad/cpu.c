#include "pad.h"

#include "separable.h"

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_taps t = hl_pad_taps(c);
  *bytes = hl_separable_workspace(&t);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  hl_taps t = hl_pad_taps(c);
  hl_separable_run(&t, hl_tensor_f32(in[0]), hl_tensor_f32(out[0]), work);
  return HL_OK;
}

static hl_status grad_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_taps t = hl_pad_grad_taps(c);
  *bytes = hl_separable_workspace(&t);
  return HL_OK;
}

static hl_status run_grad(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                          hl_err *e) {
  (void)e;
  hl_taps t = hl_pad_grad_taps(c);
  hl_separable_run(&t, hl_tensor_f32(in[0]), hl_tensor_f32(out[0]), work);
  return HL_OK;
}

const hl_kernel hl_cpu_pad = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_pad_grad = {.workspace = grad_workspace, .run = run_grad};
