/* The norm of several tensors taken as one vector, for clipping gradients. The norm of norms of the
 * same order is the norm of everything in them, so that any number of tensors can be taken. */
#include "total_norm.h"

#include "opkit.h"

#include <math.h>

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  hl_desc d = {.dtype = HL_F64, .layout = HL_PLAIN, .shape = {.rank = 0}};
  return hl_rule_out(c, &d, e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_total_norm_attrs *a = c->attrs;
  double total = 0;
  for (int k = 0; k < c->n_in; k++)
    for (int64_t i = 0; i < hl_shape_numel(&c->in[k].shape); i++) {
      double x = fabs(in[k][i]);
      if (a->order == NORM_INF)
        total = x > total || isnan(x) ? x : total; /* NaN stays */
      else
        total += a->order == NORM_2 ? x * x : x;
    }
  *out[0] = a->order == NORM_2 ? sqrt(total) : total;
  return HL_OK;
}

static const hl_attr attrs[] = {
    {"order", HL_A_CHOICE, "2", offsetof(hl_total_norm_attrs, order), 0, 0,
     "2|1|inf: root of the sum of squares, sum of sizes, or the largest size"},
    {0}};

static const hl_sample samples[] = {{"2", {"5x7", "3x2x4", "11"}, NULL},
                                    {"1", {"2x3x2x3x4 image", "11", "5x7"}, "order=1"},
                                    {"inf", {"11", "5x7"}, "order=inf"},
                                    {"one element", {"1"}, NULL},
                                    {0}};

const hl_op hl_op_total_norm = {
    .name = "total_norm",
    .brief = "The norm of several tensors as one vector, in f64. Not differentiated.",
    .math = "sqrt(sum of x*x), sum of |x|, or max of |x|, over all elements of all inputs",
    .args = "x…",
    .min_in = 1,
    .max_in = HL_MAX_ARGS,
    .attr_size = sizeof(hl_total_norm_attrs),
    .attrs = attrs,
    .samples = samples,
    .constant = true,
    .shape = shape,
    .ref = ref};
