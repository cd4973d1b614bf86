/* Calling an op: shape rule, choice of kernel, execution. */
#include "widen.h"

#include <stdio.h>
#include <string.h>

/* "x f32[2,3], w f32[4]" behind a message of the shape rule. */
static void add_shapes(const hl_call *c, hl_err *e) {
  if (e == NULL) return;
  size_t used = strlen(e->msg);
  for (int i = 0; i < c->n_in; i++) {
    char text[HL_DESC_TEXT];
    int n = snprintf(e->msg + used, sizeof e->msg - used, "%s%s", i == 0 ? "\n  inputs: " : ", ",
                     hl_desc_text(&c->in[i], text));
    if (n < 0 || used + (size_t)n >= sizeof e->msg) return;
    used += (size_t)n;
  }
}

hl_status hl_call_shape(hl_call *c, hl_err *e) {
  const hl_op *op = c->op;
  if (c->n_in < op->min_in || c->n_in > op->max_in)
    return hl_fail(e, HL_EINVAL, "%s takes %d to %d inputs (%s), not %d", op->name, op->min_in,
                   op->max_in, op->args, c->n_in);
  c->n_out = 0;
  hl_err local = {0};
  hl_status s = op->shape(c, &local);
  for (int i = 0; i < c->n_out && s == HL_OK; i++)
    s = hl_shape_check(&c->out[i].shape, c->out[i].dtype, &local);
  if (s == HL_OK) return HL_OK;
  hl_err_prefix(&local, s, "%s", op->name);
  add_shapes(c, &local);
  if (e != NULL && e->code == HL_OK) *e = local;
  return s;
}

static bool all_f64(const hl_call *c) {
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i].dtype != HL_F64) return false;
  return c->n_in > 0;
}

bool hl_call_supported(const hl_call *c) {
  return all_f64(c) ? c->op->ref != NULL : hl_op_cpu(c->op) != NULL;
}

/* Row-major copies of f64 tensors, for the reference: plain dense ones are used as they are. */
static hl_status to_plain(hl_tensor *t, hl_tensor **plain, hl_err *e) {
  return hl_tensor_dense(plain, t, HL_F64, HL_PLAIN, e);
}

static hl_status run_ref(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, hl_err *e) {
  hl_tensor *held[2 * HL_MAX_ARGS] = {0};
  const double *src[HL_MAX_ARGS];
  double *dst[HL_MAX_ARGS];
  hl_status s = HL_OK;
  for (int i = 0; i < c->n_in && s == HL_OK; i++) {
    s = to_plain(in[i], &held[i], e);
    if (s == HL_OK) src[i] = hl_tensor_f64(held[i]);
  }
  for (int i = 0; i < c->n_out && s == HL_OK; i++) {
    hl_desc d = {HL_F64, HL_PLAIN, c->out[i].shape};
    s = hl_tensor_zeros(&held[HL_MAX_ARGS + i], &d, HL_MEM_WORKSPACE, "a reference result", e);
    if (s == HL_OK) dst[i] = hl_tensor_f64(held[HL_MAX_ARGS + i]);
  }
  if (s == HL_OK) s = c->op->ref(c, src, dst, e);
  for (int i = 0; i < c->n_out && s == HL_OK; i++)
    s = hl_tensor_copy(out[i], held[HL_MAX_ARGS + i], e);
  /* An update changes its inputs: they were copied only if they were not plain and dense. */
  for (int i = 0; i < c->n_in && s == HL_OK; i++)
    if ((c->op->mutates >> i & 1U) != 0 && held[i] != in[i]) s = hl_tensor_copy(in[i], held[i], e);
  for (int i = 0; i < 2 * HL_MAX_ARGS; i++) hl_tensor_unref(held[i]);
  return s;
}

/* The kernel of a call that does not go through the reference. */
static hl_status kernel_of(const hl_call *c, const hl_kernel **out, hl_err *e) {
  *out = hl_op_cpu(c->op);
  if (*out != NULL) return HL_OK;
  return hl_fail(e, HL_EMISSING, "%s has no kernel for %s on the CPU", c->op->name,
                 c->n_in > 0 ? hl_dtype_name(c->in[0].dtype) : "these inputs");
}

static bool by_reference(const hl_call *c) {
  return all_f64(c) && c->op->ref != NULL;
}

hl_status hl_call_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  *bytes = 0;
  if (by_reference(c)) return HL_OK;
  const hl_kernel *k;
  HL_TRY(kernel_of(c, &k, e));
  if (hl_widen_needed(c, k)) return hl_widen_workspace(c, k, bytes, e);
  return k->workspace == NULL ? HL_OK : k->workspace(c, bytes, e);
}

hl_status hl_call_execute(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  for (int i = 0; i < c->n_in && c->op->mutates != 0; i++)
    if ((c->op->mutates >> i & 1U) != 0) hl_tensor_touch(in[i]);
  if (by_reference(c)) return run_ref(c, in, out, e);
  const hl_kernel *k;
  HL_TRY(kernel_of(c, &k, e));
  if (hl_widen_needed(c, k)) return hl_widen_run(c, k, in, out, workspace, e);
  return k->run(c, in, out, workspace, e);
}

hl_status hl_call_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, hl_err *e) {
  size_t bytes;
  void *scratch = NULL;
  hl_ledger *l = hl_ledger_main();
  HL_TRY(hl_call_workspace(c, &bytes, e));
  if (bytes > 0) HL_TRY(hl_mem_alloc(l, &scratch, bytes, HL_MEM_WORKSPACE, c->op->name, e));
  hl_status s = hl_call_execute(c, in, out, scratch, e);
  if (bytes > 0) hl_mem_free(l, scratch, bytes, HL_MEM_WORKSPACE);
  return s;
}

/* What an update changes must not be another of its inputs as well. */
static hl_status check_changed(const hl_op *op, int n, hl_tensor *const *in, hl_err *e) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n && (op->mutates >> i & 1U) != 0; j++)
      if (i != j && hl_tensor_numel(in[i]) > 0 && hl_tensor_data(in[i]) == hl_tensor_data(in[j]))
        return hl_fail(e, HL_EINVAL, "%s changes its input %d, which is also its input %d",
                       op->name, i + 1, j + 1);
  return HL_OK;
}

hl_status hl_op_eager(const hl_op *op, const void *attrs, int n_in, hl_tensor *const *in,
                      int *n_out, hl_tensor **out, hl_err *e) {
  *n_out = 0;
  hl_call c = {.op = op, .attrs = attrs, .n_in = n_in};
  hl_tensor *dense[HL_MAX_ARGS] = {0};
  if (n_in > HL_MAX_ARGS) return hl_fail(e, HL_EINVAL, "%s: too many inputs (%d)", op->name, n_in);
  for (int i = 0; i < n_in; i++) c.in[i] = *hl_tensor_desc(in[i]);
  HL_TRY(hl_call_shape(&c, e));
  hl_status s = HL_OK;
  for (int i = 0; i < n_in && s == HL_OK; i++)
    s = hl_tensor_dense(&dense[i], in[i], c.in[i].dtype, c.in[i].layout, e);
  int made = 0;
  for (; made < c.n_out && s == HL_OK; made++)
    s = hl_tensor_new(&out[made], &c.out[made], hl_ledger_main(), HL_MEM_STATE, op->name, e);
  if (s == HL_OK) s = check_changed(op, n_in, dense, e);
  if (s == HL_OK) s = hl_call_run(&c, dense, out, e);
  /* What an update changed in a dense copy belongs into the view that was given. */
  for (int i = 0; i < n_in && s == HL_OK; i++)
    if ((op->mutates >> i & 1U) != 0 && dense[i] != in[i]) s = hl_tensor_copy(in[i], dense[i], e);
  for (int i = 0; i < n_in; i++) hl_tensor_unref(dense[i]);
  if (s == HL_OK) {
    *n_out = c.n_out;
    return HL_OK;
  }
  for (int i = 0; i < made; i++) {
    hl_tensor_unref(out[i]);
    out[i] = NULL;
  }
  return s;
}
