#include "widen_slabs.h"

#include "kernel.h"
#include "opkit.h"

enum {
  ELEMENTS = 1 << 18, /* of the largest image in a slab, about: 1 MiB in f32 */
  ALIGNMENT = 64
};

/* How a call is cut. A unit is the thinnest slab: one slice of the image with the fewest. */
typedef struct cut {
  const hl_call *whole;
  hl_call slab; /* in f32 */
  int64_t units, thick;
  size_t in[HL_MAX_ARGS], out[HL_MAX_ARGS]; /* offsets of the f32 tensors in the scratch */
  size_t sum[HL_MAX_ARGS];                  /* of sums over slabs, for results that are no images */
  size_t own, bytes;
} cut;

static bool is_image(const hl_desc *d) {
  return d->layout == HL_IMAGE;
}

static int64_t fewest_slices(const hl_call *c) {
  int64_t fewest = INT64_MAX;
  for (int i = 0; i < c->n_in; i++)
    if (is_image(&c->in[i])) fewest = hl_min_i64(fewest, c->in[i].shape.dim[AXIS_Z]);
  for (int i = 0; i < c->n_out; i++)
    if (is_image(&c->out[i])) fewest = hl_min_i64(fewest, c->out[i].shape.dim[AXIS_Z]);
  return fewest;
}

/* An image of the call's batch whose slices come in whole units, or not narrow. */
static bool can_cut(const hl_desc *d, const hl_desc *first, int64_t units) {
  if (!is_image(d)) return !hl_dtype_is_narrow(d->dtype);
  return d->shape.dim[AXIS_N] == first->shape.dim[AXIS_N] && d->shape.dim[AXIS_Z] % units == 0;
}

bool hl_widen_by_slabs(const hl_call *c) {
  if (c->op->by_slabs == NULL || !is_image(&c->in[0]) || !c->op->by_slabs(c)) return false;
  int64_t units = fewest_slices(c);
  for (int i = 0; i < c->n_in; i++)
    if (!can_cut(&c->in[i], &c->in[0], units)) return false;
  for (int i = 0; i < c->n_out; i++) /* what is no image is summed */
    if (is_image(&c->out[i]) && !can_cut(&c->out[i], &c->in[0], units)) return false;
  return true;
}

/* ---- layout ---- */

/* The part of a tensor that `thick` units of one sample have. */
static hl_desc part_of(const hl_desc *d, int64_t units, int64_t thick) {
  hl_desc part = *d;
  if (!is_image(d)) return part;
  part.shape.dim[AXIS_N] = 1;
  part.shape.dim[AXIS_Z] = d->shape.dim[AXIS_Z] / units * thick;
  return part;
}

static hl_desc widened(hl_desc d) {
  if (hl_dtype_is_narrow(d.dtype)) d.dtype = HL_F32;
  return d;
}

static void set_thickness(cut *k, int64_t thick) {
  const hl_call *c = k->whole;
  k->thick = thick;
  for (int i = 0; i < c->n_in; i++) k->slab.in[i] = widened(part_of(&c->in[i], k->units, thick));
  for (int i = 0; i < c->n_out; i++) k->slab.out[i] = widened(part_of(&c->out[i], k->units, thick));
}

static size_t claim(cut *k, const hl_desc *d) {
  size_t at = k->bytes;
  k->bytes += (hl_desc_bytes(d) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return at;
}

static int64_t largest_unit(const hl_call *c, int64_t units) {
  int64_t most = 1;
  for (int i = 0; i < c->n_in + c->n_out; i++) {
    const hl_desc *d = i < c->n_in ? &c->in[i] : &c->out[i - c->n_in];
    hl_desc unit = part_of(d, units, 1);
    if (is_image(d)) most = hl_max_i64(most, hl_shape_numel(&unit.shape));
  }
  return most;
}

static hl_status lay_out(cut *k, const hl_call *c, const hl_kernel *kernel, hl_err *e) {
  *k = (cut){.whole = c, .slab = *c, .units = fewest_slices(c)};
  int64_t most = hl_max_i64(1, ELEMENTS / largest_unit(c, k->units));
  size_t rest = 0, full = 0;
  int64_t thick = hl_min_i64(most, k->units), left = k->units % thick;
  if (left > 0) { /* the last slab is thinner: its scratch may yet be larger */
    set_thickness(k, left);
    if (kernel->workspace != NULL) HL_TRY(kernel->workspace(&k->slab, &rest, e));
  }
  set_thickness(k, thick);
  if (kernel->workspace != NULL) HL_TRY(kernel->workspace(&k->slab, &full, e));
  for (int i = 0; i < c->n_in; i++)
    if (hl_dtype_is_narrow(c->in[i].dtype)) k->in[i] = claim(k, &k->slab.in[i]);
  for (int i = 0; i < c->n_out; i++) {
    bool summed = !is_image(&c->out[i]);
    if (summed || hl_dtype_is_narrow(c->out[i].dtype)) k->out[i] = claim(k, &k->slab.out[i]);
    if (summed) k->sum[i] = claim(k, &k->slab.out[i]);
  }
  k->own = k->bytes;
  k->bytes += full > rest ? full : rest;
  return HL_OK;
}

hl_status hl_widen_slabs_workspace(const hl_call *c, const hl_kernel *k, size_t *bytes, hl_err *e) {
  cut plan;
  HL_TRY(lay_out(&plan, c, k, e));
  *bytes = plan.bytes;
  return HL_OK;
}

/* ---- one slab ---- */

/* The slab of a tensor where it lies. */
static hl_status slab_in_place(const cut *k, hl_tensor *t, int64_t sample, int64_t unit,
                               hl_tensor **out, hl_err *e) {
  const hl_desc *d = hl_tensor_desc(t);
  if (!is_image(d)) {
    *out = hl_tensor_ref(t);
    return HL_OK;
  }
  hl_desc one = part_of(d, k->units, 1), part = part_of(d, k->units, k->thick);
  size_t at = (size_t)(sample * k->units + unit) * hl_desc_bytes(&one);
  return hl_tensor_borrow(out, &part, (char *)hl_tensor_data(t) + at, e);
}

/* Copies between the slab of a tensor and its f32 numbers. */
static hl_status convert(const cut *k, hl_tensor *t, int64_t sample, int64_t unit, hl_tensor *wide,
                         bool widen, hl_err *e) {
  hl_tensor *part;
  HL_TRY(slab_in_place(k, t, sample, unit, &part, e));
  hl_status s = widen ? hl_tensor_copy(wide, part, e) : hl_tensor_copy(part, wide, e);
  hl_tensor_unref(part);
  return s;
}

typedef struct tensors {
  hl_tensor *in[HL_MAX_ARGS], *out[HL_MAX_ARGS];
} tensors;

static hl_status open_inputs(const cut *k, hl_tensor *const *in, int64_t sample, int64_t unit,
                             char *work, tensors *t, hl_err *e) {
  for (int i = 0; i < k->slab.n_in; i++) {
    if (!hl_dtype_is_narrow(k->whole->in[i].dtype)) {
      HL_TRY(slab_in_place(k, in[i], sample, unit, &t->in[i], e));
      continue;
    }
    HL_TRY(hl_tensor_borrow(&t->in[i], &k->slab.in[i], work + k->in[i], e));
    HL_TRY(convert(k, in[i], sample, unit, t->in[i], true, e));
  }
  return HL_OK;
}

static hl_status open_outputs(const cut *k, hl_tensor *const *out, int64_t sample, int64_t unit,
                              char *work, tensors *t, hl_err *e) {
  for (int i = 0; i < k->slab.n_out; i++)
    if (is_image(&k->whole->out[i]) && !hl_dtype_is_narrow(k->whole->out[i].dtype))
      HL_TRY(slab_in_place(k, out[i], sample, unit, &t->out[i], e));
    else
      HL_TRY(hl_tensor_borrow(&t->out[i], &k->slab.out[i], work + k->out[i], e));
  return HL_OK;
}

static void add_to(float *sum, const float *part, int64_t n, bool first) {
  for (int64_t i = 0; i < n; i++) sum[i] = first ? part[i] : sum[i] + part[i];
}

static hl_status close_outputs(const cut *k, hl_tensor *const *out, int64_t sample, int64_t unit,
                               char *work, const tensors *t, hl_err *e) {
  for (int i = 0; i < k->slab.n_out; i++) {
    const hl_desc *d = &k->whole->out[i];
    if (!is_image(d))
      add_to((float *)(void *)(work + k->sum[i]), hl_tensor_f32(t->out[i]),
             hl_shape_numel(&d->shape), sample == 0 && unit == 0);
    else if (hl_dtype_is_narrow(d->dtype))
      HL_TRY(convert(k, out[i], sample, unit, t->out[i], false, e));
  }
  return HL_OK;
}

static hl_status run_slab(const cut *k, const hl_kernel *kernel, hl_tensor *const *in,
                          hl_tensor *const *out, int64_t sample, int64_t unit, char *work,
                          hl_err *e) {
  tensors t = {{0}, {0}};
  hl_status s = open_inputs(k, in, sample, unit, work, &t, e);
  if (s == HL_OK) s = open_outputs(k, out, sample, unit, work, &t, e);
  if (s == HL_OK) s = kernel->run(&k->slab, t.in, t.out, work + k->own, e);
  if (s == HL_OK) s = close_outputs(k, out, sample, unit, work, &t, e);
  for (int i = 0; i < k->slab.n_in; i++) hl_tensor_unref(t.in[i]);
  for (int i = 0; i < k->slab.n_out; i++) hl_tensor_unref(t.out[i]);
  return s;
}

/* Sums over slabs, in f32 so far, become results. */
static hl_status deliver_sums(const cut *k, hl_tensor *const *out, char *work, hl_err *e) {
  for (int i = 0; i < k->slab.n_out; i++) {
    if (is_image(&k->whole->out[i])) continue;
    hl_tensor *sum;
    HL_TRY(hl_tensor_borrow(&sum, &k->slab.out[i], work + k->sum[i], e));
    hl_status s = hl_tensor_copy(out[i], sum, e);
    hl_tensor_unref(sum);
    HL_TRY(s);
  }
  return HL_OK;
}

hl_status hl_widen_slabs_run(const hl_call *c, const hl_kernel *kernel, hl_tensor *const *in,
                             hl_tensor *const *out, void *workspace, hl_err *e) {
  cut k;
  HL_TRY(lay_out(&k, c, kernel, e));
  int64_t most = k.thick, samples = c->in[0].shape.dim[AXIS_N];
  for (int64_t sample = 0; sample < samples; sample++)
    for (int64_t unit = 0; unit < k.units; unit += most) {
      set_thickness(&k, hl_min_i64(most, k.units - unit));
      HL_TRY(run_slab(&k, kernel, in, out, sample, unit, workspace, e));
    }
  return deliver_sums(&k, out, workspace, e);
}
