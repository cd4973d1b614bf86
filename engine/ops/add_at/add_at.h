#ifndef HILUM_OPS_ADD_AT_H
#define HILUM_OPS_ADD_AT_H

#include <hilum/op.h>

typedef struct hl_add_at_attrs {
  hl_ints start; /* per axis */
  double scale;
} hl_add_at_attrs;

#endif
