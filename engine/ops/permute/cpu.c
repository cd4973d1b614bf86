#include "move.h"

#include <string.h>

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_ints *order = c->attrs;
  hl_move m = {.rank = c->out[0].shape.rank};
  memcpy(m.size, c->out[0].shape.dim, sizeof m.size);
  memcpy(m.to, hl_tensor_strides(out[0]), sizeof m.to);
  for (int i = 0; i < m.rank; i++) m.from[i] = hl_tensor_strides(in[0])[order->v[i]];
  hl_move_run(&m, in[0], 0, out[0], 0);
  return HL_OK;
}

const hl_kernel hl_cpu_permute = {.run = run, .takes_bf16 = hl_always_bf16};
