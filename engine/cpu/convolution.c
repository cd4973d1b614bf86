#include "convolution.h"

#include "cache.h"
#include "onednn.h"

#include <hilum/ledger.h>
#include <hilum/parallel.h>

#include <string.h>

enum { ALIGNMENT = 64, AXES = 5 };

/* A convolution made ready: the primitive, the reorder of its weights (NULL if oneDNN takes them
 * plain) and how the workspace is divided: weights first, scratchpad behind. */
typedef struct prepared {
  hl_cached cached;
  dnnl_primitive_t compute, reorder;
  dnnl_memory_desc_t x, y, bias, plain, weight, scratch, reorder_scratch;
  size_t weight_bytes, scratch_bytes;
} prepared;

static void prepared_free(hl_cached *c) {
  prepared *p = (prepared *)(void *)c;
  if (p->compute != NULL) dnnl_primitive_destroy(p->compute);
  if (p->reorder != NULL) dnnl_primitive_destroy(p->reorder);
  hl_host_free(p);
}

static size_t rounded(size_t bytes) {
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static dnnl_status_t describe(const hl_convolution *c, prepared *p, dnnl_memory_desc_t *any) {
  const dnnl_dims_t x = {c->n, c->in, c->x[0], c->x[1], c->x[2]};
  const dnnl_dims_t y = {c->n, c->out, c->y[0], c->y[1], c->y[2]};
  const int64_t *k = c->kernel, g = c->groups;
  const dnnl_dims_t one = {c->out, c->in, k[0], k[1], k[2]};
  const dnnl_dims_t many = {g, c->out / g, c->in / g, k[0], k[1], k[2]};
  const dnnl_dim_t *w = g > 1 ? many : one;
  const int axes = g > 1 ? AXES + 1 : AXES;
  const dnnl_dims_t b = {c->out};
  const dnnl_data_type_t image = c->dtype == HL_BF16 ? dnnl_bf16 : dnnl_f32;
  const dnnl_data_type_t used = c->kind == HL_CONV_GRAD_WEIGHT ? dnnl_f32 : image;
  dnnl_status_t s = dnnl_memory_desc_init_by_tag(&p->x, AXES, x, image, dnnl_ndhwc);
  if (s == dnnl_success) s = dnnl_memory_desc_init_by_tag(&p->y, AXES, y, image, dnnl_ndhwc);
  if (s == dnnl_success)
    s = dnnl_memory_desc_init_by_tag(&p->plain, axes, w, dnnl_f32,
                                     g > 1 ? dnnl_goidhw : dnnl_oidhw);
  if (s == dnnl_success) s = dnnl_memory_desc_init_by_tag(any, axes, w, used, dnnl_format_tag_any);
  if (s == dnnl_success) s = dnnl_memory_desc_init_by_tag(&p->bias, 1, b, dnnl_f32, dnnl_a);
  return s;
}

static dnnl_status_t specify(const hl_convolution *c, const prepared *p,
                             const dnnl_memory_desc_t *any, dnnl_convolution_desc_t *out) {
  const dnnl_alg_kind_t direct = dnnl_convolution_direct;
  const dnnl_memory_desc_t *bias = c->bias != 0 ? &p->bias : NULL;
  dnnl_dims_t stride = {0}, pad = {0}, far = {0}, gaps = {0};
  memcpy(stride, c->stride, sizeof c->stride);
  memcpy(pad, c->padding, sizeof c->padding);
  memcpy(far, c->far, sizeof c->far);
  for (int i = 0; i < 3; i++) gaps[i] = c->dilation[i] - 1;
  switch ((hl_conv_kind)c->kind) {
  case HL_CONV_FORWARD:
    return dnnl_dilated_convolution_forward_desc_init(out, dnnl_forward_training, direct, &p->x,
                                                      any, bias, &p->y, stride, gaps, pad, far);
  case HL_CONV_GRAD_INPUT:
    return dnnl_dilated_convolution_backward_data_desc_init(out, direct, &p->x, any, &p->y, stride,
                                                            gaps, pad, far);
  case HL_CONV_GRAD_WEIGHT:
    return dnnl_dilated_convolution_backward_weights_desc_init(out, direct, &p->x, any, NULL, &p->y,
                                                               stride, gaps, pad, far);
  }
  return dnnl_invalid_arguments;
}

/* What a primitive description says about its memory. */
static dnnl_memory_desc_t queried(const_dnnl_primitive_desc_t d, dnnl_query_t what) {
  const dnnl_memory_desc_t *m = dnnl_primitive_desc_query_md(d, what, 0);
  return m != NULL ? *m : (dnnl_memory_desc_t){0};
}

static dnnl_status_t prepare_compute(prepared *p, const dnnl_convolution_desc_t *what,
                                     hl_conv_kind kind, const_dnnl_primitive_attr_t attr,
                                     dnnl_engine_t engine) {
  dnnl_primitive_desc_t d = NULL;
  dnnl_status_t s = dnnl_primitive_desc_create(&d, what, attr, engine, NULL);
  if (s != dnnl_success) return s;
  p->weight =
      queried(d, kind == HL_CONV_GRAD_WEIGHT ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
  p->scratch = queried(d, dnnl_query_scratchpad_md);
  s = dnnl_primitive_create(&p->compute, d);
  dnnl_primitive_desc_destroy(d);
  return s;
}

/* Weights into oneDNN's order, or a weight gradient out of it. */
static dnnl_status_t prepare_reorder(prepared *p, hl_conv_kind kind,
                                     const_dnnl_primitive_attr_t attr, dnnl_engine_t engine) {
  if (dnnl_memory_desc_equal(&p->plain, &p->weight)) return dnnl_success;
  bool back = kind == HL_CONV_GRAD_WEIGHT;
  dnnl_primitive_desc_t d = NULL;
  dnnl_status_t s = dnnl_reorder_primitive_desc_create(&d, back ? &p->weight : &p->plain, engine,
                                                       back ? &p->plain : &p->weight, engine, attr);
  if (s != dnnl_success) return s;
  p->reorder_scratch = queried(d, dnnl_query_scratchpad_md);
  s = dnnl_primitive_create(&p->reorder, d);
  dnnl_primitive_desc_destroy(d);
  return s;
}

static dnnl_status_t prepare(const hl_convolution *c, prepared *p, dnnl_engine_t engine) {
  dnnl_memory_desc_t any;
  dnnl_convolution_desc_t what;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_status_t s = describe(c, p, &any);
  if (s == dnnl_success) s = specify(c, p, &any, &what);
  if (s == dnnl_success) s = dnnl_primitive_attr_create(&attr);
  if (s != dnnl_success) return s;
  hl_conv_kind kind = (hl_conv_kind)c->kind;
  s = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
  if (s == dnnl_success) s = prepare_compute(p, &what, kind, attr, engine);
  if (s == dnnl_success) s = prepare_reorder(p, kind, attr, engine);
  dnnl_primitive_attr_destroy(attr);
  if (s != dnnl_success) return s;
  p->weight_bytes = p->reorder != NULL ? rounded(dnnl_memory_desc_get_size(&p->weight)) : 0;
  size_t a = dnnl_memory_desc_get_size(&p->scratch);
  size_t b = dnnl_memory_desc_get_size(&p->reorder_scratch);
  p->scratch_bytes = rounded(a > b ? a : b);
  return dnnl_success;
}

static hl_status make(const void *key, hl_cached **out, hl_err *e) {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  HL_TRY(hl_onednn_engine(&engine, &stream, e));
  prepared *p = hl_host_calloc(1, sizeof *p);
  if (p == NULL) return hl_fail(e, HL_ENOMEM, "no memory to prepare a convolution");
  p->cached.release = prepared_free;
  hl_status s = hl_onednn_check(prepare(key, p, engine), "prepare this convolution", e);
  if (s != HL_OK) {
    prepared_free(&p->cached);
    return s;
  }
  *out = &p->cached;
  return HL_OK;
}

static hl_status prepared_get(const hl_convolution *c, prepared **out, hl_err *e) {
  *out = NULL;
  if (c->dtype != HL_F32 && c->dtype != HL_BF16)
    return hl_fail(e, HL_EMISSING, "convolution on the CPU takes f32 or bf16, not %s",
                   hl_dtype_name((hl_dtype)c->dtype));
  hl_convolution key = *c;
  key.threads = hl_compute_threads();
  hl_cached *found;
  HL_TRY(hl_cache_get(&key, sizeof key, make, &found, e));
  *out = (prepared *)(void *)found;
  return HL_OK;
}

/* oneDNN computes bf16 on older processors too, slower than f32. */
bool hl_convolution_multiplies_bf16(void) {
  const unsigned wanted = dnnl_cpu_isa_avx512_core_bf16;
  return ((unsigned)dnnl_get_effective_cpu_isa() & wanted) == wanted;
}

hl_status hl_convolution_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  prepared *p;
  HL_TRY(prepared_get(c, &p, e));
  *bytes = ALIGNMENT + p->weight_bytes + p->scratch_bytes; /* never nothing */
  hl_cache_put(&p->cached);
  return HL_OK;
}

/* One argument of a primitive: what it is to oneDNN, how it lies in memory, where. */
typedef struct argument {
  int role;
  const dnnl_memory_desc_t *desc;
  void *data;
} argument;

enum { MOST_ARGUMENTS = 5 };

static dnnl_status_t execute(dnnl_primitive_t what, int n, const argument *a, dnnl_engine_t engine,
                             dnnl_stream_t stream) {
  dnnl_exec_arg_t args[MOST_ARGUMENTS] = {0};
  dnnl_status_t s = dnnl_success;
  int made = 0;
  for (; made < n && s == dnnl_success; made++) {
    args[made] = (dnnl_exec_arg_t){a[made].role, NULL};
    s = dnnl_memory_create(&args[made].memory, a[made].desc, engine, a[made].data);
  }
  if (s == dnnl_success) s = dnnl_primitive_execute(what, stream, n, args);
  if (s == dnnl_success) s = dnnl_stream_wait(stream);
  for (int i = 0; i < made; i++)
    if (args[i].memory != NULL) dnnl_memory_destroy(args[i].memory);
  return s;
}

static dnnl_status_t run_reorder(const prepared *p, hl_conv_kind kind, float *plain, char *work,
                                 dnnl_engine_t engine, dnnl_stream_t stream) {
  bool back = kind == HL_CONV_GRAD_WEIGHT;
  const argument args[] = {
      {DNNL_ARG_FROM, back ? &p->weight : &p->plain, back ? (void *)work : plain},
      {DNNL_ARG_TO, back ? &p->plain : &p->weight, back ? plain : (void *)work},
      {DNNL_ARG_SCRATCHPAD, &p->reorder_scratch, work + p->weight_bytes},
  };
  return execute(p->reorder, 3, args, engine, stream);
}

static dnnl_status_t run_compute(const prepared *p, const hl_convolution *c, void *x, void *weight,
                                 float *bias, void *y, char *work, dnnl_engine_t engine,
                                 dnnl_stream_t stream) {
  bool dx = c->kind == HL_CONV_GRAD_INPUT, dw = c->kind == HL_CONV_GRAD_WEIGHT;
  const argument args[MOST_ARGUMENTS] = {
      {dx ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, &p->x, x},
      {dx || dw ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, &p->y, y},
      {dw ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, &p->weight, weight},
      {DNNL_ARG_SCRATCHPAD, &p->scratch, work + p->weight_bytes},
      {DNNL_ARG_BIAS, &p->bias, bias},
  };
  return execute(p->compute, c->bias != 0 ? 5 : 4, args, engine, stream);
}

static dnnl_status_t run(const prepared *p, const hl_convolution *c, void *x, float *weight,
                         float *bias, void *y, char *work, dnnl_engine_t engine,
                         dnnl_stream_t stream) {
  hl_conv_kind kind = (hl_conv_kind)c->kind;
  void *ordered = p->reorder != NULL ? (void *)work : weight;
  dnnl_status_t s = dnnl_success;
  if (p->reorder != NULL && kind != HL_CONV_GRAD_WEIGHT)
    s = run_reorder(p, kind, weight, work, engine, stream);
  if (s == dnnl_success) s = run_compute(p, c, x, ordered, bias, y, work, engine, stream);
  if (s == dnnl_success && p->reorder != NULL && kind == HL_CONV_GRAD_WEIGHT)
    s = run_reorder(p, kind, weight, work, engine, stream);
  return s;
}

hl_status hl_convolution_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                             void *workspace, hl_err *e) {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  prepared *p;
  HL_TRY(hl_onednn_engine(&engine, &stream, e));
  HL_TRY(prepared_get(c, &p, e));
  dnnl_status_t s = run(p, c, x, weight, bias, y, workspace, engine, stream);
  hl_cache_put(&p->cached);
  return hl_onednn_check(s, "run this convolution", e);
}
