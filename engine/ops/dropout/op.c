/* Dropout: numbers set to 0 at random, the others raised so that the mean stays (N. Srivastava et
 * al., 2014); of whole channels as J. Tompson et al., 2015. What is dropped depends on seed,
 * stream, step and place alone: computing it again, forwards or backwards, drops the same. */
#include "dropout.h"

#include "logical.h"

static hl_status shape(hl_call *c, hl_err *e) {
  const hl_dropout_attrs *a = c->attrs;
  const hl_desc *step = &c->in[1];
  char text[HL_DESC_TEXT];
  hl_dtype type = c->in[0].dtype;
  if (type != HL_F32 && type != HL_F64 && type != HL_BF16)
    return hl_fail(e, HL_ETYPE, "x must be f32, f64 or bf16, not %s", hl_dtype_name(type));
  if (step->dtype != HL_F64 || step->layout != HL_PLAIN || step->shape.rank != 1 ||
      step->shape.dim[0] != 1)
    return hl_fail(e, HL_ESHAPE, "step must be f64[1], not %s", hl_desc_text(step, text));
  if (a->channels) HL_TRY(hl_rule_image(c, 0, "x", e));
  return hl_rule_out(c, &c->in[0], e);
}

/* Element i of the row-major walk lies at this place in memory: an image has its channels last. */
static int64_t place(const hl_desc *d, int64_t i) {
  if (d->layout != HL_IMAGE) return i;
  int64_t voxels = hl_image_voxels(d), channels = d->shape.dim[AXIS_C];
  int64_t voxel = i % voxels, plane = i / voxels;
  return (plane / channels * voxels + voxel) * channels + plane % channels;
}

static hl_status ref(const hl_call *c, const double *const *in, double *const *out, hl_err *e) {
  (void)e;
  const hl_dropout_attrs *a = c->attrs;
  double kept = 1 / (1 - a->rate);
  int64_t voxels = a->channels ? hl_image_voxels(&c->in[0]) : 1;
  for (int64_t i = 0; i < hl_shape_numel(&c->in[0].shape); i++) {
    int64_t at = a->channels ? i / voxels : place(&c->in[0], i);
    uint32_t draws[HL_DROPOUT_DRAWS];
    hl_dropout_draw(a, in[1][0], at / HL_DROPOUT_DRAWS, draws);
    out[0][i] = draws[at % HL_DROPOUT_DRAWS] < hl_dropout_limit(a) ? 0 : in[0][i] * kept;
  }
  return HL_OK;
}

/* The map is linear and its own transpose. */
static hl_status vjp(const hl_vjp *v, hl_err *e) {
  if (!v->needs[0]) return HL_OK;
  return hl_vjp_emit(v, &hl_op_dropout, v->call->attrs, &v->din[0], e, v->dout[0], v->in[1]);
}

static const hl_attr attrs[] = {{"rate", HL_A_REAL, "0.5", offsetof(hl_dropout_attrs, rate), 0,
                                 0.999, "share that is set to 0"},
                                {"seed", HL_A_INT, "0", offsetof(hl_dropout_attrs, seed), 0,
                                 9007199254740992.0, "of what is drawn"},
                                {"stream", HL_A_INT, "0", offsetof(hl_dropout_attrs, stream), 0,
                                 4294967295.0, "another number draws others: one for each place"},
                                {"channels", HL_A_BOOL, "0", offsetof(hl_dropout_attrs, channels),
                                 0, 1, "whole channels of an image are dropped"},
                                {0}};

static const hl_sample samples[] = {
    {"image", {"2x3x4x5x6 image", "1 f64 constant"}, "rate=0.3 seed=7 stream=2"},
    {"channels", {"2x8x2x3x4 image", "1 f64 constant"}, "channels=1 stream=5"},
    {"plain", {"7x5", "1 f64 constant"}, "rate=0.9"},
    {"nothing dropped", {"3x4", "1 f64 constant"}, "rate=0"},
    {"many", {"1x4x16x40x40 image", "1 f64 constant"}, "seed=3"},
    {0}};

const hl_op hl_op_dropout = {
    .name = "dropout",
    .brief =
        "Sets numbers to 0 at random and scales the others; step, f64[1], is the draw's number.",
    .math = "y = 0 with probability rate, else x/(1 - rate), drawn by (seed, stream, step, place)",
    .args = "x, step",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(hl_dropout_attrs),
    .attrs = attrs,
    .samples = samples,
    .inplace = 1,
    .shape = shape,
    .ref = ref,
    .vjp = vjp};
