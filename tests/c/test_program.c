/* Programs: tape, tracing, plans, invertible blocks, and what goes wrong. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/parallel.h>
#include <hilum/program.h>
#include <hilum/rng.h>

#include <stdlib.h>
#include <string.h>

enum { SIDE = 6, CHANNELS = 3 };

static hl_desc image(hl_dtype t) {
  return (hl_desc){t, HL_IMAGE, {5, {1, CHANNELS, SIDE, SIDE, SIDE}}};
}

/* A tensor of normal numbers, fixed by `item`. */
static hl_tensor *random_tensor(const hl_desc *d, uint32_t item) {
  hl_err e = {0};
  hl_tensor *t;
  if (hl_tensor_zeros(&t, d, HL_MEM_DATA, "test", &e) != HL_OK) return NULL;
  hl_rng r = hl_rng_stream(7, "test", 0, item);
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) {
    double v = hl_rng_normal(&r);
    if (d->dtype == HL_F64)
      hl_tensor_f64(t)[i] = v;
    else
      hl_tensor_f32(t)[i] = (float)v;
  }
  return t;
}

static hl_status emit1(hl_program *p, const char *name, const char *attrs, hl_var a, hl_var b,
                       hl_var *out, hl_err *e) {
  const hl_op *op = hl_op_find(name);
  char buffer[512];
  HL_TRY(hl_attrs_parse(op, attrs, buffer, e));
  const hl_var in[] = {a, b};
  return hl_emit(p, op, op->attr_size > 0 ? buffer : NULL, b == HL_NO_VAR ? 1 : 2, in, 1, out, e);
}

/* Whether nets that are built from now on compute F again instead of keeping what lies inside. */
static bool again = false;

/* F of the test's coupling: tanh(w·x), w one number a channel. */
static hl_status inside(hl_program *p, hl_var x, hl_var w, hl_var *out, hl_err *e) {
  hl_var scaled;
  if (again) HL_TRY(hl_again_begin(p, e));
  HL_TRY(emit1(p, "mul", NULL, x, w, &scaled, e));
  HL_TRY(emit1(p, "tanh", NULL, scaled, HL_NO_VAR, out, e));
  return again ? hl_again_end(p, e) : HL_OK;
}

/* (a, b) → (b, a + F(b)), with its inverse. */
static hl_status coupling(hl_program *p, hl_var s[2], hl_var w, bool rebuild, hl_err *e) {
  hl_var f, y, held[2];
  HL_TRY(hl_program_enter(p, "coupling", e));
  HL_TRY(hl_block_begin(p, 2, s, rebuild, e));
  HL_TRY(inside(p, s[1], w, &f, e));
  HL_TRY(emit1(p, "add", NULL, s[0], f, &y, e));
  const hl_var out[] = {s[1], y};
  HL_TRY(hl_block_turn(p, 2, out, held, e));
  HL_TRY(inside(p, held[0], w, &f, e));
  hl_var back;
  HL_TRY(emit1(p, "sub", NULL, held[1], f, &back, e));
  const hl_var rebuilt[] = {back, held[0]};
  HL_TRY(hl_block_end(p, 2, rebuilt, e));
  hl_program_leave(p);
  s[0] = out[0];
  s[1] = out[1];
  return HL_OK;
}

enum { MOST_DEPTH = 40 };

typedef struct net {
  hl_program *p;
  hl_tensor *input[2], *weight[MOST_DEPTH];
  hl_tensor *result[MOST_DEPTH + 1]; /* loss, then the gradient of each weight */
  int depth;
} net;

static void net_free(net *n) {
  hl_program_free(n->p);
  for (int i = 0; i < 2; i++) hl_tensor_unref(n->input[i]);
  for (int i = 0; i < n->depth; i++) hl_tensor_unref(n->weight[i]);
  for (int i = 0; i <= n->depth; i++) hl_tensor_unref(n->result[i]);
}

/* `depth` couplings, loss = sum of squares of both halves; gradients of all weights as outputs. */
static hl_status build(net *n, int depth, bool rebuild, hl_dtype type, bool live, hl_err *e) {
  memset(n, 0, sizeof *n);
  n->depth = depth;
  hl_desc d = image(type), dw = {type, HL_IMAGE, {5, {1, CHANNELS, 1, 1, 1}}};
  for (uint32_t i = 0; i < 2; i++)
    if ((n->input[i] = random_tensor(&d, i)) == NULL) return hl_fail(e, HL_ENOMEM, "input");
  for (int i = 0; i < depth; i++)
    if ((n->weight[i] = random_tensor(&dw, (uint32_t)i + 10)) == NULL)
      return hl_fail(e, HL_ENOMEM, "weight");
  HL_TRY(hl_program_new(&n->p, live, e));
  hl_program *p = n->p;
  hl_var s[2], w[MOST_DEPTH], g[MOST_DEPTH], part[2], loss;
  for (int i = 0; i < 2; i++) {
    const char *name = i == 0 ? "a" : "b";
    HL_TRY(live ? hl_program_bind(p, name, n->input[i], false, &s[i], e)
                : hl_program_input(p, name, &d, &s[i], e));
  }
  for (int i = 0; i < depth; i++) {
    HL_TRY(hl_program_bind(p, "w", n->weight[i], true, &w[i], e));
    HL_TRY(coupling(p, s, w[i], rebuild, e));
  }
  for (int i = 0; i < 2; i++) {
    HL_TRY(emit1(p, "square", NULL, s[i], HL_NO_VAR, &part[i], e));
    HL_TRY(emit1(p, "mean", NULL, part[i], HL_NO_VAR, &part[i], e));
  }
  HL_TRY(emit1(p, "add", NULL, part[0], part[1], &loss, e));
  HL_TRY(hl_program_gradient(p, loss, depth, w, g, e));
  if (live) {
    n->result[0] = hl_tensor_ref(hl_program_tensor(p, loss));
    for (int i = 0; i < depth; i++) n->result[i + 1] = hl_tensor_ref(hl_program_tensor(p, g[i]));
    return HL_OK;
  }
  HL_TRY(hl_program_output(p, loss, HL_MEM_STATE, e));
  for (int i = 0; i < depth; i++) HL_TRY(hl_program_output(p, g[i], HL_MEM_GRADIENTS, e));
  return hl_program_finish(p, e);
}

static hl_status run_net(net *n, hl_err *e) {
  return hl_program_run(n->p, 2, n->input, n->depth + 1, n->result, e);
}

/* Largest difference of two nets' results i, relative to the largest value. */
static double difference(const net *a, const net *b, int i) {
  double worst = 0, largest = 1e-30;
  hl_err e = {0};
  for (int64_t c = 0; c < (i == 0 ? 1 : CHANNELS); c++) {
    const int64_t index[] = {0, c, 0, 0, 0};
    double va = 0, vb = 0;
    if (hl_tensor_get(a->result[i], index, &va, &e) != HL_OK) return NAN;
    if (hl_tensor_get(b->result[i], index, &vb, &e) != HL_OK) return NAN;
    worst = fmax(worst, fabs(va - vb));
    largest = fmax(largest, fabs(vb));
  }
  return worst / largest;
}

static double worst_difference(const net *a, const net *b) {
  double worst = 0;
  for (int i = 0; i <= a->depth; i++) worst = fmax(worst, difference(a, b, i));
  return worst;
}

static void rebuilt_equals_stored(int depth, hl_dtype type, double tolerance) {
  net rebuilt, stored;
  hl_err e = {0};
  succeeds(build(&rebuilt, depth, true, type, false, &e), &e, "rebuild: build, depth %d", depth);
  succeeds(build(&stored, depth, false, type, false, &e), &e, "store: build, depth %d", depth);
  succeeds(run_net(&rebuilt, &e), &e, "rebuild: run");
  succeeds(run_net(&stored, &e), &e, "store: run");
  double worst = worst_difference(&rebuilt, &stored);
  ok(worst <= tolerance, "%s, depth %d: rebuilt and stored gradients differ by %.2g (at most %.2g)",
     hl_dtype_name(type), depth, worst, tolerance);
  net_free(&rebuilt);
  net_free(&stored);
}

/* The gradient of the first weight against a central difference of the loss. */
static void gradient_is_true(bool rebuild) {
  net n;
  hl_err e = {0};
  succeeds(build(&n, 4, rebuild, HL_F64, false, &e), &e, "build in f64");
  succeeds(run_net(&n, &e), &e, "run");
  double *w = hl_tensor_f64(n.weight[0]);
  double analytic = hl_tensor_f64(n.result[1])[1], step = 1e-5, side[2], start = w[1];
  for (int i = 0; i < 2; i++) {
    w[1] = start + (i == 0 ? step : -step);
    for (int k = 0; k <= n.depth; k++) hl_tensor_unref(n.result[k]);
    succeeds(run_net(&n, &e), &e, "run beside it");
    side[i] = hl_tensor_f64(n.result[0])[0];
  }
  is_near(analytic, (side[0] - side[1]) / (2 * step), 1e-8,
          "gradient equals the difference quotient");
  net_free(&n);
}

static void tape_equals_program(void) {
  for (int rebuild = 0; rebuild < 2; rebuild++) {
    net tape, traced;
    hl_err e = {0};
    succeeds(build(&tape, 3, rebuild == 1, HL_F64, true, &e), &e, "tape");
    succeeds(build(&traced, 3, rebuild == 1, HL_F64, false, &e), &e, "trace");
    succeeds(run_net(&traced, &e), &e, "run the trace");
    is_near(worst_difference(&tape, &traced), 0, 1e-14, "tape and traced program agree");
    net_free(&tape);
    net_free(&traced);
  }
}

/* Bytes of activations at the peak, measured; also compared with the plan. */
static double measured_peak(int depth, bool rebuild) {
  net n;
  hl_err e = {0};
  hl_plan plan;
  succeeds(build(&n, depth, rebuild, HL_F32, false, &e), &e, "build");
  succeeds(hl_program_plan(n.p, &plan, &e), &e, "plan");
  size_t inputs = hl_tensor_bytes(n.input[0]) * 2;
  size_t before = hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES);
  hl_ledger_reset_peak(hl_ledger_main());
  succeeds(run_net(&n, &e), &e, "run");
  size_t peak = hl_ledger_peak(hl_ledger_main(), HL_MEM_CATEGORIES) - before;
  is_int((long long)(plan.peak[HL_MEM_CATEGORIES] - inputs), (long long)peak,
         "depth %d, %s: planned bytes are the measured bytes (%s)", depth,
         rebuild ? "rebuild" : "store", plan.where);
  net_free(&n);
  return (double)(peak - (size_t)depth * CHANNELS * sizeof(float)); /* gradients are results */
}

static void memory_is_flat(void) {
  double shallow = measured_peak(5, true), deep = measured_peak(40, true);
  ok(deep <= 1.02 * shallow, "rebuild: %.0f bytes at depth 5, %.0f at depth 40", shallow, deep);
  double stored = measured_peak(40, false);
  ok(stored > 5 * deep, "store: %.0f bytes at depth 40", stored);
}

/* The same kernels on the same numbers: the same bits; and what lies inside F is not kept. */
static void computed_again(bool rebuild, hl_dtype type) {
  net kept, twice;
  hl_err e = {0};
  hl_plan plan[2];
  succeeds(build(&kept, 6, rebuild, type, false, &e), &e, "kept");
  again = true;
  succeeds(build(&twice, 6, rebuild, type, false, &e), &e, "computed again");
  again = false;
  succeeds(run_net(&kept, &e), &e, "run");
  succeeds(run_net(&twice, &e), &e, "run");
  is_near(worst_difference(&kept, &twice), 0, 0, "%s, %s: what is computed again is the same",
          rebuild ? "rebuild" : "store", hl_dtype_name(type));
  succeeds(hl_program_plan(kept.p, &plan[0], &e), &e, "plan");
  succeeds(hl_program_plan(twice.p, &plan[1], &e), &e, "plan");
  size_t bytes[2] = {plan[0].peak[HL_MEM_CATEGORIES], plan[1].peak[HL_MEM_CATEGORIES]};
  ok(rebuild ? bytes[1] <= bytes[0] : bytes[1] < bytes[0], "%zu bytes, %zu when kept", bytes[1],
     bytes[0]);
  ok(plan[1].ops > plan[0].ops, "more ops");
  net_free(&kept);
  net_free(&twice);
}

/* On a tape everything is there already. */
static void tape_computes_once(void) {
  net kept, twice;
  hl_err e = {0};
  succeeds(build(&kept, 3, false, HL_F64, true, &e), &e, "tape");
  again = true;
  succeeds(build(&twice, 3, false, HL_F64, true, &e), &e, "tape");
  again = false;
  is_near(worst_difference(&kept, &twice), 0, 0, "on a tape too");
  is_int(hl_program_op_count(twice.p), hl_program_op_count(kept.p), "with no op more");
  net_free(&kept);
  net_free(&twice);
}

/* Gradients of slices gather in one value, in place, whatever their order. */
static void slices_gather(void) {
  hl_err e = {0};
  hl_program *p;
  hl_desc d = {HL_F32, HL_PLAIN, {1, {12}}};
  hl_var x, part[3], square, sum = HL_NO_VAR, loss, g;
  hl_tensor *in = random_tensor(&d, 1), *out = NULL;
  const char *const boxes[] = {"start=0 stop=8", "start=4 stop=12", "start=1 stop=9"};
  succeeds(hl_program_new(&p, false, &e), &e, "a program");
  succeeds(hl_program_input(p, "x", &d, &x, &e), &e, "x");
  for (int i = 0; i < 3; i++) {
    succeeds(emit1(p, "slice", boxes[i], x, HL_NO_VAR, &part[i], &e), &e, "slice");
    succeeds(emit1(p, "square", NULL, part[i], HL_NO_VAR, &square, &e), &e, "square");
    if (i == 0)
      sum = square;
    else
      succeeds(emit1(p, "add", NULL, sum, square, &sum, &e), &e, "add");
  }
  succeeds(emit1(p, "sum", NULL, sum, HL_NO_VAR, &loss, &e), &e, "sum");
  succeeds(hl_program_gradient(p, loss, 1, &x, &g, &e), &e, "gradient");
  succeeds(hl_program_output(p, g, HL_MEM_GRADIENTS, &e), &e, "output");
  succeeds(hl_program_finish(p, &e), &e, "finish");
  succeeds(hl_program_run(p, 1, &in, 1, &out, &e), &e, "run");
  double worst = 0;
  for (int i = 0; i < 12; i++) {
    int times = (i < 8) + (i >= 4) + (i >= 1 && i < 9);
    worst = fmax(worst, fabs(hl_tensor_f32(out)[i] - 2.0 * times * hl_tensor_f32(in)[i]));
  }
  ok(worst < 1e-5, "gradients of overlapping slices add up (%.2g)", worst);
  int added = 0;
  for (int i = 0; i < hl_program_op_count(p); i++) {
    const char *text = hl_program_op_text(p, i);
    added += strstr(text, "add_at(") != NULL && strstr(text, "!") != NULL;
  }
  is_int(added, 1, "the last of them in place, the one before into what is no output");
  hl_tensor_unref(in);
  hl_tensor_unref(out);
  hl_program_free(p);
}

/* From the second run on a program asks for its results and for the bytes of its arena, which are
 * those of the run before: for each result a description, a storage and bytes. */
static void steady_state(bool rebuild) {
  enum { DEPTH = 5, RUNS = 4 };
  net n;
  hl_err e = {0};
  long requests[RUNS];
  succeeds(build(&n, DEPTH, rebuild, HL_F32, false, &e), &e, "build");
  for (int i = 0; i < RUNS; i++) {
    hl_test_fail_after(-1);
    succeeds(run_net(&n, &e), &e, "run %d", i + 1);
    requests[i] = hl_test_fail_after(-1);
    for (int k = 0; k <= DEPTH && i < RUNS - 1; k++) hl_tensor_unref(n.result[k]);
  }
  for (int i = 1; i < RUNS; i++)
    is_int(requests[i], 3 * (DEPTH + 1) + 1, "%s, run %d: allocations (the first: %ld)",
           rebuild ? "rebuild" : "store", i + 1, requests[0]);
  net_free(&n);
}

typedef struct lives {
  int n;
  size_t live[8], block;
} lives;

static hl_status note_lives(void *ctx, const hl_step *step, hl_err *e) {
  lives *seen = ctx;
  if (seen->n == 8) return hl_fail(e, HL_EINVAL, "more ops than there should be");
  seen->live[seen->n++] = step->live;
  seen->block = step->block;
  return HL_OK;
}

/* a = exp(x), b = tanh(x), c = a·b in the place of one of them, d = exp(c) in that of c, which is
 * then alone; the result is none of the passing values. */
static void lives_are_told(void) {
  hl_err e = {0};
  hl_program *p;
  hl_desc d = image(HL_F32);
  hl_var x, a, b, c, last, y;
  lives seen = {0};
  hl_plan plan;
  succeeds(hl_program_new(&p, false, &e), &e, "a program");
  succeeds(hl_program_input(p, "x", &d, &x, &e), &e, "x");
  succeeds(emit1(p, "exp", NULL, x, HL_NO_VAR, &a, &e), &e, "a");
  succeeds(emit1(p, "tanh", NULL, x, HL_NO_VAR, &b, &e), &e, "b");
  succeeds(emit1(p, "mul", NULL, a, b, &c, &e), &e, "c");
  succeeds(emit1(p, "exp", NULL, c, HL_NO_VAR, &last, &e), &e, "d");
  succeeds(emit1(p, "neg", NULL, last, HL_NO_VAR, &y, &e), &e, "y");
  succeeds(hl_program_output(p, y, HL_MEM_DATA, &e), &e, "the result");
  hl_program_keep_apart(p);
  succeeds(hl_program_finish(p, &e), &e, "finish");
  hl_program_observe(p, note_lives, &seen);
  hl_tensor *in = random_tensor(&d, 1), *out = NULL;
  succeeds(hl_program_run(p, 1, &in, 1, &out, &e), &e, "run");
  const size_t one = (hl_desc_bytes(&d) + 63) / 64 * 64, want[] = {one, 2 * one, 2 * one, one, one};
  is_int(seen.n, 5, "every op is told");
  for (int i = 0; i < 5; i++)
    is_int((long long)seen.live[i], (long long)want[i], "bytes that op %d needs", i + 1);
  is_int((long long)seen.block, 2 * (long long)one, "and the block of all");
  succeeds(hl_program_plan(p, &plan, &e), &e, "plan");
  is_int((long long)plan.peak[HL_MEM_STATE], 2 * (long long)one, "which is what the plan has");
  hl_tensor_unref(in);
  hl_tensor_unref(out);
  hl_program_free(p);
}

/* ---- what goes wrong ---- */

static void misplaced_stretches(void) {
  hl_err e = {0};
  hl_program *p;
  hl_desc d = image(HL_F32);
  hl_var x, y, held;
  succeeds(hl_program_new(&p, false, &e), &e, "a program");
  succeeds(hl_program_input(p, "x", &d, &x, &e), &e, "x");
  fails(hl_again_end(p, &e), HL_EINVAL, &e, "no stretch", "an end without a beginning");
  succeeds(hl_again_begin(p, &e), &e, "begin");
  fails(hl_again_begin(p, &e), HL_EINVAL, &e, "inside another", "one inside another");
  fails(hl_block_begin(p, 1, &x, true, &e), HL_EINVAL, &e, "inside a stretch",
        "a block inside a stretch");
  succeeds(hl_again_end(p, &e), &e, "end");
  succeeds(hl_block_begin(p, 1, &x, true, &e), &e, "a block");
  succeeds(emit1(p, "neg", NULL, x, HL_NO_VAR, &y, &e), &e, "its forward body");
  succeeds(hl_again_begin(p, &e), &e, "a stretch in it");
  fails(hl_block_turn(p, 1, &y, &held, &e), HL_EINVAL, &e, "stretch", "which has no end");
  hl_program_free(p);
}

static void bad_requests(void) {
  hl_err e = {0};
  hl_program *p;
  hl_desc d = image(HL_F32), scalar = {HL_F32, HL_PLAIN, {0, {0}}};
  hl_var x, y, loss, grad;
  succeeds(hl_program_new(&p, false, &e), &e, "a program");
  succeeds(hl_program_input(p, "x", &d, &x, &e), &e, "an input");
  succeeds(hl_program_input(p, "apart", &scalar, &y, &e), &e, "another input");
  succeeds(emit1(p, "mean", NULL, x, HL_NO_VAR, &loss, &e), &e, "a loss");
  fails(hl_program_gradient(p, x, 1, &x, &grad, &e), HL_ESHAPE, &e, "of one number", "vector loss");
  fails(hl_program_gradient(p, loss, 1, &y, &grad, &e), HL_EINVAL, &e, "'apart'", "no dependence");
  hl_tensor *out[1];
  fails(hl_program_run(p, 0, NULL, 1, out, &e), HL_EINVAL, &e, "finish", "run before finish");
  succeeds(hl_program_output(p, loss, HL_MEM_STATE, &e), &e, "an output");
  succeeds(hl_program_finish(p, &e), &e, "finish");
  fails(emit1(p, "mean", NULL, x, HL_NO_VAR, &loss, &e), HL_EINVAL, &e, "finished", "late op");
  hl_tensor *wrong[2] = {random_tensor(&scalar, 1), random_tensor(&scalar, 2)};
  fails(hl_program_run(p, 1, wrong, 1, out, &e), HL_EINVAL, &e, "2 inputs", "too few inputs");
  fails(hl_program_run(p, 2, wrong, 1, out, &e), HL_ESHAPE, &e, "input 'x' must be f32{n1 c3",
        "wrong shape");
  hl_tensor *right[2] = {random_tensor(&d, 3), wrong[1]};
  hl_cancel_request();
  fails(hl_program_run(p, 2, right, 1, out, &e), HL_ECANCELLED, &e, "stopped", "cancelled");
  hl_cancel_clear();
  succeeds(hl_program_run(p, 2, right, 1, out, &e), &e, "and on again");
  hl_tensor_unref(out[0]);
  hl_tensor_unref(right[0]);
  hl_tensor_unref(wrong[0]);
  hl_tensor_unref(wrong[1]);
  hl_program_free(p);
}

static void errors_name_the_place(void) {
  hl_err e = {0};
  hl_program *p;
  hl_desc d = image(HL_F32), other = {HL_F32, HL_IMAGE, {5, {1, CHANNELS, SIDE, SIDE, 4}}};
  hl_var x, y, z, held[1];
  succeeds(hl_program_new(&p, false, &e), &e, "a program");
  succeeds(hl_program_input(p, "x", &d, &x, &e), &e, "x");
  succeeds(hl_program_input(p, "y", &other, &y, &e), &e, "y");
  succeeds(hl_program_enter(p, "model", &e), &e, "enter");
  succeeds(hl_program_enter(p, "[2]", &e), &e, "enter");
  succeeds(hl_program_enter(p, "level[3]", &e), &e, "enter");
  fails(emit1(p, "add", NULL, x, y, &z, &e), HL_ESHAPE, &e, "model[2].level[3]: add", "place, op");
  hl_program_leave(p);
  fails(emit1(p, "add", NULL, x, y, &z, &e), HL_ESHAPE, &e, "model[2]: add", "left again");
  succeeds(hl_block_begin(p, 1, &x, true, &e), &e, "block");
  succeeds(emit1(p, "neg", NULL, x, HL_NO_VAR, &z, &e), &e, "forward");
  succeeds(hl_block_turn(p, 1, &z, held, &e), &e, "turn");
  fails(hl_block_end(p, 1, &y, &e), HL_ESHAPE, &e, "model[2]: the inverse rebuilds input 1 as",
        "an inverse of another shape");
  hl_program_free(p);
}

/* Every allocation of building, planning and running refused in turn: an error, no leak, no crash.
 */
static void allocation_failures(void) {
  long refused = 0;
  bool done = false, clean = true;
  for (long n = 0; n < 5000 && !done; n++) {
    net t;
    hl_err e = {0};
    hl_plan plan;
    hl_test_fail_after(n);
    hl_status s = build(&t, 2, true, HL_F32, false, &e);
    if (s == HL_OK) s = hl_program_plan(t.p, &plan, &e);
    if (s == HL_OK) s = run_net(&t, &e);
    hl_test_fail_after(-1);
    net_free(&t);
    done = s == HL_OK;
    refused += s == HL_ENOMEM;
    clean = clean && (s == HL_OK || s == HL_ENOMEM) &&
            hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES) == 0;
  }
  ok(done && clean && refused > 20, "%ld refused allocations, each a clean error", refused);
}

int main(void) {
  rebuilt_equals_stored(1, HL_F32, 0);
  rebuilt_equals_stored(12, HL_F32, 1e-5);
  rebuilt_equals_stored(12, HL_F64, 1e-13);
  gradient_is_true(true);
  gradient_is_true(false);
  tape_equals_program();
  memory_is_flat();
  for (int i = 0; i < 2; i++) {
    computed_again(i == 0, HL_F32);
    computed_again(i == 0, HL_F64);
  }
  tape_computes_once();
  slices_gather();
  misplaced_stretches();
  steady_state(true);
  steady_state(false);
  lives_are_told();
  bad_requests();
  errors_name_the_place();
  allocation_failures();
  return tap_done();
}
