/* Class numbers as one channel per class. */
#include "one_hot.h"

#include "axis.h"

enum { BF16_COUNTS = 256 }; /* the largest whole number below which none is left out */

static hl_status shape(hl_call *c, hl_err *e) {
  HL_TRY(hl_rule_types(c, e));
  const hl_one_hot_attrs *a = c->attrs;
  int axis;
  if (c->in[0].dtype == HL_BF16 && a->classes > BF16_COUNTS + 1)
    return hl_fail(e, HL_EINVAL, "bf16 counts to %d, which is too little for %lld classes",
                   BF16_COUNTS, (long long)a->classes);
  HL_TRY(hl_rule_axis(c, &a->axis, &axis, e));
  hl_desc d = c->in[0];
  if (d.shape.dim[axis] != 1)
    return hl_fail(e, HL_ESHAPE, "axis %d, which becomes the classes, must have size 1, not %lld",
                   axis + 1, (long long)d.shape.dim[axis]);
  d.shape.dim[axis] = a->classes;
  return hl_rule_out(c, &d, e);
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_one_hot_attrs *a = c->attrs;
  hl_lines l = hl_lines_logical(&c->out[0].shape, (int)a->axis.v[0]);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.size; i++)
      for (int64_t k = 0; k < l.inner; k++)
        out[0][(o * l.size + i) * l.inner + k] = in[0][o * l.inner + k] == (double)i ? 1 : 0;
  return HL_OK;
}

static const hl_attr attrs[] = {{"classes", HL_A_INT, NULL, offsetof(hl_one_hot_attrs, classes), 1,
                                 16777216, "number of classes"},
                                {"axis", HL_A_AXES, "1", offsetof(hl_one_hot_attrs, axis), 0, 0,
                                 "the axis of size 1 that becomes the classes"},
                                {0}};

static const hl_sample samples[] = {{"channels", {"2x1x3x4x5 image binary"}, "classes=3"},
                                    {"plain", {"7x1 binary"}, "classes=2"},
                                    {"plain, first axis", {"1x300 binary"}, "classes=4 axis=0"},
                                    {"one class", {"2x1x3x4x5 image binary"}, "classes=1"},
                                    {"one element", {"1 binary"}, "classes=2 axis=0"},
                                    {0}};

const hl_op hl_op_one_hot = {
    .name = "one_hot",
    .brief = "Class numbers, counted from 0, as one channel per class; other numbers give zeros.",
    .math = "y[class] = 1 if x = class, else 0",
    .args = "x",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(hl_one_hot_attrs),
    .attrs = attrs,
    .samples = samples,
    .constant = true,
    .shape = shape,
    .ref = ref};
