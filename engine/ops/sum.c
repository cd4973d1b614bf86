#include "sum.h"

#include "strided.h"

#include <string.h>

enum { MOST_CHUNKS = 32, WIDE = 256 };
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

/* ---- one chunk ---- */

static double row_sum(const float *restrict x, int64_t n) {
  double lane[16] = {0};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < 16; k++) lane[k] += (double)x[i + k];
  double sum = 0;
  for (; i < n; i++) sum += (double)x[i];
  for (int k = 0; k < 16; k++) sum += lane[k];
  return sum;
}

static void add_row(const float *restrict x, double *restrict sum, int64_t n) {
  for (int64_t i = 0; i < n; i++) sum[i] += (double)x[i];
}

/* sum[j·step] += x[r·n + j] over rows r of n ≤ WIDE numbers. Rows are taken several at a time, so
 * that additions to one sum do not wait for each other. */
static void column_sums(const float *restrict x, int64_t rows, int64_t n, double *restrict sum,
                        int64_t step) {
  double wide[WIDE] = {0};
  int64_t width = WIDE / n * n, total = rows * n, i = 0;
  for (; i + width <= total; i += width) add_row(x + i, wide, width);
  add_row(x + i, wide, total - i);
  for (i = 0; i < width; i++) sum[i % n * step] += wide[i];
}

/* Adds the box of axes `axis`… that begins at x to the sums that begin at `sum`. */
static void add_box(const hl_sum *s, const int64_t *size, const int64_t *stride, int axis,
                    const float *x, double *sum) {
  int last = s->rank - 1;
  int64_t n = size[axis], step = s->step[axis];
  if (axis == last && step == 0) {
    *sum += row_sum(x, n);
  } else if (axis == last && step == 1) {
    add_row(x, sum, n);
  } else if (axis == last) {
    for (int64_t i = 0; i < n; i++) sum[i * step] += (double)x[i];
  } else if (axis == last - 1 && step == 0 && size[last] <= WIDE && stride[axis] == size[last]) {
    column_sums(x, n, size[last], sum, s->step[last]);
  } else {
    for (int64_t i = 0; i < n; i++)
      add_box(s, size, stride, axis + 1, x + i * stride[axis], sum + i * step);
  }
}

typedef struct job {
  const hl_sum *sum;
  const float *x;
  float *out;
  double *sums, factor;
} job;

static void chunk(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_sum *s = j->sum;
  int64_t size[HL_MAX_RANK], stride[HL_MAX_RANK], step = 1;
  for (int i = s->rank - 1; i >= 0; i--) {
    stride[i] = step;
    step *= s->size[i];
    size[i] = i == s->split ? end - begin : s->size[i];
  }
  double *sums = j->sums;
  if (s->copies) {
    sums += begin / s->grain * s->out_numel;
    memset(sums, 0, (size_t)s->out_numel * sizeof *sums);
  } else {
    sums += begin * s->step[s->split];
  }
  add_box(s, size, stride, 0, j->x + begin * stride[s->split], sums);
}

static void clear(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  memset(j->sums + begin, 0, (size_t)(end - begin) * sizeof *j->sums);
}

/* The chunks' sums in the order of the chunks. */
static void finish(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_sum *s = j->sum;
  int64_t chunks = s->copies ? s->chunks : 1;
  for (int64_t i = begin; i < end; i++) {
    double total = 0;
    for (int64_t k = 0; k < chunks; k++) total += j->sums[k * s->out_numel + i];
    j->out[i] = (float)(total * j->factor);
  }
}

void hl_sum_run(const hl_sum *s, const float *x, float *out, double factor, void *workspace) {
  job j = {s, x, out, workspace, factor};
  if (!s->copies) hl_parallel_for(s->out_numel, HL_GRAIN, clear, &j);
  if (s->chunks > 0) hl_parallel_for(s->size[s->split], s->grain, chunk, &j);
  hl_parallel_for(s->out_numel, HL_GRAIN, finish, &j);
}
