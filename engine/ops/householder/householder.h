#ifndef HILUM_OPS_HOUSEHOLDER_H
#define HILUM_OPS_HOUSEHOLDER_H

#include <hilum/op.h>

typedef struct hl_householder_attrs {
  double eps;
} hl_householder_attrs;

#endif
