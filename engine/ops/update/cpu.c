#include "update.h"

#include "kernel.h"

static hl_status read_clock(const hl_call *c, const hl_tensor *t, hl_clock *clock, hl_err *e) {
  return hl_clock_read(clock, c->op->name, hl_tensor_f64(t), hl_tensor_numel(t), e);
}

/* ---- Adam, AdamW, RAdam ---- */

/* param = keep·param − rate·m / (sqrt(v)·root + eps), or without the division. */
typedef struct adam_job {
  float *p, *m, *v, *top;
  const float *g;
  float beta1, gain1, beta2, gain2, eps, rate, root, add, keep, scale;
} adam_job;

static adam_job adam_begin(const hl_call *c, hl_tensor *const *in, const hl_clock *t) {
  const hl_adam_attrs *a = c->attrs;
  return (adam_job){.p = hl_tensor_f32(in[ADAM_PARAM]),
                    .m = hl_tensor_f32(in[ADAM_M]),
                    .v = hl_tensor_f32(in[ADAM_V]),
                    .top = c->n_in > ADAM_TOP ? hl_tensor_f32(in[ADAM_TOP]) : NULL,
                    .g = hl_tensor_f32(in[ADAM_GRAD]),
                    .beta1 = (float)a->beta1,
                    .gain1 = (float)(1 - a->beta1),
                    .beta2 = (float)a->beta2,
                    .gain2 = (float)(1 - a->beta2),
                    .eps = (float)a->eps,
                    .rate = (float)(t->rate / (1 - pow(a->beta1, t->step))),
                    .root = 1,
                    .add = (float)(a->decoupled ? 0 : a->decay),
                    .keep = (float)(a->decoupled ? 1 - t->rate * a->decay : 1),
                    .scale = (float)t->scale};
}

HL_INLINE void adam_loop(int64_t begin, int64_t end, const adam_job *job, bool divide, bool ams) {
  const adam_job j = *job;
  float *restrict p = j.p, *restrict m = j.m, *restrict v = j.v, *restrict top = j.top;
  const float *restrict g = j.g;
  for (int64_t i = begin; i < end; i++) {
    float d = j.scale * g[i] + j.add * p[i];
    float mean = j.beta1 * m[i] + j.gain1 * d;
    float square = j.beta2 * v[i] + j.gain2 * d * d;
    m[i] = mean;
    v[i] = square;
    if (ams) square = top[i] = top[i] > square ? top[i] : square;
    float step = divide ? mean / (sqrtf(square) * j.root + j.eps) : mean;
    p[i] = j.keep * p[i] - j.rate * step;
  }
}

static void adam_range(int64_t begin, int64_t end, void *ctx) {
  adam_loop(begin, end, ctx, true, false);
}

static void amsgrad_range(int64_t begin, int64_t end, void *ctx) {
  adam_loop(begin, end, ctx, true, true);
}

static void momentum_range(int64_t begin, int64_t end, void *ctx) {
  adam_loop(begin, end, ctx, false, false);
}

static hl_status adam_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)out;
  (void)workspace;
  hl_clock t;
  HL_TRY(read_clock(c, in[ADAM_CLOCK], &t, e));
  const hl_adam_attrs *a = c->attrs;
  adam_job j = adam_begin(c, in, &t);
  j.root = (float)(1 / sqrt(1 - pow(a->beta2, t.step)));
  hl_parallel_for(hl_tensor_numel(in[ADAM_PARAM]), HL_GRAIN,
                  j.top != NULL ? amsgrad_range : adam_range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_adam = {.run = adam_run};

static hl_status radam_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *workspace, hl_err *e) {
  (void)out;
  (void)workspace;
  hl_clock t;
  HL_TRY(read_clock(c, in[ADAM_CLOCK], &t, e));
  const hl_adam_attrs *a = c->attrs;
  adam_job j = adam_begin(c, in, &t);
  double samples = hl_radam_samples(a->beta2, t.step);
  bool adaptive = samples > RADAM_SAMPLES;
  if (adaptive)
    j.rate *= (float)(hl_radam_rectifier(a->beta2, samples) * sqrt(1 - pow(a->beta2, t.step)));
  hl_parallel_for(hl_tensor_numel(in[ADAM_PARAM]), HL_GRAIN, adaptive ? adam_range : momentum_range,
                  &j);
  return HL_OK;
}

const hl_kernel hl_cpu_radam = {.run = radam_run};

/* ---- SGD ---- */

/* buffer = keep·buffer + gain·g, param −= rate·(own·g + lead·buffer) */
typedef struct sgd_job {
  float *p, *buffer;
  const float *g;
  float scale, add, keep, gain, own, lead, rate;
} sgd_job;

static void sgd_range(int64_t begin, int64_t end, void *ctx) {
  const sgd_job j = *(const sgd_job *)ctx;
  float *restrict p = j.p;
  const float *restrict g = j.g;
  for (int64_t i = begin; i < end; i++) p[i] -= j.rate * (j.scale * g[i] + j.add * p[i]);
}

static void sgd_buffer_range(int64_t begin, int64_t end, void *ctx) {
  const sgd_job j = *(const sgd_job *)ctx;
  float *restrict p = j.p, *restrict buffer = j.buffer;
  const float *restrict g = j.g;
  for (int64_t i = begin; i < end; i++) {
    float d = j.scale * g[i] + j.add * p[i];
    float b = j.keep * buffer[i] + j.gain * d;
    buffer[i] = b;
    p[i] -= j.rate * (j.own * d + j.lead * b);
  }
}

static hl_status sgd_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)out;
  (void)workspace;
  hl_clock t;
  HL_TRY(read_clock(c, in[SGD_CLOCK], &t, e));
  const hl_sgd_attrs *a = c->attrs;
  bool first = t.step <= 1;
  sgd_job j = {.p = hl_tensor_f32(in[SGD_PARAM]),
               .buffer = c->n_in > SGD_BUFFER ? hl_tensor_f32(in[SGD_BUFFER]) : NULL,
               .g = hl_tensor_f32(in[SGD_GRAD]),
               .scale = (float)t.scale,
               .add = (float)a->decay,
               .keep = first ? 0 : (float)a->momentum,
               .gain = first ? 1 : (float)(1 - a->dampening),
               .own = a->nesterov ? 1 : 0,
               .lead = a->nesterov ? (float)a->momentum : 1,
               .rate = (float)t.rate};
  hl_parallel_for(hl_tensor_numel(in[SGD_PARAM]), HL_GRAIN,
                  j.buffer != NULL ? sgd_buffer_range : sgd_range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_sgd = {.run = sgd_run};

/* ---- RMSprop ---- */

typedef struct rmsprop_job {
  float *p, *square, *mean, *buffer;
  const float *g;
  float scale, add, alpha, gain, eps, momentum, rate;
} rmsprop_job;

HL_INLINE void rmsprop_loop(int64_t begin, int64_t end, const rmsprop_job *job, bool centred,
                            bool buffered) {
  const rmsprop_job j = *job;
  float *restrict p = j.p, *restrict square = j.square;
  float *restrict mean = j.mean, *restrict buffer = j.buffer;
  const float *restrict g = j.g;
  for (int64_t i = begin; i < end; i++) {
    float d = j.scale * g[i] + j.add * p[i];
    float variance = j.alpha * square[i] + j.gain * d * d;
    square[i] = variance;
    if (centred) {
      float m = j.alpha * mean[i] + j.gain * d;
      mean[i] = m;
      variance -= m * m;
      variance = variance < 0.0F ? 0.0F : variance;
    }
    float step = d / (sqrtf(variance) + j.eps);
    if (buffered) step = buffer[i] = j.momentum * buffer[i] + step;
    p[i] -= j.rate * step;
  }
}

static void rmsprop_range(int64_t begin, int64_t end, void *ctx) {
  const rmsprop_job *j = ctx;
  if (j->mean != NULL && j->buffer != NULL)
    rmsprop_loop(begin, end, j, true, true);
  else if (j->mean != NULL)
    rmsprop_loop(begin, end, j, true, false);
  else if (j->buffer != NULL)
    rmsprop_loop(begin, end, j, false, true);
  else
    rmsprop_loop(begin, end, j, false, false);
}

static hl_status rmsprop_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                             void *workspace, hl_err *e) {
  (void)out;
  (void)workspace;
  hl_clock t;
  HL_TRY(read_clock(c, in[RMSPROP_CLOCK], &t, e));
  const hl_rmsprop_attrs *a = c->attrs;
  int more = RMSPROP_MORE;
  rmsprop_job j = {.p = hl_tensor_f32(in[RMSPROP_PARAM]),
                   .square = hl_tensor_f32(in[RMSPROP_SQUARE]),
                   .g = hl_tensor_f32(in[RMSPROP_GRAD]),
                   .scale = (float)t.scale,
                   .add = (float)a->decay,
                   .alpha = (float)a->alpha,
                   .gain = (float)(1 - a->alpha),
                   .eps = (float)a->eps,
                   .momentum = (float)a->momentum,
                   .rate = (float)t.rate};
  if (a->centred) j.mean = hl_tensor_f32(in[more++]);
  if (a->momentum > 0) j.buffer = hl_tensor_f32(in[more]);
  hl_parallel_for(hl_tensor_numel(in[RMSPROP_PARAM]), HL_GRAIN, rmsprop_range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_rmsprop = {.run = rmsprop_run};

/* ---- moving averages ---- */

typedef struct ema_job {
  float *average;
  const float *x;
  float gain;
} ema_job;

static void ema_range(int64_t begin, int64_t end, void *ctx) {
  const ema_job j = *(const ema_job *)ctx;
  float *restrict average = j.average;
  const float *restrict x = j.x;
  for (int64_t i = begin; i < end; i++) average[i] += j.gain * (x[i] - average[i]);
}

static hl_status ema_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)out;
  (void)workspace;
  (void)e;
  const hl_ema_attrs *a = c->attrs;
  ema_job j = {.average = hl_tensor_f32(in[EMA_AVERAGE]),
               .x = hl_tensor_f32(in[EMA_X]),
               .gain = (float)(1 - a->decay)};
  hl_parallel_for(hl_tensor_numel(in[EMA_AVERAGE]), HL_GRAIN, ema_range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_ema = {.run = ema_run};
