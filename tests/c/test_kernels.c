/* What the op table's samples cannot show: the words of refusals, extreme values, the primitive
 * cache, kernels called from several threads. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include <hilum/parallel.h>

#include <pthread.h>

/* ---- refusals ---- */

static const refusal refusals[] = {
    {"conv",
     {"2x64x4x4x4 image", "48x96x3x3x3"},
     "padding=1",
     "conv: the input has 64 channels, weight expects 96 (weight is [O,I,z,y,x])\n  inputs: "
     "f32{n2 c64 z4 y4 x4}, f32[48,96,3,3,3]",
     HL_ESHAPE},
    {"conv",
     {"1x2x4x2x4 image", "3x2x3x3x3"},
     NULL,
     "the output would be empty on axis y: the kernel spans 3, the input with its padding 2 + 2·0",
     HL_ESHAPE},
    {"conv",
     {"1x2x4x4x4 image", "3x2x3x3x3", "2"},
     NULL,
     "bias has 2 elements, but there are 3 output channels",
     HL_ESHAPE},
    {"conv", {"1x2x4x4x4", "3x2x3x3x3"}, NULL, "the input must be in image layout", HL_ETYPE},
    {"conv", {"2x4x4 image", "3x2x3x3x3"}, NULL, "must be an image (n, c, z, y, x)", HL_ESHAPE},
    {"conv", {"1x2x4x4x4 image", "3x2x3x3"}, NULL, "weight must have 5 axes [O,I,z", HL_ESHAPE},
    {"conv", {"1x2x0x4x4 image", "3x2x1x1x1"}, NULL, "the input is empty (axis 3)", HL_ESHAPE},
    {"conv", {"1x2x4x4x4 image", "3x2x1x1x1"}, "stride=0", "stride must lie between 1", HL_EINVAL},
    {"conv", {"1x2x4x4x4 image", "3x2x1x1x1"}, "stride=1,2", "1 or 3 values", HL_EINVAL},
    {"conv_transpose",
     {"1x2x4x4x4 image", "3x2x2x2x2"},
     "stride=2",
     "the input has 2 channels, weight expects 3 (weight is [I,O,z,y,x])",
     HL_ESHAPE},
    {"conv_transpose",
     {"1x3x4x4x4 image", "3x2x2x2x2"},
     "stride=2,2,3 output_padding=1,2,0",
     "output_padding must be less than the stride, but is 2 and 2 on axis y",
     HL_EINVAL},
    {"conv_transpose",
     {"1x3x1x4x4 image", "3x2x1x1x1"},
     "padding=1,0,0",
     "the output would be empty on axis z: (1 − 1)·1 − 2·1 + 1 + 0 = -1",
     HL_ESHAPE},
    {"conv_grad_input",
     {"1x3x4x4x4 image", "3x2x3x3x3"},
     "size=4,4,9",
     "dy has 4 positions on axis z, but size 4, kernel 3, stride 1, padding 0 and dilation 1 make "
     "2",
     HL_ESHAPE},
    {"conv_grad_weight",
     {"2x3x4x4x4 image", "1x3x4x4x4 image"},
     "kernel=1",
     "x holds 2 images, but dy 1",
     HL_ESHAPE},
    {"conv_grad_weight",
     {"1x3x4x4x4 image", "1x3x4x4x4 image"},
     NULL,
     "attribute 'kernel' is required",
     HL_EINVAL},
    {"instance_norm", {"2x4x1x1x1 image"}, NULL, "x has a single voxel per channel", HL_ESHAPE},
    {"instance_norm",
     {"2x4x3x3x3 image", "3"},
     NULL,
     "scale has 3 elements, but there are 4 channels of x",
     HL_ESHAPE},
    {"instance_norm",
     {"2x4x3x3x3 image", "4", "5"},
     NULL,
     "offset has 5 elements, but there are 4 channels of x",
     HL_ESHAPE},
    {"instance_norm", {"2x4x3x3x3 image"}, "slope=-1", "slope must lie between 0 and 1", HL_EINVAL},
    {"instance_norm", {"2x4x3x3x3 image"}, "eps=0", "eps must lie between", HL_EINVAL},
    {"instance_norm_grad",
     {"2x4x3x3x3 image", "2x4x3", "2x4x3x3x3 image"},
     NULL,
     "stats is f32[2,4,3], but what instance_norm gives is f32[2,4,2]",
     HL_ESHAPE},
    {"max_pool",
     {"1x2x4x4x4 image"},
     "kernel=2 padding=0,2,0",
     "padding must be less than the kernel, but is 2 and 2 on axis y",
     HL_EINVAL},
    {"avg_pool",
     {"1x2x4x4x4 image"},
     "kernel=2,2,5",
     "the output would be empty on axis x: the kernel spans 5, x with its padding 4 + 2·0",
     HL_ESHAPE},
    {"max_pool_grad",
     {"1x2x4x4x4 image", "1x2x2x2x3 image"},
     "kernel=2",
     "dy is f32{n1 c2 z2 y2 x3}, but the pooled image is f32{n1 c2 z2 y2 x2}",
     HL_ESHAPE},
    {"avg_pool_grad",
     {"1x2x2x2x2 image"},
     "kernel=2 size=4,4,6",
     "dy is f32{n1 c2 z2 y2 x2}, but the pooled image is f32{n1 c2 z2 y2 x3}",
     HL_ESHAPE},
    {"pad",
     {"1x2x4x5x6 image"},
     "mode=reflect before=0,5,0",
     "reflect can add at most size − 1 = 4 positions on axis y, not 5",
     HL_ESHAPE},
    {"pad",
     {"1x2x4x5x6 image"},
     "mode=circular after=0,0,7",
     "circular can add at most the size, 6 positions, on axis x, not 7",
     HL_ESHAPE},
    {"pad",
     {"1x2x4x5x6 image"},
     "before=-3,0,0 after=-1,0,0",
     "nothing is left on axis z: 4 -3 -1",
     HL_ESHAPE},
    {"pad",
     {"1x2x4x5x6 image"},
     "before=-4,0,0 after=9,0,0",
     "nothing is left on axis z: 4 -4 +9",
     HL_ESHAPE},
    {"pad",
     {"1x2x4x5x6 image"},
     "mode=mirror",
     "mode must be one of constant|reflect|replicate|circular",
     HL_EINVAL},
    {"pad_grad",
     {"1x2x4x5x7 image"},
     "before=0,0,1 mode=reflect size=4,5,5",
     "dy is f32{n1 c2 z4 y5 x7}, but the padded image is f32{n1 c2 z4 y5 x6}",
     HL_ESHAPE},
    {"interpolate", {"1x2x4x5x6 image"}, NULL, "give either size or scale", HL_EINVAL},
    {"interpolate",
     {"1x2x4x5x6 image"},
     "size=2 scale=2",
     "give either size or scale, three positive numbers (z, y, x), not both",
     HL_EINVAL},
    {"interpolate",
     {"1x2x4x5x6 image"},
     "scale=1,0.1,1",
     "scale 0.1 makes 0 positions of 5 on axis y",
     HL_ESHAPE},
    {"interpolate",
     {"1x2x4x5x6 image"},
     "scale=1e9",
     "scale 1e+09 makes 4e+09 positions of 4 on axis z",
     HL_ESHAPE},
    {"interpolate",
     {"1x2x4x5x6 image"},
     "size=3 mode=nearest align_corners=1",
     "align_corners belongs to mode linear alone",
     HL_EINVAL},
    {"interpolate", {"1x2x4x5x6"}, "size=3", "x must be in image layout", HL_ETYPE},
    {"group_norm",
     {"1x6x4x4x4 image"},
     "groups=4",
     "6 channels cannot be dealt out to 4 groups evenly",
     HL_ESHAPE},
    {"group_norm", {"1x6x4x4x4 image"}, NULL, "attribute 'groups' is required", HL_EINVAL},
    {"group_norm",
     {"2x6x1x1x1 image"},
     "groups=6",
     "a group holds a single number, whose variance is 0",
     HL_ESHAPE},
    {"group_norm",
     {"1x6x4x4x4 image", "6", "2"},
     "groups=2",
     "offset has 2 elements, but there are 6 channels of x",
     HL_ESHAPE},
    {"batch_norm", {"1x6x1x1x1 image"}, NULL, "the batch has a single voxel", HL_ESHAPE},
    {"batch_norm",
     {"2x6x4x4x4 image", "6", "7"},
     NULL,
     "offset has 7 elements, but there are 6 channels of x",
     HL_ESHAPE},
    {"batch_norm_eval",
     {"2x6x4x4x4 image", "6", "1"},
     NULL,
     "variance has 1 elements, but there are 6 channels of x",
     HL_ESHAPE},
    {"batch_norm_eval", {"2x6x4x4x4 image", "6"}, NULL, "takes 3 to 5 inputs", HL_EINVAL},
    {"conv",
     {"1x6x4x4x4 image", "4x2x3x3x3"},
     "groups=2 padding=1",
     "the input has 6 channels, weight expects 2 in each of 2 groups",
     HL_ESHAPE},
    {"conv",
     {"1x6x4x4x4 image", "5x3x3x3x3"},
     "groups=2 padding=1",
     "5 channels cannot be dealt out to 2 groups evenly",
     HL_ESHAPE},
    {"conv",
     {"1x3x4x4x4 image", "4x3x3x3x3"},
     "dilation=2",
     "the output would be empty on axis z: the kernel spans 5, the input with its padding 4 + 2·0",
     HL_ESHAPE},
    {"conv",
     {"1x3x4x4x4 image", "4x3x3x3x3"},
     "dilation=0",
     "dilation must lie between 1 and 4096",
     HL_EINVAL},
    {"conv_transpose",
     {"1x3x4x4x4 image", "3x2x2x2x2"},
     "groups=2",
     "3 channels cannot be dealt out to 2 groups evenly",
     HL_ESHAPE},
    {"conv_transpose",
     {"1x4x4x4x4 image", "4x2x2x2x2", "2"},
     "groups=2",
     "bias has 2 elements, but there are 4 output channels",
     HL_ESHAPE},
    {"conv_grad_weight",
     {"1x3x4x4x4 image", "1x4x4x4x4 image"},
     "groups=2 kernel=1",
     "3 channels cannot be dealt out to 2 groups evenly",
     HL_ESHAPE},
    {"avg_pool",
     {"1x2x2x4x4 image"},
     "kernel=4,2,2 stride=1 ceil_mode=1",
     "the output would be empty on axis z: the kernel spans 4, x with its padding 2 + 2·0",
     HL_ESHAPE},
    {"avg_pool", {"1x2x4x4x4 image"}, NULL, "attribute 'kernel' is required", HL_EINVAL},
    {"global_avg_pool", {"2x3x4"}, NULL, "x must be an image (n, c, z, y, x)", HL_ESHAPE},
};

/* ---- extreme values ---- */

static hl_status image(hl_tensor **out, int64_t channels, int64_t side, hl_err *e) {
  hl_desc d = {HL_F32, HL_IMAGE, {5, {1, channels, side, side, side}}};
  return hl_tensor_zeros(out, &d, HL_MEM_DATA, "an image", e);
}

/* Runs an op on one image; out[0] is the visible result. */
static hl_status run(const char *name, const char *text, hl_tensor *x, hl_tensor **y, hl_err *e) {
  const hl_op *op = hl_op_find(name);
  attr_space attrs;
  hl_tensor *out[HL_MAX_ARGS] = {0};
  int n;
  *y = NULL;
  HL_TRY(hl_attrs_parse(op, text, &attrs, e));
  HL_TRY(hl_op_eager(op, &attrs, 1, &x, &n, out, e));
  *y = out[0];
  for (int i = 1; i < n; i++) hl_tensor_unref(out[i]);
  return HL_OK;
}

/* An image far from 0 is normalised as well as one at 0, but for the rounding of its mean. */
static void check_large_mean(void) {
  hl_err e = {0};
  hl_tensor *x, *y, *wide, *want;
  hl_rng r = hl_rng_stream(seed, "large mean", 0, 0);
  succeeds(image(&x, 3, 24, &e), &e, "an image");
  for (int64_t i = 0; i < hl_tensor_numel(x); i++)
    hl_tensor_f32(x)[i] = (float)(1000 + hl_rng_normal(&r));
  succeeds(hl_tensor_dense(&wide, x, HL_F64, HL_IMAGE, &e), &e, "the same in f64");
  succeeds(run("instance_norm", NULL, x, &y, &e), &e, "instance_norm at 1000 ± 1");
  succeeds(run("instance_norm", NULL, wide, &want, &e), &e, "its reference");
  double worst = 0;
  for (int64_t i = 0; i < hl_tensor_numel(x); i++)
    worst = fmax(worst, fabs((double)hl_tensor_f32(y)[i] - hl_tensor_f64(want)[i]));
  ok(worst < 1e-4, "instance_norm at 1000 ± 1: largest error %.1e", worst);
  unref_all(4, (hl_tensor *[]){x, y, wide, want});
}

static void check_constant_and_nan(void) {
  hl_err e = {0};
  hl_tensor *x, *y;
  succeeds(image(&x, 2, 4, &e), &e, "an image");
  float *v = hl_tensor_f32(x);
  for (int64_t i = 0; i < hl_tensor_numel(x); i++) v[i] = i % 2 == 0 ? 7 : (float)i;
  v[1] = NAN;
  succeeds(run("instance_norm", NULL, x, &y, &e), &e, "instance_norm of a constant and of a NaN");
  bool zero = true, nan = true;
  for (int64_t i = 0; i < hl_tensor_numel(y); i += 2) {
    zero = zero && hl_tensor_f32(y)[i] == 0;
    nan = nan && isnan(hl_tensor_f32(y)[i + 1]);
  }
  ok(zero, "a constant channel becomes 0, whatever its neighbour holds");
  ok(nan, "a NaN reaches every voxel of its channel");
  hl_tensor_unref(y);
  succeeds(run("max_pool", "kernel=2", x, &y, &e), &e, "max_pool of a NaN");
  ok(isnan(hl_tensor_f32(y)[1]) && hl_tensor_f32(y)[0] == 7 && !isnan(hl_tensor_f32(y)[3]),
     "max_pool keeps a NaN in its window and channel");
  hl_tensor_unref(y);
  hl_tensor_unref(x);
}

/* ---- convolutions: workspace, cache, threads ---- */

/* A convolution of an image of side³ ones by a kernel of 3×3×width ones: each output is the number
 * of products. Width 1 is oneDNN's, 3 our own from side 8 on. */
static hl_status convolve(int64_t channels, int64_t side, int64_t width, hl_tensor **y, hl_err *e) {
  const hl_op *op = hl_op_find("conv");
  attr_space attrs;
  hl_desc wd = {HL_F32, HL_PLAIN, {5, {8, channels, 3, 3, width}}};
  hl_tensor *in[2] = {0}, *out[HL_MAX_ARGS] = {0};
  int n;
  *y = NULL;
  hl_status s = hl_attrs_parse(op, width == 1 ? "padding=1,1,0" : "padding=1", &attrs, e);
  if (s == HL_OK) s = image(&in[0], channels, side, e);
  if (s == HL_OK) s = hl_tensor_zeros(&in[1], &wd, HL_MEM_PARAMETERS, "a weight", e);
  for (int i = 0; i < 2 && s == HL_OK; i++) s = hl_tensor_fill(in[i], 1, e);
  if (s == HL_OK) s = hl_op_eager(op, &attrs, 2, in, &n, out, e);
  unref_all(2, in);
  *y = out[0];
  return s;
}

static bool about(double a, double b) {
  return fabs(a - b) <= 1e-5 * b;
}

/* Inner voxels see the whole kernel, corners two of three positions along z and y, and x. */
static bool is_right(hl_tensor *y, int64_t channels, int64_t side, int64_t width) {
  const int64_t corner[5] = {0, 7, 0, 0, 0}, inner[5] = {0, 7, 1, 1, side - 2};
  double a = 0, b = 0, seen = width == 1 ? 1 : 2;
  hl_err e = {0};
  return hl_tensor_get(y, corner, &a, &e) == HL_OK && hl_tensor_get(y, inner, &b, &e) == HL_OK &&
         about(a, 4 * seen * (double)channels) && about(b, 9.0 * (double)(width * channels));
}

static void check_workspace(void) {
  hl_err e = {0};
  hl_tensor *y;
  hl_ledger_reset_peak(hl_ledger_main());
  succeeds(convolve(16, 8, 1, &y, &e), &e, "a convolution of 16 channels");
  /* oneDNN keeps the weights in its own order: at least as many numbers as ours. */
  ok(hl_ledger_peak(hl_ledger_main(), HL_MEM_WORKSPACE) >= 8 * 16 * 9 * sizeof(float),
     "its reordered weights are in the ledger: %zu bytes",
     hl_ledger_peak(hl_ledger_main(), HL_MEM_WORKSPACE));
  hl_tensor_unref(y);
}

static void check_cache(void) {
  enum { SHAPES = 300 }; /* more than the cache holds */
  bool good = true;
  hl_err e = {0};
  for (int pass = 0; pass < 2 && good; pass++)
    for (int64_t i = 0; i < SHAPES && good; i++) {
      hl_tensor *y;
      int64_t channels = 1 + i % 20, side = 3 + i / 20;
      good = convolve(channels, side, 1, &y, &e) == HL_OK && is_right(y, channels, side, 1);
      hl_tensor_unref(y);
    }
  ok(good, "%d shapes twice: prepared, dropped and prepared again %s", SHAPES, e.msg);
}

typedef struct worker {
  pthread_t thread;
  int64_t channels, width;
  bool good;
} worker;

static void *work(void *arg) {
  worker *w = arg;
  w->good = true;
  for (int64_t side = 3; side < 12 && w->good; side++) {
    hl_tensor *y;
    w->good = convolve(w->channels, side, w->width, &y, NULL) == HL_OK &&
              is_right(y, w->channels, side, w->width);
    hl_tensor_unref(y);
  }
  return NULL;
}

static void check_threads(void) {
  enum { WORKERS = 4 };
  worker w[WORKERS] = {{0}};
  bool good = true;
  for (int i = 0; i < WORKERS; i++) {
    w[i].channels = 30 + i % 2; /* two threads each want the same primitives */
    w[i].width = i % 2 == 0 ? 1 : 3;
    good = pthread_create(&w[i].thread, NULL, work, &w[i]) == 0 && good;
  }
  for (int i = 0; i < WORKERS; i++)
    good = pthread_join(w[i].thread, NULL) == 0 && w[i].good && good;
  ok(good, "convolutions from %d threads at once", WORKERS);
}

int main(void) {
  check_refusals(refusals, sizeof refusals / sizeof *refusals);
  check_large_mean();
  check_constant_and_nan();
  check_workspace();
  check_cache();
  check_threads();
  return tap_done();
}
