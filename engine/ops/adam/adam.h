#ifndef HILUM_OPS_ADAM_H
#define HILUM_OPS_ADAM_H

#include <math.h>
#include <stdbool.h>

typedef struct hl_adam_attrs {
  double beta1, beta2, eps, decay;
  bool decoupled;
} hl_adam_attrs;

enum { ADAM_PARAM, ADAM_GRAD, ADAM_M, ADAM_V, ADAM_CLOCK };

/* What does not depend on the element: param -= rate·m / (sqrt(v)·root + eps). */
typedef struct hl_adam_step {
  double rate; /* with the correction of m's start from zero */
  double root; /* the correction of v's */
  double add;  /* times param: added to the gradient */
  double keep; /* times param: what decoupled decay leaves of it */
} hl_adam_step;

static inline hl_adam_step hl_adam_at(const hl_adam_attrs *a, double rate, double step) {
  hl_adam_step s;
  s.rate = rate / (1 - pow(a->beta1, step));
  s.root = 1 / sqrt(1 - pow(a->beta2, step));
  s.add = a->decoupled ? 0 : a->decay;
  s.keep = a->decoupled ? 1 - rate * a->decay : 1;
  return s;
}

#endif
