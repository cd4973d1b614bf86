/* A scan put together: a chest, how it is scanned, its vessels and nodules, then the picture and
 * its readers. */
#include "phantom.h"
#include <hilum/hash.h>
#include <hilum/ledger.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

hl_phantom_options hl_phantom_options_default(void) {
  return (hl_phantom_options){.cases = 60, .nodules = 2, .seed = 1};
}

const char *hl_phantom_size_name(hl_phantom_size size) {
  return size == HL_PHANTOM_SMALL ? "small" : size == HL_PHANTOM_FULL ? "full" : "";
}

const char *hl_phantom_variant_name(hl_phantom_variant variant) {
  static const char *const names[HL_PHANTOM_VARIANTS] = {
      [HL_PHANTOM_PLAIN] = "plain",
      [HL_PHANTOM_TILTED] = "tilted",
      [HL_PHANTOM_MISSING_SLICE] = "missing-slice",
      [HL_PHANTOM_DOUBLED_SLICE] = "doubled-slice",
      [HL_PHANTOM_REPEATED_FILE] = "repeated-file",
      [HL_PHANTOM_UNEVEN] = "uneven",
      [HL_PHANTOM_OVERLAPPING] = "overlapping",
      [HL_PHANTOM_TRUNCATED] = "truncated",
      [HL_PHANTOM_UNSIGNED] = "unsigned",
      [HL_PHANTOM_BITS12] = "bits12",
      [HL_PHANTOM_PADDING] = "padding",
      [HL_PHANTOM_RADIOGRAPH] = "radiograph",
      [HL_PHANTOM_SEGMENTATION] = "segmentation",
      [HL_PHANTOM_NO_READING] = "no-reading",
      [HL_PHANTOM_NO_SERIES] = "no-series",
      [HL_PHANTOM_DAMAGED_XML] = "damaged-xml",
      [HL_PHANTOM_SAME_READING] = "same-reading",
      [HL_PHANTOM_OTHER_READING] = "other-reading",
      [HL_PHANTOM_SESSIONS_3] = "sessions-3",
      [HL_PHANTOM_SESSIONS_8] = "sessions-8",
      [HL_PHANTOM_RATINGS] = "ratings",
      [HL_PHANTOM_EMPTY_CHARACTERISTICS] = "empty-characteristics",
      [HL_PHANTOM_Z_BLANKS] = "z-blanks",
      [HL_PHANTOM_OPEN_OUTLINES] = "open-outlines",
      [HL_PHANTOM_GAPS] = "gaps"};
  return (int)variant >= 0 && variant < HL_PHANTOM_VARIANTS ? names[variant] : "";
}

hl_status hl_phantom_uid(char out[HL_PHANTOM_UID_TEXT], const hl_phantom_options *options, int item,
                         hl_phantom_object kind, int64_t index, hl_err *e) {
  char name[192];
  int n = snprintf(name, sizeof name,
                   "hilum phantom %d: seed %llu nodules %d size %d variant %d case %d kind %d %lld",
                   HL_PHANTOM_VERSION, (unsigned long long)options->seed, options->nodules,
                   (int)options->size, (int)options->variant, item, (int)kind, (long long)index);
  return hl_hash_uid(name, (size_t)n, out, e);
}

/* ---- The scan ---- */

static void set_geometry(hl_phantom_scan *s, const protocol *p) {
  const int size[3] = {p->slices, p->pixels, p->pixels};
  for (int a = 0; a < 3; a++) {
    s->spacing_mm[a] = p->spacing_mm[a];
    s->origin_mm[a] = -0.5 * (size[a] - 1) * p->spacing_mm[a];
  }
  s->origin_mm[0] = nearbyint(p->top_mm) - (p->slices - 1) * p->spacing_mm[0];
  s->thickness_mm = p->thickness_mm;
  s->padding_hu = p->padding_hu;
}

typedef struct parts {
  chest c;
  protocol p;
  tubes t;
  finding findings[HL_PHANTOM_NODULES];
  int n;
} parts;

/* Nodules lie so far from the scan's ends that most of a crop around them is in it. */
static const double END_MM = 17;

static void place_findings(parts *p, const hl_phantom_scan *s, const hl_phantom_options *o,
                           int item, hl_rng *r) {
  double bottom = s->origin_mm[0], top = bottom + (p->p.slices - 1) * s->spacing_mm[0];
  const double z_mm[2] = {bottom + END_MM, top - END_MM};
  for (int i = 0; i < o->nodules; i++) {
    finding *f = &p->findings[p->n];
    p->n +=
        finding_random(f, &p->c, &p->t, z_mm, p->findings, p->n, (int64_t)item * o->nodules + i, r);
  }
}

static void describe(hl_phantom_scan *s, const parts *p) {
  s->nodules = p->n;
  for (int i = 0; i < p->n; i++) {
    const finding *f = &p->findings[i];
    s->nodule[i] =
        (hl_phantom_nodule){.centre_mm = {f->shape.centre.z, f->shape.centre.y, f->shape.centre.x},
                            .diameter_mm = 2 * f->shape.radius_mm,
                            .place = f->place,
                            .subsolid = f->subsolid,
                            .calcified = f->calcified};
  }
}

static hl_status name_marks(hl_phantom_scan *s, const hl_phantom_options *o, int item, hl_err *e) {
  char series[HL_PHANTOM_UID_TEXT], study[HL_PHANTOM_UID_TEXT];
  HL_TRY(hl_phantom_uid(series, o, item, HL_PHANTOM_SERIES, 0, e));
  HL_TRY(hl_phantom_uid(study, o, item, HL_PHANTOM_STUDY, 0, e));
  HL_TRY(hl_marks_set_source(s->marks, "phantom", series, study, "2000-01-01 00:00:00", e));
  hl_marks_finish(s->marks);
  return HL_OK;
}

static hl_status new_voxels(hl_phantom_scan *s, const protocol *p, hl_err *e) {
  const int64_t size[3] = {p->slices, p->pixels, p->pixels};
  hl_desc d = {.dtype = HL_I16, .layout = HL_PLAIN, .shape = hl_shape_make(3, size)};
  return hl_tensor_new(&s->voxels, &d, hl_ledger_main(), HL_MEM_DATA, "phantom", e);
}

static hl_status fill(hl_phantom_scan *s, const hl_phantom_options *o, int item, parts *p,
                      hl_err *e) {
  hl_rng r = hl_rng_stream(o->seed, "phantom", (uint32_t)o->nodules, (uint32_t)item);
  bool small = o->size == HL_PHANTOM_SMALL;
  chest_random(&p->c, small ? uniform(&r, 0.58, 0.66) : uniform(&r, 0.9, 1.05), &r);
  protocol_random(&p->p, &p->c, o->size, &r);
  set_geometry(s, &p->p);
  HL_TRY(new_voxels(s, &p->p, e));
  HL_TRY(tubes_grow(&p->t, &p->c, small ? 190 : 1000, &r, e));
  place_findings(p, s, o, item, &r);
  canvas v = {.scan = s, .p = &p->p, .c = &p->c, .t = &p->t, .seed = o->seed, .item = item};
  v.findings = p->findings;
  v.n_findings = p->n;
  HL_TRY(render(&v, e));
  describe(s, p);
  HL_TRY(hl_marks_new(&s->marks, e));
  HL_TRY(read_findings(s, o, item, &p->c, p->findings, p->n, &r, e));
  return name_marks(s, o, item, e);
}

hl_status hl_phantom_options_check(const hl_phantom_options *o, hl_err *e) {
  if (o->cases < 1 || o->cases > 1000)
    return hl_fail(e, HL_EINVAL, "a phantom of %d cases, expected 1 to 1000", o->cases);
  if (o->nodules < 1 || o->nodules > HL_PHANTOM_NODULES)
    return hl_fail(e, HL_EINVAL, "%d nodules in each case of a phantom, expected 1 to %d",
                   o->nodules, HL_PHANTOM_NODULES);
  if ((int)o->size < 0 || o->size >= HL_PHANTOM_SIZES)
    return hl_fail(e, HL_EINVAL, "unknown size of a phantom, expected small or full");
  if ((int)o->variant < 0 || o->variant >= HL_PHANTOM_VARIANTS)
    return hl_fail(e, HL_EINVAL, "unknown variant of a phantom, expected one of docs/phantom.md");
  return HL_OK;
}

hl_status hl_phantom_scan_new(hl_phantom_scan *out, const hl_phantom_options *options, int item,
                              hl_err *e) {
  *out = (hl_phantom_scan){0};
  HL_TRY(hl_phantom_options_check(options, e));
  if (item < 0 || item >= options->cases)
    return hl_fail(e, HL_EINVAL, "case %d of a phantom of %d", item, options->cases);
  parts *p = hl_host_calloc(1, sizeof *p);
  hl_status status = p ? HL_OK : hl_fail(e, HL_ENOMEM, "no memory for a phantom");
  if (p) p->t.items = hl_host_calloc(MOST_TUBES, sizeof *p->t.items);
  if (p && !p->t.items) status = hl_fail(e, HL_ENOMEM, "no memory for a phantom's vessels");
  if (status == HL_OK) status = fill(out, options, item, p, e);
  if (p) hl_host_free(p->t.items);
  hl_host_free(p);
  if (status != HL_OK) hl_phantom_scan_clear(out);
  return status;
}

void hl_phantom_scan_clear(hl_phantom_scan *s) {
  hl_tensor_unref(s->voxels);
  hl_marks_free(s->marks);
  *s = (hl_phantom_scan){0};
}
