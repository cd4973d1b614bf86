#ifndef HILUM_OPS_SORT_H
#define HILUM_OPS_SORT_H

#include <hilum/op.h>

/* Of sort and top_k, which begin alike. */
typedef struct hl_sort_attrs {
  hl_ints axis;
  bool descending;
} hl_sort_attrs;

typedef struct hl_top_k_attrs {
  hl_sort_attrs order;
  int64_t k;
} hl_top_k_attrs;

#endif
