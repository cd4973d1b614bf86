#ifndef HILUM_OPS_FOLD_FOLD_H
#define HILUM_OPS_FOLD_FOLD_H

#include "reduce/reduce.h"

/* Of var and std. */
typedef struct hl_spread_attrs {
  hl_reduce_attrs reduce;
  bool biased;
} hl_spread_attrs;

#endif
