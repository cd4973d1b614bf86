/* What definitions and kernels of the fused updates share: attributes, the clock, and what of a
 * step does not depend on the element. */
#ifndef HILUM_OPS_UPDATE_H
#define HILUM_OPS_UPDATE_H

#include <hilum/status.h>

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Every update is told {rate, step, scale}: the first step is 1; every gradient is multiplied by
 * scale (clipping, averages over several batches), which may be left out. */
typedef struct hl_clock {
  double rate, step, scale;
} hl_clock;

static inline hl_status hl_clock_read(hl_clock *c, const char *op, const double *v, int64_t n,
                                      hl_err *e) {
  *c = (hl_clock){v[0], v[1], n > 2 ? v[2] : 1};
  if (!isfinite(c->rate) || !isfinite(c->step) || !isfinite(c->scale))
    return hl_fail(e, HL_ENONFINITE, "%s: rate %g, step %g and gradient scale %g must be finite",
                   op, c->rate, c->step, c->scale);
  if (c->step <= 0)
    return hl_fail(e, HL_EINVAL, "%s: step is counted from 1, but is %g", op, c->step);
  return HL_OK;
}

typedef struct hl_adam_attrs {
  double beta1, beta2, eps, decay;
  bool decoupled;
} hl_adam_attrs;

enum { ADAM_PARAM, ADAM_GRAD, ADAM_M, ADAM_V, ADAM_CLOCK, ADAM_TOP };

typedef struct hl_sgd_attrs {
  double momentum, dampening, decay;
  bool nesterov;
} hl_sgd_attrs;

enum { SGD_PARAM, SGD_GRAD, SGD_CLOCK, SGD_BUFFER };

typedef struct hl_rmsprop_attrs {
  double alpha, eps, decay, momentum;
  bool centred;
} hl_rmsprop_attrs;

/* Behind the squares: the mean if centred, then the buffer if there is momentum. */
enum { RMSPROP_PARAM, RMSPROP_GRAD, RMSPROP_CLOCK, RMSPROP_SQUARE, RMSPROP_MORE };

static inline int hl_rmsprop_inputs(const hl_rmsprop_attrs *a) {
  return RMSPROP_MORE + (a->centred ? 1 : 0) + (a->momentum > 0 ? 1 : 0);
}

typedef struct hl_ema_attrs {
  double decay;
} hl_ema_attrs;

enum { EMA_AVERAGE, EMA_X };

/* Of RAdam: the variance of the adaptive rate is known well enough above this many samples. */
#define RADAM_SAMPLES 5.0

/* Length of the simple average that a step's exponential average amounts to (Liu 2020, eq. 2). */
static inline double hl_radam_samples(double beta2, double step) {
  double kept = pow(beta2, step);
  return 2 / (1 - beta2) - 1 - 2 * step * kept / (1 - kept);
}

/* The rectification of the adaptive rate for that length (Liu 2020, algorithm 2). */
static inline double hl_radam_rectifier(double beta2, double samples) {
  double most = 2 / (1 - beta2) - 1;
  return sqrt((samples - 4) * (samples - 2) * most / ((most - 4) * (most - 2) * samples));
}

#endif
