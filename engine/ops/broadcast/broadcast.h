#ifndef HILUM_OPS_BROADCAST_H
#define HILUM_OPS_BROADCAST_H

#include <hilum/op.h>

/* Of broadcast and sum_to. */
typedef struct hl_broadcast_attrs {
  hl_ints shape;
  int64_t image; /* layout of the result: 1 image, 0 plain, -1 as the input where five axes allow */
} hl_broadcast_attrs;

#endif
