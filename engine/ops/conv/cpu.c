/* Convolution on the CPU: the first method that takes a shape computes it; oneDNN takes all. */
#include "conv_cpu.h"

#include "convolution.h"
#include "depthwise.h"
#include "pointwise.h"
#include "slabs.h"
#include "wide.h"
#include "winograd.h"

#include <hilum/bf16.h>
#include <hilum/parallel.h>

#include <string.h>

typedef struct method {
  bool (*takes)(const hl_convolution *c);
  hl_status (*workspace)(const hl_convolution *c, size_t *bytes, hl_err *e);
  hl_status (*run)(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                   void *workspace, hl_err *e);
  bool adds; /* knows hl_convolution.add */
} method;

static bool takes_all(const hl_convolution *c) {
  (void)c;
  return true;
}

static const method methods[] = {
    {hl_pointwise_takes, hl_pointwise_workspace, hl_pointwise_run, false},
    {hl_depthwise_takes, hl_depthwise_workspace, hl_depthwise_run, false},
    {hl_wide_takes, hl_wide_workspace, hl_wide_run, true},
    {hl_winograd_takes, hl_winograd_workspace, hl_winograd_run, true},
    {hl_slabs_takes, hl_slabs_workspace, hl_slabs_run, false},
    {takes_all, hl_convolution_workspace, hl_convolution_run, false},
};

static const method *choose(const hl_convolution *c) {
  const method *m = methods;
  while (!m->takes(c)) m++;
  return m;
}

hl_status hl_conv_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  return choose(c)->workspace(c, bytes, e);
}

hl_status hl_conv_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                      void *workspace, hl_err *e) {
  return choose(c)->run(c, x, weight, bias, y, workspace, e);
}

bool hl_conv_adds(const hl_convolution *c) {
  return choose(c)->adds;
}

void hl_convolution_of(const hl_call *call, int64_t kind, hl_convolution *out) {
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
  memcpy(c.far, g.padding, sizeof c.far);
  memcpy(c.dilation, g.dilation, sizeof c.dilation);
  *out = c;
}

static hl_status workspace(const hl_call *call, hl_conv_kind kind, size_t *bytes, hl_err *e) {
  hl_convolution c;
  hl_convolution_of(call, kind, &c);
  return hl_conv_workspace(&c, bytes, e);
}

static hl_status run(const hl_call *call, hl_conv_kind kind, hl_tensor *x, hl_tensor *weight,
                     hl_tensor *bias, hl_tensor *y, void *work, hl_err *e) {
  hl_convolution c;
  hl_convolution_of(call, kind, &c);
  return hl_conv_run(&c, hl_tensor_data(x), hl_tensor_f32(weight),
                     bias != NULL ? hl_tensor_f32(bias) : NULL, hl_tensor_data(y), work, e);
}

/* Depth-wise ones are computed in f32: oneDNN has nothing fast for them. So are pointwise ones of a
 * single channel, slab by slab: they hardly compute, and oneDNN fills the channel up to 16. */
static bool in_bf16(const hl_call *call, hl_conv_kind kind) {
  hl_convolution c, wide;
  hl_convolution_of(call, kind, &c);
  wide = c;
  wide.dtype = HL_F32;
  size_t bytes;
  hl_err reason = {0};
  if (hl_depthwise_takes(&wide) || hl_pointwise_takes(&wide)) return false;
  if (!hl_convolution_multiplies_bf16()) return false;
  return choose(&c)->workspace(&c, &bytes, &reason) != HL_EMISSING;
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

static bool forward_bf16(const hl_call *c) {
  return in_bf16(c, HL_CONV_FORWARD);
}
static bool grad_input_bf16(const hl_call *c) {
  return in_bf16(c, HL_CONV_GRAD_INPUT);
}
static bool grad_weight_bf16(const hl_call *c) {
  return in_bf16(c, HL_CONV_GRAD_WEIGHT);
}

typedef struct bias_job {
  float *y; /* or, in bf16, */
  uint16_t *rounded;
  const float *bias;
  int64_t channels;
} bias_job;

static void add_bias(int64_t begin, int64_t end, void *ctx) {
  const bias_job *j = ctx;
  for (int64_t v = begin; v < end && j->y != NULL; v++)
    for (int64_t c = 0; c < j->channels; c++) j->y[v * j->channels + c] += j->bias[c];
  for (int64_t v = begin; v < end && j->rounded != NULL; v++) {
    uint16_t *y = j->rounded + v * j->channels;
    for (int64_t c = 0; c < j->channels; c++)
      y[c] = hl_bf16_round(hl_bf16_widen(y[c]) + j->bias[c]);
  }
}

/* The transpose is the gradient of the input, with a bias on top. */
static hl_status transpose(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *work, hl_err *e) {
  HL_TRY(grad_input(c, in, out, work, e));
  if (c->n_in < 3) return HL_OK;
  bias_job j = {hl_tensor_f32(out[0]), hl_tensor_bf16(out[0]), hl_tensor_f32(in[2]),
                c->out[0].shape.dim[1]};
  enum { GRAIN = 16384 };
  hl_parallel_for(hl_tensor_numel(out[0]) / j.channels, GRAIN / j.channels + 1, add_bias, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_conv = {
    .workspace = forward_workspace, .run = forward, .takes_bf16 = forward_bf16};
const hl_kernel hl_cpu_conv_grad_input = {
    .workspace = grad_input_workspace, .run = grad_input, .takes_bf16 = grad_input_bf16};
const hl_kernel hl_cpu_conv_grad_weight = {
    .workspace = grad_weight_workspace, .run = grad_weight, .takes_bf16 = grad_weight_bf16};
const hl_kernel hl_cpu_conv_transpose = {
    .workspace = grad_input_workspace, .run = transpose, .takes_bf16 = grad_input_bf16};
