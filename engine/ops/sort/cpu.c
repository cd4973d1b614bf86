#include "sort.h"

#include "axis.h"
#include "kernel.h"

#include <string.h>

/* A number as a key whose order as a whole number is the order wanted, NaN last; below it the
 * index, by which equal numbers keep their order. */
typedef uint64_t entry;

enum { SHORT = 64, FEW = 16, DIGIT = 256, DIGITS = 4 };

static entry entry_of(float x, int64_t index, bool descending) {
  uint32_t bits, key = UINT32_MAX;
  if (x == x) {
    if (x == 0) x = 0; /* -0 is equal to 0 */
    memcpy(&bits, &x, sizeof bits);
    uint32_t ascending = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
    key = descending ? UINT32_MAX - 1 - ascending : ascending;
  }
  return (entry)key << 32 | (entry)index;
}

/* Moves the entry at i down until none below it comes before it. */
static void sink(entry *heap, int64_t n, int64_t i) {
  entry moving = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= moving) break;
    heap[i] = heap[child];
  }
  heap[i] = moving;
}

/* The first k entries in order, at the end of the heap, backwards. */
static void sort_few(entry *heap, int64_t n, int64_t k) {
  for (int64_t i = n / 2 - 1; i >= 0; i--) sink(heap, n, i);
  for (int64_t i = 0; i < k; i++) {
    entry first = heap[0];
    heap[0] = heap[--n];
    sink(heap, n, 0);
    heap[n] = first;
  }
}

static void sort_short(entry *e, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    entry moving = e[i];
    int64_t at = i;
    for (; at > 0 && e[at - 1] > moving; at--) e[at] = e[at - 1];
    e[at] = moving;
  }
}

/* Digit by digit of the keys, from the lowest; each pass keeps the order of the one before. */
static void sort_long(entry *e, entry *spare, int64_t n) {
  int32_t place[DIGITS][DIGIT] = {{0}};
  for (int64_t i = 0; i < n; i++)
    for (int d = 0; d < DIGITS; d++) place[d][e[i] >> (32 + 8 * d) & (DIGIT - 1)]++;
  for (int d = 0; d < DIGITS; d++) {
    int32_t before = 0;
    for (int k = 0; k < DIGIT; k++) {
      int32_t count = place[d][k];
      place[d][k] = before;
      before += count;
    }
    for (int64_t i = 0; i < n; i++) spare[place[d][e[i] >> (32 + 8 * d) & (DIGIT - 1)]++] = e[i];
    entry *sorted = spare;
    spare = e;
    e = sorted;
  }
}

typedef struct job {
  hl_lines from, to;
  bool descending;
  const float *x;
  float *y, *index;
  entry *work, *spare;
} job;

static bool is_few(int64_t n, int64_t k) {
  return n > SHORT && k < n / FEW;
}

static void line(const job *j, int64_t number) {
  const hl_lines *f = &j->from, *t = &j->to;
  int64_t o = number / f->inner, k = number % f->inner, n = f->size;
  const float *x = j->x + o * n * f->inner + k;
  int64_t at = o * t->size * t->inner + k;
  entry *e = j->work + number * n;
  bool few = is_few(n, t->size);
  for (int64_t i = 0; i < n; i++) e[i] = entry_of(x[i * f->inner], i, j->descending);
  if (few)
    sort_few(e, n, t->size);
  else if (n <= SHORT)
    sort_short(e, n);
  else
    sort_long(e, j->spare + number * n, n);
  for (int64_t i = 0; i < t->size; i++, at += t->inner) {
    int64_t index = (int64_t)(e[few ? n - 1 - i : i] & UINT32_MAX);
    j->y[at] = x[index * f->inner];
    j->index[at] = (float)index;
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  for (int64_t i = begin; i < end; i++) line(ctx, i);
}

static hl_lines lines_of(const hl_call *c, const hl_desc *d) {
  return hl_lines_memory(d, (int)((const hl_sort_attrs *)c->attrs)->axis.v[0]);
}

/* Long lines that are sorted as a whole go to and fro between two places. */
static hl_status workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t n = lines_of(c, &c->in[0]).size;
  bool twice = n > SHORT && !is_few(n, lines_of(c, &c->out[0]).size);
  *bytes = (size_t)hl_shape_numel(&c->in[0].shape) * sizeof(entry) * (twice ? 2 : 1);
  return HL_OK;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work,
                     hl_err *e) {
  (void)e;
  job j = {.from = lines_of(c, &c->in[0]),
           .to = lines_of(c, &c->out[0]),
           .descending = ((const hl_sort_attrs *)c->attrs)->descending,
           .x = hl_tensor_f32(in[0]),
           .y = hl_tensor_f32(out[0]),
           .index = hl_tensor_f32(out[1]),
           .work = work};
  j.spare = j.work + hl_tensor_numel(in[0]);
  if (j.from.size == 0) return HL_OK;
  hl_parallel_for(j.from.outer * j.from.inner, hl_max_i64(1, 4096 / j.from.size), range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_sort = {.workspace = workspace, .run = run};
const hl_kernel hl_cpu_top_k = {.workspace = workspace, .run = run};
