/* What a folder tree holds: CT series and readings of them, found by content, never by name. */
#ifndef HILUM_INDEX_H
#define HILUM_INDEX_H

#include <hilum/dicom.h>
#include <hilum/hash.h>
#include <hilum/marks.h>
#include <hilum/parallel.h>
#include <hilum/problems.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_index_series {
  const char *uid, *study_uid, *patient;
  const char *const *files; /* slices, by instance number */
  int64_t n_files;
  int64_t rows, columns;
  double spacing_mm[3]; /* (z, y, x); z is the median step of positions, 0 for a single slice */
  int64_t xml;          /* index of its reading, -1: none */
  /* SHA-256 of its UID and of every slice's SOP UID, size and time of change, in the order of
   * position: another one means that the series may have changed */
  char identity[HL_HASH_TEXT];
} hl_index_series;

typedef struct hl_index_xml {
  const char *file;
  const char *series_uid;
  const char *date;           /* of service, as text that sorts; may be empty */
  char payload[HL_HASH_TEXT]; /* hl_marks_hash */
  int64_t series;             /* index of its series, -1: not in this folder */
  bool superseded;            /* another file for the same series is used instead */
  hl_marks_counts counts;
} hl_index_xml;

typedef struct hl_index_counts {
  int64_t files;       /* regular files, hidden ones (.name) left out */
  int64_t dicom_files; /* of them DICOM */
  int64_t ct_files;    /* of them CT slices */
  int64_t xml_files;   /* XML with one of LIDC's two roots */
  int64_t ct_xml, radiograph_xml;
  int64_t other_files; /* neither */
} hl_index_counts;

typedef struct hl_index hl_index;

/* Walks the tree below `folder` (hidden names are left out; a folder reached twice through links is
 * entered once). DICOM that is no CT slice (radiographs, segmentations) is counted and left.
 * Several readings of one series: the one with the latest date of service is used, then the one
 * whose path sorts first. Another with equal payload is a note, one that differs a problem. Every
 * file that is not understood is one problem; a folder that cannot be read is one, the top folder
 * excepted: that fails (HL_EIO), as does one without any CT slice or reading (HL_EFORMAT). */
HL_MUST_CHECK hl_status hl_index_new(hl_index **out, const char *folder, hl_progress progress,
                                     void *ctx, hl_err *e);
/* The same, and what the files hold is remembered in the file `memory` (a store), so that next time
 * those of unchanged size and time are not opened; readings are few and read each time. It is
 * written from time to time, when the user asks to stop, and at the end; a damaged or lacking one
 * is made anew, one that cannot be written is a note among the problems. Any number of processes
 * may share it: it is replaced as a whole. */
HL_MUST_CHECK hl_status hl_index_remembered(hl_index **out, const char *folder, const char *memory,
                                            hl_progress progress, void *ctx, hl_err *e);
/* As hl_index_new, for readings alone: DICOM files are counted, their headers are not read. */
HL_MUST_CHECK hl_status hl_index_readings(hl_index **out, const char *folder, hl_progress progress,
                                          void *ctx, hl_err *e);
void hl_index_free(hl_index *ix);
const hl_index_counts *hl_index_totals(const hl_index *ix);
int64_t hl_index_n_series(const hl_index *ix);
/* Ordered by patient, then UID. Lends; valid as long as ix. */
const hl_index_series *hl_index_series_at(const hl_index *ix, int64_t i);
int64_t hl_index_n_xml(const hl_index *ix);
/* CT readings, ordered by path. */
const hl_index_xml *hl_index_xml_at(const hl_index *ix, int64_t i);
const hl_problems *hl_index_problems(const hl_index *ix);

#ifdef __cplusplus
}
#endif
#endif
