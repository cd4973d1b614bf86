/* What is written for other programs, read back here: NIfTI by libnifti, segmentation objects by
 * our own reader of headers and their bits by hand. */
#define TAP_LEDGER
#include "scratch.h"
#include "tap.h"

#include <hilum/nifti_write.h>
#include <hilum/seg.h>

#include <nifti1_io.h>

enum { SLICES = 6, ROWS = 20, COLUMNS = 15 };

static const char *const SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4";

/* ---- A series with marks of three readers ---- */

static double z_of(int k, double uneven_mm) {
  return -100 + 2.5 * k + (k > 2 ? uneven_mm : 0);
}

static hl_series *make_series(double uneven_mm) {
  static char paths[SLICES][PATH_MAX];
  const char *files[SLICES];
  hl_err e = {0};
  hl_series *s = NULL;
  for (int k = 0; k < SLICES; k++) {
    int16_t hu[ROWS * COLUMNS];
    hl_dicom_header h = {.rows = ROWS,
                         .columns = COLUMNS,
                         .instance = k + 1,
                         .position_mm = {-8, -7, z_of(k, uneven_mm)},
                         .orientation = {1, 0, 0, 0, 1, 0},
                         .spacing_mm = {0.5, 0.75},
                         .thickness_mm = 2.5};
    snprintf(h.sop_uid, sizeof h.sop_uid, "2.25.%d", 1000 + k);
    snprintf(h.series_uid, sizeof h.series_uid, "2.25.77");
    snprintf(h.study_uid, sizeof h.study_uid, "2.25.7");
    snprintf(h.patient_id, sizeof h.patient_id, "P 1");
    for (int i = 0; i < ROWS * COLUMNS; i++) hu[i] = (int16_t)(i + 100 * k - 1000);
    snprintf(paths[k], PATH_MAX, "%s", in_scratch("slice-%d.dcm", k));
    files[k] = paths[k];
    if (hl_dicom_write_ct(files[k], &h, hu, "test", &e) != HL_OK) tap_diag("%s", e.msg);
  }
  if (hl_series_read(&s, files, SLICES, NULL, NULL, &e) != HL_OK) tap_diag("%s", e.msg);
  return s;
}

static hl_status add_square(hl_marks *m, int first, int last, int x, int y, int half, hl_err *e) {
  hl_point p[128];
  HL_TRY(hl_marks_add(m, HL_MARK_OUTLINE, "n", 1, e));
  for (int k = first; k <= last; k++) {
    char uid[24];
    int64_t n = 0;
    for (int i = -half; i < half; i++) p[n++] = (hl_point){x + i, y - half};
    for (int i = -half; i < half; i++) p[n++] = (hl_point){x + half, y + i};
    for (int i = half; i > -half; i--) p[n++] = (hl_point){x + i, y + half};
    for (int i = half; i > -half; i--) p[n++] = (hl_point){x - half, y + i};
    snprintf(uid, sizeof uid, "2.25.%d", 1000 + k);
    HL_TRY(hl_marks_add_roi(m, z_of(k, 0), uid, true, 1, e));
    HL_TRY(hl_marks_add_points(m, p, n, e));
  }
  return HL_OK;
}

/* One nodule that all three outlined, one that only the second did. */
static hl_status fill_marks(hl_marks *m, hl_err *e) {
  HL_TRY(hl_marks_set_source(m, "r.xml", "2.25.77", "2.25.7", "2001-02-03 04:05:06", e));
  for (int reader = 0; reader < 3; reader++) {
    HL_TRY(hl_marks_add_session(m, e));
    HL_TRY(add_square(m, 1, 3 + (reader == 2), 5, 5 + reader, 3, e));
    if (reader == 1) HL_TRY(add_square(m, 4, 5, 10, 15, 2, e));
  }
  hl_marks_finish(m);
  return HL_OK;
}

typedef struct scan {
  hl_series *series;
  hl_marks *marks;
  hl_nodules *nodules;
} scan;

static scan begin(double uneven_mm) {
  scan s = {.series = make_series(uneven_mm)};
  hl_err e = {0};
  hl_nodule_rule rule = hl_nodule_rule_default();
  rule.min_readers = 1;
  rule.min_diameter_mm = 0;
  rule.level = 1e-6;
  if (hl_marks_new(&s.marks, &e) != HL_OK || fill_marks(s.marks, &e) != HL_OK ||
      hl_nodules_find(&s.nodules, s.marks, hl_series_grid(s.series), hl_series_slices(s.series),
                      &rule, NULL, &e) != HL_OK)
    tap_diag("%s", e.msg);
  return s;
}

static void end(scan *s) {
  hl_nodules_free(s->nodules);
  hl_marks_free(s->marks);
  hl_series_free(s->series);
}

/* ---- Drawing ---- */

static int64_t drawn(const scan *s, hl_drawing what, int64_t *most) {
  hl_tensor *t;
  hl_err e = {0};
  int64_t n = 0;
  *most = 0;
  if (!succeeds(hl_nodules_draw(&t, s->nodules, &what, &e), &e, "drawing nodules")) return -1;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) {
    n += hl_tensor_u8(t)[i] != 0;
    if (hl_tensor_u8(t)[i] > *most) *most = hl_tensor_u8(t)[i];
  }
  hl_tensor_unref(t);
  return n;
}

static void test_drawing(const scan *s) {
  int64_t most;
  const hl_drawing half = {.session = -1, .level = 0.5}, any = {.session = -1, .level = 1e-6};
  const hl_drawing all = {.session = -1, .level = 1};
  const hl_drawing marks = {.session = -1, .level = 1, .of = HL_OF_MARKS, .labels = true};
  is_int(hl_nodules_count(s->nodules), 2, "two nodules");
  /* interiors of 5 x 5 pixels at y 5, 6, 7: two of three share 5 columns x 5 rows (y 4 to 8) */
  is_int(drawn(s, half, &most), 3 * 5 * 5, "two votes of three");
  is_int(most, 1, "are 1");
  is_int(drawn(s, all, &most), 3 * 5 * 3, "three of three");
  is_int(drawn(s, any, &most), 3 * 5 * 7 + 5 * 5 + 2 * 9, "any");
  is_int(drawn(s, marks, &most), 3 * 5 * 3 + 2 * 9, "all who outlined it");
  is_int(most, 2, "with their numbers");
  is_int(drawn(s, (hl_drawing){.session = 0, .level = 1}, &most), 3 * 25, "the first reader");
  is_int(drawn(s, (hl_drawing){.session = 1, .level = 1}, &most), 3 * 25 + 18, "the second");
  is_int(drawn(s, (hl_drawing){.session = 7, .level = 1}, &most), 0, "nobody");
}

/* ---- NIfTI ---- */

static const hl_space flipped = {.spacing_mm = {2, 0.5, 0.75},
                                 .origin_mm = {30, -20, 10},
                                 .direction = {1, 0, 0, 0, -1, 0, 0, 0, 1}};

static hl_tensor *ramp(hl_dtype dtype) {
  hl_desc d = {.dtype = dtype, .shape = {3, {2, 3, 4}}};
  hl_tensor *t;
  hl_err e = {0};
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "ramp", &e) != HL_OK) return NULL;
  for (int64_t i = 0; i < 24; i++) {
    const int64_t at[3] = {i / 12, i / 4 % 3, i % 4};
    if (hl_tensor_set(t, at, (double)(i * 10), &e) != HL_OK) tap_diag("%s", e.msg);
  }
  return t;
}

static void test_nifti_values(hl_dtype dtype, int code, const char *path) {
  hl_tensor *t = ramp(dtype);
  hl_err e = {0};
  succeeds(hl_nifti_write(path, t, &flipped, "hilum test", &e), &e, "writing %s as %s",
           hl_dtype_name(dtype), path);
  nifti_image *n = nifti_image_read(path, 1);
  if (!ok(n != NULL, "libnifti reads it")) return;
  ok(n->nx == 4 && n->ny == 3 && n->nz == 2 && n->ndim == 3, "size");
  is_int(n->datatype, code, "type");
  is_str(n->descrip, "hilum test", "description");
  ok(memcmp(n->data, hl_tensor_data(t), hl_tensor_bytes(t)) == 0, "voxels, x first");
  ok(n->sform_code == NIFTI_XFORM_SCANNER_ANAT && n->qform_code == NIFTI_XFORM_SCANNER_ANAT,
     "in the scanner's space");
  /* LPS (x 10 + 0.75 i, y -20 - 0.5 j, z 30 + 2 k) with x and y negated */
  const float want[3][4] = {{-0.75F, 0, 0, -10}, {0, 0.5F, 0, 20}, {0, 0, 2, 30}};
  double off = 0;
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 4; c++) {
      off = fmax(off, fabs((double)(n->sto_xyz.m[r][c] - want[r][c])));
      off = fmax(off, fabs((double)(n->qto_xyz.m[r][c] - want[r][c])));
    }
  is_near(off, 0, 1e-5, "sform and qform: to right, anterior, superior");
  is_int(n->xyz_units, NIFTI_UNITS_MM, "in mm");
  nifti_image_free(n);
  hl_tensor_unref(t);
}

static void test_nifti(void) {
  test_nifti_values(HL_I16, DT_INT16, in_scratch("a.nii"));
  test_nifti_values(HL_I16, DT_INT16, in_scratch("a.nii.gz"));
  test_nifti_values(HL_U8, DT_UINT8, in_scratch("b.nii.gz"));
  test_nifti_values(HL_F32, DT_FLOAT32, in_scratch("c.nii.gz"));
  hl_err e = {0};
  hl_tensor *t = ramp(HL_I16), *wide = ramp(HL_F64);
  size_t n, again;
  succeeds(hl_nifti_write(in_scratch("d.nii.gz"), t, &flipped, "hilum test", &e), &e, "once more");
  char *a = read_bytes(in_scratch("a.nii.gz"), &n), *d = read_bytes(in_scratch("d.nii.gz"), &again);
  ok(n == again && memcmp(a, d, n) == 0, "the same bytes");
  free(a);
  free(d);
  fails(hl_nifti_write(in_scratch("a.img"), t, &flipped, "", &e), HL_EINVAL, &e,
        "a.img: expected a name that ends in .nii.gz or .nii", "another ending");
  fails(hl_nifti_write(in_scratch("e.nii"), wide, &flipped, "", &e), HL_ESHAPE, &e,
        "not f64[2,3,4]", "another type");
  fails(hl_nifti_write(in_scratch("no/e.nii"), t, &flipped, "", &e), HL_EIO, &e, "No such file",
        "a folder that is not there");
  hl_tensor_unref(t);
  hl_tensor_unref(wide);
}

static void test_step(void) {
  hl_err e = {0};
  double mm = 0;
  hl_series *s = make_series(0);
  succeeds(hl_series_step(s, &mm, &e), &e, "an even series");
  is_near(mm, 2.5, 1e-12, "has one step");
  is_str(hl_series_header(s, 2)->sop_uid, "2.25.1002", "headers are in the stack's order");
  hl_series_free(s);
  s = make_series(0.4);
  fails(hl_series_step(s, &mm, &e), HL_EFORMAT, &e,
        "series 2.25.77: 1 of 5 steps between slices are uneven (median 2.5 mm, worst 0.4 mm off)",
        "an uneven one has none");
  hl_series_free(s);
}

/* ---- Segmentation objects ---- */

/* Bits of frame f that are set; those of the object lie at the end of the file. */
static int64_t set_bits(const char *bytes, size_t n, int64_t frames, int64_t f) {
  const int64_t pixels = (int64_t)ROWS * COLUMNS;
  size_t packed = (size_t)((frames * pixels + 7) / 8);
  const uint8_t *bits = (const uint8_t *)bytes + n - packed - packed % 2;
  int64_t set = 0;
  for (int64_t i = f * pixels; i < (f + 1) * pixels; i++) set += bits[i / 8] >> i % 8 & 1;
  return set;
}

static void test_seg_of(const scan *s, bool readers, const int64_t *want, int64_t frames,
                        int64_t segments) {
  const hl_seg_options o = {.readers = readers, .level = 0.5};
  const char *path = in_scratch("x%d.dcm", readers);
  hl_err e = {0};
  hl_seg_result r;
  hl_dicom_header h;
  if (!succeeds(hl_seg_write(path, s->series, s->nodules, s->marks, &o, &r, &e), &e,
                "writing a segmentation object"))
    return;
  is_int(r.segments, segments, "segments");
  is_int(r.frames, frames, "frames");
  is_int(r.without_consensus, readers ? 0 : 1, "nodules without a consensus");
  if (!succeeds(hl_dicom_header_read(path, &h, &e), &e, "reading its header")) return;
  is_str(h.sop_class, SEGMENTATION, "class");
  is_str(h.modality, "SEG", "modality");
  is_str(h.study_uid, "2.25.7", "the series' study");
  is_str(h.patient_id, "P 1", "and patient");
  is_str(h.frame_uid, hl_series_header(s->series, 0)->frame_uid, "and frame of reference");
  ok(strncmp(h.series_uid, "2.25.", 5) == 0 && strcmp(h.series_uid, "2.25.77") != 0,
     "a series of its own: %s", h.series_uid);
  ok(h.rows == ROWS && h.columns == COLUMNS && h.frames == frames && h.bits_allocated == 1,
     "frames of one bit a pixel");
  ok((h.has & HL_DICOM_PIXELS) != 0, "all pixels are there");
  size_t n;
  char *bytes = read_bytes(path, &n);
  for (int64_t f = 0; f < frames; f++)
    is_int(set_bits(bytes, n, frames, f), want[f], "pixels of frame %lld", (long long)f);
  free(bytes);
}

static void test_seg(const scan *s) {
  static const int64_t consensus[] = {25, 25, 25}; /* rows 4 to 8 of slices 1 to 3 */
  static const int64_t readers[] = {25, 25, 25, 25, 25, 25, 25, 25, 25, 25, 9, 9};
  test_seg_of(s, false, consensus, 3, 1);
  test_seg_of(s, true, readers, 12, 4);
  hl_err e = {0};
  hl_seg_result r;
  hl_nodules *none;
  hl_nodule_rule rule = hl_nodule_rule_default();
  rule.min_diameter_mm = 1000;
  const hl_seg_options o = {.level = 0.5};
  if (hl_nodules_find(&none, s->marks, hl_series_grid(s->series), hl_series_slices(s->series),
                      &rule, NULL, &e) != HL_OK)
    return;
  const char *path = in_scratch("none.dcm");
  fails(hl_seg_write(path, s->series, none, s->marks, &o, &r, &e), HL_EFORMAT, &e,
        "none.dcm: series 2.25.77 has no nodule to write", "no nodule");
  ok(access(path, F_OK) != 0, "leaves nothing");
  hl_nodules_free(none);
}

/* Labels on the series' grid: part 1 one voxel of slice 1, part 2 two voxels on slices 2 and 4. */
static hl_tensor *make_labels(const hl_series *series) {
  hl_desc d = {.dtype = HL_I32, .shape = hl_shape_make(3, hl_series_grid(series)->size)};
  hl_tensor *t = NULL;
  hl_err e = {0};
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "labels", &e) != HL_OK) tap_diag("%s", e.msg);
  hl_tensor_i32(t)[ROWS * COLUMNS + 2 * COLUMNS + 3] = 1;
  hl_tensor_i32(t)[2 * ROWS * COLUMNS] = 2;
  hl_tensor_i32(t)[4 * ROWS * COLUMNS + ROWS * COLUMNS - 1] = 2;
  return t;
}

static void test_seg_parts(const scan *s) {
  hl_seg_part parts[] = {{{1, 2, 3}, {1, 1, 1}, "small"}, {{2, 0, 0}, {3, ROWS, COLUMNS}, "large"}};
  const char *path = in_scratch("parts.dcm");
  hl_tensor *labels = make_labels(s->series);
  hl_err e = {0};
  hl_seg_result r;
  hl_dicom_header h;
  size_t n;
  if (succeeds(hl_seg_write_parts(path, s->series, labels, parts, 2, "hilum x", &r, &e), &e,
               "labels as a segmentation object") &&
      succeeds(hl_dicom_header_read(path, &h, &e), &e, "reading its header")) {
    is_int(r.segments, 2, "a segment for each label");
    is_int(r.frames, 3, "a frame for each slice with a voxel of it");
    is_str(h.sop_class, SEGMENTATION, "class");
    is_str(h.study_uid, "2.25.7", "the series' study");
    char *bytes = read_bytes(path, &n);
    for (int64_t f = 0; f < 3; f++) is_int(set_bits(bytes, n, 3, f), 1, "one pixel a frame");
    int automatic = 0, algorithm = 0;
    for (size_t i = 0; i + 20 < n; i++) {
      automatic += memcmp(bytes + i, "CS\x0a\0AUTOMATIC ", 14) == 0;
      algorithm += memcmp(bytes + i, "LO\x08\0hilum x ", 12) == 0;
    }
    is_int(automatic, 2, "segments made by a program");
    is_int(algorithm, 2, "which is named");
    free(bytes);
  }
  fails(hl_seg_write_parts(path, s->series, labels, parts, 0, "x", &r, &e), HL_EFORMAT, &e,
        "nothing is predicted in series 2.25.77", "no part");
  hl_seg_part twice[] = {parts[1], parts[0]}; /* part 2 lies elsewhere */
  fails(hl_seg_write_parts(path, s->series, labels, twice, 2, "x", &r, &e), HL_EINVAL, &e,
        "no voxel has the label 1", "a box without its label");
  parts[0].size[2] = COLUMNS;
  fails(hl_seg_write_parts(path, s->series, labels, parts, 2, "x", &r, &e), HL_EINVAL, &e,
        "a part's box lies outside the series", "a box beyond the series");
  hl_tensor_unref(labels);
  labels = ramp(HL_I16);
  fails(hl_seg_write_parts(path, s->series, labels, parts, 2, "x", &r, &e), HL_ESHAPE, &e,
        "labels are i16[2,3,4], expected i32[", "labels on another grid");
  hl_tensor_unref(labels);
}

/* Frames have their own positions: uneven steps are no obstacle, only not to be named as one. */
static void test_seg_uneven(void) {
  const hl_seg_options o = {.level = 0.5};
  hl_err e = {0};
  hl_seg_result r;
  size_t n;
  scan s = begin(0.4);
  const char *path = in_scratch("uneven.dcm");
  if (succeeds(hl_seg_write(path, s.series, s.nodules, s.marks, &o, &r, &e), &e,
               "an uneven series as a segmentation object")) {
    char *bytes = read_bytes(path, &n);
    int positions = 0, steps = 0;
    for (size_t i = 0; i + 24 < n; i++) {
      positions += memcmp(bytes + i, "-8\\-7\\-92.1", 11) == 0;
      steps += memcmp(bytes + i, "\x18\0\x88\0DS", 6) == 0;
    }
    is_int(positions, 1, "the slice behind the uneven step is where it is");
    is_int(steps, 0, "no spacing between slices is claimed");
    free(bytes);
  }
  end(&s);
}

int main(void) {
  scratch_begin("export");
  nifti_set_debug_level(0);
  test_nifti();
  test_step();
  scan s = begin(0);
  test_drawing(&s);
  test_seg(&s);
  test_seg_parts(&s);
  end(&s);
  test_seg_uneven();
  return tap_done();
}
