#ifndef HILUM_OPS_UNARY_H
#define HILUM_OPS_UNARY_H

#include <stdint.h>

/* Functions whose derivative unary_grad knows, from the input x or from the output y. */
typedef enum hl_unary {
  HL_UNARY_EXP,        /* y */
  HL_UNARY_LOG,        /* x */
  HL_UNARY_SQRT,       /* y */
  HL_UNARY_SQUARE,     /* x */
  HL_UNARY_ABS,        /* x */
  HL_UNARY_SIGMOID,    /* y */
  HL_UNARY_SOFTPLUS,   /* x */
  HL_UNARY_TANH,       /* y */
  HL_UNARY_RELU,       /* y */
  HL_UNARY_LEAKY_RELU, /* y */
  HL_UNARY_FUNCTIONS
} hl_unary;

typedef struct hl_leaky_relu_attrs {
  double slope;
} hl_leaky_relu_attrs;

typedef struct hl_unary_grad_attrs {
  int64_t function; /* hl_unary */
  double slope;     /* of leaky_relu */
} hl_unary_grad_attrs;

#endif
