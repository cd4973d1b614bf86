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
  HL_UNARY_LEAKY_RELU, /* y; parameter: slope */
  HL_UNARY_RSQRT,      /* y */
  HL_UNARY_RECIPROCAL, /* y */
  HL_UNARY_POW,        /* x; parameter: exponent */
  HL_UNARY_ELU,        /* y; parameter: alpha */
  HL_UNARY_SILU,       /* x */
  HL_UNARY_GELU,       /* x */
  HL_UNARY_GELU_TANH,  /* x */
  HL_UNARY_LOGSIGMOID, /* x */
  HL_UNARY_FUNCTIONS
} hl_unary;

/* Of the functions with a parameter: slope of leaky_relu, alpha of elu, exponent of pow. */
typedef struct hl_unary_attrs {
  double parameter;
} hl_unary_attrs;

typedef struct hl_unary_grad_attrs {
  int64_t function; /* hl_unary */
  double parameter; /* of the functions that have one */
} hl_unary_grad_attrs;

#define HL_GELU_C1 0.79788456080286535588 /* sqrt(2/pi) */
#define HL_GELU_C3 0.044715               /* of the tanh form: tanh(C1*(x + C3*x^3)) */

#endif
