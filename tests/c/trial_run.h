/* Runs of a trial by the reference and by the kernel, and how far they are apart. Header only,
 * after trial.h. */
#ifndef HILUM_TESTS_TRIAL_RUN_H
#define HILUM_TESTS_TRIAL_RUN_H

#include <math.h>

/* Output tensors of a call, filled with NaN: what a kernel does not write is seen. */
static inline hl_status new_outputs(const hl_call *c, hl_tensor **out, hl_err *e) {
  hl_status s = HL_OK;
  for (int i = 0; i < c->n_out && s == HL_OK; i++) {
    s = hl_tensor_new(&out[i], &c->out[i], hl_ledger_main(), HL_MEM_STATE, "test outputs", e);
    if (s == HL_OK) s = hl_tensor_fill(out[i], NAN, e);
  }
  return s;
}

/* Runs by the CPU kernel with a workspace of exactly the promised size, filled with NaN. */
static inline hl_status run_kernel(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                                   hl_err *e) {
  size_t bytes;
  HL_TRY(hl_call_workspace(c, &bytes, e));
  void *work = bytes > 0 ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;
  if (work != NULL) memset(work, 0xFF, bytes);
  hl_status s = hl_call_execute(c, in, out, work, e);
  free(work);
  return s;
}

/* What a call gives: its outputs, or for an update the inputs after it. */
typedef struct result {
  int n;
  hl_tensor *t[HL_MAX_ARGS];
} result;

static inline void result_free(result *r) {
  unref_all(r->n, r->t);
}

static inline hl_status run_call(const hl_call *c, hl_tensor *const *in, bool kernel, result *r,
                                 hl_err *e) {
  r->n = c->n_out;
  HL_TRY(new_outputs(c, r->t, e));
  return kernel ? run_kernel(c, in, r->t, e) : hl_call_run(c, in, r->t, e);
}

static inline hl_status run_update(const hl_call *c, hl_tensor *const *in, bool kernel, result *r,
                                   hl_err *e) {
  r->n = c->n_in;
  for (int i = 0; i < c->n_in; i++) HL_TRY(clone(&r->t[i], in[i], e));
  return kernel ? run_kernel(c, r->t, NULL, e) : hl_call_run(c, r->t, NULL, e);
}

/* Runs a trial by the reference (f64) or by the kernel (f32 or narrow). */
static inline hl_status run_trial(const trial *t, bool kernel, result *r, hl_err *e) {
  hl_tensor *const *in = kernel ? t->narrow : t->wide;
  memset(r, 0, sizeof *r);
  hl_call c = call_of(t, in);
  HL_TRY(hl_call_shape(&c, e));
  return t->op->mutates != 0 ? run_update(&c, in, kernel, r, e) : run_call(&c, in, kernel, r, e);
}

static inline double value_at(const hl_tensor *t, int64_t i) {
  if (hl_tensor_dtype(t) == HL_F64) return hl_tensor_f64(t)[i];
  float wide;
  if (!hl_dtype_is_narrow(hl_tensor_dtype(t))) return (double)hl_tensor_f32(t)[i];
  hl_narrow_widen(hl_tensor_dtype(t), &wide, (const uint16_t *)hl_tensor_data(t) + i, 1);
  return (double)wide;
}

static inline double largest_value(const hl_tensor *t) {
  double largest = 1e-30;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) largest = fmax(largest, fabs(value_at(t, i)));
  return largest;
}

/* Largest error of `got` relative to `largest` or the largest value of `want`, both dense and of
 * one layout. */
static inline double worst_error(const hl_tensor *got, const hl_tensor *want, double largest) {
  const double *w = hl_tensor_f64(want);
  double worst = 0;
  largest = fmax(largest, largest_value(want));
  for (int64_t i = 0; i < hl_tensor_numel(want); i++) {
    double error = fabs(value_at(got, i) - w[i]) / largest;
    if (isnan(error)) return INFINITY;
    worst = fmax(worst, error);
  }
  return worst;
}

static inline bool same_bits(const hl_tensor *a, const hl_tensor *b) {
  return memcmp(hl_tensor_data(a), hl_tensor_data(b), hl_tensor_bytes(a)) == 0;
}

static inline bool same_results(const result *a, const result *b) {
  bool same = a->n == b->n;
  for (int i = 0; i < a->n && same; i++) same = same_bits(a->t[i], b->t[i]);
  return same;
}

#endif
