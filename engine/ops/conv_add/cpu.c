/* In place where the convolution's method can; otherwise the gradient goes to scratch first. */
#include "conv/conv_cpu.h"

#include "convolution.h"
#include "kernel.h"
#include "opkit.h"

enum { ALIGNMENT = 64 };

static hl_call gradient_of(const hl_call *c) {
  return (hl_call){.op = &hl_op_conv_grad_input,
                   .attrs = c->attrs,
                   .n_in = 2,
                   .n_out = 1,
                   .in = {c->in[1], c->in[2]},
                   .out = {c->out[0]}};
}

static hl_convolution convolution_of(const hl_call *c) {
  hl_call g = gradient_of(c);
  hl_convolution cv;
  hl_convolution_of(&g, HL_CONV_GRAD_INPUT, &cv);
  cv.add = 1;
  return cv;
}

static bool in_place(const hl_call *c) {
  const hl_convolution cv = convolution_of(c);
  return hl_conv_adds(&cv);
}

static size_t image_bytes(const hl_call *c) {
  return (hl_desc_bytes(&c->out[0]) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static hl_call sum_of(const hl_call *c) {
  return (hl_call){
      .op = &hl_op_add, .n_in = 2, .n_out = 1, .in = {c->out[0], c->out[0]}, .out = {c->out[0]}};
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  const hl_convolution cv = convolution_of(c);
  if (in_place(c)) return hl_conv_workspace(&cv, bytes, e);
  hl_call g = gradient_of(c), sum = sum_of(c);
  size_t own, adding;
  HL_TRY(hl_call_workspace(&g, &own, e));
  HL_TRY(hl_call_workspace(&sum, &adding, e));
  *bytes = image_bytes(c) + (own > adding ? own : adding);
  return HL_OK;
}

static hl_status run_apart(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           char *work, hl_err *e) {
  hl_call g = gradient_of(c), sum = sum_of(c);
  hl_tensor *own;
  HL_TRY(hl_tensor_borrow(&own, &c->out[0], work, e));
  hl_status s = hl_call_execute(&g, in + 1, &own, work + image_bytes(c), e);
  if (s == HL_OK)
    s = hl_call_execute(&sum, (hl_tensor *[]){in[0], own}, out, work + image_bytes(c), e);
  hl_tensor_unref(own);
  return s;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  if (!in_place(c)) return run_apart(c, in, out, work, e);
  const hl_convolution cv = convolution_of(c);
  if (hl_tensor_data(in[0]) != hl_tensor_data(out[0])) HL_TRY(hl_tensor_copy(out[0], in[0], e));
  return hl_conv_run(&cv, hl_tensor_data(out[0]), hl_tensor_f32(in[2]), NULL, hl_tensor_data(in[1]),
                     work, e);
}

const hl_kernel hl_cpu_conv_grad_input_add = {
    .workspace = workspace, .run = run, .takes_bf16 = hl_always_bf16, .joins = in_place};
