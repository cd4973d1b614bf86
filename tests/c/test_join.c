/* Joining: one op in the place of several gives the same numbers but for their rounding, in less
 * memory, and only where nothing else sees what falls away. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/program.h>
#include <hilum/rng.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 14, MOST = 6 };

/* What is asked of a program: x and base through two convolutions, each normalised, onto base. */
typedef struct wish {
  int64_t channels;
  hl_dtype type;
  bool taken, affine; /* base − F(x) instead of base + F(x); scales and offsets */
  bool tapped;        /* the first normalisation's result is an output too */
  bool apart;
} wish;

typedef struct made {
  hl_program *p;
  hl_tensor *in[2];
  int n_out;
  hl_tensor *out[MOST];
} made;

static hl_tensor *numbers(hl_dtype t, const hl_shape *s, hl_layout layout, uint32_t item) {
  hl_err e = {0};
  hl_tensor *wide, *out;
  const hl_desc d = {HL_F32, layout, *s};
  if (hl_tensor_zeros(&wide, &d, HL_MEM_DATA, "test", &e) != HL_OK) exit(1);
  hl_rng r = hl_rng_stream(3, "join", 0, item);
  for (int64_t i = 0; i < hl_tensor_numel(wide); i++)
    hl_tensor_f32(wide)[i] = 0.3F + (float)hl_rng_normal(&r);
  if (hl_tensor_dense(&out, wide, t, layout, &e) != HL_OK) exit(1);
  hl_tensor_unref(wide);
  return out;
}

static hl_status emit(hl_program *p, const char *name, const char *attrs, int n, const hl_var *in,
                      int n_out, hl_var *out, hl_err *e) {
  const hl_op *op = hl_op_find(name);
  char buffer[512];
  HL_TRY(hl_attrs_parse(op, attrs, buffer, e));
  return hl_emit(p, op, op->attr_size > 0 ? buffer : NULL, n, in, n_out, out, e);
}

/* Calls an op at once, with a padding and a slope or without. */
static bool eager(const char *name, int n, hl_tensor *const *in, const double *padding,
                  const double *slope, hl_tensor **out, hl_err *e) {
  const hl_op *op = hl_op_find(name);
  _Alignas(16) char attrs[512] = {0};
  uint32_t given = 0;
  int n_out;
  return (padding == NULL || hl_attr_set(op, attrs, &given, "padding", 1, padding, e) == HL_OK) &&
         (slope == NULL || hl_attr_set(op, attrs, &given, "slope", 1, slope, e) == HL_OK) &&
         hl_attrs_end(op, attrs, given, e) == HL_OK &&
         hl_op_eager(op, attrs, n, in, &n_out, out, e) == HL_OK;
}

static hl_status bind(hl_program *p, const hl_shape *s, uint32_t item, hl_var *out, hl_err *e) {
  hl_tensor *t = numbers(HL_F32, s, HL_PLAIN, item);
  hl_status status = hl_program_bind(p, "parameter", t, true, out, e);
  hl_tensor_unref(t);
  return status;
}

/* act(norm(conv(x))), with the trainable values appended to wrt. */
static hl_status layer(hl_program *p, const wish *w, hl_var x, uint32_t item, hl_var *y,
                       hl_var *wrt, int *n, hl_err *e) {
  const hl_shape kernel = {5, {w->channels, w->channels, 3, 3, 3}}, vector = {1, {w->channels}};
  hl_var in[3] = {x}, out[2], c;
  HL_TRY(bind(p, &kernel, item, &in[1], e));
  wrt[(*n)++] = in[1];
  HL_TRY(emit(p, "conv", "padding=1", 2, in, 1, &c, e));
  in[0] = c;
  for (int i = 1; i < 3 && w->affine; i++) {
    HL_TRY(bind(p, &vector, item + (uint32_t)i, &in[i], e));
    wrt[(*n)++] = in[i];
  }
  HL_TRY(emit(p, "instance_norm", "slope=0.2", w->affine ? 3 : 1, in, 2, out, e));
  *y = out[0];
  return HL_OK;
}

static hl_status build(const wish *w, made *m, hl_err *e) {
  const hl_desc d = {w->type, HL_IMAGE, {5, {2, w->channels, SIDE, SIDE, SIDE}}};
  hl_program *p = m->p;
  hl_var in[2], first, second, sum, dot, loss, wrt[8], grad[8];
  int n = 0;
  HL_TRY(hl_program_input(p, "x", &d, &in[0], e));
  HL_TRY(hl_program_input(p, "base", &d, &in[1], e));
  HL_TRY(layer(p, w, in[0], 10, &first, wrt, &n, e));
  HL_TRY(layer(p, w, first, 20, &second, wrt, &n, e));
  HL_TRY(emit(p, w->taken ? "sub" : "add", NULL, 2, (hl_var[]){in[1], second}, 1, &sum, e));
  HL_TRY(emit(p, "mul", NULL, 2, (hl_var[]){sum, in[0]}, 1, &dot, e)); /* x is used twice */
  HL_TRY(emit(p, "mean", NULL, 1, &dot, 1, &loss, e));
  wrt[n++] = in[0];
  HL_TRY(hl_program_gradient(p, loss, n, wrt, grad, e));
  HL_TRY(hl_program_output(p, sum, HL_MEM_DATA, e));
  HL_TRY(hl_program_output(p, grad[0], HL_MEM_DATA, e));
  HL_TRY(hl_program_output(p, grad[n / 2], HL_MEM_DATA, e));
  HL_TRY(hl_program_output(p, grad[n - 1], HL_MEM_DATA, e));
  if (w->tapped) HL_TRY(hl_program_output(p, first, HL_MEM_DATA, e));
  if (w->apart) hl_program_keep_apart(p);
  HL_TRY(hl_program_finish(p, e));
  m->n_out = hl_program_output_count(p);
  for (uint32_t i = 0; i < 2; i++) m->in[i] = numbers(w->type, &d.shape, HL_IMAGE, i);
  return hl_program_run(p, 2, m->in, m->n_out, m->out, e);
}

static made make(wish w, bool apart) {
  made m = {0};
  hl_err e = {0};
  w.apart = apart;
  if (hl_program_new(&m.p, false, &e) != HL_OK || build(&w, &m, &e) != HL_OK)
    tap_diag("  %s", e.msg);
  return m;
}

static void done(made *m) {
  for (int i = 0; i < m->n_out; i++) hl_tensor_unref(m->out[i]);
  for (int i = 0; i < 2; i++) hl_tensor_unref(m->in[i]);
  hl_program_free(m->p);
}

/* How often an op is called by the finished program. */
static int calls(const made *m, const char *name) {
  int n = 0;
  char own[64], back[64];
  snprintf(own, sizeof own, "%s(", name);
  snprintf(back, sizeof back, "backward %s(", name);
  for (int i = 0; i < hl_program_op_count(m->p); i++) {
    const char *text = hl_program_op_text(m->p, i);
    bool is = strncmp(text, own, strlen(own)) == 0 || strncmp(text, back, strlen(back)) == 0;
    n += is && strstr(text, "(dropped)") == NULL;
  }
  return n;
}

static size_t peak(const made *m) {
  hl_plan plan;
  hl_err e = {0};
  return hl_program_plan(m->p, &plan, &e) == HL_OK ? plan.peak[HL_MEM_CATEGORIES] : 0;
}

/* The largest difference of a result, relative to its largest number; infinite where it is none. */
static double difference(const made *a, const made *b, int i) {
  hl_err e = {0};
  hl_tensor *x, *y;
  double worst = 0, largest = 0;
  if (a->out[i] == NULL || b->out[i] == NULL) return INFINITY;
  hl_layout layout = hl_tensor_desc(a->out[i])->layout;
  if (hl_tensor_dense(&x, a->out[i], HL_F64, layout, &e) != HL_OK) return INFINITY;
  if (hl_tensor_dense(&y, b->out[i], HL_F64, layout, &e) != HL_OK) return INFINITY;
  for (int64_t k = 0; k < hl_tensor_numel(x); k++) {
    worst = fmax(worst, fabs(hl_tensor_f64(x)[k] - hl_tensor_f64(y)[k]));
    largest = fmax(largest, fabs(hl_tensor_f64(y)[k]));
  }
  hl_tensor_unref(x);
  hl_tensor_unref(y);
  return largest > 0 ? worst / largest : INFINITY;
}

/* Numbers close to the activation's kink may fall on its other side: gradients differ there by more
 * than their rounding. */
static void same_numbers(const made *a, const made *b, double limit, double of_gradients,
                         const char *name) {
  double worst = difference(a, b, 0), gradients = 0;
  for (int i = 1; i < 4; i++) gradients = fmax(gradients, difference(a, b, i));
  ok(worst <= limit, "%s: the same numbers (%.2g)", name, worst);
  ok(gradients <= of_gradients, "%s: the same gradients (%.2g)", name, gradients);
}

/* Where our own convolution takes the shape, and f32, everything is joined. */
static void all_joined(const char *name, const made *joined, const made *apart) {
  ok(calls(joined, "conv") == 0 && calls(joined, "conv_norm") == 2,
     "%s: both convolutions give statistics", name);
  is_int(calls(joined, "conv_norm_grad_weight"), 1, "the second's gradient reads as it does");
  is_int(calls(joined, "conv_grad_input_add"), 1, "the gradient of x is added to what was there");
  is_int(calls(joined, "instance_norm") + calls(joined, "instance_stats") +
             calls(joined, "normalise"),
         0, "nothing is left of the normalisations");
  ok(peak(joined) < peak(apart), "%s: %zu bytes instead of %zu", name, peak(joined), peak(apart));
}

static void compare(const char *name, const wish *w, double limit, double of_gradients, bool all) {
  made joined = make(*w, false), apart = make(*w, true);
  same_numbers(&joined, &apart, limit, of_gradients, name);
  is_int(calls(&joined, "normalise_add"), 1, "%s: the second goes onto the base", name);
  is_int(calls(&apart, "instance_norm"), 2, "kept apart, nothing is joined");
  if (all) all_joined(name, &joined, &apart);
  done(&joined);
  done(&apart);
}

/* Reading through a normalisation gives what an image gives that was normalised before. */
static void read_alike(void) {
  hl_err e = {0};
  hl_tensor *x = numbers(HL_F32, &(hl_shape){5, {2, 8, SIDE, SIDE, SIDE}}, HL_IMAGE, 31);
  hl_tensor *weight = numbers(HL_F32, &(hl_shape){5, {8, 8, 3, 3, 3}}, HL_PLAIN, 32);
  hl_tensor *scale = numbers(HL_F32, &(hl_shape){1, {8}}, HL_PLAIN, 33);
  hl_tensor *offset = numbers(HL_F32, &(hl_shape){1, {8}}, HL_PLAIN, 34);
  hl_tensor *norm[2] = {0}, *at_once[1] = {0}, *one_by_one[1] = {0};
  const double padding[] = {1}, slope[] = {0.2};
  bool good = eager("instance_norm", 3, (hl_tensor *[]){x, scale, offset}, NULL, slope, norm, &e) &&
              eager("conv", 2, (hl_tensor *[]){norm[0], weight}, padding, NULL, one_by_one, &e) &&
              eager("conv_norm", 5, (hl_tensor *[]){x, weight, norm[1], scale, offset}, padding,
                    slope, at_once, &e);
  ok(good, "both ways run %s", e.msg);
  const made a = {.out = {at_once[0]}}, b = {.out = {one_by_one[0]}};
  double worst = difference(&a, &b, 0);
  ok(worst <= 1e-6, "read through a normalisation: the same numbers (%.2g)", worst);
  hl_tensor *const all[] = {x, weight, scale, offset, norm[0], norm[1], at_once[0], one_by_one[0]};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) hl_tensor_unref(all[i]);
}

static void tapped(void) {
  const wish w = {.channels = 8, .type = HL_F32, .tapped = true};
  made joined = make(w, false), apart = make(w, true);
  is_int(calls(&joined, "normalise"), 1, "a result that is an output is made");
  is_int(calls(&joined, "conv_norm_grad_weight"), 0, "and read as it is");
  ok(difference(&joined, &apart, 4) <= 1e-5, "it holds the same numbers");
  done(&joined);
  done(&apart);
}

static void fixed_point(void) {
  hl_err e = {0};
  hl_program *p;
  const hl_desc x = {HL_BF16, HL_IMAGE, {5, {1, 8, SIDE, SIDE, SIDE}}};
  hl_desc state = x;
  state.dtype = HL_Q10;
  hl_var in[2], norm[2], there, back;
  if (hl_program_new(&p, false, &e) != HL_OK) exit(1);
  bool good = hl_program_input(p, "state", &state, &in[0], &e) == HL_OK &&
              hl_program_input(p, "x", &x, &in[1], &e) == HL_OK &&
              emit(p, "instance_norm", "slope=0.01", 1, &in[1], 2, norm, &e) == HL_OK &&
              emit(p, "add", NULL, 2, (hl_var[]){in[0], norm[0]}, 1, &there, &e) == HL_OK &&
              emit(p, "instance_norm", "slope=0.01", 1, &in[1], 2, norm, &e) == HL_OK &&
              emit(p, "sub", NULL, 2, (hl_var[]){there, norm[0]}, 1, &back, &e) == HL_OK &&
              hl_program_output(p, back, HL_MEM_DATA, &e) == HL_OK &&
              hl_program_finish(p, &e) == HL_OK;
  made m = {.p = p};
  m.in[0] = numbers(HL_Q10, &state.shape, HL_IMAGE, 1);
  m.in[1] = numbers(HL_BF16, &x.shape, HL_IMAGE, 2);
  good = good && hl_program_run(p, 2, m.in, 1, m.out, &e) == HL_OK;
  m.n_out = good ? 1 : 0;
  ok(good && calls(&m, "normalise_add") == 2, "onto fixed point, there and back %s", e.msg);
  ok(good && memcmp(hl_tensor_data(m.out[0]), hl_tensor_data(m.in[0]),
                    (size_t)hl_tensor_numel(m.in[0]) * sizeof(int16_t)) == 0,
     "gives back the very bits");
  done(&m);
}

int main(void) {
  static const struct {
    const char *name;
    wish w;
    double limit, of_gradients;
  } cases[] = {
      {"4 channels", {.channels = 4, .type = HL_F32}, 1e-5, 1e-3},
      {"8 channels, taken away, affine",
       {.channels = 8, .type = HL_F32, .taken = true, .affine = true},
       1e-5,
       1e-3},
      {"16 channels", {.channels = 16, .type = HL_F32, .affine = true}, 1e-5, 1e-3},
      {"5 channels", {.channels = 5, .type = HL_F32, .affine = true}, 1e-5, 1e-3},
      {"8 channels, bf16", {.channels = 8, .type = HL_BF16, .affine = true}, 0x1p-6, 0.2},
  };
  const char *isa = getenv("HILUM_ISA");
  bool own = isa == NULL || strcmp(isa, "none") != 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const wish *w = &cases[i].w;
    bool all = own && w->type == HL_F32 && w->channels % 4 == 0;
    compare(cases[i].name, w, cases[i].limit, cases[i].of_gradients, all);
  }
  if (own) tapped();
  read_alike();
  fixed_point();
  return tap_done();
}
