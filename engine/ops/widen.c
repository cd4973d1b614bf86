#include "widen.h"

#include "strided.h"
#include "widen_slabs.h"

#include <hilum/narrow.h>

enum { ALIGNMENT = 64 };

/* The call in f32 and where its tensors lie in the scratch. */
typedef struct wide {
  hl_call call;
  size_t in[HL_MAX_ARGS], out[HL_MAX_ARGS]; /* offsets of what is widened */
  size_t own, bytes;                        /* the kernel's scratch; all in all */
} wide;

static bool any(bool (*is)(hl_dtype), const hl_call *c) {
  for (int i = 0; i < c->n_in; i++)
    if (is(c->in[i].dtype)) return true;
  for (int i = 0; i < c->n_out; i++)
    if (is(c->out[i].dtype)) return true;
  return false;
}

bool hl_widen_needed(const hl_call *c, const hl_kernel *k) {
  if (c->op->any_type || !any(hl_dtype_is_narrow, c)) return false;
  bool (*takes)(const hl_call *) = any(hl_dtype_is_fixed, c) ? k->takes_fixed : k->takes_bf16;
  return takes == NULL || !takes(c);
}

static size_t claim(wide *w, const hl_desc *d) {
  size_t at = w->bytes;
  w->bytes += (hl_desc_bytes(d) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return at;
}

/* An input whose widened copy the result may overwrite; -1 if there is none. */
static int taken_over(const wide *w, const hl_call *c) {
  for (int i = 0; i < c->n_in && i < HL_MAX_ARGS; i++)
    if ((c->op->inplace >> i & 1U) != 0 && hl_dtype_is_narrow(c->in[i].dtype) &&
        hl_desc_equal(&w->call.in[i], &w->call.out[0]))
      return i;
  return -1;
}

static void widen_desc(hl_desc *d) {
  if (hl_dtype_is_narrow(d->dtype)) d->dtype = HL_F32;
}

static hl_status lay_out(wide *w, const hl_call *c, const hl_kernel *k, hl_err *e) {
  *w = (wide){.call = *c};
  for (int i = 0; i < c->n_in; i++) {
    widen_desc(&w->call.in[i]);
    if (hl_dtype_is_narrow(c->in[i].dtype)) w->in[i] = claim(w, &w->call.in[i]);
  }
  for (int i = 0; i < c->n_out; i++) widen_desc(&w->call.out[i]);
  int taken = taken_over(w, c);
  for (int i = 0; i < c->n_out; i++) {
    if (!hl_dtype_is_narrow(c->out[i].dtype)) continue;
    w->out[i] = i == 0 && taken >= 0 ? w->in[taken] : claim(w, &w->call.out[i]);
  }
  w->own = w->bytes;
  size_t own = 0;
  if (k->workspace != NULL) HL_TRY(k->workspace(&w->call, &own, e));
  w->bytes += own;
  return HL_OK;
}

hl_status hl_widen_workspace(const hl_call *c, const hl_kernel *k, size_t *bytes, hl_err *e) {
  wide w;
  *bytes = 0;
  if (k->stretch != NULL) return HL_OK;
  if (hl_widen_by_slabs(c)) return hl_widen_slabs_workspace(c, k, bytes, e);
  HL_TRY(lay_out(&w, c, k, e));
  *bytes = w.bytes;
  return HL_OK;
}

/* ---- tensors in the scratch ---- */

typedef struct tensors {
  hl_tensor *in[HL_MAX_ARGS], *out[HL_MAX_ARGS];
} tensors;

static void let_go(const wide *w, tensors *t) {
  for (int i = 0; i < w->call.n_in; i++) hl_tensor_unref(t->in[i]);
  for (int i = 0; i < w->call.n_out; i++) hl_tensor_unref(t->out[i]);
}

/* The widened tensors, and references to those that are taken as they are. */
static hl_status make(const wide *w, const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                      char *work, tensors *t, hl_err *e) {
  hl_status s = HL_OK;
  *t = (tensors){{0}, {0}};
  for (int i = 0; i < c->n_in && s == HL_OK; i++)
    if (hl_dtype_is_narrow(c->in[i].dtype))
      s = hl_tensor_borrow(&t->in[i], &w->call.in[i], work + w->in[i], e);
    else
      t->in[i] = hl_tensor_ref(in[i]);
  for (int i = 0; i < c->n_out && s == HL_OK; i++)
    if (hl_dtype_is_narrow(c->out[i].dtype))
      s = hl_tensor_borrow(&t->out[i], &w->call.out[i], work + w->out[i], e);
    else
      t->out[i] = hl_tensor_ref(out[i]);
  if (s != HL_OK) let_go(w, t);
  return s;
}

static hl_status run_whole(const wide *w, const hl_call *c, const hl_kernel *k,
                           hl_tensor *const *in, hl_tensor *const *out, char *work, hl_err *e) {
  tensors t;
  HL_TRY(make(w, c, in, out, work, &t, e));
  hl_status s = HL_OK;
  for (int i = 0; i < c->n_in && s == HL_OK; i++)
    if (t.in[i] != in[i]) s = hl_tensor_copy(t.in[i], in[i], e);
  if (s == HL_OK) s = k->run(&w->call, t.in, t.out, work + w->own, e);
  for (int i = 0; i < c->n_out && s == HL_OK; i++)
    if (t.out[i] != out[i]) s = hl_tensor_copy(out[i], t.out[i], e);
  let_go(w, &t);
  return s;
}

/* ---- elementwise ops ---- */

typedef struct stretches {
  const void *attrs;
  hl_stretch run;
  hl_walk walk;
  hl_dtype from_type[HL_OPERANDS], to_type;
  const void *from[HL_OPERANDS];
  uint16_t *to;
} stretches;

/* Brings numbers to the grid of fixed-point type t. */
static void snap(hl_dtype t, float *x, int64_t n) {
  uint16_t half[HL_BLOCK];
  hl_narrow_round(t, half, x, n);
  hl_narrow_widen(t, x, half, n);
}

/* Numbers of operand k as they are computed with: what is beside fixed point comes to its grid, so
 * that sums and differences are exact. */
static void fill(const stretches *j, int k, int64_t begin, int64_t n, float *to) {
  hl_walk_fill_narrow(&j->walk, k, j->from_type[k], j->from[k], begin, n, to);
  if (hl_dtype_is_fixed(j->to_type) && j->from_type[k] != j->to_type) snap(j->to_type, to, n);
}

/* Operands that repeat within a block are widened once; begin is a multiple of the block. */
static void stretch_range(int64_t begin, int64_t end, void *ctx) {
  const stretches *j = ctx;
  const hl_walk *w = &j->walk;
  float in[HL_OPERANDS][HL_BLOCK], y[HL_BLOCK];
  const float *operand[HL_OPERANDS] = {in[0], in[1], in[2]};
  for (int64_t i = begin; i < end; i += w->block) {
    int64_t n = hl_min_i64(w->block, end - i);
    for (int k = 0; k < w->operands; k++)
      if (i == begin || w->block % w->period[k] != 0) fill(j, k, i, n, in[k]);
    j->run(j->attrs, operand, y, n);
    hl_narrow_round(j->to_type, j->to + i, y, n);
  }
}

static hl_status run_stretches(const hl_call *c, const hl_kernel *k, hl_tensor *const *in,
                               hl_tensor *const *out) {
  const void *attrs = c->op->attr_size == 0 ? NULL : c->attrs; /* as in a program */
  stretches j = {
      .attrs = attrs, .run = k->stretch, .to_type = c->out[0].dtype, .to = hl_tensor_data(out[0])};
  const hl_desc *operand[HL_OPERANDS];
  for (int i = 0; i < c->n_in; i++) {
    operand[i] = &c->in[i];
    j.from_type[i] = c->in[i].dtype;
    j.from[i] = hl_tensor_data(in[i]);
  }
  hl_walk_make(&j.walk, &c->out[0], c->n_in, operand);
  hl_parallel_for(j.walk.numel, HL_GRAIN / j.walk.block * j.walk.block, stretch_range, &j);
  return HL_OK;
}

hl_status hl_widen_run(const hl_call *c, const hl_kernel *k, hl_tensor *const *in,
                       hl_tensor *const *out, void *workspace, hl_err *e) {
  wide w;
  if (k->stretch != NULL) return run_stretches(c, k, in, out);
  if (hl_widen_by_slabs(c)) return hl_widen_slabs_run(c, k, in, out, workspace, e);
  HL_TRY(lay_out(&w, c, k, e));
  return run_whole(&w, c, k, in, out, workspace, e);
}
