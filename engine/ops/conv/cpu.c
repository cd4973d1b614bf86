/* Convolution on the CPU: the first method that takes a shape computes it; oneDNN takes all. */
#include "conv.h"

#include "convolution.h"
#include "depthwise.h"
#include "pointwise.h"

#include <hilum/parallel.h>

#include <string.h>

typedef struct method {
  bool (*takes)(const hl_convolution *c);
  hl_status (*workspace)(const hl_convolution *c, size_t *bytes, hl_err *e);
  hl_status (*run)(const hl_convolution *c, float *x, float *weight, float *bias, float *y,
                   void *workspace, hl_err *e);
} method;

static bool takes_all(const hl_convolution *c) {
  (void)c;
  return true;
}

static const method methods[] = {
    {hl_pointwise_takes, hl_pointwise_workspace, hl_pointwise_run},
    {hl_depthwise_takes, hl_depthwise_workspace, hl_depthwise_run},
    {takes_all, hl_convolution_workspace, hl_convolution_run},
};

static const method *choose(const hl_convolution *c) {
  const method *m = methods;
  while (!m->takes(c)) m++;
  return m;
}

static hl_convolution convolution_of(const hl_call *call, hl_conv_kind kind) {
  hl_conv_geometry g = hl_conv_geometry_of(call);
  hl_convolution c = {0};
  c.kind = kind;
  c.dtype = call->in[0].dtype;
  c.bias = kind == HL_CONV_FORWARD && call->n_in > 2;
  c.n = g.n;
  c.in = g.in;
  c.out = g.out;
  c.groups = g.groups;
  memcpy(c.x, g.x, sizeof c.x);
  memcpy(c.y, g.y, sizeof c.y);
  memcpy(c.kernel, g.kernel, sizeof c.kernel);
  memcpy(c.stride, g.stride, sizeof c.stride);
  memcpy(c.padding, g.padding, sizeof c.padding);
  memcpy(c.dilation, g.dilation, sizeof c.dilation);
  return c;
}

static hl_status workspace(const hl_call *call, hl_conv_kind kind, size_t *bytes, hl_err *e) {
  hl_convolution c = convolution_of(call, kind);
  return choose(&c)->workspace(&c, bytes, e);
}

static hl_status run(const hl_call *call, hl_conv_kind kind, hl_tensor *x, hl_tensor *weight,
                     hl_tensor *bias, hl_tensor *y, void *work, hl_err *e) {
  hl_convolution c = convolution_of(call, kind);
  return choose(&c)->run(&c, hl_tensor_f32(x), hl_tensor_f32(weight),
                         bias != NULL ? hl_tensor_f32(bias) : NULL, hl_tensor_f32(y), work, e);
}

static hl_status forward_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  return workspace(c, HL_CONV_FORWARD, bytes, e);
}
static hl_status forward(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                         hl_err *e) {
  return run(c, HL_CONV_FORWARD, in[0], in[1], c->n_in > 2 ? in[2] : NULL, out[0], work, e);
}

static hl_status grad_input_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  return workspace(c, HL_CONV_GRAD_INPUT, bytes, e);
}
static hl_status grad_input(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *work, hl_err *e) {
  return run(c, HL_CONV_GRAD_INPUT, out[0], in[1], NULL, in[0], work, e);
}

static hl_status grad_weight_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  return workspace(c, HL_CONV_GRAD_WEIGHT, bytes, e);
}
static hl_status grad_weight(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                             void *work, hl_err *e) {
  return run(c, HL_CONV_GRAD_WEIGHT, in[0], out[0], NULL, in[1], work, e);
}

typedef struct bias_job {
  float *y;
  const float *bias;
  int64_t channels;
} bias_job;

static void add_bias(int64_t begin, int64_t end, void *ctx) {
  const bias_job *j = ctx;
  for (int64_t v = begin; v < end; v++)
    for (int64_t c = 0; c < j->channels; c++) j->y[v * j->channels + c] += j->bias[c];
}

/* The transpose is the gradient of the input, with a bias on top. */
static hl_status transpose(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *work, hl_err *e) {
  HL_TRY(grad_input(c, in, out, work, e));
  if (c->n_in < 3) return HL_OK;
  bias_job j = {hl_tensor_f32(out[0]), hl_tensor_f32(in[2]), c->out[0].shape.dim[1]};
  enum { GRAIN = 16384 };
  hl_parallel_for(hl_tensor_numel(out[0]) / j.channels, GRAIN / j.channels + 1, add_bias, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_conv = {.workspace = forward_workspace, .run = forward};
const hl_kernel hl_cpu_conv_grad_input = {.workspace = grad_input_workspace, .run = grad_input};
const hl_kernel hl_cpu_conv_grad_weight = {.workspace = grad_weight_workspace, .run = grad_weight};
const hl_kernel hl_cpu_conv_transpose = {.workspace = grad_input_workspace, .run = transpose};
