/* Calls with narrow tensors (bf16, fixed point) for kernels that know f32 alone: the tensors are
 * widened into scratch, the kernel runs in f32, its results are rounded.
 *
 * Kernels that have a `stretch` go through their tensors in stretches that stay in the first-level
 * cache; ops that can be computed by slabs need f32 room for slabs. Other ops have all their narrow
 * tensors beside them in f32 for as long as they run. Private to engine/ops. */
#ifndef HILUM_OPS_WIDEN_H
#define HILUM_OPS_WIDEN_H

#include <hilum/op.h>

/* True if the call has narrow tensors that kernel k does not take. */
bool hl_widen_needed(const hl_call *c, const hl_kernel *k);

/* Bytes of scratch: what the kernel needs and the tensors in f32. */
HL_MUST_CHECK hl_status hl_widen_workspace(const hl_call *c, const hl_kernel *k, size_t *bytes,
                                           hl_err *e);
/* As hl_kernel.run: out[0] may share its storage with an input that the op names in `inplace`. */
HL_MUST_CHECK hl_status hl_widen_run(const hl_call *c, const hl_kernel *k, hl_tensor *const *in,
                                     hl_tensor *const *out, void *workspace, hl_err *e);

#endif
