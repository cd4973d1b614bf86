/* Copying f32 or bf16 numbers from one arrangement to another. Private to the kernels of
 * engine/ops.
 */
#ifndef HILUM_OPS_MOVE_H
#define HILUM_OPS_MOVE_H

#include "kernel.h"

/* Element (i, j, …) goes from i·from[0] + j·from[1] + … to i·to[0] + j·to[1] + …; no two go to one
 * place. */
typedef struct hl_move {
  int rank;
  int64_t size[HL_MAX_RANK], from[HL_MAX_RANK], to[HL_MAX_RANK];
} hl_move;

/* From element `from_first` of one tensor to element `to_first` of another, of the same type. */
void hl_move_run(const hl_move *m, const hl_tensor *from, int64_t from_first, const hl_tensor *to,
                 int64_t to_first);

#endif
