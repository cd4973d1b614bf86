/* Optimisers as fused updates in PyTorch's conventions, which the references of the golden vectors
 * follow: weight decay is added to the gradient unless it is decoupled, and eps stands outside the
 * root. The references change their inputs, as the kernels do: hl_op.mutates says so.
 *
 * Adam: D. P. Kingma, J. Ba, 2015. AdamW: I. Loshchilov, F. Hutter, Decoupled weight decay
 * regularization, 2019. AMSGrad: S. J. Reddi, S. Kale, S. Kumar, 2018. RAdam: L. Liu et al., On the
 * variance of the adaptive learning rate and beyond, 2020. Momentum: I. Sutskever et al., 2013.
 * RMSprop: T. Tieleman, G. Hinton, Lecture 6.5, 2012; centred: A. Graves, 2013. */
#include "update.h"

#include "opkit.h"

static hl_status check_clock(const hl_call *c, int i, hl_err *e) {
  const hl_desc *d = &c->in[i];
  bool length = d->shape.rank == 1 && (d->shape.dim[0] == 2 || d->shape.dim[0] == 3);
  if (length && d->layout == HL_PLAIN && d->dtype == HL_F64) return HL_OK;
  char t[HL_DESC_TEXT];
  return hl_fail(e, HL_ESHAPE, "clock must be f64[2] = {rate, step} or f64[3], not %s",
                 hl_desc_text(d, t));
}

static hl_status read_clock(const hl_call *c, const double *const *in, int i, hl_clock *clock,
                            hl_err *e) {
  return hl_clock_read(clock, c->op->name, in[i], c->in[i].shape.dim[0], e);
}

/* All inputs but the clock are as the parameter, which is f32 or f64. */
static hl_status check_like_param(const hl_call *c, const char *const *names, int clock,
                                  hl_err *e) {
  const hl_desc *param = &c->in[0];
  if (param->dtype != HL_F32 && param->dtype != HL_F64)
    return hl_fail(e, HL_ETYPE,
                   "%s must be f32 or f64, not %s: steps are smaller than what that can hold",
                   names[0], hl_dtype_name(param->dtype));
  for (int i = 1; i < c->n_in; i++)
    if (i != clock) HL_TRY(hl_rule_is(c, i, names[i], param, names[0], e));
  return clock < 0 ? HL_OK : check_clock(c, clock, e);
}

static int64_t count(const hl_call *c) {
  return hl_shape_numel(&c->in[0].shape);
}

/* ---- Adam, AdamW, RAdam ---- */

static hl_status adam_shape(hl_call *c, hl_err *e) {
  static const char *const names[] = {"param", "grad", "m", "v", "clock", "top"};
  return check_like_param(c, names, ADAM_CLOCK, e);
}

static void adam_means(const hl_adam_attrs *a, const hl_clock *t, double *const *x, int64_t i) {
  double *p = x[ADAM_PARAM], *m = x[ADAM_M], *v = x[ADAM_V];
  double g = x[ADAM_GRAD][i] * t->scale;
  if (a->decoupled)
    p[i] -= t->rate * a->decay * p[i];
  else
    g += a->decay * p[i];
  m[i] = a->beta1 * m[i] + (1 - a->beta1) * g;
  v[i] = a->beta2 * v[i] + (1 - a->beta2) * g * g;
}

static hl_status adam_ref(const hl_call *c, const double *const *in, double *const *out,
                          hl_err *e) {
  (void)out;
  hl_clock t;
  HL_TRY(read_clock(c, in, ADAM_CLOCK, &t, e));
  const hl_adam_attrs *a = c->attrs;
  double *const *x = (double *const *)in;
  double first = 1 - pow(a->beta1, t.step), second = 1 - pow(a->beta2, t.step);
  for (int64_t i = 0; i < count(c); i++) {
    adam_means(a, &t, x, i);
    double square = x[ADAM_V][i];
    if (c->n_in > ADAM_TOP) square = x[ADAM_TOP][i] = fmax(x[ADAM_TOP][i], square);
    x[ADAM_PARAM][i] -= t.rate * (x[ADAM_M][i] / first) / (sqrt(square / second) + a->eps);
  }
  return HL_OK;
}

static hl_status radam_ref(const hl_call *c, const double *const *in, double *const *out,
                           hl_err *e) {
  (void)out;
  hl_clock t;
  HL_TRY(read_clock(c, in, ADAM_CLOCK, &t, e));
  const hl_adam_attrs *a = c->attrs;
  double *const *x = (double *const *)in;
  double first = 1 - pow(a->beta1, t.step), second = 1 - pow(a->beta2, t.step);
  double samples = hl_radam_samples(a->beta2, t.step);
  for (int64_t i = 0; i < count(c); i++) {
    adam_means(a, &t, x, i);
    double step = x[ADAM_M][i] / first;
    if (samples > RADAM_SAMPLES)
      step *= hl_radam_rectifier(a->beta2, samples) * sqrt(second) / (sqrt(x[ADAM_V][i]) + a->eps);
    x[ADAM_PARAM][i] -= t.rate * step;
  }
  return HL_OK;
}

static const hl_attr adam_attrs[] = {
    {"beta1", HL_A_REAL, "0.9", offsetof(hl_adam_attrs, beta1), 0, 1 - 1e-12,
     "share of the old mean kept in each step"},
    {"beta2", HL_A_REAL, "0.999", offsetof(hl_adam_attrs, beta2), 0, 1 - 1e-12,
     "share of the old mean of squares kept in each step"},
    {"eps", HL_A_REAL, "1e-8", offsetof(hl_adam_attrs, eps), 0, 1, "added to the root"},
    {"decay", HL_A_REAL, "0", offsetof(hl_adam_attrs, decay), 0, 1e6, "weight decay"},
    {"decoupled", HL_A_BOOL, "0", offsetof(hl_adam_attrs, decoupled), 0, 1,
     "1: decay shrinks the parameter (AdamW); 0: it is added to the gradient (Adam)"},
    {0}};

static const hl_sample adam_samples[] = {
    {"adam", {"5x3x3x3x3", "5x3x3x3x3", "5x3x3x3x3", "5x3x3x3x3 positive", "2 positive f64"}, NULL},
    {"decay", {"37", "37", "37", "37 positive", "2 positive f64"}, "decay=0.1 beta1=0.8"},
    {"adamw",
     {"37", "37", "37", "37 positive", "3 positive f64"},
     "decay=0.1 decoupled=1 eps=0.001"},
    {"amsgrad", {"37", "37", "37", "37 positive", "2 positive f64", "37 positive"}, NULL},
    {"one element", {"1", "1", "1", "1 positive", "2 positive f64"}, NULL},
    {0}};

static const hl_sample radam_samples[] = {
    {"radam",
     {"5x3x3x3x3", "5x3x3x3x3", "5x3x3x3x3", "5x3x3x3x3 positive", "2 positive f64"},
     NULL},
    {"decay", {"37", "37", "37", "37 positive", "3 positive f64"}, "decay=0.1 beta1=0.8"},
    {"decoupled", {"37", "37", "37", "37 positive", "2 positive f64"}, "decay=0.1 decoupled=1"},
    {"one element", {"1", "1", "1", "1 positive", "2 positive f64"}, NULL},
    {0}};

const hl_op hl_op_adam = {
    .name = "adam",
    .brief = "One step of Adam or AdamW: changes param, m and v. clock holds {rate, step, scale}: "
             "the first step is 1, scale (1 if left out) multiplies the gradient. With top, the "
             "largest v so far, it is AMSGrad.",
    .math = "m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g; "
            "param -= rate * m/(1-beta1^step) / (sqrt(v/(1-beta2^step)) + eps)",
    .args = "param, grad, m, v, clock, top?",
    .min_in = 5,
    .max_in = 6,
    .attr_size = sizeof(hl_adam_attrs),
    .attrs = adam_attrs,
    .samples = adam_samples,
    .mutates = 1U << ADAM_PARAM | 1U << ADAM_M | 1U << ADAM_V | 1U << ADAM_TOP,
    .constant = true,
    .shape = adam_shape,
    .ref = adam_ref};

const hl_op hl_op_radam = {
    .name = "radam",
    .brief = "One step of rectified Adam: changes param, m and v. clock as for adam.",
    .math = "m, v as adam; n = 2/(1-beta2) - 1 - 2*step*beta2^step/(1-beta2^step); param -= rate * "
            "m/(1-beta1^step) * (n > 5 ? rectifier(n)*sqrt(1-beta2^step)/(sqrt(v)+eps) : 1)",
    .args = "param, grad, m, v, clock",
    .min_in = 5,
    .max_in = 5,
    .attr_size = sizeof(hl_adam_attrs),
    .attrs = adam_attrs,
    .samples = radam_samples,
    .mutates = 1U << ADAM_PARAM | 1U << ADAM_M | 1U << ADAM_V,
    .constant = true,
    .shape = adam_shape,
    .ref = radam_ref};

/* ---- SGD ---- */

static hl_status sgd_shape(hl_call *c, hl_err *e) {
  static const char *const names[] = {"param", "grad", "clock", "buffer"};
  const hl_sgd_attrs *a = c->attrs;
  if ((a->momentum > 0) != (c->n_in > SGD_BUFFER))
    return hl_fail(e, HL_EINVAL, "momentum %g %s a buffer", a->momentum,
                   a->momentum > 0 ? "needs" : "does not take");
  if (a->nesterov && (a->momentum <= 0 || a->dampening != 0))
    return hl_fail(e, HL_EINVAL, "nesterov needs momentum above 0 and no dampening");
  return check_like_param(c, names, SGD_CLOCK, e);
}

static hl_status sgd_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)out;
  hl_clock t;
  HL_TRY(read_clock(c, in, SGD_CLOCK, &t, e));
  const hl_sgd_attrs *a = c->attrs;
  double *p = (double *)in[SGD_PARAM];
  for (int64_t i = 0; i < count(c); i++) {
    double g = in[SGD_GRAD][i] * t.scale + a->decay * p[i];
    if (a->momentum > 0) {
      double *buffer = (double *)&in[SGD_BUFFER][i];
      *buffer = t.step <= 1 ? g : a->momentum * *buffer + (1 - a->dampening) * g;
      g = a->nesterov ? g + a->momentum * *buffer : *buffer;
    }
    p[i] -= t.rate * g;
  }
  return HL_OK;
}

static const hl_attr sgd_attrs[] = {
    {"momentum", HL_A_REAL, "0", offsetof(hl_sgd_attrs, momentum), 0, 1,
     "share of the buffer kept in each step"},
    {"dampening", HL_A_REAL, "0", offsetof(hl_sgd_attrs, dampening), 0, 1,
     "share of the gradient that does not enter the buffer, the first step excepted"},
    {"decay", HL_A_REAL, "0", offsetof(hl_sgd_attrs, decay), 0, 1e6,
     "weight decay, added to the gradient"},
    {"nesterov", HL_A_BOOL, "0", offsetof(hl_sgd_attrs, nesterov), 0, 1,
     "looks one step of the buffer ahead"},
    {0}};

static const hl_sample sgd_samples[] = {
    {"plain", {"5x3x3x3x3", "5x3x3x3x3", "2 positive f64"}, NULL},
    {"decay", {"37", "37", "3 positive f64"}, "decay=0.1"},
    {"momentum", {"37", "37", "2 positive f64", "37"}, "momentum=0.9 dampening=0.25 decay=0.01"},
    {"nesterov", {"37", "37", "3 positive f64", "37"}, "momentum=0.9 nesterov=1"},
    {"one element", {"1", "1", "2 positive f64", "1"}, "momentum=0.5"},
    {0}};

const hl_op hl_op_sgd = {
    .name = "sgd",
    .brief = "One step of gradient descent: changes param and, with momentum, buffer. clock as for "
             "adam.",
    .math = "g += decay*param; buffer = first step ? g : momentum*buffer + (1-dampening)*g; "
            "param -= rate * (nesterov ? g + momentum*buffer : buffer)",
    .args = "param, grad, clock, buffer?",
    .min_in = 3,
    .max_in = 4,
    .attr_size = sizeof(hl_sgd_attrs),
    .attrs = sgd_attrs,
    .samples = sgd_samples,
    .mutates = 1U << SGD_PARAM | 1U << SGD_BUFFER,
    .constant = true,
    .shape = sgd_shape,
    .ref = sgd_ref};

/* ---- RMSprop ---- */

static hl_status rmsprop_shape(hl_call *c, hl_err *e) {
  static const char *const names[] = {"param",  "grad",           "clock",
                                      "square", "mean or buffer", "buffer"};
  int wanted = hl_rmsprop_inputs(c->attrs);
  if (c->n_in != wanted)
    return hl_fail(e, HL_EINVAL,
                   "takes %d inputs here: mean only if centred, buffer only with momentum", wanted);
  return check_like_param(c, names, RMSPROP_CLOCK, e);
}

static hl_status rmsprop_ref(const hl_call *c, const double *const *in, double *const *out,
                             hl_err *e) {
  (void)out;
  hl_clock t;
  HL_TRY(read_clock(c, in, RMSPROP_CLOCK, &t, e));
  const hl_rmsprop_attrs *a = c->attrs;
  double *const *x = (double *const *)in;
  double *p = x[RMSPROP_PARAM], *square = x[RMSPROP_SQUARE];
  double *mean = a->centred ? x[RMSPROP_MORE] : NULL;
  double *buffer = a->momentum > 0 ? x[RMSPROP_MORE + (a->centred ? 1 : 0)] : NULL;
  for (int64_t i = 0; i < count(c); i++) {
    double g = in[RMSPROP_GRAD][i] * t.scale + a->decay * p[i];
    square[i] = a->alpha * square[i] + (1 - a->alpha) * g * g;
    double variance = square[i];
    if (mean != NULL) {
      mean[i] = a->alpha * mean[i] + (1 - a->alpha) * g;
      variance = fmax(variance - mean[i] * mean[i], 0); /* below 0 by rounding only */
    }
    double step = g / (sqrt(variance) + a->eps);
    if (buffer != NULL) step = buffer[i] = a->momentum * buffer[i] + step;
    p[i] -= t.rate * step;
  }
  return HL_OK;
}

static const hl_attr rmsprop_attrs[] = {
    {"alpha", HL_A_REAL, "0.99", offsetof(hl_rmsprop_attrs, alpha), 0, 1 - 1e-12,
     "share of the old means kept in each step"},
    {"eps", HL_A_REAL, "1e-8", offsetof(hl_rmsprop_attrs, eps), 0, 1, "added to the root"},
    {"decay", HL_A_REAL, "0", offsetof(hl_rmsprop_attrs, decay), 0, 1e6,
     "weight decay, added to the gradient"},
    {"momentum", HL_A_REAL, "0", offsetof(hl_rmsprop_attrs, momentum), 0, 1,
     "share of the buffer kept in each step"},
    {"centred", HL_A_BOOL, "0", offsetof(hl_rmsprop_attrs, centred), 0, 1,
     "divides by the deviation from the mean gradient"},
    {0}};

static const hl_sample rmsprop_samples[] = {
    {"plain", {"5x3x3x3x3", "5x3x3x3x3", "2 positive f64", "5x3x3x3x3 positive"}, NULL},
    {"momentum", {"37", "37", "3 positive f64", "37 positive", "37"}, "momentum=0.9 decay=0.1"},
    {"centred",
     {"37 positive", "37", "2 positive f64", "37 positive", "37 unit"},
     "centred=1 alpha=0.5 eps=0.01"},
    {"all",
     {"37", "37", "2 positive f64", "37 positive", "37 unit", "37"},
     "centred=1 momentum=0.5 alpha=0.5 eps=0.01"},
    {"one element", {"1", "1", "2 positive f64", "1 positive"}, NULL},
    {0}};

const hl_op hl_op_rmsprop = {
    .name = "rmsprop",
    .brief = "One step of RMSprop: changes param, square and, where they are used, mean and "
             "buffer. clock as for adam.",
    .math = "square = alpha*square + (1-alpha)*g*g; step = g / (sqrt(square - mean*mean) + eps); "
            "buffer = momentum*buffer + step; param -= rate*buffer",
    .args = "param, grad, clock, square, mean?, buffer?",
    .min_in = 4,
    .max_in = 6,
    .attr_size = sizeof(hl_rmsprop_attrs),
    .attrs = rmsprop_attrs,
    .samples = rmsprop_samples,
    .mutates = 1U << RMSPROP_PARAM | 7U << RMSPROP_SQUARE,
    .constant = true,
    .shape = rmsprop_shape,
    .ref = rmsprop_ref};

/* ---- moving averages ---- */

static hl_status ema_shape(hl_call *c, hl_err *e) {
  static const char *const names[] = {"average", "x"};
  return check_like_param(c, names, -1, e);
}

static hl_status ema_ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)out;
  (void)e;
  const hl_ema_attrs *a = c->attrs;
  double *average = (double *)in[EMA_AVERAGE];
  for (int64_t i = 0; i < count(c); i++)
    average[i] = a->decay * average[i] + (1 - a->decay) * in[EMA_X][i];
  return HL_OK;
}

static const hl_attr ema_attrs[] = {{"decay", HL_A_REAL, "0.999", offsetof(hl_ema_attrs, decay), 0,
                                     1, "share of the average kept in each step"},
                                    {0}};

static const hl_sample ema_samples[] = {
    {"plain", {"5x3x3x3x3", "5x3x3x3x3"}, NULL},
    {"image", {"2x3x2x3x4 image", "2x3x2x3x4 image"}, "decay=0.5"},
    {"one element", {"1", "1"}, "decay=0"},
    {0}};

const hl_op hl_op_ema = {.name = "ema",
                         .brief = "One step of an exponential moving average: changes average.",
                         .math = "average = decay*average + (1-decay)*x",
                         .args = "average, x",
                         .min_in = 2,
                         .max_in = 2,
                         .attr_size = sizeof(hl_ema_attrs),
                         .attrs = ema_attrs,
                         .samples = ema_samples,
                         .mutates = 1U << EMA_AVERAGE,
                         .constant = true,
                         .shape = ema_shape,
                         .ref = ema_ref};
