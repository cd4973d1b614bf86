/* A case of the phantom as files: slices and a reading, each plain or with what a variant asks for.
 */
#include "phantom_case.h"
#include <hilum/dicom.h>
#include <hilum/ledger.h>
#include <hilum/lidc.h>
#include <hilum/parallel.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TWIN = 1000000, OTHER_IMAGE = 2000000, LOWEST_HU = -1024 };
static const double TILT_SINE = 0.2588190451, TILT_COSINE = 0.9659258263; /* 15 degrees */
static const double UNEVEN_MM = 0.2;
static const char RADIOGRAPH[] = "1.2.840.10008.5.1.4.1.1.1.1";
static const char SEGMENTATION[] = "1.2.840.10008.5.1.4.1.1.66.4";

typedef struct writing {
  const char *folder;
  const hl_phantom_scan *scan;
  const hl_phantom_options *options;
  int item;
  hl_dicom_header h;
  int16_t *pixels; /* of one slice, where they differ from the scan's */
  int64_t slices, area;
} writing;

static bool is(const writing *w, hl_phantom_variant variant) {
  return w->options->variant == variant;
}

static hl_status path_of(char out[PATH_MAX], const writing *w, const char *name, hl_err *e) {
  int n = snprintf(out, PATH_MAX, "%s/%s", w->folder, name);
  if (n < 0 || n >= PATH_MAX) return hl_fail(e, HL_EINVAL, "%s: the path is too long", w->folder);
  return HL_OK;
}

static double in_place(int64_t k) {
  (void)k;
  return 0;
}
static double uneven(int64_t k) {
  return k % 3 == 1 ? UNEVEN_MM : 0;
}
static phantom_shift shift_of(const writing *w) {
  return is(w, HL_PHANTOM_UNEVEN) ? uneven : in_place;
}

/* ---- Slices ---- */

static void describe(writing *w, const char *patient) {
  const hl_phantom_scan *s = w->scan;
  const hl_shape *shape = hl_tensor_shape(s->voxels);
  hl_dicom_header *h = &w->h;
  *h = (hl_dicom_header){.rows = (int)shape->dim[1],
                         .columns = (int)shape->dim[2],
                         .orientation = {1, 0, 0, 0, 1, 0},
                         .spacing_mm = {s->spacing_mm[1], s->spacing_mm[2]},
                         .thickness_mm = s->thickness_mm,
                         .is_signed = !is(w, HL_PHANTOM_UNSIGNED) && !is(w, HL_PHANTOM_BITS12),
                         .bits_stored = is(w, HL_PHANTOM_BITS12) ? 12 : 16};
  int padding_hu = is(w, HL_PHANTOM_PADDING) ? INT16_MIN : h->is_signed ? s->padding_hu : 0;
  if (padding_hu) {
    h->has = HL_DICOM_PADDING;
    h->padding = padding_hu - LOWEST_HU;
  }
  if (is(w, HL_PHANTOM_OVERLAPPING)) h->thickness_mm = 2 * s->spacing_mm[0];
  if (is(w, HL_PHANTOM_TILTED)) {
    h->orientation[4] = TILT_COSINE;
    h->orientation[5] = TILT_SINE;
  }
  snprintf(h->patient_id, sizeof h->patient_id, "%s", patient);
  snprintf(h->series_uid, sizeof h->series_uid, "%s", hl_marks_series_uid(s->marks));
  snprintf(h->study_uid, sizeof h->study_uid, "%s", hl_marks_study_uid(s->marks));
}

/* Padding that no scanner would write: the lowest value there is, beyond a circle in any case. */
static const int16_t *pixels_of(writing *w, int64_t k) {
  const int16_t *hu = hl_tensor_i16(w->scan->voxels) + k * w->area;
  if (!is(w, HL_PHANTOM_PADDING)) return hu;
  int64_t n = w->h.columns;
  for (int64_t i = 0; i < w->area; i++) {
    int64_t dy = 2 * (i / n) - n + 1, dx = 2 * (i % n) - n + 1;
    w->pixels[i] = dy * dy + dx * dx > n * n ? INT16_MIN : hu[i];
  }
  return w->pixels;
}

static hl_status write_image(writing *w, const char *name, int64_t k, int64_t uid, hl_err *e) {
  char path[PATH_MAX];
  const hl_phantom_scan *s = w->scan;
  hl_dicom_header *h = &w->h;
  h->position_mm[0] = s->origin_mm[2];
  h->position_mm[1] = s->origin_mm[1];
  h->position_mm[2] = s->origin_mm[0] + (double)k * s->spacing_mm[0] + shift_of(w)(k);
  HL_TRY(hl_phantom_uid(h->sop_uid, w->options, w->item, HL_PHANTOM_SLICE, uid, e));
  HL_TRY(path_of(path, w, name, e));
  return hl_dicom_write_ct(path, h, pixels_of(w, k), "hilum phantom", e);
}

/* Slices are numbered from the head down, as scanners do. */
static hl_status write_slice(writing *w, int64_t k, hl_err *e) {
  char name[32];
  w->h.instance = (int)(w->slices - k);
  snprintf(name, sizeof name, "1-%03d.dcm", w->h.instance);
  return write_image(w, name, k, k, e);
}

static hl_status cut(const char *path, hl_err *e) {
  struct stat st;
  if (stat(path, &st) == 0 && truncate(path, st.st_size / 2) == 0) return HL_OK;
  return hl_fail(e, HL_EIO, "%s: cannot be cut: %s", path, strerror(errno));
}

/* ---- What comes beside, or goes ---- */

/* A file of the study that is no CT slice; only its header is told apart. */
static hl_status write_other_image(writing *w, const char *modality, const char *sop_class,
                                   hl_err *e) {
  hl_dicom_header ct = w->h;
  snprintf(w->h.modality, sizeof w->h.modality, "%s", modality);
  snprintf(w->h.sop_class, sizeof w->h.sop_class, "%s", sop_class);
  hl_status status = hl_phantom_uid(w->h.series_uid, w->options, w->item, HL_PHANTOM_SERIES, 1, e);
  if (status == HL_OK) status = write_image(w, "2-001.dcm", 0, OTHER_IMAGE, e);
  w->h = ct;
  return status;
}

static hl_status write_text(const writing *w, const char *name, const char *text, hl_err *e) {
  char path[PATH_MAX];
  HL_TRY(path_of(path, w, name, e));
  FILE *f = fopen(path, "wbe");
  bool failed = !f || fputs(text, f) < 0;
  if (f) failed = fclose(f) != 0 || failed;
  return failed ? hl_fail(e, HL_EIO, "%s: cannot be written: %s", path, strerror(errno)) : HL_OK;
}

/* Something happens to the slice in the middle, or something lies beside. */
static hl_status spoil_middle(writing *w, hl_err *e) {
  char path[PATH_MAX], name[32];
  int64_t k = w->slices / 2;
  snprintf(name, sizeof name, "1-%03d.dcm", (int)(w->slices - k));
  HL_TRY(path_of(path, w, name, e));
  w->h.instance = (int)(w->slices - k);
  switch (w->options->variant) {
  case HL_PHANTOM_MISSING_SLICE:
    if (unlink(path) == 0) return HL_OK;
    return hl_fail(e, HL_EIO, "%s: cannot be removed: %s", path, strerror(errno));
  case HL_PHANTOM_TRUNCATED:
    return cut(path, e);
  case HL_PHANTOM_REPEATED_FILE:
    return write_image(w, "1-900.dcm", k, k, e);
  case HL_PHANTOM_DOUBLED_SLICE:
    w->h.instance = 900;
    return write_image(w, "1-900.dcm", k, TWIN, e);
  case HL_PHANTOM_RADIOGRAPH:
    HL_TRY(write_text(w, "radiograph.xml", "<IdriReadMessage xmlns=\"http://www.nih.gov/idri\"/>\n",
                      e));
    return write_other_image(w, "DX", RADIOGRAPH, e);
  case HL_PHANTOM_SEGMENTATION:
    return write_other_image(w, "SEG", SEGMENTATION, e);
  default:
    return HL_OK;
  }
}

/* ---- The reading ---- */

static hl_status write_reading(const writing *w, const char *name, hl_phantom_variant variant,
                               hl_err *e) {
  char path[PATH_MAX];
  hl_marks *marks;
  HL_TRY(path_of(path, w, name, e));
  HL_TRY(phantom_vary_marks(&marks, w->scan, variant, shift_of(w), e));
  hl_status status = hl_lidc_write(path, marks, e);
  hl_marks_free(marks);
  return status;
}

static hl_status write_readings(const writing *w, hl_err *e) {
  char path[PATH_MAX];
  if (is(w, HL_PHANTOM_NO_READING)) return HL_OK;
  HL_TRY(write_reading(w, "reading.xml", w->options->variant, e));
  HL_TRY(path_of(path, w, "reading.xml", e));
  if (is(w, HL_PHANTOM_DAMAGED_XML)) return cut(path, e);
  if (is(w, HL_PHANTOM_SAME_READING)) return write_reading(w, "again.xml", HL_PHANTOM_PLAIN, e);
  if (is(w, HL_PHANTOM_OTHER_READING))
    return write_reading(w, "second.xml", HL_PHANTOM_SESSIONS_3, e);
  return HL_OK;
}

static hl_status write_files(writing *w, hl_err *e) {
  for (int64_t k = 0; k < w->slices; k++) {
    if (hl_cancel_requested()) return hl_fail(e, HL_ECANCELLED, "stopped while writing a phantom");
    HL_TRY(write_slice(w, k, e));
  }
  HL_TRY(spoil_middle(w, e));
  return write_readings(w, e);
}

hl_status phantom_write_case(const char *folder, const hl_phantom_scan *s,
                             const hl_phantom_options *o, int item, const char *patient,
                             hl_err *e) {
  const hl_shape *shape = hl_tensor_shape(s->voxels);
  writing w = {.folder = folder, .scan = s, .options = o, .item = item};
  w.slices = shape->dim[0];
  w.area = shape->dim[1] * shape->dim[2];
  w.pixels = hl_host_calloc((size_t)w.area, sizeof *w.pixels);
  if (!w.pixels) return hl_fail(e, HL_ENOMEM, "no memory for a phantom's slice");
  describe(&w, patient);
  hl_status status = write_files(&w, e);
  hl_host_free(w.pixels);
  return status;
}
