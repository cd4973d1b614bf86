#include "strided.h"

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
static bool merges(const hl_walk *w, int last, int64_t size, const int64_t stride[2]) {
  for (int k = 0; k < w->operands; k++)
    if (w->stride[k][last] != stride[k] * size) return false;
  return true;
}

static void append(hl_walk *w, int64_t size, const int64_t stride[2]) {
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
  int64_t strides[2][HL_MAX_RANK];
  hl_memory_order(out, order);
  for (int k = 0; k < operands; k++) operand_strides(operand[k], rank, strides[k]);
  for (int i = 0; i < rank; i++) {
    int axis = order[i];
    const int64_t at[2] = {strides[0][axis], operands > 1 ? strides[1][axis] : 0};
    append(w, out->shape.dim[axis], at);
  }
  if (w->rank == 0) { /* one element */
    w->rank = 1;
    w->size[0] = 1;
  }
  w->block = HL_BLOCK;
  for (int k = 0; k < operands; k++) {
    w->period[k] = period_of(w, k);
    /* One rounding serves both operands: where the outermost axis repeats one of them it does not
     * repeat the other, whose period is then all elements, a multiple of any period. */
    if (w->period[k] <= HL_BLOCK && w->period[k] > 1)
      w->block = HL_BLOCK / w->period[k] * w->period[k];
  }
}

static bool is_dense(const hl_walk *w, int operand) {
  int64_t step = 1;
  for (int i = w->rank - 1; i >= 0; i--) {
    if (w->stride[operand][i] != step && w->size[i] != 1) return false;
    step *= w->size[i];
  }
  return true;
}

/* n elements of one row: a copy, one number repeated, or every stride-th. */
static void fill_row(float *restrict to, const float *restrict from, int64_t stride, int64_t n) {
  if (stride == 1) {
    for (int64_t i = 0; i < n; i++) to[i] = from[i];
  } else if (stride == 0) {
    float x = *from;
    for (int64_t i = 0; i < n; i++) to[i] = x;
  } else {
    for (int64_t i = 0; i < n; i++) to[i] = from[i * stride];
  }
}

void hl_walk_fill(const hl_walk *w, int operand, const float *data, int64_t begin, int64_t n,
                  float *to) {
  const int64_t *stride = w->stride[operand];
  int inner = w->rank - 1;
  int64_t at[HL_MAX_RANK], rest = begin, offset = 0;
  for (int i = inner; i >= 0; i--) {
    at[i] = rest % w->size[i];
    rest /= w->size[i];
    offset += at[i] * stride[i];
  }
  while (n > 0) {
    int64_t row = hl_min_i64(w->size[inner] - at[inner], n);
    fill_row(to, data + offset, stride[inner], row);
    to += row;
    n -= row;
    at[inner] += row;
    offset += row * stride[inner];
    for (int i = inner; i > 0 && at[i] == w->size[i]; i--) {
      at[i] = 0;
      at[i - 1]++;
      offset += stride[i - 1] - w->size[i] * stride[i];
    }
  }
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
