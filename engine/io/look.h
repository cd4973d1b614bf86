/* What one file is: looked at once, then remembered as long as its size and time stay. */
#ifndef HILUM_IO_LOOK_H
#define HILUM_IO_LOOK_H

#include <hilum/dicom.h>
#include <hilum/marks.h>
#include <hilum/problems.h>

typedef enum content {
  UNSEEN,
  OTHER,
  DICOM, /* but no CT slice */
  CT_SLICE,
  RADIOGRAPH_READING,
  CT_READING
} content;

enum { SERIES_UID, STUDY_UID, PATIENT_ID, SOP_UID, UIDS };

typedef struct file_facts {
  int64_t bytes, mtime_ns;
  content what;
  /* of a CT slice: */
  int64_t rows, columns, instance;
  double z_mm, spacing_mm[2]; /* position along the slice's normal; (y, x) */
  char *uids;                 /* UIDS texts, each of HL_UID_TEXT bytes; owned */
} file_facts;

void file_facts_clear(file_facts *f);
static inline const char *facts_uid(const file_facts *f, int which) {
  return f->uids + which * HL_UID_TEXT;
}

typedef struct file_memory file_memory;

/* One file being looked at. */
typedef struct look {
  const char *path;
  const char *below;         /* the path below the top folder */
  bool readings_only;        /* headers of DICOM files are not read */
  const file_memory *memory; /* may be NULL */
  file_facts facts;
  bool recalled; /* the facts are from the memory */
  hl_status status;
  hl_err err;
  hl_marks *marks;       /* of a CT reading */
  hl_problems *problems; /* of a CT reading */
  char hash[HL_HASH_TEXT];
} look;

/* Fills in facts and status; any number of threads at once. */
void look_at(look *l);
/* Releases marks and problems; the facts have been taken. */
void look_clear(look *l);

/* What is known from before, from `file`; NULL where there is nothing or nothing usable, which goes
 * to `problems` as a note. Fails for lack of memory only. */
HL_MUST_CHECK hl_status file_memory_open(file_memory **out, const char *file, hl_problems *problems,
                                         hl_err *e);
/* NULL if there is no such file (bytes < 0: whatever its size and time). */
const file_facts *file_memory_find(const file_memory *m, const char *below, int64_t bytes,
                                   int64_t mtime_ns);
void file_memory_free(file_memory *m); /* NULL is allowed */

/* Writes what is known of `n` files to `file`: their own facts, of the unseen ones what `old` says.
 */
HL_MUST_CHECK hl_status file_memory_save(const char *file, char *const *paths, size_t top,
                                         const file_facts *facts, int64_t n, const file_memory *old,
                                         hl_err *e);

#endif
