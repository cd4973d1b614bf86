/* Widening (widen.h) of calls that can be computed slab by slab of z: scratch holds one slab of
 * each narrow image in f32 instead of the whole. Private to engine/ops. */
#ifndef HILUM_OPS_WIDEN_SLABS_H
#define HILUM_OPS_WIDEN_SLABS_H

#include <hilum/op.h>

/* True if the op says that this call may be cut (hl_op.by_slabs) and its images allow it. */
bool hl_widen_by_slabs(const hl_call *c);
HL_MUST_CHECK hl_status hl_widen_slabs_workspace(const hl_call *c, const hl_kernel *k,
                                                 size_t *bytes, hl_err *e);
/* As hl_widen_run. */
HL_MUST_CHECK hl_status hl_widen_slabs_run(const hl_call *c, const hl_kernel *k,
                                           hl_tensor *const *in, hl_tensor *const *out,
                                           void *workspace, hl_err *e);

#endif
