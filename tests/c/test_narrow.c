/* Fixed-point numbers of 16 bits: rounding and range, sums that are undone bit for bit, and the ops
 * that the state of an invertible network goes through. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include "trial_run.h"

#include <hilum/program.h>

static const hl_dtype fixed[] = {HL_Q10, HL_Q9, HL_Q8, HL_Q7};
enum { FIXED = sizeof fixed / sizeof *fixed, LARGEST = 32767 };

static int16_t rounded(hl_dtype t, float x) {
  int16_t steps;
  hl_narrow_round(t, &steps, &x, 1);
  return steps;
}

/* ---- numbers ---- */

static void check_rounding(hl_dtype t) {
  const char *name = hl_dtype_name(t);
  float step = ldexpf(1, -hl_dtype_fraction(t));
  bool back = true;
  (void)hl_fixed_take_clipped();
  for (int k = -LARGEST; k <= LARGEST; k++) {
    float wide;
    int16_t steps = (int16_t)k;
    hl_narrow_widen(t, &wide, &steps, 1);
    back = back && wide == (float)k * step && rounded(t, wide) == k;
  }
  ok(back, "%s: every number is an f32 that rounds to itself", name);
  ok(rounded(t, 2.49F * step) == 2 && rounded(t, -2.51F * step) == -3, "%s: to nearest", name);
  ok(rounded(t, 2.5F * step) == 2 && rounded(t, 3.5F * step) == 4, "%s: ties to even", name);
  ok(rounded(t, 1e-30F) == 0, "%s: what is small becomes 0", name);
  is_int(hl_fixed_take_clipped(), 0, "%s: nothing was cut off", name);
  ok(rounded(t, ((float)LARGEST + 1) * step) == LARGEST && rounded(t, -INFINITY) == -LARGEST,
     "%s: what is too large is cut off", name);
  is_int(rounded(t, NAN), 0, "%s: NaN becomes 0", name);
  is_int(hl_fixed_take_clipped(), 3, "%s: all three are counted", name);
  is_int(hl_fixed_take_clipped(), 0, "%s: once", name);
}

/* n numbers between -most and most, in a narrow type. */
static void draw(hl_rng *r, hl_dtype t, float most, uint16_t *to, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float x = most * (float)(2 * hl_rng_uniform(r) - 1);
    hl_narrow_round(t, to + i, &x, 1);
  }
}

enum { MANY = 5000 };

static void check_sums(hl_dtype t, hl_dtype part_type) {
  static uint16_t part[MANY], x[MANY], y[MANY];
  hl_rng r = hl_rng_stream(seed, "sums", 0, (uint32_t)t);
  float range = ldexpf(LARGEST, -hl_dtype_fraction(t));
  const char *of = hl_dtype_name(t), *with = hl_dtype_name(part_type);
  draw(&r, t, 0.49F * range, x, MANY);
  draw(&r, part_type, 0.49F * range, part, MANY);
  part[0] = 0x3A00; /* in bf16 far below a step */
  (void)hl_fixed_take_clipped();
  hl_fixed_add(t, (int16_t *)y, (int16_t *)x, part_type, part, 1, MANY);
  bool moved = memcmp(x, y, sizeof x) != 0;
  hl_fixed_add(t, (int16_t *)y, (int16_t *)y, part_type, part, -1, MANY);
  ok(moved && memcmp(x, y, sizeof x) == 0, "%s + %s - %s is what it was, bit for bit", of, with,
     with);
  is_int(hl_fixed_take_clipped(), 0, "and stays in range");
  draw(&r, t, range, x, MANY);
  int64_t beyond = 0;
  for (int64_t i = 0; i < MANY; i++) {
    float a, b;
    hl_narrow_widen(t, &a, x + i, 1);
    hl_narrow_widen(part_type, &b, part + i, 1);
    beyond += rounded(t, a) + rounded(t, b) > LARGEST || rounded(t, a) + rounded(t, b) < -LARGEST;
  }
  hl_fixed_add(t, (int16_t *)y, (int16_t *)x, part_type, part, 1, MANY);
  is_int(hl_fixed_take_clipped(), beyond, "%s + %s: %lld sums leave the range, all counted", of,
         with, (long long)beyond);
}

static bool is_off(double steps) {
  return !(fabs(steps) <= LARGEST + 0.5);
}

static double limited(double steps) {
  return isnan(steps) ? 0 : fmin(fmax(nearbyint(steps), -LARGEST), LARGEST);
}

/* Numbers and sums with numbers around the range's ends and far beyond, in the middle of a block
 * and alone. */
static void check_extremes(hl_dtype t) {
  static const float parts[] = {0,      0.5F,    -1.5F,   32767, -32767.5F, 32768, -32768,   65535,
                                -4.2e6, 1.25e7F, -1.25e7, -2e7,  -3e7,      1e30F, INFINITY, NAN};
  enum { PARTS = sizeof parts / sizeof *parts };
  static const int16_t starts[] = {0, 1, -2, LARGEST, -LARGEST};
  double scale = ldexp(1, hl_dtype_fraction(t));
  bool good = true;
  (void)hl_fixed_take_clipped();
  for (size_t k = 0; k < PARTS * sizeof starts / sizeof *starts; k++)
    for (int sign = -1; sign < 2; sign += 2) {
      int16_t x[70] = {0}, y[70];
      uint16_t part[70] = {0};
      float of = parts[k % PARTS] / (float)scale, block[70] = {[33] = of};
      hl_narrow_round(t, y, block, 70);
      good = good && y[33] == limited((double)of * scale) && y[32] == 0;
      good = good && hl_fixed_take_clipped() == is_off((double)of * scale);
      hl_narrow_round(HL_BF16, part + 33, &of, 1);
      hl_narrow_widen(HL_BF16, &of, part + 33, 1);
      x[33] = starts[k / PARTS];
      double steps = sign * (double)of * scale, sum = x[33] + limited(steps), kept = limited(sum);
      hl_fixed_add(t, y, x, HL_BF16, part, (float)sign, 70);
      good = good && y[33] == kept && hl_fixed_take_clipped() == (is_off(steps) || kept != sum);
      hl_fixed_add(t, y + 33, x + 33, HL_BF16, part + 33, (float)sign, 1);
      good = good && y[33] == kept && y[0] == 0 && y[69] == 0;
      (void)hl_fixed_take_clipped();
    }
  ok(good, "%s: numbers and sums at the ends of the range and beyond", hl_dtype_name(t));
}

static void check_copies(void) {
  static const hl_dtype types[] = {HL_F32, HL_BF16, HL_Q10, HL_Q7, HL_F64, HL_I32};
  hl_err e = {0};
  hl_tensor *x = NULL, *f = NULL, *part = NULL, *y = NULL, *z = NULL;
  hl_desc d = {HL_F32, HL_IMAGE, {5, {2, 3, 5, 30, 41}}};
  hl_rng r = hl_rng_stream(seed, "copies", 0, 0);
  succeeds(hl_tensor_zeros(&x, &d, HL_MEM_DATA, "numbers", &e), &e, "numbers");
  int64_t n = hl_tensor_numel(x);
  for (int64_t i = 0; i < n; i++) hl_tensor_f32(x)[i] = (float)(4 * hl_rng_normal(&r));
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    succeeds(hl_tensor_dense(&f, x, types[i], HL_IMAGE, &e), &e, "as %s", hl_dtype_name(types[i]));
    succeeds(hl_tensor_slice(&part, f, 4, 1, 40, 3, &e), &e, "every third");
    succeeds(hl_tensor_dense(&y, part, HL_Q9, HL_PLAIN, &e), &e, "to q9, another layout");
    succeeds(hl_tensor_dense(&z, y, HL_F64, HL_PLAIN, &e), &e, "to f64");
    bool near = true;
    for (int64_t k = 0; k < hl_tensor_numel(z) && near; k++) {
      int64_t at[5], rest = k;
      double was;
      for (int axis = 4; axis >= 0; axis--) {
        at[axis] = rest % hl_tensor_shape(z)->dim[axis];
        rest /= hl_tensor_shape(z)->dim[axis];
      }
      near =
          hl_tensor_get(part, at, &was, &e) == HL_OK && fabs(hl_tensor_f64(z)[k] - was) <= 0x1p-10;
    }
    ok(near, "each number is within half a step");
    unref_all(4, (hl_tensor *[]){f, part, y, z});
  }
  hl_tensor_unref(x);
}

/* ---- ops ---- */

/* Every sample of these ops is within half a step of the reference, in fixed point throughout. */
static const char *const ops[] = {"add",           "sub",         "add_at", "regroup", "mix",
                                  "resample_down", "resample_up", "slice",  "concat",  "split"};

static double largest_difference(const hl_tensor *got, const hl_tensor *want) {
  double worst = 0;
  for (int64_t i = 0; i < hl_tensor_numel(want); i++) {
    double error = fabs(value_at(got, i) - hl_tensor_f64(want)[i]);
    worst = error <= worst ? worst : error;
  }
  return worst;
}

static void check_op(const hl_op *op, const hl_sample *sample) {
  trial t;
  hl_err e = {0};
  result want = {0}, got = {0}, again = {0};
  if (!trial_begin_in(&t, op, sample, HL_Q9)) return;
  bool good = run_trial(&t, false, &want, &e) == HL_OK && run_trial(&t, true, &got, &e) == HL_OK &&
              run_trial(&t, true, &again, &e) == HL_OK;
  double worst = good ? 0 : INFINITY;
  for (int i = 0; i < got.n && good; i++) {
    good = hl_tensor_dtype(got.t[i]) == HL_Q9;
    worst = fmax(worst, largest_difference(got.t[i], want.t[i]));
  }
  ok(good && worst <= 0x1p-10 + 1e-5 && same_results(&got, &again), "%s (%.1e) %s", t.name, worst,
     e.msg);
  result_free(&want);
  result_free(&got);
  result_free(&again);
  trial_end(&t);
}

static hl_status described(hl_call *c, const char *name, int n, const char *const *in,
                           attr_space *attrs, const char *text, hl_err *e) {
  *c = (hl_call){.op = hl_op_find(name), .attrs = attrs, .n_in = n};
  memset(attrs, 0, sizeof *attrs);
  for (int i = 0; i < n; i++) {
    spec s;
    if (!read_spec(in[i], &s)) return hl_fail(e, HL_EINVAL, "cannot read %s", in[i]);
    c->in[i] = s.desc;
  }
  if (c->op->attr_size > 0) HL_TRY(hl_attrs_parse(c->op, text, attrs, e));
  return hl_call_shape(c, e);
}

/* Types of what rules give: gradients' matrices are f32, sums have the type of the state. */
static void check_types(void) {
  static const struct {
    const char *op, *in[4], *attrs;
    hl_dtype out;
  } calls[] = {
      {"add", {"1x2x4x4x4 image q9", "1x2x4x4x4 image bf16"}, NULL, HL_Q9},
      {"sub", {"1x2x4x4x4 image q9", "1x2x1x1x1 image bf16"}, NULL, HL_Q9},
      {"add_at", {"1x2x4x4x4 image q9", "1x2x1x4x4 image bf16"}, "start=0,0,1,0,0 scale=-1", HL_Q9},
      {"mix_grad_matrix", {"1x2x4x4x4 image q9", "1x2x4x4x4 image bf16"}, "parts=1", HL_F32},
      {"mix_grad_matrix", {"1x2x4x4x4 image bf16", "1x2x4x4x4 image q9"}, "parts=1", HL_F32},
      {"resample_grad_matrix", {"1x16x2x2x2 image q9", "1x2x4x4x4 image bf16"}, "parts=1", HL_F32},
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    hl_err e = {0};
    hl_call c;
    attr_space attrs;
    int n = 0;
    while (n < 4 && calls[i].in[n] != NULL) n++;
    bool good = described(&c, calls[i].op, n, calls[i].in, &attrs, calls[i].attrs, &e) == HL_OK;
    ok(good && c.out[0].dtype == calls[i].out, "%s of %s and %s %s", calls[i].op, calls[i].in[0],
       calls[i].in[1], e.msg);
  }
}

static const refusal refusals[] = {
    {"mul",
     {"1x2x4x4x4 image q9", "1x2x4x4x4 image bf16"},
     NULL,
     "all inputs must have one element type, but input 1 is q9 and input 2 is bf16",
     HL_ETYPE},
    {"add",
     {"1x2x4x4x4 image q9", "1x2x4x4x4 image"},
     NULL,
     "input 1 is q9 and input 2 is f32",
     HL_ETYPE},
    {"mix", {"1x2x4x4x4 image q9", "2x2 bf16"}, NULL, "input 2 must be f32 where", HL_ETYPE},
};

/* x + part - part in a program, the part broadcast, with whatever kernel that takes. */
static void check_undone(const char *part_shape) {
  hl_err e = {0};
  hl_tensor *x = NULL, *part = NULL, *out = NULL;
  hl_program *p = NULL;
  spec a, b;
  hl_var in[2], sum, back;
  bool good = read_spec("2x3x7x9x11 image q9", &a) && read_spec(part_shape, &b) &&
              hl_tensor_zeros(&x, &a.desc, HL_MEM_DATA, "x", &e) == HL_OK &&
              hl_tensor_zeros(&part, &b.desc, HL_MEM_DATA, "part", &e) == HL_OK;
  hl_rng r = hl_rng_stream(seed, "undone", 0, 0);
  if (good) {
    draw(&r, HL_Q9, 20, hl_tensor_data(x), hl_tensor_numel(x));
    draw(&r, HL_BF16, 20, hl_tensor_data(part), hl_tensor_numel(part));
  }
  good = good && hl_program_new(&p, false, &e) == HL_OK &&
         hl_program_input(p, "x", &a.desc, &in[0], &e) == HL_OK &&
         hl_program_input(p, "part", &b.desc, &in[1], &e) == HL_OK &&
         hl_emit(p, hl_op_find("add"), NULL, 2, in, 1, &sum, &e) == HL_OK &&
         hl_emit(p, hl_op_find("sub"), NULL, 2, (hl_var[]){sum, in[1]}, 1, &back, &e) == HL_OK &&
         hl_program_output(p, back, HL_MEM_STATE, &e) == HL_OK &&
         hl_program_finish(p, &e) == HL_OK &&
         hl_program_run(p, 2, (hl_tensor *[]){x, part}, 1, &out, &e) == HL_OK;
  ok(good && same_bits(x, out), "x + %s - the same gives x %s", part_shape, e.msg);
  hl_program_free(p);
  unref_all(3, (hl_tensor *[]){x, part, out});
}

/* ---- orthogonal matrices ---- */

/* count matrices of n rows: products of rotations by up to `angle`; the first column of every
 * second one is negated, so that its determinant is -1. */
static void draw_orthogonal(hl_rng *r, float *q, int64_t count, int64_t n, double angle) {
  for (int64_t m = 0; m < count; m++, q += n * n) {
    for (int64_t i = 0; i < n * n; i++) q[i] = i % (n + 1) == 0 ? 1 : 0;
    for (int64_t a = 0; a < n; a++)
      for (int64_t b = a + 1; b < n; b++) {
        double turn = angle * (2 * hl_rng_uniform(r) - 1), c = cos(turn), s = sin(turn);
        for (int64_t k = 0; k < n; k++) {
          double x = (double)q[a * n + k], y = (double)q[b * n + k];
          q[a * n + k] = (float)(c * x - s * y);
          q[b * n + k] = (float)(s * x + c * y);
        }
      }
    for (int64_t k = 0; k < n && m % 2 == 1; k++) q[k * n] = -q[k * n];
  }
}

typedef struct turning {
  const char *x, *matrix, *there, *there_attrs, *back, *back_attrs;
  double angle;
  int most; /* steps between the result and that of the reference */
} turning;

/* One op and its inverse on the same matrices. */
static void check_turning(const turning *t, hl_dtype type) {
  hl_err e = {0};
  hl_tensor *x = NULL, *q = NULL, *out[2] = {0}, *wide[3] = {0};
  hl_program *p = NULL;
  spec a, m;
  attr_space there = {0}, back = {0};
  hl_var in[2], y, z;
  bool good = read_spec(t->x, &a) && read_spec(t->matrix, &m);
  a.desc.dtype = type;
  good = good && hl_tensor_zeros(&x, &a.desc, HL_MEM_DATA, "x", &e) == HL_OK &&
         hl_tensor_zeros(&q, &m.desc, HL_MEM_DATA, "matrix", &e) == HL_OK;
  hl_rng r = hl_rng_stream(seed, t->x, 0, 1);
  const int64_t *dim = m.desc.shape.dim;
  int rank = m.desc.shape.rank;
  if (good) {
    draw(&r, type, 4, hl_tensor_data(x), hl_tensor_numel(x));
    draw_orthogonal(&r, hl_tensor_f32(q), rank == 3 ? dim[0] : 1, dim[rank - 1], t->angle);
  }
  const hl_op *go = hl_op_find(t->there), *come = hl_op_find(t->back);
  good = good && hl_attrs_parse(go, t->there_attrs, &there, &e) == HL_OK &&
         hl_attrs_parse(come, t->back_attrs, &back, &e) == HL_OK &&
         hl_program_new(&p, false, &e) == HL_OK &&
         hl_program_input(p, "x", &a.desc, &in[0], &e) == HL_OK &&
         hl_program_input(p, "q", &m.desc, &in[1], &e) == HL_OK &&
         hl_emit(p, go, &there, 2, in, 1, &y, &e) == HL_OK &&
         hl_emit(p, come, &back, 2, (hl_var[]){y, in[1]}, 1, &z, &e) == HL_OK &&
         hl_program_output(p, y, HL_MEM_STATE, &e) == HL_OK &&
         hl_program_output(p, z, HL_MEM_STATE, &e) == HL_OK && hl_program_finish(p, &e) == HL_OK &&
         hl_program_run(p, 2, (hl_tensor *[]){x, q}, 2, out, &e) == HL_OK;
  ok(good && same_bits(x, out[1]), "%s, %s of %s, turned by %.2f: undone bit for bit %s",
     hl_dtype_name(type), t->there, t->x, t->angle, e.msg);
  /* What it gives is what the matrix gives. */
  hl_call c = {.op = go, .attrs = &there, .n_in = 2};
  good = good && hl_tensor_dense(&wide[0], x, HL_F64, HL_IMAGE, &e) == HL_OK &&
         hl_tensor_dense(&wide[1], q, HL_F64, HL_PLAIN, &e) == HL_OK;
  if (good) {
    c.in[0] = *hl_tensor_desc(wide[0]);
    c.in[1] = *hl_tensor_desc(wide[1]);
    good = hl_call_shape(&c, &e) == HL_OK &&
           hl_tensor_zeros(&wide[2], &c.out[0], HL_MEM_DATA, "y", &e) == HL_OK &&
           hl_call_run(&c, wide, wide + 2, &e) == HL_OK;
  }
  double steps =
      good ? ldexp(largest_difference(out[0], wide[2]), hl_dtype_fraction(type)) : INFINITY;
  ok(steps <= t->most, "and within %.1f steps of the product %s", steps, e.msg);
  hl_program_free(p);
  unref_all(2, out);
  unref_all(3, wide);
  unref_all(2, (hl_tensor *[]){x, q});
}

static const turning turnings[] = {
    {"2x16x5x6x7 image", "16x16", "mix", NULL, "mix", "transpose=1", 0, 0},
    {"2x16x5x6x7 image", "16x16", "mix", NULL, "mix", "transpose=1", 0.02, 4},
    {"1x16x5x6x37 image", "16x16", "mix", "transpose=1", "mix", NULL, 0.3, 4},
    {"1x7x5x6x7 image", "7x7", "mix", NULL, "mix", "transpose=1", 3, 4},
    {"1x2x5x6x7 image", "2x2", "mix", NULL, "mix", "transpose=1", 3, 4},
    {"1x1x2x3x4 image", "1x1", "mix", NULL, "mix", "transpose=1", 0, 0},
    {"1x64x3x3x3 image", "64x64", "mix", NULL, "mix", "transpose=1", 0.01, 4},
    {"2x5x4x6x140 image", "5x8x8", "resample_down", NULL, "resample_up", NULL, 1, 4},
    {"1x3x4x6x10 image", "3x8x8", "resample_down", NULL, "resample_up", NULL, 0, 0},
    {"1x4x3x6x10 image", "4x4x4", "resample_down", "stride=1,2,2", "resample_up", "stride=1,2,2", 3,
     4},
    {"1x16x2x4x12 image", "16x8x8", "resample_down", NULL, "resample_up", NULL, 2, 4},
    {"1x8x4x2x30 image", "8x8x8", "resample_down", NULL, "resample_up", NULL, 2, 4},
    {"1x6x2x4x38 image", "6x8x8", "resample_down", NULL, "resample_up", NULL, 2, 4},
    {"2x1x2x2x66 image", "1x8x8", "resample_down", NULL, "resample_up", NULL, 2, 4},
    {"1x32x2x3x5 image", "4x8x8", "resample_up", NULL, "resample_down", NULL, 2, 4},
    {"1x12x1x4x22 image", "12x4x4", "resample_down", "stride=1,2,2", "resample_up", "stride=1,2,2",
     3, 4},
    {"1x64x2x3x5 image", "16x4x4", "resample_up", "stride=1,2,2", "resample_down", "stride=1,2,2",
     3, 4},
    {"1x24x2x2x35 image", "6x4x4", "resample_up", "stride=1,2,2", "resample_down", "stride=1,2,2",
     3, 4},
    {"1x12x3x4x70 image", "2x6x6", "resample_up", "stride=3,1,2", "resample_down", "stride=3,1,2",
     2, 4},
};

/* Large numbers, turned: as many are said to be cut off as have come to the end of the range. */
static void check_cut_off(const char *shape, const char *matrix, const char *attrs) {
  hl_err e = {0};
  hl_tensor *in[2] = {NULL, NULL}, *out = NULL;
  spec a, m;
  attr_space down = {0};
  const hl_op *op = hl_op_find("resample_down");
  int n = 0;
  bool good = read_spec(shape, &a) && read_spec(matrix, &m) &&
              hl_tensor_zeros(&in[0], &a.desc, HL_MEM_DATA, "x", &e) == HL_OK &&
              hl_tensor_zeros(&in[1], &m.desc, HL_MEM_DATA, "matrix", &e) == HL_OK &&
              hl_attrs_parse(op, attrs, &down, &e) == HL_OK;
  hl_rng r = hl_rng_stream(seed, shape, 0, 2);
  if (good) {
    draw(&r, HL_Q9, 63, hl_tensor_data(in[0]), hl_tensor_numel(in[0]));
    draw_orthogonal(&r, hl_tensor_f32(in[1]), m.desc.shape.dim[0], m.desc.shape.dim[2], 1);
  }
  (void)hl_fixed_take_clipped();
  good = good && hl_op_eager(op, &down, 2, in, &n, &out, &e) == HL_OK;
  int64_t at_the_end = 0;
  for (int64_t i = 0; good && i < hl_tensor_numel(out); i++)
    at_the_end += abs(hl_tensor_fixed(out)[i]) == LARGEST;
  ok(at_the_end > 0, "%s: some numbers are cut off %s", shape, e.msg);
  is_int(hl_fixed_take_clipped(), at_the_end, "and counted");
  unref_all(3, (hl_tensor *[]){in[0], in[1], out});
}

/* What is cut off is told by place. */
static void check_places(void) {
  hl_err e = {0};
  hl_tensor *x = NULL, *out = NULL;
  hl_program *p = NULL;
  hl_desc d = {HL_F32, HL_PLAIN, {1, {1000}}};
  hl_var v, y, z;
  int64_t q8 = HL_Q8, q10 = HL_Q10, count = 0;
  bool good = hl_tensor_zeros(&x, &d, HL_MEM_DATA, "x", &e) == HL_OK;
  for (int i = 0; i < 1000 && good; i++) hl_tensor_f32(x)[i] = i < 10 ? 1000 : i < 30 ? 100 : 1;
  good = good && hl_program_new(&p, false, &e) == HL_OK &&
         hl_program_input(p, "x", &d, &v, &e) == HL_OK && hl_program_enter(p, "a", &e) == HL_OK &&
         hl_emit(p, hl_op_find("cast"), &q8, 1, &v, 1, &y, &e) == HL_OK;
  if (good) hl_program_leave(p);
  good = good && hl_program_enter(p, "b", &e) == HL_OK &&
         hl_emit(p, hl_op_find("cast"), &q10, 1, &y, 1, &z, &e) == HL_OK &&
         hl_program_output(p, z, HL_MEM_STATE, &e) == HL_OK && hl_program_finish(p, &e) == HL_OK;
  for (int run = 0; run < 2 && good; run++) {
    const char *path = "";
    int at = 0;
    hl_tensor_unref(out);
    good = hl_program_run(p, 1, &x, 1, &out, &e) == HL_OK;
    ok(good && hl_program_clipped(p, &at, &path, &count) && strcmp(path, "a") == 0 && count == 10,
       "run %d: 10 numbers are cut off at a %s", run + 1, e.msg);
    ok(hl_program_clipped(p, &at, &path, &count) && strcmp(path, "b") == 0 && count == 30,
       "and 30 at b");
    ok(!hl_program_clipped(p, &at, &path, &count), "and nowhere else");
  }
  hl_program_free(p);
  unref_all(2, (hl_tensor *[]){x, out});
}

int main(void) {
  for (int i = 0; i < FIXED; i++) {
    check_rounding(fixed[i]);
    check_extremes(fixed[i]);
    check_sums(fixed[i], HL_BF16);
    check_sums(fixed[i], fixed[i]);
  }
  check_copies();
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    const hl_op *op = hl_op_find(ops[i]);
    for (const hl_sample *s = op->samples; s->name != NULL; s++) check_op(op, s);
  }
  check_types();
  check_refusals(refusals, sizeof refusals / sizeof *refusals);
  check_undone("2x3x7x9x11 image bf16");
  check_undone("3x1x1x1 bf16");
  check_undone("2x3x7x9x11 bf16");
  for (size_t i = 0; i < sizeof turnings / sizeof *turnings; i++) {
    check_turning(&turnings[i], HL_Q8);
    check_turning(&turnings[i], HL_Q10);
  }
  check_cut_off("1x3x4x4x22 image q9", "3x8x8", NULL);
  check_cut_off("2x8x2x4x10 image q9", "8x8x8", NULL);
  check_cut_off("1x4x2x4x26 image q9", "4x4x4", "stride=1,2,2");
  check_places();
  return tap_done();
}
