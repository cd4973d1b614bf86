#include "sort.h"

#include "axis.h"
#include "kernel.h"

#include <string.h>

/* A number as a key whose order as a whole number is the order wanted, NaN last. */
typedef struct entry {
  uint32_t key;
  int32_t index;
} entry;

static uint32_t key_of(float x, bool descending) {
  uint32_t bits;
  if (x != x) return UINT32_MAX;
  if (x == 0) x = 0; /* -0 is equal to 0 */
  memcpy(&bits, &x, sizeof bits);
  uint32_t ascending = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return descending ? UINT32_MAX - 1 - ascending : ascending;
}

static bool before(entry a, entry b) {
  return a.key != b.key ? a.key < b.key : a.index < b.index;
}

/* Moves the entry at i down until none below it comes before it. */
static void sink(entry *heap, int64_t n, int64_t i) {
  entry moving = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], moving)) break;
    heap[i] = heap[child];
  }
  heap[i] = moving;
}

typedef struct job {
  hl_lines from, to;
  bool descending;
  const float *x;
  float *y, *index;
  entry *work;
} job;

static void line(const job *j, int64_t number) {
  const hl_lines *f = &j->from, *t = &j->to;
  int64_t o = number / f->inner, k = number % f->inner, n = f->size;
  const float *x = j->x + o * n * f->inner + k;
  int64_t at = o * t->size * t->inner + k;
  entry *heap = j->work + number * n;
  for (int64_t i = 0; i < n; i++)
    heap[i] = (entry){key_of(x[i * f->inner], j->descending), (int32_t)i};
  for (int64_t i = n / 2 - 1; i >= 0; i--) sink(heap, n, i);
  for (int64_t i = 0; i < t->size; i++, at += t->inner) {
    j->y[at] = x[heap[0].index * f->inner];
    j->index[at] = (float)heap[0].index;
    heap[0] = heap[--n];
    sink(heap, n, 0);
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  for (int64_t i = begin; i < end; i++) line(ctx, i);
}

static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  *bytes = (size_t)hl_shape_numel(&c->in[0].shape) * sizeof(entry);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  const hl_sort_attrs *a = c->attrs;
  int axis = (int)a->axis.v[0];
  job j = {.from = hl_lines_memory(&c->in[0], axis),
           .to = hl_lines_memory(&c->out[0], axis),
           .descending = a->descending,
           .x = hl_tensor_f32(in[0]),
           .y = hl_tensor_f32(out[0]),
           .index = hl_tensor_f32(out[1]),
           .work = work};
  if (j.from.size == 0) return HL_OK;
  hl_parallel_for(j.from.outer * j.from.inner, hl_max_i64(1, 4096 / j.from.size), range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_sort = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_top_k = {.workspace = workspace, .run = run};
