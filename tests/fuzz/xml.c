/* Fuzzing the reader of LIDC's XML. What it reads it must be able to write and read again. */
#include "fuzz.h"

#include <hilum/lidc.h>

static void check_marks(const hl_marks *m) {
  char hash[HL_HASH_TEXT];
  hl_err e = {0};
  fuzz_plant(hl_marks_series_uid(m)[0] == '9'); /* no seed has such a one */
  fuzz_must(hl_marks_hash(m, hash, &e) == HL_OK, "marks have a hash");
  hl_marks_counts c = hl_marks_count_kinds(m);
  fuzz_must(c.outlines + c.points + c.non_nodules == hl_marks_count(m), "every mark is counted");
  for (int64_t i = 0; i < hl_marks_count(m); i++) {
    const hl_mark *mark = hl_marks_at(m, i);
    fuzz_must(mark->session >= 0 && mark->session < hl_marks_sessions(m), "a mark has a session");
    for (int64_t k = 0; k < mark->n_rois; k++) {
      const hl_roi *roi = &mark->rois[k];
      fuzz_must(roi->n == 0 || roi->points != NULL, "points are there");
    }
  }
}

static void check_again(const hl_marks *m) {
  hl_err e = {0};
  hl_marks *again = NULL;
  const char *path = fuzz_scratch();
  fuzz_must(hl_lidc_write(path, m, &e) == HL_OK, "what was read can be written");
  hl_status status = hl_lidc_read(&again, path, NULL, &e);
  if (status != HL_OK) fuzz_must(false, e.msg);
  fuzz_must(hl_marks_count(again) == hl_marks_count(m), "as many marks come back");
  hl_marks_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const char *path = fuzz_file(data, n);
  hl_err e = {0};
  hl_marks *m = NULL;
  hl_problems *p = NULL;
  hl_xml_kind kind;
  if (hl_problems_new(&p, &e) != HL_OK) return 0;
  fuzz_must(hl_lidc_recognise(path, &kind, &e) == HL_OK, "any file can be recognised or not");
  hl_status status = hl_lidc_read(&m, path, p, &e);
  fuzz_refusal(status, &e);
  fuzz_must((status == HL_OK) == (m != NULL), "marks if and only if it was read");
  if (m) check_marks(m);
  if (m) check_again(m);
  hl_marks_free(m);
  hl_problems_free(p);
  return 0;
}

/* The seeds are text, and lie in corpus/xml. */
void fuzz_seeds(fuzz_put put, void *ctx) {
  static const char smallest[] = "<LidcReadMessage><ResponseHeader><SeriesInstanceUid>1"
                                 "</SeriesInstanceUid></ResponseHeader></LidcReadMessage>";
  put(ctx, "smallest", smallest, sizeof smallest - 1);
}
