/* Built in memory, then written at once: masks are packed into frames as they come, then follow the
 * modules in ascending order of tags. */
#include "seg.h"

#include "dicom_put.h"
#include <hilum/disk.h>
#include <hilum/ledger.h>

#include <stdio.h>
#include <string.h>

static const char SEGMENTATION[] = "1.2.840.10008.5.1.4.1.1.66.4";

/* ---- Masks ---- */

hl_status seg_begin(seg_object *o, int64_t segments, int64_t frames, hl_err *e) {
  const hl_grid *g = hl_series_grid(o->series);
  if (segments > UINT16_MAX)
    return hl_fail(e, HL_EINVAL, "%lld segments, expected at most 65535", (long long)segments);
  o->pixels = g->size[1] * g->size[2];
  o->most_segments = segments;
  o->most_frames = frames;
  o->segments = hl_host_calloc((size_t)segments + 1, sizeof *o->segments);
  o->frames = hl_host_calloc((size_t)frames + 1, sizeof *o->frames);
  o->bits = hl_host_calloc((size_t)(frames * o->pixels / 8 + 1), 1);
  o->rank = hl_host_calloc((size_t)g->size[0], sizeof *o->rank);
  if (!o->segments || !o->frames || !o->bits || !o->rank)
    return hl_fail(e, HL_ENOMEM, "no memory for %lld frames of %lld pixels", (long long)frames,
                   (long long)o->pixels);
  return HL_OK;
}

void seg_release(seg_object *o) {
  hl_host_free(o->segments);
  hl_host_free(o->frames);
  hl_host_free(o->bits);
  hl_host_free(o->rank);
}

/* The first pixel is the lowest bit (PS3.5 §8.1.1); frames follow each other without padding. */
static bool pack_slice(seg_object *o, const int64_t first[3], const int64_t size[3],
                       const uint8_t *mask, int64_t z) {
  int64_t columns = hl_series_grid(o->series)->size[2];
  bool any = false;
  for (int64_t y = 0; y < size[1]; y++)
    for (int64_t x = 0; x < size[2]; x++) {
      if (!mask[(z * size[1] + y) * size[2] + x]) continue;
      int64_t bit = o->n_frames * o->pixels + (y + first[1]) * columns + x + first[2];
      o->bits[bit / 8] |= (uint8_t)(1 << bit % 8);
      any = true;
    }
  return any;
}

bool seg_add(seg_object *o, const seg_segment *s, const int64_t first[3], const int64_t size[3],
             const uint8_t *mask) {
  int64_t before = o->n_frames;
  for (int64_t z = 0; z < size[0]; z++) {
    if (!pack_slice(o, first, size, mask, z)) continue;
    o->frames[o->n_frames++] = (seg_frame){.segment = o->n_segments, .slice = z + first[0]};
    o->rank[z + first[0]] = 1;
  }
  if (o->n_frames == before) return false;
  o->segments[o->n_segments++] = *s;
  return true;
}

static void rank_slices(seg_object *o) {
  int64_t rank = 0, slices = hl_series_grid(o->series)->size[0];
  for (int64_t k = 0; k < slices; k++)
    if (o->rank[k]) o->rank[k] = ++rank;
}

static size_t packed_bytes(const seg_object *o) {
  return (size_t)((o->n_frames * o->pixels + 7) / 8);
}

/* ---- UIDs ---- */

static hl_status hash_content(seg_object *o, hl_hash *h, hl_err *e) {
  const char *uid = hl_series_uid(o->series);
  HL_TRY(hl_hash_add(h, uid, strlen(uid) + 1, e));
  for (int64_t i = 0; i < o->n_frames; i++) {
    const seg_frame *f = &o->frames[i];
    const seg_segment *s = &o->segments[f->segment];
    const int64_t numbers[4] = {f->segment, s->nodule, s->part, f->slice};
    HL_TRY(hl_hash_add(h, numbers, sizeof numbers, e));
  }
  for (int64_t i = 0; i < o->n_segments; i++) {
    const seg_segment *s = &o->segments[i];
    HL_TRY(hl_hash_add(h, s->text, strlen(s->text) + 1, e));
    if (s->algorithm) HL_TRY(hl_hash_add(h, s->algorithm, strlen(s->algorithm) + 1, e));
  }
  HL_TRY(hl_hash_add(h, o->bits, packed_bytes(o), e));
  return hl_hash_text(h, o->name, e);
}

static hl_status name_content(seg_object *o, hl_err *e) {
  hl_hash *h;
  HL_TRY(hl_hash_new(&h, e));
  hl_status status = hash_content(o, h, e);
  hl_hash_free(h);
  return status;
}

/* A UID of this object for `role`, and for a number where there are several. */
static void put_uid(dicom_out *d, uint32_t tag, const seg_object *o, const char *role,
                    int64_t number) {
  char name[HL_HASH_TEXT + 64], uid[HL_HASH_UID_TEXT];
  int n = snprintf(name, sizeof name, "hilum %s %s %lld", role, o->name, (long long)number);
  hl_status status = hl_hash_uid(name, (size_t)n, uid, NULL);
  if (status != HL_OK && d->status == HL_OK) d->status = status;
  dicom_put_text(d, tag, "UI", uid);
}

static hl_status instance_uid(const seg_object *o, char uid[HL_HASH_UID_TEXT], hl_err *e) {
  char name[HL_HASH_TEXT + 64];
  int n = snprintf(name, sizeof name, "hilum instance %s 0", o->name);
  return hl_hash_uid(name, (size_t)n, uid, e);
}

/* ---- Modules ---- */

static const hl_dicom_header *source(const seg_object *o, int64_t slice) {
  return hl_series_header(o->series, slice);
}

static void put_reference(dicom_out *d, const hl_dicom_header *h) {
  dicom_put_text(d, 0x00081150, "UI", h->sop_class);
  dicom_put_text(d, 0x00081155, "UI", h->sop_uid);
}

/* "YYYY-MM-DD hh:mm:ss" without all but its digits; false if it is not that. */
static bool digits_of(const char *date, char out[15]) {
  int n = 0;
  for (const char *c = date; *c; c++) {
    if (*c < '0' || *c > '9') continue;
    if (n == 14) return false;
    out[n++] = *c;
  }
  out[n] = '\0';
  return n == 14 && strlen(date) == 19;
}

/* The content's own date, or the study's. */
static void put_dates(dicom_out *d, const seg_object *o) {
  const hl_dicom_header *h = source(o, 0);
  char digits[15], date[9], time[7] = "000000";
  snprintf(date, sizeof date, "%.8s", h->study_date[0] ? h->study_date : "20000101");
  if (digits_of(o->date, digits)) {
    memcpy(date, digits, 8);
    memcpy(time, digits + 8, 6);
  }
  dicom_put_text(d, 0x00080020, "DA", h->study_date);
  dicom_put_text(d, 0x00080023, "DA", date);
  dicom_put_text(d, 0x00080030, "TM", h->study_time);
  dicom_put_text(d, 0x00080033, "TM", time);
}

static void put_series_reference(dicom_out *d, const seg_object *o) {
  dicom_begin_only(d, 0x00081115);
  dicom_begin_sequence(d, 0x0008114A);
  for (int64_t k = 0; k < hl_series_grid(o->series)->size[0]; k++) {
    dicom_begin_item(d);
    put_reference(d, source(o, k));
    dicom_end_item(d);
  }
  dicom_end_sequence(d);
  dicom_put_text(d, 0x0020000E, "UI", hl_series_uid(o->series));
  dicom_end_only(d);
}

static void put_general(dicom_out *d, const seg_object *o) {
  const hl_dicom_header *h = source(o, 0);
  dicom_put_text(d, 0x00080008, "CS", "DERIVED\\PRIMARY");
  dicom_put_text(d, 0x00080016, "UI", SEGMENTATION);
  put_uid(d, 0x00080018, o, "instance", 0);
  put_dates(d, o);
  dicom_put_text(d, 0x00080050, "SH", h->accession);
  dicom_put_text(d, 0x00080060, "CS", "SEG");
  dicom_put_text(d, 0x00080070, "LO", "hilum");
  dicom_put_text(d, 0x00080090, "PN", "");
  dicom_put_text(d, 0x0008103E, "LO", o->title);
  dicom_put_text(d, 0x00081090, "LO", "hilum");
  put_series_reference(d, o);
  dicom_put_text(d, 0x00100010, "PN", h->patient_name);
  dicom_put_text(d, 0x00100020, "LO", h->patient_id);
  dicom_put_text(d, 0x00100030, "DA", h->patient_birth);
  dicom_put_text(d, 0x00100040, "CS", h->patient_sex);
  dicom_put_text(d, 0x00181000, "LO", "none");
  dicom_put_text(d, 0x00181020, "LO", hl_version());
  dicom_put_text(d, 0x0020000D, "UI", h->study_uid);
  put_uid(d, 0x0020000E, o, "series", 0);
  dicom_put_text(d, 0x00200010, "SH", h->study_id);
  dicom_put_integer(d, 0x00200011, 1000);
  dicom_put_integer(d, 0x00200013, 1);
  dicom_put_text(d, 0x00200052, "UI", h->frame_uid);
  dicom_put_text(d, 0x00201040, "LO", "");
}

static void put_dimension(dicom_out *d, const seg_object *o, uint32_t pointer, uint32_t group,
                          const char *label) {
  dicom_begin_item(d);
  put_uid(d, 0x00209164, o, "dimensions", 0);
  dicom_put_pointer(d, 0x00209165, pointer);
  dicom_put_pointer(d, 0x00209167, group);
  dicom_put_text(d, 0x00209421, "LO", label);
  dicom_end_item(d);
}

static void put_dimensions(dicom_out *d, const seg_object *o) {
  dicom_begin_only(d, 0x00209221);
  put_uid(d, 0x00209164, o, "dimensions", 0);
  dicom_end_only(d);
  dicom_begin_sequence(d, 0x00209222);
  put_dimension(d, o, 0x0062000B, 0x0062000A, "ReferencedSegmentNumber");
  put_dimension(d, o, 0x00200032, 0x00209113, "ImagePositionPatient");
  dicom_end_sequence(d);
}

static void put_image(dicom_out *d, const seg_object *o) {
  const hl_dicom_header *h = source(o, 0);
  dicom_put_us(d, 0x00280002, 1);
  dicom_put_text(d, 0x00280004, "CS", "MONOCHROME2");
  dicom_put_integer(d, 0x00280008, o->n_frames);
  dicom_put_us(d, 0x00280010, h->rows);
  dicom_put_us(d, 0x00280011, h->columns);
  dicom_put_us(d, 0x00280100, 1);
  dicom_put_us(d, 0x00280101, 1);
  dicom_put_us(d, 0x00280102, 0);
  dicom_put_us(d, 0x00280103, 0);
  dicom_put_text(d, 0x00282110, "CS", "00");
  dicom_put_text(d, 0x00620001, "CS", "BINARY");
}

static void put_segment(dicom_out *d, const seg_object *o, int64_t i) {
  const seg_segment *s = &o->segments[i];
  dicom_begin_item(d);
  dicom_put_code(d, 0x00082218, "39607008", "SCT", "Lung");
  dicom_put_code(d, 0x00620003, "49755003", "SCT", "Morphologically Abnormal Structure");
  dicom_put_us(d, 0x00620004, (int)(i + 1));
  dicom_put_text(d, 0x00620005, "LO", s->label);
  dicom_put_text(d, 0x00620006, "ST", s->text);
  dicom_put_text(d, 0x00620008, "CS", s->type);
  if (s->algorithm) dicom_put_text(d, 0x00620009, "LO", s->algorithm);
  dicom_put_code(d, 0x0062000F, "27925004", "SCT", "Nodule");
  dicom_put_text(d, 0x00620020, "UT", s->tracking);
  put_uid(d, 0x00620021, o, "nodule", s->nodule);
  dicom_end_item(d);
}

static void put_segments(dicom_out *d, const seg_object *o) {
  dicom_begin_sequence(d, 0x00620002);
  for (int64_t i = 0; i < o->n_segments; i++) put_segment(d, o, i);
  dicom_end_sequence(d);
  dicom_put_text(d, 0x00700080, "CS", "NODULES");
  dicom_put_text(d, 0x00700081, "LO", o->content);
  dicom_put_text(d, 0x00700084, "PN", "");
}

/* ---- Functional groups ---- */

static void put_shared_groups(dicom_out *d, const seg_object *o) {
  const hl_dicom_header *h = source(o, 0);
  double median_mm = hl_series_grid(o->series)->spacing_mm[0], step_mm;
  double thickness_mm = h->thickness_mm > 0 ? h->thickness_mm : median_mm;
  dicom_begin_only(d, 0x52009229);
  dicom_begin_only(d, 0x00209116);
  dicom_put_numbers(d, 0x00200037, h->orientation, 6);
  dicom_end_only(d);
  dicom_begin_only(d, 0x00289110);
  dicom_put_numbers(d, 0x00180050, &thickness_mm, 1);
  if (hl_series_step(o->series, &step_mm, NULL) == HL_OK)
    dicom_put_numbers(d, 0x00180088, &step_mm, 1);
  dicom_put_numbers(d, 0x00280030, h->spacing_mm, 2);
  dicom_end_only(d);
  dicom_end_only(d);
}

static void put_derivation(dicom_out *d, const hl_dicom_header *h) {
  dicom_begin_only(d, 0x00089124);
  dicom_begin_only(d, 0x00082112);
  put_reference(d, h);
  dicom_put_text(d, 0x0028135A, "CS", "YES");
  dicom_put_code(d, 0x0040A170, "121322", "DCM", "Source image for image processing operation");
  dicom_end_only(d);
  dicom_put_code(d, 0x00089215, "113076", "DCM", "Segmentation");
  dicom_end_only(d);
}

static void put_frame_groups(dicom_out *d, const seg_object *o, const seg_frame *f) {
  const hl_dicom_header *h = source(o, f->slice);
  const uint32_t index[2] = {(uint32_t)(f->segment + 1), (uint32_t)o->rank[f->slice]};
  dicom_begin_item(d);
  put_derivation(d, h);
  dicom_begin_only(d, 0x00209111);
  dicom_put_uls(d, 0x00209157, index, 2);
  dicom_end_only(d);
  dicom_begin_only(d, 0x00209113);
  dicom_put_numbers(d, 0x00200032, h->position_mm, 3);
  dicom_end_only(d);
  dicom_begin_only(d, 0x0062000A);
  dicom_put_us(d, 0x0062000B, (int)(f->segment + 1));
  dicom_end_only(d);
  dicom_end_item(d);
}

/* ---- The object ---- */

static void put_all(dicom_out *d, const seg_object *o, const char *uid) {
  dicom_put_meta(d, SEGMENTATION, uid);
  put_general(d, o);
  put_dimensions(d, o);
  put_image(d, o);
  put_segments(d, o);
  put_shared_groups(d, o);
  dicom_begin_sequence(d, 0x52009230);
  for (int64_t i = 0; i < o->n_frames; i++) put_frame_groups(d, o, &o->frames[i]);
  dicom_end_sequence(d);
  dicom_put_bytes(d, 0x7FE00010, o->bits, packed_bytes(o));
}

hl_status seg_finish(seg_object *o, const char *path, hl_err *e) {
  char uid[HL_HASH_UID_TEXT];
  dicom_out d = {0};
  if (!hl_series_header(o->series, 0)->frame_uid[0])
    return hl_fail(e, HL_EFORMAT, "%s: series %s has no FrameOfReferenceUID", path,
                   hl_series_uid(o->series));
  rank_slices(o);
  HL_TRY(name_content(o, e));
  HL_TRY(instance_uid(o, uid, e));
  put_all(&d, o, uid);
  hl_status status = d.status;
  if (status == HL_OK)
    status = hl_disk_replace(path, d.bytes, d.n, e);
  else
    hl_fail(e, status, "%s: the object cannot be built (element %08x)", path, d.wrong);
  dicom_out_free(&d);
  return status;
}
