/* bf16 where the op table's samples do not reach: rounding, copies, the words of refusals, images
 * large enough to be taken in pieces. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include "trial_run.h"

#include <math.h>

/* ---- numbers ---- */

static uint32_t bits_of(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

static void check_rounding(void) {
  bool back = true;
  for (uint32_t b = 0; b <= UINT16_MAX; b++) {
    float f = hl_bf16_widen((uint16_t)b);
    back = back && bits_of(f) == b << 16 && (isnan(f) || hl_bf16_round(f) == b);
  }
  ok(back, "every bf16 number is an f32 that rounds to itself");
  const float unit = 0x1p-7F; /* between neighbours above 1 */
  ok(hl_bf16_round(1 + 0.49F * unit) == hl_bf16_round(1), "to nearest, down");
  ok(hl_bf16_round(1 + 0.51F * unit) == hl_bf16_round(1 + unit), "to nearest, up");
  ok(hl_bf16_round(1 + 0.5F * unit) == hl_bf16_round(1), "a tie to even, down");
  ok(hl_bf16_round(1 + 1.5F * unit) == hl_bf16_round(1 + 2 * unit), "a tie to even, up");
  ok(hl_bf16_widen(hl_bf16_round(3.4e38F)) == INFINITY, "what is too large becomes infinity");
  ok(isnan(hl_bf16_widen(hl_bf16_round(NAN))), "NaN stays");
  uint32_t u = 0x7F800001; /* a NaN whose upper half is infinity */
  float quiet;
  memcpy(&quiet, &u, sizeof quiet);
  ok(isnan(hl_bf16_widen(hl_bf16_round(quiet))), "also one that only low bits tell from infinity");
}

/* f32 and bf16 both ways, by f64 where a loop of its own is not taken. */
static void check_copies(void) {
  hl_err e = {0};
  hl_tensor *x = NULL, *half = NULL, *image = NULL, *part = NULL, *back = NULL;
  hl_desc d = {HL_F32, HL_PLAIN, {5, {2, 3, 30, 40, 50}}};
  hl_rng r = hl_rng_stream(seed, "copies", 0, 0);
  succeeds(hl_tensor_zeros(&x, &d, HL_MEM_DATA, "numbers", &e), &e, "numbers");
  int64_t n = hl_tensor_numel(x);
  for (int64_t i = 0; i < n; i++) hl_tensor_f32(x)[i] = (float)hl_rng_normal(&r);
  succeeds(hl_tensor_dense(&half, x, HL_BF16, HL_PLAIN, &e), &e, "to bf16");
  bool same = true;
  for (int64_t i = 0; i < n; i++)
    same = same && hl_tensor_bf16(half)[i] == hl_bf16_round(hl_tensor_f32(x)[i]);
  ok(same, "each number is rounded");
  succeeds(hl_tensor_dense(&image, half, HL_F32, HL_IMAGE, &e), &e, "to an f32 image");
  succeeds(hl_tensor_dense(&back, image, HL_BF16, HL_PLAIN, &e), &e, "and back");
  ok(memcmp(hl_tensor_data(back), hl_tensor_data(half), hl_tensor_bytes(half)) == 0,
     "between layouts no number changes");
  hl_tensor_unref(back);
  succeeds(hl_tensor_slice(&part, half, 4, 1, 50, 3, &e), &e, "every third");
  succeeds(hl_tensor_dense(&back, part, HL_F32, HL_PLAIN, &e), &e, "made dense in f32");
  same = true;
  for (int64_t i = 0; i < hl_tensor_numel(back); i++)
    same = same && hl_tensor_f32(back)[i] ==
                       hl_bf16_widen(hl_tensor_bf16(half)[i / 17 * 50 + 1 + i % 17 * 3]);
  ok(same, "strides are followed");
  unref_all(5, (hl_tensor *[]){x, half, image, part, back});
}

/* ---- refusals ---- */

static const refusal refusals[] = {
    {"conv",
     {"1x2x4x4x4 image bf16", "3x2x3x3x3 bf16"},
     NULL,
     "input 2 must be f32 where input 1 is bf16 (parameters and statistics keep their precision), "
     "not bf16",
     HL_ETYPE},
    {"mix",
     {"1x2x4x4x4 image bf16", "1x2x4x4x4 image bf16", "4x4 bf16"},
     NULL,
     "input 3 must be f32 where input 1 is bf16",
     HL_ETYPE},
    {"gather_grad", {"2x3 bf16", "2x3 bf16"}, "axis=1 size=3", "input 1 must be f32", HL_ETYPE},
    {"add",
     {"1x2x4x4x4 image bf16", "2x1x1x1"},
     NULL,
     "all inputs must have one element type, but input 1 is bf16 and input 2 is f32",
     HL_ETYPE},
    {"instance_norm",
     {"1x2x4x4x4 image", "2 bf16"},
     NULL,
     "all inputs must have one element type, but input 1 is f32 and input 2 is bf16",
     HL_ETYPE},
    {"sgd",
     {"7 bf16", "7 bf16", "2 f64"},
     NULL,
     "param must be f32 or f64, not bf16: steps are smaller than what that can hold",
     HL_ETYPE},
    {"ema", {"7 bf16", "7 bf16"}, NULL, "average must be f32 or f64, not bf16", HL_ETYPE},
    {"one_hot", {"1 bf16"}, "classes=300 axis=0", "bf16 counts to 256", HL_EINVAL},
};

/* ---- pieces ---- */

typedef struct large {
  const char *op;
  hl_sample sample;
} large;

#define WHOLE "1x3x47x48x49 image"
#define HALF "1x8x37x40x41 image"
#define COARSE "1x8x41x31x33 image"
static const large pieces[] = {
    {"tanh", {"a few stretches", {WHOLE}, NULL}},
    {"leaky_relu", {"plain", {"700001"}, "slope=0.5"}},
    {"add", {"a number per channel", {WHOLE, "1x3x1x1x1 image"}, NULL}},
    {"mul", {"another layout", {WHOLE, "1x3x47x48x49"}, NULL}},
    {"where", {"a mask and a number", {"1x1x47x48x49 image binary", WHOLE, "1"}, NULL}},
    {"bce_grad", {"three images", {WHOLE, WHOLE " unit", WHOLE}, "pos_weight=2"}},
    {"sum", {"channels", {WHOLE}, "axes=0,2,3,4"}},
    {"mix", {"two halves", {HALF, HALF, "16x16"}, "sizes=8,8"}},
    {"mix_grad_matrix", {"two halves", {HALF, HALF, HALF, HALF}, "parts=2"}},
    {"regroup", {"three parts", {HALF, HALF}, "sizes=5,4,7"}},
    {"resample_down", {"two halves", {"2x4x34x40x42 image", "4x8x8"}, "sizes=16,16"}},
    {"resample_up", {"two halves", {COARSE, COARSE, "4x4x4"}, "stride=1,2,2"}},
    {"resample_grad_matrix",
     {"flat windows", {COARSE, COARSE, "1x4x41x62x66 image"}, "stride=1,2,2 parts=2"}},
    {"concat", {"channels", {HALF, "1x1x37x40x41 image"}, "axis=1"}},
    {"split", {"slices", {HALF}, "axis=2 sizes=20,17"}},
    {"log_softmax", {"channels", {HALF}, NULL}},
    {"max_pool", {"by two", {"2x3x44x48x50 image"}, "kernel=2"}},
    {"max_pool_grad", {"by two", {"1x7x44x48x50 image", "1x7x22x24x25 image"}, "kernel=2"}},
    {"sum_to", {"a number per channel", {HALF}, "shape=8,1,1,1"}},
    {"broadcast", {"a number per channel", {"8x1x1x1"}, "shape=1,8,37,40,41 image=1"}},
    {"batch_norm_eval", {"an image", {HALF, "8", "8 positive", "8", "8"}, "slope=0.1"}},
    {"instance_norm", {"an image", {WHOLE, "3", "3"}, "slope=0.1"}},
    {"conv_grad_weight",
     {"two slabs and two images",
      {"2x2x40x64x64 image", "2x3x40x64x64 image"},
      "padding=1 kernel=3"}},
    {"conv_grad_weight",
     {"strides and gaps",
      {"1x2x81x64x64 image", "1x2x40x62x66 image"},
      "kernel=3 stride=2,1,1 dilation=2,2,1 padding=1,1,2"}},
    {"conv_grad_weight",
     {"slabs that see padding alone",
      {"1x1x6x128x128 image", "1x2x28x128x128 image"},
      "kernel=3 padding=12,1,1"}},
    {"conv", {"pointwise to one", {"2x12x40x41x42 image", "1x12x1x1x1", "1"}, NULL}},
    {"conv_grad_weight",
     {"pointwise to one", {"2x12x40x41x42 image", "2x1x40x41x42 image"}, "kernel=1"}},
    {"conv_grad_input",
     {"pointwise to one", {"2x1x40x41x42 image", "1x12x1x1x1"}, "size=40,41,42"}},
    {"conv", {"a plane", {"1x3x9x40x41 image", "5x3x3x3x3", "5"}, "padding=1"}},
};

static void check_piece(const large *p) {
  trial t;
  hl_err e = {0};
  result want = {0}, got = {0}, again = {0};
  if (!trial_begin_in(&t, hl_op_find(p->op), &p->sample, HL_BF16)) return;
  bool good = run_trial(&t, false, &want, &e) == HL_OK && run_trial(&t, true, &got, &e) == HL_OK &&
              run_trial(&t, true, &again, &e) == HL_OK;
  double worst = good ? 0 : INFINITY;
  for (int i = 0; i < got.n && good; i++) worst = fmax(worst, worst_error(got.t[i], want.t[i], 0));
  ok(worst <= 0x1p-7 && same_results(&got, &again), "%s (%.1e) %s", t.name, worst, e.msg);
  result_free(&want);
  result_free(&got);
  result_free(&again);
  trial_end(&t);
}

/* Scratch does not grow with the image, for weight gradients where the processor multiplies bf16.
 */
static void check_scratch(void) {
  static const struct {
    const char *op, *attrs;
    int n;
  } ops[] = {{"silu", NULL, 1},
             {"log_softmax", "axis=1", 1},
             {"max_pool", "kernel=2", 1},
             {"sum", "axes=0,2,3,4", 1},
             {"add", NULL, 2},
             {"conv_grad_weight", "padding=1 kernel=3", 2}};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    hl_err e = {0};
    attr_space attrs = {0};
    size_t bytes[2] = {0, 0};
    hl_call c = {.op = hl_op_find(ops[i].op), .attrs = &attrs, .n_in = ops[i].n};
    bool good = c.op->attr_size == 0 || hl_attrs_parse(c.op, ops[i].attrs, &attrs, &e) == HL_OK;
    for (int size = 0; size < 2 && good; size++) {
      for (int k = 0; k < c.n_in; k++)
        c.in[k] = (hl_desc){HL_BF16, HL_IMAGE, {5, {1, 4, size == 0 ? 128 : 512, 64, 64}}};
      good = hl_call_shape(&c, &e) == HL_OK && hl_call_workspace(&c, &bytes[size], &e) == HL_OK;
    }
    const hl_kernel *k = hl_op_cpu(c.op);
    if (k->takes_bf16 != NULL && !k->takes_bf16(&c)) {
      tap_skip(1, "%s: this processor widens bf16", ops[i].op);
      continue;
    }
    ok(good && bytes[0] == bytes[1], "%s: %zu bytes of scratch, %zu for four times the image %s",
       ops[i].op, bytes[0], bytes[1], e.msg);
  }
}

int main(void) {
  check_rounding();
  check_copies();
  check_refusals(refusals, sizeof refusals / sizeof *refusals);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) check_piece(&pieces[i]);
  check_scratch();
  return tap_done();
}
