#ifndef HILUM_OPS_CUMSUM_H
#define HILUM_OPS_CUMSUM_H

#include <hilum/op.h>

typedef struct hl_cumsum_attrs {
  hl_ints axis;
  bool reverse;
} hl_cumsum_attrs;

#endif
