#include "strided.h"

#include <hilum/bf16.h>
#include <hilum/narrow.h>

#include <string.h>

void hl_memory_order(const hl_desc *d, int order[HL_MAX_RANK]) {
  static const int image[] = {0, 2, 3, 4, 1};
  for (int i = 0; i < d->shape.rank; i++) order[i] = d->layout == HL_IMAGE ? image[i] : i;
}

/* Strides of `d` under the axes of an output of rank `rank` to which it broadcasts. */
static void operand_strides(const hl_desc *d, int rank, int64_t stride[HL_MAX_RANK]) {
  int order[HL_MAX_RANK];
  hl_memory_order(d, order);
  for (int i = 0; i < rank; i++) stride[i] = 0;
  int ahead = rank - d->shape.rank;
  int64_t step = 1;
  for (int i = d->shape.rank - 1; i >= 0; i--) {
    int64_t size = d->shape.dim[order[i]];
    stride[ahead + order[i]] = size == 1 ? 0 : step;
    step *= size;
  }
}

/* True if axis (size, stride of each operand) continues the walk's last axis outwards. */
static bool merges(const hl_walk *w, int last, int64_t size, const int64_t stride[HL_OPERANDS]) {
  for (int k = 0; k < w->operands; k++)
    if (w->stride[k][last] != stride[k] * size) return false;
  return true;
}

static void append(hl_walk *w, int64_t size, const int64_t stride[HL_OPERANDS]) {
  if (size == 1) return;
  int last = w->rank - 1;
  if (w->rank > 0 && merges(w, last, size, stride))
    w->size[last] *= size;
  else
    w->size[++last] = size;
  w->rank = last + 1;
  for (int k = 0; k < w->operands; k++) w->stride[k][last] = stride[k];
}

static int64_t period_of(const hl_walk *w, int operand) {
  int64_t period = 1, inside = 1;
  for (int i = w->rank - 1; i >= 0; i--) {
    inside *= w->size[i];
    if (w->stride[operand][i] != 0) period = inside;
  }
  return period;
}

void hl_walk_make(hl_walk *w, const hl_desc *out, int operands, const hl_desc *const *operand) {
  memset(w, 0, sizeof *w);
  w->operands = operands;
  w->numel = hl_shape_numel(&out->shape);
  int rank = out->shape.rank, order[HL_MAX_RANK];
  int64_t strides[HL_OPERANDS][HL_MAX_RANK] = {0};
  hl_memory_order(out, order);
  for (int k = 0; k < operands; k++) operand_strides(operand[k], rank, strides[k]);
  for (int i = 0; i < rank; i++) {
    int axis = order[i];
    const int64_t at[HL_OPERANDS] = {strides[0][axis], strides[1][axis], strides[2][axis]};
    append(w, out->shape.dim[axis], at);
  }
  if (w->rank == 0) { /* one element */
    w->rank = 1;
    w->size[0] = 1;
  }
  int64_t longest = 1;
  for (int k = 0; k < operands; k++) {
    w->period[k] = period_of(w, k);
    /* Periods are products of the innermost sizes: the longest is a multiple of the others. */
    if (w->period[k] <= HL_BLOCK && w->period[k] > longest) longest = w->period[k];
  }
  w->block = HL_BLOCK / longest * longest;
}

static bool is_dense(const hl_walk *w, int operand) {
  int64_t step = 1;
  for (int i = w->rank - 1; i >= 0; i--) {
    if (w->stride[operand][i] != step && w->size[i] != 1) return false;
    step *= w->size[i];
  }
  return true;
}

/* FILL_ROW: n elements of one row: a copy, one number repeated, or every stride-th. FILL: rows. */
#define WALK_FILL(LINKAGE, NAME, ROW, FROM, VALUE)                                                 \
  static void ROW(float *restrict to, const FROM *restrict from, int64_t stride, int64_t n) {      \
    if (stride == 1) {                                                                             \
      for (int64_t i = 0; i < n; i++) to[i] = VALUE(from[i]);                                      \
    } else if (stride == 0) {                                                                      \
      float x = VALUE(*from);                                                                      \
      for (int64_t i = 0; i < n; i++) to[i] = x;                                                   \
    } else {                                                                                       \
      for (int64_t i = 0; i < n; i++) to[i] = VALUE(from[i * stride]);                             \
    }                                                                                              \
  }                                                                                                \
  LINKAGE void NAME(const hl_walk *w, int operand, const FROM *data, int64_t begin, int64_t n,     \
                    float *to) {                                                                   \
    const int64_t *stride = w->stride[operand];                                                    \
    int inner = w->rank - 1;                                                                       \
    int64_t at[HL_MAX_RANK], rest = begin, offset = 0;                                             \
    for (int i = inner; i >= 0; i--) {                                                             \
      at[i] = rest % w->size[i];                                                                   \
      rest /= w->size[i];                                                                          \
      offset += at[i] * stride[i];                                                                 \
    }                                                                                              \
    while (n > 0) {                                                                                \
      int64_t row = hl_min_i64(w->size[inner] - at[inner], n);                                     \
      ROW(to, data + offset, stride[inner], row);                                                  \
      to += row;                                                                                   \
      n -= row;                                                                                    \
      at[inner] += row;                                                                            \
      offset += row * stride[inner];                                                               \
      for (int i = inner; i > 0 && at[i] == w->size[i]; i--) {                                     \
        at[i] = 0;                                                                                 \
        at[i - 1]++;                                                                               \
        offset += stride[i - 1] - w->size[i] * stride[i];                                          \
      }                                                                                            \
    }                                                                                              \
  }
WALK_FILL(, hl_walk_fill, row_f32, float, )
WALK_FILL(static, fill_bf16, row_bf16, uint16_t, hl_bf16_widen)
WALK_FILL(static, fill_steps, row_steps, int16_t, (float))

void hl_walk_fill_narrow(const hl_walk *w, int operand, hl_dtype t, const void *data, int64_t begin,
                         int64_t n, float *to) {
  if (t == HL_BF16) {
    fill_bf16(w, operand, data, begin, n, to);
    return;
  }
  float step = 1 / (float)(1 << hl_dtype_fraction(t));
  fill_steps(w, operand, data, begin, n, to);
  for (int64_t i = 0; i < n; i++) to[i] *= step;
}

void hl_reader_open(hl_reader *r, const hl_walk *w, int operand, const float *data) {
  r->walk = w;
  r->data = data;
  r->operand = operand;
  r->dense = is_dense(w, operand);
  r->repeats = !r->dense && w->block % w->period[operand] == 0;
  if (r->repeats) hl_walk_fill(w, operand, data, 0, hl_min_i64(w->block, w->numel), r->buffer);
}

const float *hl_reader_get(hl_reader *r, int64_t begin, int64_t n) {
  if (r->dense) return r->data + begin;
  if (!r->repeats) hl_walk_fill(r->walk, r->operand, r->data, begin, n, r->buffer);
  return r->buffer;
}

/* ---- two operands ---- */

typedef struct pairs {
  hl_walk walk;
  const float *in[2];
  float *out;
  hl_combine f;
} pairs;

static void pairs_range(int64_t begin, int64_t end, void *ctx) {
  const pairs *j = ctx;
  hl_reader a, b;
  hl_reader_open(&a, &j->walk, 0, j->in[0]);
  hl_reader_open(&b, &j->walk, 1, j->in[1]);
  if (a.dense && b.dense) {
    j->f(j->in[0] + begin, j->in[1] + begin, j->out + begin, end - begin);
    return;
  }
  for (int64_t i = begin; i < end; i += j->walk.block) {
    int64_t n = hl_min_i64(j->walk.block, end - i);
    j->f(hl_reader_get(&a, i, n), hl_reader_get(&b, i, n), j->out + i, n);
  }
}

void hl_pairs_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, hl_combine f) {
  pairs j = {
      .in = {hl_tensor_f32(in[0]), hl_tensor_f32(in[1])}, .out = hl_tensor_f32(out[0]), .f = f};
  const hl_desc *const operands[] = {&c->in[0], &c->in[1]};
  hl_walk_make(&j.walk, &c->out[0], 2, operands);
  int64_t grain = HL_GRAIN / j.walk.block * j.walk.block; /* chunks begin with a block */
  hl_parallel_for(j.walk.numel, grain, pairs_range, &j);
}
