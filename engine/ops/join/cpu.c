#include "join.h"

#include "axis.h"
#include "move.h"

/* Between a part and the elements of the whole that begin at element `first` of its axis. */
static void part(const hl_desc *whole, const hl_desc *d, int axis, int64_t first, const float *from,
                 float *to, bool joining) {
  hl_lines w = hl_lines_memory(whole, axis), p = hl_lines_memory(d, axis);
  int64_t row = p.size * p.inner, step = w.size * w.inner, at = first * w.inner;
  hl_move m = {.rank = 2, .size = {p.outer, row}, .from = {row, 1}, .to = {step, 1}};
  if (joining) {
    hl_move_run(&m, from, to + at);
    return;
  }
  m.from[0] = step;
  m.to[0] = row;
  hl_move_run(&m, from + at, to);
}

static hl_status concat_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *workspace, hl_err *e) {
  (void)workspace;
  (void)e;
  int axis = (int)((const hl_concat_attrs *)c->attrs)->axis.v[0];
  int64_t first = 0;
  for (int i = 0; i < c->n_in; i++) {
    part(&c->out[0], &c->in[i], axis, first, hl_tensor_f32(in[i]), hl_tensor_f32(out[0]), true);
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
    part(&c->in[0], &c->out[i], axis, first, hl_tensor_f32(in[0]), hl_tensor_f32(out[i]), false);
    first += c->out[i].shape.dim[axis];
  }
  return HL_OK;
}

const hl_kernel hl_cpu_concat = {.run = concat_run};
const hl_kernel hl_cpu_split = {.run = split_run};
