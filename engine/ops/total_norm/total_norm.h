#ifndef HILUM_OPS_TOTAL_NORM_H
#define HILUM_OPS_TOTAL_NORM_H

#include <stdint.h>

enum { NORM_2, NORM_1, NORM_INF };

typedef struct hl_total_norm_attrs {
  int64_t order;
} hl_total_norm_attrs;

#endif
