/* From the headers of a series' files to an ordered stack, and its voxels through reader processes.
 */
#include "dicom.h"
#include <hilum/ledger.h>
#include <hilum/series.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SAME_PLACE_MM = 0.01;
static const double MOST_TILT_COS = 0.99996; /* cos 0.5° */

typedef struct slice {
  const char *file;
  hl_dicom_header h;
  double z_mm;     /* position along the normal */
  int64_t kept_as; /* slice number in the stack; two at one place share it */
  bool dropped;
} slice;

struct hl_series {
  hl_grid grid;
  double *z_mm, *roi_z_mm;
  double direction[9], thickness_mm;
  hl_slices slices;
  hl_slice_uid *uids;
  char *uid_text;           /* n_uids texts of HL_UID_TEXT */
  hl_dicom_header *headers; /* of the slices in the stack */
  hl_tensor *voxels;
};

typedef struct stack {
  slice *slices; /* read from the files; ordered by place */
  int64_t n;
  const char *reading;                    /* first file: what the others are compared with */
  double axis_z[3], axis_y[3], axis_x[3]; /* of the image, in patient space, as (x, y, z) */
  hl_problems *problems;
} stack;

/* ---- Headers ---- */

static hl_status check_alone(const slice *s, hl_err *e) {
  const hl_dicom_header *h = &s->h;
  static const struct {
    unsigned bit;
    const char *name;
  } needed[] = {{HL_DICOM_SIZE, "Rows and Columns"},
                {HL_DICOM_POSITION, "ImagePositionPatient"},
                {HL_DICOM_ORIENTATION, "ImageOrientationPatient"},
                {HL_DICOM_SPACING, "PixelSpacing"},
                {HL_DICOM_PIXELS, "PixelData"}};
  if (strcmp(h->modality, "CT") != 0)
    return hl_fail(e, HL_EFORMAT, "%s: Modality is '%s', expected CT", s->file, h->modality);
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (!(h->has & needed[i].bit))
      return hl_fail(e, HL_EFORMAT, "%s: %s is missing or unreadable", s->file, needed[i].name);
  if (h->samples != 1 || h->frames != 1)
    return hl_fail(e, HL_EFORMAT, "%s: %d samples per pixel in %d frames, expected 1 and 1",
                   s->file, h->samples, h->frames);
  if (h->rows > 8192 || h->columns > 8192)
    return hl_fail(e, HL_EFORMAT, "%s: %d x %d pixels, expected at most 8192 x 8192", s->file,
                   h->rows, h->columns);
  if (!(h->spacing_mm[0] > 0 && h->spacing_mm[1] > 0))
    return hl_fail(e, HL_EFORMAT, "%s: PixelSpacing is %g x %g mm, expected more than 0", s->file,
                   h->spacing_mm[0], h->spacing_mm[1]);
  if (!h->sop_uid[0] || !h->series_uid[0])
    return hl_fail(e, HL_EFORMAT, "%s: has no SOPInstanceUID or no SeriesInstanceUID", s->file);
  return HL_OK;
}

static bool same_numbers(const double *a, const double *b, int n, double tolerance) {
  for (int i = 0; i < n; i++)
    if (fabs(a[i] - b[i]) > tolerance) return false;
  return true;
}

static hl_status check_like_first(const stack *st, const slice *s, hl_err *e) {
  const hl_dicom_header *a = &st->slices[0].h, *b = &s->h;
  if (strcmp(a->series_uid, b->series_uid) != 0)
    return hl_fail(e, HL_EFORMAT,
                   "%s: belongs to series %s, but %s to series %s: two series in one "
                   "list of files",
                   s->file, b->series_uid, st->reading, a->series_uid);
  if (a->rows != b->rows || a->columns != b->columns)
    return hl_fail(e, HL_EFORMAT, "%s: %d x %d pixels, but %s has %d x %d", s->file, b->rows,
                   b->columns, st->reading, a->rows, a->columns);
  if (!same_numbers(a->spacing_mm, b->spacing_mm, 2, 1e-4))
    return hl_fail(e, HL_EFORMAT, "%s: PixelSpacing %g x %g mm, but %s has %g x %g", s->file,
                   b->spacing_mm[0], b->spacing_mm[1], st->reading, a->spacing_mm[0],
                   a->spacing_mm[1]);
  if (!same_numbers(a->orientation, b->orientation, 6, 1e-4))
    return hl_fail(e, HL_EFORMAT, "%s: another ImageOrientationPatient than %s", s->file,
                   st->reading);
  return HL_OK;
}

static hl_status read_headers(stack *st, const char *const *files, hl_err *e) {
  hl_status first = HL_OK;
  st->reading = files[0];
  for (int64_t i = 0; i < st->n; i++) {
    slice *s = &st->slices[i];
    hl_err mine = {0};
    s->file = files[i];
    hl_status status = hl_dicom_header_read(s->file, &s->h, &mine);
    if (status == HL_ECANCELLED) return hl_fail(e, status, "%s", mine.msg);
    if (status == HL_OK) status = check_alone(s, &mine);
    if (status == HL_OK && first == HL_OK) status = check_like_first(st, s, &mine);
    if (status == HL_OK) continue;
    hl_problems_add_err(st->problems, s->file, &mine);
    if (first == HL_OK) first = hl_fail(e, status, "%s", mine.msg);
  }
  return first;
}

/* Some writers leave RescaleSlope out; its absence is worth a word, for CT without it is rare. */
static void check_rescale(const stack *st) {
  int64_t without = 0;
  const char *first = NULL;
  for (int64_t i = 0; i < st->n; i++) {
    if (st->slices[i].h.has & HL_DICOM_RESCALE) continue;
    if (without++ == 0) first = st->slices[i].file;
  }
  if (without)
    hl_problems_add(st->problems, HL_OK, first,
                    "RescaleSlope is missing (in %lld of %lld slices); 1 is taken",
                    (long long)without, (long long)st->n);
}

/* ---- Order ---- */

static double dot(const double *a, const double *b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static hl_status find_axes(stack *st, hl_err *e) {
  const double *o = st->slices[0].h.orientation;
  memcpy(st->axis_x, o, sizeof st->axis_x);
  memcpy(st->axis_y, o + 3, sizeof st->axis_y);
  const double *x = st->axis_x, *y = st->axis_y;
  st->axis_z[0] = x[1] * y[2] - x[2] * y[1];
  st->axis_z[1] = x[2] * y[0] - x[0] * y[2];
  st->axis_z[2] = x[0] * y[1] - x[1] * y[0];
  bool unit = fabs(dot(x, x) - 1) < 1e-3 && fabs(dot(y, y) - 1) < 1e-3 && fabs(dot(x, y)) < 1e-3;
  if (!unit)
    return hl_fail(e, HL_EFORMAT,
                   "%s: ImageOrientationPatient %g\\%g\\%g\\%g\\%g\\%g is no pair of perpendicular "
                   "unit vectors",
                   st->reading, o[0], o[1], o[2], o[3], o[4], o[5]);
  bool axial = fabs(x[0]) > MOST_TILT_COS && fabs(y[1]) > MOST_TILT_COS;
  if (!axial)
    return hl_fail(e, HL_EFORMAT,
                   "%s: the series is oblique or not axial (ImageOrientationPatient "
                   "%g\\%g\\%g\\%g\\%g\\%g, expected ±1\\0\\0\\0\\±1\\0 within 0.5 degrees)",
                   st->reading, o[0], o[1], o[2], o[3], o[4], o[5]);
  return HL_OK;
}

static int compare_place(const void *a, const void *b) {
  const slice *p = a, *q = b;
  if (p->z_mm != q->z_mm) return p->z_mm < q->z_mm ? -1 : 1;
  if (p->h.instance != q->h.instance) return p->h.instance < q->h.instance ? -1 : 1;
  int order = strcmp(p->h.sop_uid, q->h.sop_uid);
  return order ? order : strcmp(p->file, q->file);
}

/* Slices stand exactly above each other. */
static hl_status check_shift(const stack *st, hl_err *e) {
  const slice *first = &st->slices[0];
  for (int64_t i = 1; i < st->n; i++) {
    const slice *s = &st->slices[i];
    double off[3];
    for (int a = 0; a < 3; a++) off[a] = s->h.position_mm[a] - first->h.position_mm[a];
    double dx = dot(off, st->axis_x), dy = dot(off, st->axis_y);
    double tolerance = 0.1 * fmin(s->h.spacing_mm[0], s->h.spacing_mm[1]);
    if (fabs(dx) > tolerance || fabs(dy) > tolerance)
      return hl_fail(e, HL_EFORMAT,
                     "%s: the slice is shifted sideways by %g mm (x) and %g mm (y) against %s: a "
                     "tilted series",
                     s->file, dx, dy, first->file);
  }
  return HL_OK;
}

/* Of slices at one place the first in order is kept. Returns the number of kept slices. */
static int64_t drop_doubles(stack *st) {
  int64_t kept = 0;
  const slice *last = NULL;
  for (int64_t i = 0; i < st->n; i++) {
    slice *s = &st->slices[i];
    s->dropped = last && s->z_mm - last->z_mm < SAME_PLACE_MM;
    if (!s->dropped) {
      s->kept_as = kept++;
      last = s;
      continue;
    }
    s->kept_as = kept - 1;
    if (strcmp(s->h.sop_uid, last->h.sop_uid) == 0)
      hl_problems_add(st->problems, HL_OK, s->file, "the same slice as %s (SOP UID %s); left out",
                      last->file, s->h.sop_uid);
    else
      hl_problems_add(st->problems, HL_EFORMAT, s->file,
                      "lies at z %g mm like %s; the slice with the lower InstanceNumber is kept "
                      "(%d, not %d), outlines drawn on the other are taken to it",
                      s->z_mm, last->file, last->h.instance, s->h.instance);
  }
  return kept;
}

static hl_status check_steps(hl_series *s, const stack *st, hl_err *e) {
  hl_steps steps;
  HL_TRY(hl_steps_measure(&steps, s->z_mm, s->grid.size[0], e));
  s->grid.spacing_mm[0] = steps.median_mm;
  if (steps.gaps)
    return hl_fail(
        e, HL_EFORMAT,
        "%s: series %s is incomplete: slices are missing at %lld place%s (first: between "
        "z %g and %g mm, where a step is %g mm; %lld slices are there)",
        st->reading, hl_series_uid(s), (long long)steps.gaps, steps.gaps > 1 ? "s" : "",
        s->z_mm[steps.first_gap], s->z_mm[steps.first_gap + 1], steps.median_mm,
        (long long)s->grid.size[0]);
  if (steps.uneven)
    hl_problems_add(
        st->problems, HL_OK, st->reading,
        "series %s has %lld uneven steps between slices (median %g mm, worst %g mm off); "
        "true positions are used",
        hl_series_uid(s), (long long)steps.uneven, steps.median_mm, steps.worst_mm);
  return HL_OK;
}

/* ---- Geometry ---- */

static int compare_uid(const void *a, const void *b) {
  return strcmp(((const hl_slice_uid *)a)->uid, ((const hl_slice_uid *)b)->uid);
}

static void name_slices(hl_series *s, const stack *st) {
  for (int64_t i = 0; i < st->n; i++) {
    char *text = s->uid_text + i * HL_UID_TEXT;
    memcpy(text, st->slices[i].h.sop_uid, HL_UID_TEXT);
    s->uids[i] = (hl_slice_uid){.uid = text, .slice = st->slices[i].kept_as};
  }
  qsort(s->uids, (size_t)st->n, sizeof *s->uids, compare_uid);
  s->slices =
      (hl_slices){.uids = s->uids, .n_uids = st->n, .z_mm = s->roi_z_mm, .n = s->grid.size[0]};
}

static hl_status allocate(hl_series *s, int64_t kept, int64_t all, hl_err *e) {
  s->z_mm = hl_host_calloc((size_t)kept, sizeof *s->z_mm);
  s->roi_z_mm = hl_host_calloc((size_t)kept, sizeof *s->roi_z_mm);
  s->uids = hl_host_calloc((size_t)all, sizeof *s->uids);
  s->uid_text = hl_host_calloc((size_t)all, HL_UID_TEXT);
  s->headers = hl_host_calloc((size_t)kept, sizeof *s->headers);
  if (!s->z_mm || !s->roi_z_mm || !s->uids || !s->uid_text || !s->headers)
    return hl_fail(e, HL_ENOMEM, "no memory for %lld slices", (long long)all);
  return HL_OK;
}

static void set_direction(hl_series *s, const stack *st) {
  const double *axes[3] = {st->axis_z, st->axis_y, st->axis_x};
  for (int a = 0; a < 3; a++)
    for (int k = 0; k < 3; k++) s->direction[3 * a + k] = axes[a][2 - k];
}

static hl_status set_geometry(hl_series *s, const stack *st, int64_t kept, hl_err *e) {
  const hl_dicom_header *h = &st->slices[0].h;
  HL_TRY(allocate(s, kept, st->n, e));
  for (int64_t i = 0; i < st->n; i++) {
    const slice *p = &st->slices[i];
    if (p->dropped) continue;
    s->thickness_mm = fmax(s->thickness_mm, p->h.thickness_mm);
    s->z_mm[p->kept_as] = p->z_mm;
    s->roi_z_mm[p->kept_as] = p->h.position_mm[2];
    s->headers[p->kept_as] = p->h;
  }
  s->grid = (hl_grid){
      .size = {kept, h->rows, h->columns},
      .spacing_mm = {0, h->spacing_mm[0], h->spacing_mm[1]},
      .origin_mm = {s->z_mm[0], dot(h->position_mm, st->axis_y), dot(h->position_mm, st->axis_x)},
      .z_mm = s->z_mm};
  set_direction(s, st);
  name_slices(s, st);
  return check_steps(s, st, e);
}

static hl_status arrange(hl_series *s, stack *st, hl_err *e) {
  HL_TRY(find_axes(st, e));
  for (int64_t i = 0; i < st->n; i++)
    st->slices[i].z_mm = dot(st->slices[i].h.position_mm, st->axis_z);
  qsort(st->slices, (size_t)st->n, sizeof *st->slices, compare_place);
  HL_TRY(check_shift(st, e));
  int64_t kept = drop_doubles(st);
  if (kept < 2)
    return hl_fail(e, HL_EFORMAT, "%s: series %s has one slice, expected at least two", st->reading,
                   st->slices[0].h.series_uid);
  return set_geometry(s, st, kept, e);
}

/* ---- Voxels ---- */

typedef struct decoding {
  const slice **slices; /* kept ones */
  int64_t voxels;       /* of one slice */
  int16_t *out;
  hl_problems *problems;
  hl_status status;
  hl_err *err;
} decoding;

static hl_status decode(void *ctx, int64_t item, void *shared, hl_err *e) {
  const decoding *d = ctx;
  const slice *s = d->slices[item];
  return dicom_gdcm_pixels(s->file, &s->h, (int16_t *)shared + item * d->voxels, e);
}

static void decoded(void *ctx, int64_t item, void *shared, const hl_err *e) {
  decoding *d = ctx;
  const slice *s = d->slices[item];
  if (e->code == HL_OK) {
    memcpy(d->out + item * d->voxels, (const int16_t *)shared + item * d->voxels,
           (size_t)d->voxels * sizeof(int16_t));
    return;
  }
  hl_problems_add_err(d->problems, s->file, e);
  if (d->status == HL_OK) d->status = hl_fail(d->err, e->code, "%s: %s", s->file, e->msg);
}

static hl_status decode_all(hl_series *s, decoding *d, const hl_reader_limits *limits, hl_err *e) {
  hl_desc desc = {.dtype = HL_I16, .layout = HL_PLAIN, .shape = hl_shape_make(3, s->grid.size)};
  HL_TRY(hl_tensor_new(&s->voxels, &desc, hl_ledger_main(), HL_MEM_DATA, "CT series", e));
  d->voxels = s->grid.size[1] * s->grid.size[2];
  d->out = hl_tensor_i16(s->voxels);
  d->err = e;
  HL_TRY(hl_reader_run(s->grid.size[0], hl_tensor_bytes(s->voxels), decode, decoded, d, limits, e));
  return d->status;
}

static hl_status read_voxels(hl_series *s, const stack *st, const hl_reader_limits *limits,
                             hl_err *e) {
  decoding d = {.problems = st->problems};
  d.slices = hl_host_calloc((size_t)st->n, sizeof *d.slices);
  if (!d.slices) return hl_fail(e, HL_ENOMEM, "no memory for %lld slices", (long long)st->n);
  for (int64_t i = 0; i < st->n; i++)
    if (!st->slices[i].dropped) d.slices[st->slices[i].kept_as] = &st->slices[i];
  hl_status status = decode_all(s, &d, limits, e);
  hl_host_free(d.slices);
  return status;
}

/* ---- The series ---- */

static hl_status read_series(hl_series *s, stack *st, const char *const *files,
                             const hl_series_options *options, hl_err *e) {
  HL_TRY(read_headers(st, files, e));
  check_rescale(st);
  HL_TRY(arrange(s, st, e));
  if (options && options->header_only) return HL_OK;
  return read_voxels(s, st, options ? &options->limits : NULL, e);
}

hl_status hl_series_read(hl_series **out, const char *const *files, int64_t n,
                         const hl_series_options *options, hl_problems *problems, hl_err *e) {
  *out = NULL;
  if (n < 1) return hl_fail(e, HL_EINVAL, "a series without files");
  hl_series *s = hl_host_calloc(1, sizeof *s);
  stack st = {.n = n, .problems = problems};
  st.slices = hl_host_calloc((size_t)n, sizeof *st.slices);
  hl_status status = HL_OK;
  if (!s || !st.slices)
    status = hl_fail(e, HL_ENOMEM, "no memory for a series of %lld files", (long long)n);
  if (status == HL_OK) status = read_series(s, &st, files, options, e);
  hl_host_free(st.slices);
  if (status != HL_OK) {
    hl_series_free(s);
    return status;
  }
  *out = s;
  return HL_OK;
}

void hl_series_free(hl_series *s) {
  if (!s) return;
  hl_tensor_unref(s->voxels);
  hl_host_free(s->z_mm);
  hl_host_free(s->roi_z_mm);
  hl_host_free(s->uids);
  hl_host_free(s->uid_text);
  hl_host_free(s->headers);
  hl_host_free(s);
}

hl_tensor *hl_series_voxels(const hl_series *s) {
  return s->voxels;
}
const hl_grid *hl_series_grid(const hl_series *s) {
  return &s->grid;
}
const hl_slices *hl_series_slices(const hl_series *s) {
  return &s->slices;
}
const double *hl_series_direction(const hl_series *s) {
  return s->direction;
}
double hl_series_thickness_mm(const hl_series *s) {
  return s->thickness_mm > 0 ? s->thickness_mm : s->grid.spacing_mm[0];
}
const char *hl_series_uid(const hl_series *s) {
  return s->headers[0].series_uid;
}
const char *hl_series_study_uid(const hl_series *s) {
  return s->headers[0].study_uid;
}
const char *hl_series_patient(const hl_series *s) {
  return s->headers[0].patient_id;
}
const hl_dicom_header *hl_series_header(const hl_series *s, int64_t k) {
  return &s->headers[k];
}

hl_status hl_series_step(const hl_series *s, double *mm, hl_err *e) {
  hl_steps steps;
  int64_t n = s->grid.size[0];
  HL_TRY(hl_steps_measure(&steps, s->z_mm, n, e));
  if (steps.uneven)
    return hl_fail(
        e, HL_EFORMAT,
        "series %s: %lld of %lld steps between slices are uneven (median %g mm, worst %g mm off), "
        "expected one step",
        hl_series_uid(s), (long long)steps.uneven, (long long)(n - 1), steps.median_mm,
        steps.worst_mm);
  *mm = (s->z_mm[n - 1] - s->z_mm[0]) / (double)(n - 1);
  return HL_OK;
}

static hl_status hash_parts(hl_hash *h, const hl_series *s, hl_err *e) {
  const hl_grid *g = &s->grid;
  HL_TRY(hl_hash_add(h, hl_series_uid(s), strlen(hl_series_uid(s)) + 1, e));
  for (int64_t i = 0; i < s->slices.n_uids; i++)
    HL_TRY(hl_hash_add(h, s->uids[i].uid, strlen(s->uids[i].uid) + 1, e));
  HL_TRY(hl_hash_add(h, g->size, sizeof g->size, e));
  HL_TRY(hl_hash_add(h, g->spacing_mm, sizeof g->spacing_mm, e));
  HL_TRY(hl_hash_add(h, g->origin_mm, sizeof g->origin_mm, e));
  HL_TRY(hl_hash_add(h, s->z_mm, (size_t)g->size[0] * sizeof *s->z_mm, e));
  if (!s->voxels) return HL_OK;
  return hl_hash_add(h, hl_tensor_data(s->voxels), hl_tensor_bytes(s->voxels), e);
}

hl_status hl_series_hash(const hl_series *s, char out[HL_HASH_TEXT], hl_err *e) {
  hl_hash *h;
  out[0] = '\0';
  HL_TRY(hl_hash_new(&h, e));
  hl_status status = hash_parts(h, s, e);
  if (status == HL_OK) status = hl_hash_text(h, out, e);
  hl_hash_free(h);
  return status;
}
