/* Rows to columns: how kernels put neighbouring short lines into vector lanes. Private to the
 * kernels of engine/ops. */
#ifndef HILUM_OPS_TURN_H
#define HILUM_OPS_TURN_H

#include "kernel.h"

/* to[c·to_step + r] = from[r·from_step + c] for r < rows, c < columns. */
void hl_turn(const float *restrict from, int64_t from_step, float *restrict to, int64_t to_step,
             int64_t rows, int64_t columns);

#endif
