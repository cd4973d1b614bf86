#include "join.h"

#include "axis.h"
#include "move.h"

/* Between a part and the elements of the whole that begin at element `first` of its axis. */
static void move(const hl_tensor *whole, const hl_tensor *part, int axis, int64_t first,
                 bool joining) {
  hl_lines w = hl_lines_memory(hl_tensor_desc(whole), axis);
  hl_lines p = hl_lines_memory(hl_tensor_desc(part), axis);
  int64_t row = p.size * p.inner, step = w.size * w.inner, at = first * w.inner;
  hl_move m = {.rank = 2, .size = {p.outer, row}, .from = {row, 1}, .to = {step, 1}};
  if (joining) {
    hl_move_run(&m, part, 0, whole, at);
    return;
  }
  m.from[0] = step;
  m.to[0] = row;
  hl_move_run(&m, whole, at, part, 0);
}

static hl_status concat_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  int axis = (int)((const hl_concat_attrs *)c->attrs)->axis.v[0];
  int64_t first = 0;
  for (int i = 0; i < c->n_in; i++) {
    move(out[0], in[i], axis, first, true);
    first += c->in[i].shape.dim[axis];
  }
  return HL_OK;
}

static hl_status split_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                           void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  int axis = (int)((const hl_split_attrs *)c->attrs)->axis.v[0];
  int64_t first = 0;
  for (int i = 0; i < c->n_out; i++) {
    move(in[0], out[i], axis, first, false);
    first += c->out[i].shape.dim[axis];
  }
  return HL_OK;
}

const hl_kernel hl_cpu_concat = {.run = concat_run, .takes_bf16 = hl_always_bf16};
const hl_kernel hl_cpu_split = {.run = split_run, .takes_bf16 = hl_always_bf16};
