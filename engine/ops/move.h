/* Copying f32 numbers from one arrangement to another. Private to the kernels of engine/ops. */
#ifndef HILUM_OPS_MOVE_H
#define HILUM_OPS_MOVE_H

#include "kernel.h"

/* Element (i, j, …) goes from i·from[0] + j·from[1] + … to i·to[0] + j·to[1] + …; no two go to one
 * place. */
typedef struct hl_move {
  int rank;
  int64_t size[HL_MAX_RANK], from[HL_MAX_RANK], to[HL_MAX_RANK];
} hl_move;

void hl_move_run(const hl_move *m, const float *from, float *to);

#endif
