#include "add_at.h"

#include "kernel.h"
#include "strided.h"

#include <hilum/bf16.h>
#include <hilum/narrow.h>

#include <string.h>

/* The box as runs of numbers that are contiguous in the whole and in the part. */
typedef struct job {
  int rank; /* axes of the part that are walked run by run, slowest first */
  int64_t size[HL_MAX_RANK], step[HL_MAX_RANK];
  int64_t run;
  hl_dtype type, part_type;
  const float *part;
  float *to;                 /* where the part begins */
  const uint16_t *half_part; /* the same of narrow numbers */
  uint16_t *half_to;
  float scale;
} job;

static job job_of(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out) {
  const hl_add_at_attrs *a = c->attrs;
  const int64_t *stride = hl_tensor_strides(out[0]);
  job j = {.run = 1,
           .type = c->in[0].dtype,
           .part_type = c->in[1].dtype,
           .part = hl_tensor_f32(in[1]),
           .half_part = hl_tensor_data(in[1]),
           .scale = (float)a->scale};
  int order[HL_MAX_RANK], axes = c->in[0].shape.rank;
  int64_t first = 0;
  hl_memory_order(&c->in[0], order);
  /* Fast axes belong to the run as long as the part covers all of the axes below. */
  int i = axes;
  bool whole = true;
  while (i > 0 && whole) {
    int axis = order[--i];
    j.run *= c->in[1].shape.dim[axis];
    whole = c->in[1].shape.dim[axis] == c->in[0].shape.dim[axis];
  }
  for (int k = 0; k < i; k++) {
    j.size[k] = c->in[1].shape.dim[order[k]];
    j.step[k] = stride[order[k]];
  }
  j.rank = i;
  for (int k = 0; k < axes; k++) first += a->start.v[k] * stride[k];
  if (j.part != NULL)
    j.to = hl_tensor_f32(out[0]) + first;
  else
    j.half_to = (uint16_t *)hl_tensor_data(out[0]) + first;
  return j;
}

static void add(const float *restrict part, float *restrict to, int64_t n, float scale) {
  if (scale == 1) {
    for (int64_t i = 0; i < n; i++) to[i] += part[i];
    return;
  }
  for (int64_t i = 0; i < n; i++) to[i] += scale * part[i];
}

static void add_bf16(const uint16_t *restrict part, uint16_t *restrict to, int64_t n, float scale) {
  for (int64_t i = 0; i < n; i++)
    to[i] = hl_bf16_round(hl_bf16_widen(to[i]) + scale * hl_bf16_widen(part[i]));
}

/* Numbers [begin, end) of the part. */
static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  while (begin < end) {
    int64_t rest = begin / j->run, at = begin % j->run, to = at;
    int64_t n = hl_min_i64(j->run - at, end - begin);
    for (int i = j->rank - 1; i >= 0; i--) {
      to += rest % j->size[i] * j->step[i];
      rest /= j->size[i];
    }
    if (j->part != NULL)
      add(j->part + begin, j->to + to, n, j->scale);
    else if (j->type == HL_BF16)
      add_bf16(j->half_part + begin, j->half_to + to, n, j->scale);
    else
      hl_fixed_add(j->type, (int16_t *)j->half_to + to, (int16_t *)j->half_to + to, j->part_type,
                   j->half_part + begin, j->scale, n);
    begin += n;
  }
}

typedef struct copying {
  const char *from;
  char *to;
} copying;

static void copy(int64_t begin, int64_t end, void *ctx) {
  const copying *j = ctx;
  memcpy(j->to + begin, j->from + begin, (size_t)(end - begin));
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  enum { BYTES = HL_GRAIN * sizeof(float) };
  copying all = {hl_tensor_data(in[0]), hl_tensor_data(out[0])};
  if (all.from != all.to) hl_parallel_for((int64_t)hl_tensor_bytes(in[0]), BYTES, copy, &all);
  job j = job_of(c, in, out);
  hl_parallel_for(hl_tensor_numel(in[1]), HL_GRAIN, range, &j);
  return HL_OK;
}

/* bf16 throughout, or a part of any kind to fixed point. */
static bool takes_bf16(const hl_call *c) {
  return c->in[0].dtype == c->in[1].dtype;
}
static bool takes_fixed(const hl_call *c) {
  return hl_dtype_is_fixed(c->in[0].dtype);
}

const hl_kernel hl_cpu_add_at = {.run = run, .takes_bf16 = takes_bf16, .takes_fixed = takes_fixed};
