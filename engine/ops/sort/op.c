/* Sorting along an axis, and the first k of it. Equal numbers keep their order; NaN comes last. */
#include "sort.h"

#include "axis.h"

#include <math.h>

/* 2^24: up to there f32 can count. */
enum { MOST_INDEX = 16777216 };

static hl_status shape(hl_call *c, int64_t k, hl_err *e) {
  const hl_sort_attrs *a = c->attrs;
  hl_desc d = c->in[0];
  int axis;
  HL_TRY(hl_rule_axis(c, &a->axis, &axis, e));
  int64_t n = d.shape.dim[axis];
  if (n > MOST_INDEX)
    return hl_fail(e, HL_ESHAPE, "axis %d has more than %d elements", axis + 1, MOST_INDEX);
  if (k > n)
    return hl_fail(e, HL_EINVAL, "k is %lld, but axis %d has %lld elements", (long long)k, axis + 1,
                   (long long)n);
  if (k > 0) d.shape.dim[axis] = k;
  HL_TRY(hl_rule_out(c, &d, e));
  d.dtype = hl_kept_dtype(d.dtype); /* places */
  return hl_rule_out(c, &d, e);
}

static hl_status sort_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  return shape(c, 0, e);
}

static hl_status top_k_shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  return shape(c, ((const hl_top_k_attrs *)c->attrs)->k, e);
}

/* Does element i of a line come before element j? */
static bool before(const double *x, int64_t step, int64_t i, int64_t j, bool descending) {
  double a = x[i * step], b = x[j * step];
  if (isnan(a) || isnan(b)) return isnan(a) == isnan(b) ? i < j : isnan(b);
  if (a == b) return i < j;
  return descending ? a > b : a < b;
}

/* Counts, for each element, how many come before it. */
static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_sort_attrs *a = c->attrs;
  int axis = (int)a->axis.v[0];
  hl_lines l = hl_lines_logical(&c->in[0].shape, axis);
  int64_t kept = c->out[0].shape.dim[axis];
  for (int64_t line = 0; line < l.outer * l.inner; line++) {
    int64_t o = line / l.inner, k = line % l.inner;
    const double *x = in[0] + o * l.size * l.inner + k;
    for (int64_t i = 0; i < l.size; i++) {
      int64_t place = 0;
      for (int64_t j = 0; j < l.size; j++) place += before(x, l.inner, j, i, a->descending);
      if (place >= kept) continue;
      int64_t at = (o * kept + place) * l.inner + k;
      out[0][at] = x[i * l.inner];
      out[1][at] = (double)i;
    }
  }
  return HL_OK;
}

#define ORDER(FALLBACK)                                                                            \
  {"axis", HL_A_AXES, NULL, offsetof(hl_sort_attrs, axis), 0, 0, "the axis to sort along"}, {      \
    "descending", HL_A_BOOL, FALLBACK, offsetof(hl_sort_attrs, descending), 0, 1, "largest first"  \
  }
static const hl_attr sort_attrs[] = {ORDER("0"), {0}};
static const hl_attr top_k_attrs[] = {
    ORDER("1"),
    {"k", HL_A_INT, NULL, offsetof(hl_top_k_attrs, k), 1, MOST_INDEX, "how many to keep"},
    {0}};

static const hl_sample sort_samples[] = {
    {"channels", {"2x7x2x3x2 image"}, "axis=1"},
    {"along x", {"2x3x2x3x40 image"}, "axis=4 descending=1"},
    {"plain", {"3x200 distinct"}, "axis=1"},
    {"equal ones", {"60 binary"}, "axis=0"},
    {"equal ones, backwards", {"60 binary"}, "axis=0 descending=1"},
    {"many equal ones", {"1000 binary"}, "axis=0 descending=1"},
    {"one element", {"1"}, "axis=0"},
    {0}};
static const hl_sample top_k_samples[] = {
    {"channels", {"2x7x2x3x2 image"}, "axis=1 k=3"},
    {"smallest", {"3x200 distinct"}, "axis=1 k=9 descending=0"},
    {"equal ones", {"60 binary"}, "axis=0 k=40"},
    {"few of many", {"3x900 distinct"}, "axis=1 k=7"},
    {"all", {"5x4"}, "axis=0 k=5"},
    {0}};

const hl_op hl_op_sort = {
    .name = "sort",
    .brief = "Sorts along an axis; gives the numbers and where they stood, counted from 0. Equal "
             "numbers keep their order, NaN comes last.",
    .math = "y[i] = x[index[i]], y ascending",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_sort_attrs),
    .attrs = sort_attrs,
    .samples = sort_samples,
    .constant = true,
    .shape = sort_shape,
    .ref = ref};

const hl_op hl_op_top_k = {
    .name = "top_k",
    .brief = "The k largest numbers along an axis, largest first, and where they stood, counted "
             "from 0.",
    .math = "the first k of sort",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_top_k_attrs),
    .attrs = top_k_attrs,
    .samples = top_k_samples,
    .constant = true,
    .shape = top_k_shape,
    .ref = ref};
