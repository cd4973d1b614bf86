#include "kernel.h"

#include <string.h>

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)c;
  (void)workspace;
  (void)e;
  void *to = hl_tensor_data(out[0]);
  const void *from = hl_tensor_data(in[0]);
  if (to != from) memcpy(to, from, hl_tensor_bytes(in[0]));
  return HL_OK;
}

const hl_kernel hl_cpu_reshape = {.run = run, .takes_bf16 = hl_always_bf16};
