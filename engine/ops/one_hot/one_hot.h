#ifndef HILUM_OPS_ONE_HOT_H
#define HILUM_OPS_ONE_HOT_H

#include <hilum/op.h>

typedef struct hl_one_hot_attrs {
  hl_ints axis;
  int64_t classes;
} hl_one_hot_attrs;

#endif
