#include "look.h"
#include <hilum/ledger.h>
#include <hilum/lidc.h>

#include <string.h>
#include <sys/stat.h>

void file_facts_clear(file_facts *f) {
  hl_host_free(f->uids);
  *f = (file_facts){0};
}

/* Position along the normal of the slice. */
static double position_mm(const hl_dicom_header *h) {
  const double *x = h->orientation, *y = x + 3, *p = h->position_mm;
  return (x[1] * y[2] - x[2] * y[1]) * p[0] + (x[2] * y[0] - x[0] * y[2]) * p[1] +
         (x[0] * y[1] - x[1] * y[0]) * p[2];
}

static bool is_ct_slice(const hl_dicom_header *h) {
  return strcmp(h->modality, "CT") == 0 && (h->has & HL_DICOM_SIZE) && h->series_uid[0];
}

static hl_status allot_uids(file_facts *f, hl_err *e) {
  f->uids = hl_host_calloc(UIDS, HL_UID_TEXT);
  return f->uids ? HL_OK : hl_fail(e, HL_ENOMEM, "no memory for an index");
}

static hl_status take_header(file_facts *f, const hl_dicom_header *h, hl_err *e) {
  f->what = CT_SLICE;
  f->rows = h->rows;
  f->columns = h->columns;
  f->instance = h->instance;
  f->z_mm = position_mm(h);
  f->spacing_mm[0] = h->spacing_mm[0];
  f->spacing_mm[1] = h->spacing_mm[1];
  HL_TRY(allot_uids(f, e));
  const char *uids[UIDS] = {h->series_uid, h->study_uid, h->patient_id, h->sop_uid};
  for (int i = 0; i < UIDS; i++) memcpy(f->uids + i * HL_UID_TEXT, uids[i], HL_UID_TEXT);
  return HL_OK;
}

static hl_status look_at_dicom(look *l) {
  hl_dicom_header h;
  l->facts.what = DICOM;
  if (l->readings_only) return HL_OK;
  HL_TRY(hl_dicom_header_read(l->path, &h, &l->err));
  return is_ct_slice(&h) ? take_header(&l->facts, &h, &l->err) : HL_OK;
}

static hl_status look_at_reading(look *l) {
  l->facts.what = CT_READING;
  HL_TRY(hl_problems_new(&l->problems, &l->err));
  HL_TRY(hl_lidc_read(&l->marks, l->path, l->problems, &l->err));
  return hl_marks_hash(l->marks, l->hash, &l->err);
}

static hl_status look_inside(look *l) {
  bool dicom;
  hl_xml_kind kind;
  l->facts.what = OTHER;
  HL_TRY(hl_dicom_recognise(l->path, &dicom, &l->err));
  if (dicom) return look_at_dicom(l);
  HL_TRY(hl_lidc_recognise(l->path, &kind, &l->err));
  if (kind == HL_XML_CT) return look_at_reading(l);
  if (kind == HL_XML_RADIOGRAPH) l->facts.what = RADIOGRAPH_READING;
  return HL_OK;
}

/* Readings are looked at anew each time: they are few, and what they hold is not in the facts. */
static hl_status recall(look *l) {
  const file_facts *f = file_memory_find(l->memory, l->below, l->facts.bytes, l->facts.mtime_ns);
  l->recalled = f != NULL && f->what != CT_READING;
  if (!l->recalled) return HL_OK;
  l->facts = *f;
  l->facts.uids = NULL;
  if (f->uids == NULL) return HL_OK;
  HL_TRY(allot_uids(&l->facts, &l->err));
  memcpy(l->facts.uids, f->uids, UIDS * HL_UID_TEXT);
  return HL_OK;
}

void look_at(look *l) {
  struct stat st;
  if (stat(l->path, &st) == 0) {
    l->facts.bytes = st.st_size;
    l->facts.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (l->memory != NULL && !l->readings_only) l->status = recall(l);
  }
  if (!l->recalled && l->status == HL_OK) l->status = look_inside(l);
}

void look_clear(look *l) {
  hl_marks_free(l->marks);
  hl_problems_free(l->problems);
}
