/* Every op of the table against every sample of its own: nothing here knows a particular op.
 *
 * Modes, one line per op and sample:
 *   attributes  text and back; refused names and values
 *   shape       takes the sample; refuses nonsense with a message that names the op
 *   memory      fails at every allocation in turn and leaks nothing
 *   ref         f32 kernel against the f64 reference: 2e-5 of the largest reference value
 *   bits        the same bits again, and with one thread (but for what oneDNN splits by threads)
 *   in place    the same bits when the output takes an input's storage
 *   grad        ⟨w, J v⟩ by central differences in f64 against ⟨vjp(w), v⟩: 1e-6
 *   grad apart  each input's gradient alone: the same bits as all together
 *   grad f32    gradient by the kernels against the f64 gradient: 2e-5 of its largest value
 *   traced      a program gives the bits of the call
 * and one line per op: coverage.
 *
 * Samples named "…, bf16" run with bf16 inputs, their reference in f64 on the same numbers. A
 * result may be 2^-8 of the largest reference value away, the rounding of one number (of two in
 * convolutions). Gradients are chains of up to four ops whose results are each rounded; where an
 * input was repeated their sum may cancel, and that of logsumexp is the exponential of a rounded
 * result: 2^-5 of the largest value among the gradients of all inputs.
 *
 * The environment variable HILUM_TEST_SEED draws other values; with some of them a difference
 * quotient meets a kink (leaky ReLU, abs, clamp) and `grad` fails for that sample. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include "trial_run.h"

#include <hilum/parallel.h>
#include <hilum/program.h>

static const double gradient_tolerance = 1e-6, difference_step = 1e-5;

/* oneDNN divides its work by the number of threads, and rounds weights beside bf16 images. */
static bool by_onednn(const hl_op *op) {
  return strncmp(op->name, "conv", 4) == 0;
}

static double kernel_tolerance(const trial *t) {
  if (t->type == HL_BF16) return by_onednn(t->op) ? 0x1p-7 : 0x1p-8;
  return 2e-5;
}
static double kernel_gradient_tolerance(const trial *t) {
  return t->type == HL_BF16 ? 0x1p-5 : 2e-5;
}

static int visible(const trial *t, const hl_call *c) {
  return c->n_out - t->op->hidden;
}

/* ---- attributes ---- */

static void check_attributes(const trial *t) {
  const hl_op *op = t->op;
  hl_err e = {0};
  attr_space again = {0};
  char text[1024];
  bool refused = hl_attrs_parse(op, "no_such_attribute=1", &again, &e) == HL_EINVAL &&
                 strstr(e.msg, "no_such_attribute") != NULL;
  memset(&e, 0, sizeof e);
  hl_attrs_text(op, &t->attrs, text, sizeof text);
  bool same = hl_attrs_parse(op, text, &again, &e) == HL_OK &&
              memcmp(&again, &t->attrs, op->attr_size) == 0;
  if (!ok(same && refused, "%s: attributes", t->name))
    tap_diag("  text '%s'; %s; a wrong name is%s refused", text, e.msg, refused ? "" : " not");
}

/* ---- shape ---- */

/* True if the changed call is refused with a message that begins with the op's name. */
static bool refuses(hl_call *c, const char *what) {
  hl_err e = {0};
  hl_status s = hl_call_shape(c, &e);
  bool good = s != HL_OK && s != HL_EINTERNAL && e.code == s &&
              strncmp(e.msg, c->op->name, strlen(c->op->name)) == 0;
  if (!good) tap_diag("  not refused properly: %s (message: %s)", what, e.msg);
  return good;
}

/* True if every sample gives input i the same rank and layout: then the op insists on them. */
static bool insists(const hl_op *op, int i, const spec *s) {
  for (const hl_sample *o = op->samples; o->name != NULL; o++) {
    spec other;
    if (o->in[i] == NULL) continue;
    if (!read_spec(o->in[i], &other) || other.desc.shape.rank != s->desc.shape.rank ||
        other.desc.layout != s->desc.layout)
      return false;
  }
  return true;
}

static bool all_f32(const hl_call *c) {
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i].dtype != HL_F32) return false;
  return true;
}

static bool refuses_types(const trial *t) {
  bool good = true;
  if (t->op->any_type) return true;
  int of_one_type = 0;
  for (int i = 0; i < t->n; i++) of_one_type += t->in[i].desc.dtype != HL_F64;
  for (int i = 0; i < t->n && of_one_type > 1; i++) {
    if (t->in[i].desc.dtype == HL_F64) continue;
    hl_call c = call_of(t, t->narrow);
    hl_dtype other = t->type == HL_F32 ? HL_F64 : HL_BF16;
    c.in[i].dtype = c.in[i].dtype == HL_F32 ? other : HL_F32;
    if (!all_f32(&c)) good = refuses(&c, "mixed types") && good;
  }
  hl_call c = call_of(t, t->narrow);
  for (int i = 0; i < t->n; i++) c.in[i].dtype = HL_I16;
  return refuses(&c, "i16") && good;
}

static bool refuses_ranks(const trial *t) {
  bool good = true;
  for (int i = 0; i < t->n; i++) {
    if (!insists(t->op, i, &t->in[i])) continue;
    hl_call c = call_of(t, t->narrow);
    c.in[i].layout = HL_PLAIN;
    if (t->in[i].desc.layout == HL_IMAGE) good = refuses(&c, "plain layout") && good;
    c = call_of(t, t->narrow);
    c.in[i].layout = HL_PLAIN;
    hl_shape *s = &c.in[i].shape;
    s->rank = s->rank < HL_MAX_RANK ? s->rank + 1 : 1;
    s->dim[s->rank - 1] = 2;
    good = refuses(&c, "another rank") && good;
  }
  return good;
}

static void check_shape(const trial *t) {
  hl_err e = {0};
  hl_call c = call_of(t, t->narrow), none = c, many = c;
  bool taken = hl_call_shape(&c, &e) == HL_OK;
  none.n_in = 0;
  bool good = refuses(&none, "no inputs");
  for (; many.n_in <= t->op->max_in && many.n_in < HL_MAX_ARGS; many.n_in++)
    many.in[many.n_in] = many.in[many.n_in - 1];
  if (many.n_in > t->op->max_in) good = refuses(&many, "too many inputs") && good;
  good = refuses_types(t) && good;
  good = refuses_ranks(t) && good;
  if (!ok(taken && good, "%s: shape", t->name) && !taken) tap_diag("  %s", e.msg);
}

/* ---- kernels ---- */

static void check_bits(const trial *t, const result *first) {
  hl_err e = {0};
  result again, single;
  int threads = hl_compute_threads();
  bool good = run_trial(t, true, &again, &e) == HL_OK && same_results(first, &again);
  hl_set_compute_threads(1);
  bool ran = run_trial(t, true, &single, &e) == HL_OK;
  hl_set_compute_threads(threads);
  if (ran && !by_onednn(t->op)) good = good && same_results(first, &single);
  ok(good && ran, "%s: bits %s", t->name, e.msg);
  result_free(&again);
  result_free(&single);
}

static void check_kernel(const trial *t) {
  hl_err e = {0};
  result want, got;
  hl_status s = run_trial(t, false, &want, &e);
  hl_status k = run_trial(t, true, &got, &e);
  double worst = s == HL_OK && k == HL_OK ? 0 : INFINITY;
  for (int i = 0; i < got.n && s == HL_OK && k == HL_OK; i++)
    worst = fmax(worst, worst_error(got.t[i], want.t[i], 0));
  if (!ok(worst <= kernel_tolerance(t), "%s: ref (%.1e)", t->name, worst)) tap_diag("  %s", e.msg);
  if (k == HL_OK) check_bits(t, &got);
  result_free(&want);
  result_free(&got);
}

/* ---- in place ---- */

static hl_status run_in_place(const trial *t, hl_call *c, int which, result *r, hl_err *e) {
  hl_tensor *in[INPUTS], *taken;
  memcpy(in, t->narrow, sizeof in);
  HL_TRY(clone(&taken, t->narrow[which], e));
  in[which] = taken;
  r->n = c->n_out;
  hl_status s = new_outputs(c, r->t, e);
  hl_tensor_unref(r->t[0]);
  r->t[0] = NULL;
  if (s == HL_OK) s = hl_tensor_recast(&r->t[0], taken, &c->out[0], e);
  if (s == HL_OK) s = run_kernel(c, in, r->t, e);
  hl_tensor_unref(taken);
  return s;
}

static void check_in_place(const trial *t) {
  hl_err e = {0};
  for (int i = 0; i < t->n; i++) {
    hl_call c = call_of(t, t->narrow);
    if ((t->op->inplace >> i & 1U) == 0 || hl_call_shape(&c, &e) != HL_OK) continue;
    if (!hl_desc_equal(&c.in[i], &c.out[0])) continue;
    result apart, taken = {0};
    bool good = run_trial(t, true, &apart, &e) == HL_OK &&
                run_in_place(t, &c, i, &taken, &e) == HL_OK && same_results(&apart, &taken);
    ok(good, "%s: in place of input %d %s", t->name, i + 1, e.msg);
    result_free(&apart);
    result_free(&taken);
  }
}

/* ---- traced ---- */

static hl_status run_traced(hl_program *p, const trial *t, result *r, hl_err *e) {
  hl_call c = call_of(t, t->narrow);
  hl_var x[INPUTS], y[HL_MAX_ARGS];
  HL_TRY(hl_call_shape(&c, e));
  for (int i = 0; i < t->n; i++)
    HL_TRY(hl_program_bind(p, t->sample->in[i], t->narrow[i], false, &x[i], e));
  HL_TRY(hl_emit(p, t->op, &t->attrs, t->n, x, c.n_out, y, e));
  for (int i = 0; i < c.n_out; i++) HL_TRY(hl_program_output(p, y[i], HL_MEM_STATE, e));
  HL_TRY(hl_program_finish(p, e));
  HL_TRY(hl_program_run(p, 0, NULL, c.n_out, r->t, e));
  r->n = c.n_out;
  return HL_OK;
}

static void check_traced(const trial *t) {
  if (t->op->mutates != 0) return;
  hl_err e = {0};
  hl_program *p = NULL;
  result eager, traced = {0};
  bool good = run_trial(t, true, &eager, &e) == HL_OK && hl_program_new(&p, false, &e) == HL_OK &&
              run_traced(p, t, &traced, &e) == HL_OK && same_results(&eager, &traced);
  ok(good, "%s: traced %s", t->name, e.msg);
  hl_program_free(p);
  result_free(&eager);
  result_free(&traced);
}

/* ---- memory ---- */

static hl_status run_eagerly(const trial *t, hl_err *e) {
  hl_tensor *in[INPUTS] = {0}, *out[HL_MAX_ARGS] = {0};
  int n_out = 0;
  hl_status s = HL_OK;
  /* An update would change the sample's values. */
  for (int i = 0; i < t->n && s == HL_OK; i++) s = clone(&in[i], t->narrow[i], e);
  if (s == HL_OK) s = hl_op_eager(t->op, &t->attrs, t->n, in, &n_out, out, e);
  unref_all(n_out, out); /* 0 after a failure: then nothing is ours */
  unref_all(t->n, in);
  return s;
}

static void check_memory(const trial *t) {
  enum { MOST = 1000 };
  size_t before = hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES);
  hl_status s = HL_ENOMEM;
  bool good = true;
  long n = 0;
  for (; n < MOST && s != HL_OK && good; n++) {
    hl_err e = {0};
    hl_test_fail_after(n);
    s = run_eagerly(t, &e);
    hl_test_fail_after(-1);
    good = (s == HL_OK || (s == HL_ENOMEM && e.msg[0] != '\0')) &&
           hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES) == before;
    if (!good) tap_diag("  allocation %ld: %s, %s", n, hl_status_name(s), e.msg);
  }
  ok(good && s == HL_OK, "%s: memory (%ld allocations)", t->name, n - 1);
}

/* ---- gradients ---- */

/* What is summed into the loss Σ w·y: the outputs of `use`, with their weights in f64. */
typedef struct projection {
  unsigned use;
  hl_tensor *w[HL_MAX_ARGS];
} projection;

/* Sum of w·y, where y is bf16 rounded once and then f32. */
static hl_status emit_term(hl_program *p, hl_tensor *weight, hl_var y, hl_var *sum, hl_err *e) {
  hl_tensor *w;
  hl_var v, product;
  hl_dtype type = hl_program_desc(p, y)->dtype;
  HL_TRY(hl_tensor_dense(&w, weight, type, hl_tensor_layout(weight), e));
  hl_status s = hl_program_bind(p, "w", w, false, &v, e);
  hl_tensor_unref(w);
  HL_TRY(s);
  HL_TRY(hl_emit(p, hl_op_find("mul"), NULL, 2, (hl_var[]){y, v}, 1, &product, e));
  HL_TRY(hl_emit(p, hl_op_find("sum"), NULL, 1, &product, 1, &v, e));
  *sum = v;
  const int64_t f32 = HL_F32;
  return type != HL_BF16 ? HL_OK : hl_emit(p, hl_op_find("cast"), &f32, 1, &v, 1, sum, e);
}

static hl_status emit_loss(hl_program *p, const projection *pr, int n, const hl_var *y,
                           hl_var *loss, hl_err *e) {
  *loss = HL_NO_VAR;
  for (int i = 0; i < n; i++) {
    if ((pr->use >> i & 1U) == 0) continue;
    hl_var sum;
    HL_TRY(emit_term(p, pr->w[i], y[i], &sum, e));
    if (*loss != HL_NO_VAR)
      HL_TRY(hl_emit(p, hl_op_find("add"), NULL, 2, (hl_var[]){*loss, sum}, 1, &sum, e));
    *loss = sum;
  }
  return HL_OK;
}

static hl_status pull_in(hl_program *p, const trial *t, const projection *pr, unsigned wrt,
                         bool narrow, hl_tensor **grad, hl_err *e) {
  hl_tensor *const *in = narrow ? t->narrow : t->wide;
  hl_var x[INPUTS], y[HL_MAX_ARGS], loss, wanted[INPUTS], g[INPUTS];
  hl_call c = call_of(t, in);
  HL_TRY(hl_call_shape(&c, e));
  int n = 0;
  for (int i = 0; i < t->n; i++) {
    bool want = (wrt >> i & 1U) != 0;
    HL_TRY(hl_program_bind(p, t->sample->in[i], in[i], want, &x[i], e));
    if (want) wanted[n++] = x[i];
  }
  HL_TRY(hl_emit(p, t->op, &t->attrs, t->n, x, c.n_out, y, e));
  HL_TRY(emit_loss(p, pr, visible(t, &c), y, &loss, e));
  HL_TRY(hl_program_gradient(p, loss, n, wanted, g, e));
  for (int i = 0, k = 0; i < t->n; i++)
    if ((wrt >> i & 1U) != 0) grad[i] = hl_tensor_ref(hl_program_tensor(p, g[k++]));
  return HL_OK;
}

/* Gradients of the loss with respect to the inputs of `wrt`, on a live program. */
static hl_status pull(const trial *t, const projection *pr, unsigned wrt, bool narrow,
                      hl_tensor **grad, hl_err *e) {
  hl_program *p;
  memset(grad, 0, INPUTS * sizeof *grad);
  HL_TRY(hl_program_new(&p, true, e));
  hl_status s = pull_in(p, t, pr, wrt, narrow, grad, e);
  hl_program_free(p);
  return s;
}

/* f(x + step·v) by the reference. */
static hl_status run_moved(const trial *t, unsigned wrt, double step, hl_tensor *const *v,
                           result *r, hl_err *e) {
  trial moved = *t;
  memset(moved.wide, 0, sizeof moved.wide);
  hl_status s = HL_OK;
  for (int i = 0; i < t->n && s == HL_OK; i++) {
    s = clone(&moved.wide[i], t->wide[i], e);
    if (s != HL_OK || (wrt >> i & 1U) == 0) continue;
    double *x = hl_tensor_f64(moved.wide[i]), *d = hl_tensor_f64(v[i]);
    for (int64_t k = 0; k < hl_tensor_numel(v[i]); k++) x[k] += step * d[k];
  }
  memset(r, 0, sizeof *r);
  if (s == HL_OK) s = run_trial(&moved, false, r, e);
  unref_all(t->n, moved.wide);
  return s;
}

/* ⟨w, J v⟩ by central differences; `scale` is the sum of the magnitudes of its terms. */
static hl_status difference(const trial *t, const projection *pr, unsigned wrt, hl_tensor *const *v,
                            double *value, double *scale, hl_err *e) {
  result up, down = {0};
  hl_status s = run_moved(t, wrt, difference_step, v, &up, e);
  if (s == HL_OK) s = run_moved(t, wrt, -difference_step, v, &down, e);
  *value = *scale = 0;
  for (int i = 0; i < up.n && s == HL_OK; i++) {
    if ((pr->use >> i & 1U) == 0) continue;
    const double *w = hl_tensor_f64(pr->w[i]);
    const double *a = hl_tensor_f64(up.t[i]), *b = hl_tensor_f64(down.t[i]);
    for (int64_t k = 0; k < hl_tensor_numel(pr->w[i]); k++) {
      double term = w[k] * (a[k] - b[k]) / (2 * difference_step);
      *value += term;
      *scale += fabs(term) + 1e-4 * fabs(w[k] * a[k]); /* rounding of the difference */
    }
  }
  result_free(&up);
  result_free(&down);
  return s;
}

static double dot(const hl_tensor *a, const hl_tensor *b) {
  const double *x = hl_tensor_f64(a), *y = hl_tensor_f64(b);
  double sum = 0;
  for (int64_t i = 0; i < hl_tensor_numel(a); i++) sum += x[i] * y[i];
  return sum;
}

/* ⟨grad, v⟩ against the difference quotient. A gradient must have its input's description. */
static void check_projection(const trial *t, const projection *pr, unsigned wrt,
                             hl_tensor *const *grad, const char *mode) {
  hl_err e = {0};
  hl_tensor *v[INPUTS] = {0};
  double got = 0, want = 0, scale = 0;
  bool good = true;
  for (int i = 0; i < t->n && good; i++) {
    if ((wrt >> i & 1U) == 0) continue;
    hl_rng r = stream(t, "direction", i);
    good = random_tensor(&v[i], &t->in[i].desc, "", &r, &e) == HL_OK &&
           hl_desc_equal(hl_tensor_desc(grad[i]), hl_tensor_desc(v[i]));
    if (good) got += dot(grad[i], v[i]);
  }
  good = good && difference(t, pr, wrt, v, &want, &scale, &e) == HL_OK;
  double error = fabs(got - want) / fmax(scale, 1e-30);
  if (!ok(good && error <= gradient_tolerance, "%s: %s (%.1e)", t->name, mode, error))
    tap_diag("  rule %.12g, difference quotient %.12g, %s", got, want, e.msg);
  unref_all(t->n, v);
}

/* Each input's gradient alone: the rule must not rely on the others being wanted. */
static void check_apart(const trial *t, const projection *pr, unsigned wrt,
                        hl_tensor *const *together) {
  bool good = true;
  hl_err e = {0};
  for (int i = 0; i < t->n && good; i++) {
    hl_tensor *alone[INPUTS];
    if ((wrt >> i & 1U) == 0) continue;
    good = pull(t, pr, 1U << i, false, alone, &e) == HL_OK && same_bits(alone[i], together[i]);
    unref_all(t->n, alone);
  }
  ok(good, "%s: grad apart %s", t->name, e.msg);
}

static void check_narrow(const trial *t, const projection *pr, unsigned wrt,
                         hl_tensor *const *want) {
  hl_err e = {0};
  hl_tensor *got[INPUTS];
  double largest = 0;
  for (int i = 0; i < t->n && t->type == HL_BF16; i++)
    if ((wrt >> i & 1U) != 0) largest = fmax(largest, largest_value(want[i]));
  hl_status s = pull(t, pr, wrt, true, got, &e);
  double worst = s == HL_OK ? 0 : INFINITY;
  for (int i = 0; i < t->n && s == HL_OK; i++)
    if ((wrt >> i & 1U) != 0) worst = fmax(worst, worst_error(got[i], want[i], largest));
  ok(worst <= kernel_gradient_tolerance(t), "%s: grad %s (%.1e) %s", t->name,
     hl_dtype_name(t->type), worst, e.msg);
  unref_all(t->n, got);
}

/* One output alone: no gradient arrives at the others. Inputs that it does not depend on are
 * refused one by one, and their difference quotient is 0. */
static void check_one_output(const trial *t, projection *pr, unsigned wrt, int output) {
  pr->use = 1U << output;
  for (int i = 0; i < t->n; i++) {
    hl_err e = {0};
    hl_tensor *grad[INPUTS], *v[INPUTS] = {0};
    char mode[64];
    if ((wrt >> i & 1U) == 0) continue;
    snprintf(mode, sizeof mode, "grad of output %d by input %d", output + 1, i + 1);
    if (pull(t, pr, 1U << i, false, grad, &e) == HL_OK) {
      check_projection(t, pr, 1U << i, grad, mode);
    } else {
      hl_rng r = stream(t, "direction", i);
      double value = NAN, scale;
      hl_err ignored = {0};
      bool good = random_tensor(&v[i], &t->in[i].desc, "", &r, &ignored) == HL_OK &&
                  difference(t, pr, 1U << i, v, &value, &scale, &ignored) == HL_OK;
      ok(good && value == 0 && e.code == HL_EINVAL, "%s: %s: none (%s)", t->name, mode, e.msg);
    }
    unref_all(t->n, grad);
    unref_all(t->n, v);
  }
}

static void check_rule(const trial *t, projection *pr, unsigned wrt, int outputs,
                       hl_tensor *const *grad) {
  check_projection(t, pr, wrt, grad, "grad");
  if (t->n > 1) check_apart(t, pr, wrt, grad);
  for (int i = 0; i < outputs && outputs > 1; i++) check_one_output(t, pr, wrt, i);
}

static void check_gradient(const trial *t) {
  hl_err e = {0};
  hl_call c = call_of(t, t->wide);
  projection pr = {0};
  hl_tensor *grad[INPUTS] = {0};
  unsigned wrt = 0;
  for (int i = 0; i < t->n; i++) wrt |= t->in[i].constant ? 0 : 1U << i;
  if (t->op->vjp == NULL || wrt == 0 || hl_call_shape(&c, &e) != HL_OK) return;
  int outputs = visible(t, &c);
  bool good = true;
  for (int i = 0; i < outputs && good; i++) {
    hl_rng r = stream(t, "weight", i);
    hl_desc d = c.out[i];
    d.dtype = t->type; /* exact in both runs */
    good = random_tensor(&pr.w[i], &d, "", &r, &e) == HL_OK;
    pr.use |= 1U << i;
  }
  if (good && pull(t, &pr, wrt, false, grad, &e) == HL_OK) {
    check_narrow(t, &pr, wrt, grad);
    if (t->type == HL_F32) check_rule(t, &pr, wrt, outputs, grad);
  } else {
    ok(false, "%s: grad: %s", t->name, e.msg);
  }
  unref_all(t->n, grad);
  unref_all(outputs, pr.w);
}

/* ---- the table ---- */

static void check_coverage(const hl_op *op) {
  const char *missing = "";
  if (op->samples == NULL || op->samples->name == NULL) missing = "samples";
  if (op->brief == NULL || op->math == NULL || op->args == NULL) missing = "words";
  if (op->ref == NULL) missing = "a reference";
  if (hl_op_cpu(op) == NULL) missing = "a CPU kernel";
  bool differentiable = !op->internal && !op->constant && op->mutates == 0;
  if (differentiable && op->vjp == NULL) missing = "a gradient rule";
  if (hl_op_find(op->name) != op) missing = "its own name";
  ok(*missing == '\0', "%s: coverage%s%s", op->name, *missing != '\0' ? ": it lacks " : "",
     missing);
}

static void check_sample(const hl_op *op, const hl_sample *s, hl_dtype type) {
  trial t;
  if (trial_begin_in(&t, op, s, type)) {
    if (op->attr_size > 0 && type == HL_F32) check_attributes(&t);
    check_shape(&t);
    if (hl_op_cpu(op) != NULL) {
      check_memory(&t); /* first, so that nothing is cached yet */
      check_kernel(&t);
      check_in_place(&t);
      check_traced(&t);
    }
    if (!op->internal) check_gradient(&t);
  }
  trial_end(&t);
}

/* Every op, or those named on the command line. */
static bool chosen(const hl_op *op, int argc, char **argv) {
  bool any = argc < 2;
  for (int i = 1; i < argc; i++) any = any || strcmp(argv[i], op->name) == 0;
  return any;
}

int main(int argc, char **argv) {
  const char *other = getenv("HILUM_TEST_SEED");
  if (other != NULL) seed = strtoull(other, NULL, 10);
  tap_diag("seed %llu", (unsigned long long)seed);
  for (int i = 0; i < hl_op_count(); i++) {
    const hl_op *op = hl_op_at(i);
    if (!chosen(op, argc, argv)) continue;
    check_coverage(op);
    for (const hl_sample *s = op->samples; s != NULL && s->name != NULL; s++) {
      check_sample(op, s, HL_F32);
      if (op->mutates == 0) check_sample(op, s, HL_BF16); /* updates keep all in f32 */
    }
  }
  return tap_done();
}
