#include "slice.h"

#include "move.h"

#include <string.h>

/* Fills the strides of the sliced tensor into `stride`; returns the first element's offset. */
static int64_t sliced(const hl_tensor *t, const hl_ints *start, const hl_ints *step,
                      int64_t stride[HL_MAX_RANK]) {
  int64_t first = 0;
  for (int i = 0; i < hl_tensor_shape(t)->rank; i++) {
    int64_t s = hl_tensor_strides(t)[i];
    first += start->v[i] * s;
    stride[i] = s * hl_slice_step(step, i);
  }
  return first;
}

/* The elements of the small tensor, at its own strides on both sides. */
static hl_move elements(const hl_tensor *t) {
  hl_move m = {.rank = hl_tensor_shape(t)->rank};
  memcpy(m.size, hl_tensor_shape(t)->dim, sizeof m.size);
  memcpy(m.from, hl_tensor_strides(t), sizeof m.from);
  memcpy(m.to, hl_tensor_strides(t), sizeof m.to);
  return m;
}

static hl_status slice_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_slice_attrs *a = c->attrs;
  hl_move m = elements(out[0]);
  int64_t first = sliced(in[0], &a->start, &a->step, m.from);
  hl_move_run(&m, in[0], first, out[0], 0);
  return HL_OK;
}

static void clear(int64_t begin, int64_t end, void *ctx) {
  memset((char *)ctx + begin, 0, (size_t)(end - begin));
}

static hl_status slice_grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                                void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_slice_grad_attrs *a = c->attrs;
  enum { BYTES = HL_GRAIN * sizeof(float) };
  hl_parallel_for((int64_t)hl_tensor_bytes(out[0]), BYTES, clear, hl_tensor_data(out[0]));
  hl_move m = elements(in[0]);
  int64_t first = sliced(out[0], &a->start, &a->step, m.to);
  hl_move_run(&m, in[0], 0, out[0], first);
  return HL_OK;
}

const hl_kernel hl_cpu_slice = {
    .run = slice_run, .takes_bf16 = hl_always_bf16, .takes_fixed = hl_always_bf16};
const hl_kernel hl_cpu_slice_grad = {.run = slice_grad_run, .takes_bf16 = hl_always_bf16};
