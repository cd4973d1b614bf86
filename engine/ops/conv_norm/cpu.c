/* By our own convolution where it takes the call, in one pass; otherwise op by op. */
#include "conv_norm.h"

#include "conv/conv_cpu.h"
#include "kernel.h"
#include "norm.h"
#include "normalise/normalise.h"
#include "opkit.h"
#include "winograd.h"

enum { ALIGNMENT = 64 };

static size_t rounded(size_t bytes) {
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* A call, taken apart. */
typedef struct parts {
  hl_conv_kind kind;
  hl_call norm, conv, stats;
  bool reads, gives; /* is there a norm, are there statistics to give? */
  double slope, eps;
  hl_normalise_attrs norm_attrs;
  hl_instance_stats_attrs stats_attrs;
} parts;

static void take_apart(const hl_call *c, hl_conv_kind kind, parts *p) {
  const hl_conv_norm_attrs *forward = c->attrs;
  const hl_conv_norm_grad_weight_attrs *back = c->attrs;
  bool ahead = kind == HL_CONV_FORWARD;
  *p = (parts){.kind = kind, .reads = c->n_in > 2, .gives = ahead && forward->stats};
  p->slope = ahead ? forward->slope : back->slope;
  p->eps = ahead ? forward->eps : 1;
  p->norm_attrs.slope = p->slope;
  p->stats_attrs.eps = p->eps;
  p->conv = (hl_call){.op = ahead ? &hl_op_conv : &hl_op_conv_grad_weight,
                      .attrs = c->attrs, /* they begin with the convolution's */
                      .n_in = 2,
                      .n_out = 1,
                      .in = {c->in[0], c->in[1]},
                      .out = {c->out[0]}};
  p->norm = (hl_call){.op = &hl_op_normalise,
                      .attrs = &p->norm_attrs,
                      .n_in = c->n_in - 1,
                      .n_out = 1,
                      .in = {c->in[0]},
                      .out = {c->in[0]}};
  for (int i = 2; i < c->n_in; i++) p->norm.in[i - 1] = c->in[i];
  p->stats = (hl_call){.op = &hl_op_instance_stats,
                       .attrs = &p->stats_attrs,
                       .n_in = 1,
                       .n_out = 1,
                       .in = {c->out[0]},
                       .out = {p->gives ? c->out[1] : c->out[0]}};
}

static bool in_one_pass(const hl_call *c, hl_conv_kind kind) {
  parts p;
  take_apart(c, kind, &p);
  hl_convolution cv;
  hl_convolution_of(&p.conv, kind, &cv);
  /* A bf16 image would be rounded once more if it existed, and must be the same either way. */
  if (p.reads && c->in[0].dtype != HL_F32) return false;
  return (p.reads || p.gives) && hl_winograd_takes_way(&cv);
}

/* ---- in one pass ---- */

/* Means, factors and offsets of x, moments of y, the convolution's scratch. */
typedef struct layout {
  size_t factors, moments, rest, bytes;
} layout;

static hl_status lay_out(const hl_convolution *cv, layout *l, hl_err *e) {
  l->factors = 0;
  l->moments = rounded((size_t)(3 * cv->n * cv->in) * sizeof(float));
  l->rest = l->moments + rounded((size_t)(2 * cv->n * cv->out) * sizeof(double));
  HL_TRY(hl_winograd_way_workspace(cv, &l->bytes, e));
  l->bytes += l->rest;
  return HL_OK;
}

/* As hl_norm_set_channel has them: [3][n][in]. */
static void set_factors(const hl_convolution *cv, int n_in, hl_tensor *const *in, float *mean) {
  const float *stats = hl_tensor_f32(in[2]);
  const float *scale = n_in > 3 ? hl_tensor_f32(in[3]) : NULL;
  const float *shift = n_in > 4 ? hl_tensor_f32(in[4]) : NULL;
  float *factor = mean + cv->n * cv->in, *offset = factor + cv->n * cv->in;
  for (int64_t i = 0; i < cv->n * cv->in; i++) {
    mean[i] = stats[2 * i];
    factor[i] = (float)((double)stats[2 * i + 1] * (scale != NULL ? (double)scale[i % cv->in] : 1));
    offset[i] = shift != NULL ? shift[i % cv->in] : 0;
  }
}

static void set_stats(const hl_convolution *cv, const double *moments, double eps, float *stats) {
  double voxels = (double)(cv->y[0] * cv->y[1] * cv->y[2]);
  for (int64_t i = 0; i < cv->n * cv->out; i++) {
    const double *of_image = moments + i / cv->out * 2 * cv->out + i % cv->out;
    const double sums[2] = {of_image[0], of_image[cv->out]};
    hl_norm_stats(sums, voxels, eps, stats + 2 * i);
  }
}

static hl_status run_in_one(const hl_call *c, const parts *p, hl_tensor *const *in,
                            hl_tensor *const *out, char *work, hl_err *e) {
  hl_convolution cv;
  hl_convolution_of(&p->conv, p->kind, &cv);
  bool ahead = p->kind == HL_CONV_FORWARD;
  layout l;
  HL_TRY(lay_out(&cv, &l, e));
  float *mean = (float *)(void *)(work + l.factors);
  double *moments = (double *)(void *)(work + l.moments);
  if (p->reads) set_factors(&cv, c->n_in, in, mean);
  const hl_winograd_way way = {.mean = p->reads ? mean : NULL,
                               .factor = mean + cv.n * cv.in,
                               .offset = mean + 2 * cv.n * cv.in,
                               .slope = (float)p->slope,
                               .moments = p->gives ? moments : NULL};
  hl_tensor *weight = ahead ? in[1] : out[0], *y = ahead ? out[0] : in[1];
  HL_TRY(hl_winograd_way_run(&cv, &way, hl_tensor_data(in[0]), hl_tensor_f32(weight),
                             hl_tensor_data(y), work + l.rest, e));
  if (p->gives) set_stats(&cv, moments, p->eps, hl_tensor_f32(out[1]));
  return HL_OK;
}

/* ---- op by op ---- */

static size_t image_bytes(const parts *p) {
  return p->reads ? rounded(hl_desc_bytes(&p->norm.out[0])) : 0;
}

static hl_status apart_workspace(const parts *p, size_t *bytes, hl_err *e) {
  size_t norm = 0, conv = 0, stats = 0;
  if (p->reads) HL_TRY(hl_call_workspace(&p->norm, &norm, e));
  HL_TRY(hl_call_workspace(&p->conv, &conv, e));
  if (p->gives) HL_TRY(hl_call_workspace(&p->stats, &stats, e));
  size_t most = norm > conv ? norm : conv;
  *bytes = image_bytes(p) + (most > stats ? most : stats);
  return HL_OK;
}

static hl_status run_apart(const hl_call *c, const parts *p, hl_tensor *const *in,
                           hl_tensor *const *out, char *work, hl_err *e) {
  hl_tensor *x = in[0], *image = NULL;
  void *scratch = work + image_bytes(p);
  hl_status s = HL_OK;
  if (p->reads) {
    hl_tensor *args[4] = {in[0]};
    for (int i = 2; i < c->n_in; i++) args[i - 1] = in[i];
    HL_TRY(hl_tensor_borrow(&image, &p->norm.out[0], work, e));
    s = hl_call_execute(&p->norm, args, &image, scratch, e);
    x = image;
  }
  if (s == HL_OK) s = hl_call_execute(&p->conv, (hl_tensor *[]){x, in[1]}, out, scratch, e);
  if (s == HL_OK && p->gives) s = hl_call_execute(&p->stats, out, out + 1, scratch, e);
  hl_tensor_unref(image);
  return s;
}

/* ---- calls ---- */

static hl_status workspace(const hl_call *c, hl_conv_kind kind, size_t *bytes, hl_err *e) {
  parts p;
  take_apart(c, kind, &p);
  if (!in_one_pass(c, kind)) return apart_workspace(&p, bytes, e);
  hl_convolution cv;
  hl_convolution_of(&p.conv, kind, &cv);
  layout l;
  HL_TRY(lay_out(&cv, &l, e));
  *bytes = l.bytes;
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_conv_kind kind, hl_tensor *const *in,
                     hl_tensor *const *out, void *work, hl_err *e) {
  parts p;
  take_apart(c, kind, &p);
  return in_one_pass(c, kind) ? run_in_one(c, &p, in, out, work, e)
                              : run_apart(c, &p, in, out, work, e);
}

#define KERNEL(NAME, KIND)                                                                         \
  static hl_status NAME##_workspace(const hl_call *c, size_t *bytes, hl_err *e) {                  \
    return workspace(c, KIND, bytes, e);                                                           \
  }                                                                                                \
  static hl_status NAME##_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,       \
                              void *work, hl_err *e) {                                             \
    return run(c, KIND, in, out, work, e);                                                         \
  }                                                                                                \
  static bool NAME##_joins(const hl_call *c) {                                                     \
    return in_one_pass(c, KIND);                                                                   \
  }                                                                                                \
  const hl_kernel hl_cpu_##NAME = {.workspace = NAME##_workspace,                                  \
                                   .run = NAME##_run,                                              \
                                   .takes_bf16 = hl_always_bf16,                                   \
                                   .joins = NAME##_joins};

KERNEL(conv_norm, HL_CONV_FORWARD)
KERNEL(conv_norm_grad_weight, HL_CONV_GRAD_WEIGHT)
