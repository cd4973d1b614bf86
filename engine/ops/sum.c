#include "sum.h"

#include "folding.h"
#include "strided.h"

#include <hilum/narrow.h>

#include <string.h>

enum { MOST_CHUNKS = 32, BLOCK = 1024 };
#define MOST_BYTES ((int64_t)4 << 20) /* for the chunks' own sums */

/* Strides of `out` under the axes of an input of rank `rank`; 0 where out has size 1. */
static void output_steps(const hl_desc *out, int rank, int64_t step[HL_MAX_RANK]) {
  int order[HL_MAX_RANK];
  hl_memory_order(out, order);
  for (int i = 0; i < rank; i++) step[i] = 0;
  int ahead = rank - out->shape.rank;
  int64_t next = 1;
  for (int i = out->shape.rank - 1; i >= 0; i--) {
    int64_t size = out->shape.dim[order[i]];
    if (size > 1) step[ahead + order[i]] = next;
    next *= size;
  }
}

static void append(hl_sum *s, int64_t size, int64_t step) {
  if (size == 1) return;
  int last = s->rank - 1;
  if (s->rank > 0 && s->step[last] == step * size)
    s->size[last] *= size;
  else
    s->size[++last] = size;
  s->step[last] = step;
  s->rank = last + 1;
}

static bool fits(const hl_sum *s, int axis) {
  int64_t chunks = hl_min_i64(MOST_CHUNKS, s->size[axis]);
  return s->step[axis] != 0 || chunks * s->out_numel * 8 <= MOST_BYTES;
}

/* Cuts the longest axis; one that is summed over only if the copies of the output stay small. */
static void choose_split(hl_sum *s) {
  s->split = -1;
  for (int i = 0; i < s->rank; i++)
    if (fits(s, i) && (s->split < 0 || s->size[i] > s->size[s->split])) s->split = i;
  if (s->split < 0) { /* nothing can be cut: one chunk */
    s->split = 0;
    s->grain = s->size[0];
  } else {
    int64_t others = 1;
    for (int i = 0; i < s->rank; i++)
      if (i != s->split) others *= s->size[i];
    s->grain = hl_max_i64(hl_ceil_div(s->size[s->split], MOST_CHUNKS), hl_ceil_div(32768, others));
  }
  s->chunks = hl_ceil_div(s->size[s->split], s->grain);
  s->copies = s->step[s->split] == 0 && s->chunks > 1;
}

void hl_sum_plan(hl_sum *s, const hl_desc *x, const hl_desc *out) {
  memset(s, 0, sizeof *s);
  s->type = x->dtype;
  s->out_numel = hl_shape_numel(&out->shape);
  int order[HL_MAX_RANK];
  int64_t step[HL_MAX_RANK];
  hl_memory_order(x, order);
  output_steps(out, x->shape.rank, step);
  for (int i = 0; i < x->shape.rank; i++) append(s, x->shape.dim[order[i]], step[order[i]]);
  if (s->rank == 0) { /* one element */
    s->rank = 1;
    s->size[0] = 1;
  }
  if (hl_shape_numel(&x->shape) > 0) choose_split(s);
}

size_t hl_sum_workspace(const hl_sum *s) {
  return (size_t)(s->out_numel * (s->copies ? s->chunks : 1)) * sizeof(double);
}

typedef struct job {
  const double *sums;
  hl_dtype type;
  void *out;
  double factor;
} job;

static void round_range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  float wide[BLOCK];
  for (int64_t first = begin; first < end; first += BLOCK) {
    int64_t n = hl_min_i64(BLOCK, end - first);
    float *to = j->type == HL_F32 ? (float *)j->out + first : wide;
    for (int64_t i = 0; i < n; i++) to[i] = (float)(j->sums[first + i] * j->factor);
    if (to == wide) hl_narrow_round(j->type, (uint16_t *)j->out + first, wide, n);
  }
}

void hl_sum_run(const hl_sum *s, const hl_tensor *x, hl_tensor *out, double factor,
                void *workspace) {
  job j = {workspace, hl_tensor_dtype(out), hl_tensor_data(out), factor};
  hl_fold_run(s, HL_FOLD_SUM, hl_tensor_data(x), NULL, workspace);
  hl_parallel_for(s->out_numel, HL_GRAIN, round_range, &j);
}
