#ifndef HILUM_OPS_JOIN_H
#define HILUM_OPS_JOIN_H

#include <hilum/op.h>

typedef struct hl_concat_attrs {
  hl_ints axis;
} hl_concat_attrs;

typedef struct hl_split_attrs {
  hl_ints axis, sizes;
} hl_split_attrs;

#endif
