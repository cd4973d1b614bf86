/* What a folder tree holds, and what is said about what should not be there. */
#include "scratch.h"
#include "tap.h"

#include <hilum/index.h>
#include <hilum/parallel.h>

#include <fcntl.h>

static void put_slice(const char *path, const char *series, int k) {
  hl_dicom_header h = {.rows = 8,
                       .columns = 8,
                       .instance = k,
                       .position_mm = {0, 0, 2.0 * k},
                       .orientation = {1, 0, 0, 0, 1, 0},
                       .spacing_mm = {1, 1},
                       .thickness_mm = 2};
  int16_t hu[64] = {0};
  hl_err e = {0};
  snprintf(h.sop_uid, sizeof h.sop_uid, "%s.%d", series, k);
  snprintf(h.series_uid, sizeof h.series_uid, "%s", series);
  snprintf(h.study_uid, sizeof h.study_uid, "1.1");
  snprintf(h.patient_id, sizeof h.patient_id, "patient of %s", series);
  if (hl_dicom_write_ct(path, &h, hu, "test", &e) != HL_OK) tap_diag("%s", e.msg);
}

static void put_reading(const char *path, const char *series, const char *date, int mark) {
  char text[1024];
  snprintf(text, sizeof text,
           "<LidcReadMessage><ResponseHeader><SeriesInstanceUid>%s</SeriesInstanceUid>"
           "<DateService>%s</DateService><TimeService>01:00:00</TimeService></ResponseHeader>"
           "<readingSession><unblindedReadNodule><noduleID>%d</noduleID><roi><edgeMap><xCoord>1"
           "</xCoord><yCoord>1</yCoord></edgeMap></roi></unblindedReadNodule></readingSession>"
           "</LidcReadMessage>",
           series, date, mark);
  write_text(path, text);
}

static const hl_problem *problem_with(const hl_index *ix, const char *file, const char *text) {
  const hl_problems *p = hl_index_problems(ix);
  for (int64_t i = 0; i < hl_problems_count(p); i++) {
    const hl_problem *one = hl_problems_at(p, i);
    if (strstr(one->file, file) && strstr(one->message, text)) return one;
  }
  return NULL;
}

static void said(const hl_index *ix, const char *file, const char *text, const char *what) {
  const hl_problem *p = problem_with(ix, file, text);
  ok(p != NULL, "%s: %s", what, p ? p->message : "not said");
}

static void test_tree(void) {
  hl_err e = {0};
  hl_index *ix;
  size_t n;
  make_folder(in_scratch("tree"));
  make_folder(in_scratch("tree/a"));
  make_folder(in_scratch("tree/b"));
  make_folder(in_scratch("tree/empty"));
  for (int k = 0; k < 5; k++) put_slice(in_scratch("tree/a/x%d", k), "1.7", k);
  for (int k = 0; k < 4; k++) put_slice(in_scratch("tree/b/y%d", k), "1.5", k < 2 ? k : k + 2);
  put_slice(in_scratch("tree/b/z"), "1.9", 1);
  write_text(in_scratch("tree/a/notes.txt"), "some notes");
  write_text(in_scratch("tree/a/.hidden"), "not looked at");
  write_text(in_scratch("tree/a/nothing"), "");
  write_text(in_scratch("tree/b/chest.xml"), "<?xml version='1.0'?><IdriReadMessage/>");
  write_text(in_scratch("tree/b/half.xml"), "<LidcReadMessage><ResponseHeader>");
  put_reading(in_scratch("tree/a/reading.xml"), "1.7", "2001-01-01", 1);
  put_reading(in_scratch("tree/b/copy of reading.xml"), "1.7", "2001-01-01", 1);
  put_reading(in_scratch("tree/b/later.xml"), "1.5", "2009-01-01", 2);
  put_reading(in_scratch("tree/b/early.xml"), "1.5", "2001-01-01", 3);
  put_reading(in_scratch("tree/b/elsewhere.xml"), "1.99", "2001-01-01", 3);
  char *bytes = read_bytes(in_scratch("tree/a/x0"), &n);
  write_bytes(in_scratch("tree/a/cut.dcm"), bytes, 300);
  write_bytes(in_scratch("tree/a/short.dcm"), bytes, n - 20);
  free(bytes);
  if (symlink("..", in_scratch("tree/b/up")) != 0) perror("symlink");
  if (symlink("nowhere", in_scratch("tree/b/dangling")) != 0) perror("symlink");
  if (!succeeds(hl_index_new(&ix, in_scratch("tree"), NULL, NULL, &e), &e, "a tree of all sorts"))
    return;
  const hl_index_counts *c = hl_index_totals(ix);
  is_int(c->files, 21, "files, hidden ones and links that lead nowhere left out");
  is_int(c->dicom_files, 12, "DICOM");
  is_int(c->ct_files, 10, "CT slices");
  is_int(c->ct_xml, 5, "readings of CT");
  is_int(c->radiograph_xml, 1, "readings of radiographs");
  is_int(c->other_files, 2, "others");
  is_int(hl_index_n_series(ix), 3, "series, by UID");
  const hl_index_series *a = hl_index_series_at(ix, 1);
  is_str(a->uid, "1.7", "ordered by patient");
  is_int(a->n_files, 5, "its slices");
  is_near(a->spacing_mm[0], 2, 1e-9, "its spacing");
  ok(a->xml >= 0 && strstr(hl_index_xml_at(ix, a->xml)->file, "a/reading.xml"), "its reading");
  const hl_index_series *b = hl_index_series_at(ix, 0);
  ok(b->xml >= 0 && strstr(hl_index_xml_at(ix, b->xml)->file, "b/later.xml"),
     "of two readings the later one");
  is_int(hl_index_series_at(ix, 2)->xml, -1, "a series without reading");
  said(ix, "a/notes.txt", "neither DICOM nor an LIDC reading", "a text file");
  said(ix, "a/cut.dcm", "cut off", "a header cut off");
  said(ix, "a/short.dcm", "cut off", "pixels cut off");
  said(ix, "b/half.xml", "not well-formed", "XML cut off");
  said(ix, "tree/b", "more than one series", "two series in one folder");
  said(ix, "b/y0", "series 1.5 is incomplete: slices are missing at 1 place", "a missing slice");
  said(ix, "copy of reading.xml", "the same reading as", "a reading twice");
  said(ix, "b/early.xml", "another reading of series 1.5", "two readings of one series");
  said(ix, "b/dangling", "cannot be read", "a link that leads nowhere");
  ok(!problem_with(ix, "chest.xml", ""), "a radiograph's reading is counted, not blamed");
  hl_index_free(ix);
}

/* The tree again, for its readings. */
static void test_readings(void) {
  hl_err e = {0};
  hl_index *ix;
  put_reading(in_scratch("tree/b/same day.xml"), "1.99", "2001-01-01", 4);
  if (!succeeds(hl_index_readings(&ix, in_scratch("tree"), NULL, NULL, &e), &e, "readings alone"))
    return;
  const hl_index_counts *c = hl_index_totals(ix);
  is_int(c->files, 22, "all files are looked at");
  is_int(c->dicom_files, 12, "DICOM is told apart");
  ok(c->ct_files == 0 && hl_index_n_series(ix) == 0, "but not read");
  ok(!problem_with(ix, "cut.dcm", ""), "nor blamed");
  is_int(hl_index_n_xml(ix), 6, "readings");
  const hl_index_xml *copy = hl_index_xml_at(ix, 1), *first = hl_index_xml_at(ix, 0);
  is_str(copy->payload, first->payload, "copies have one payload");
  is_str(first->date, "2001-01-01 01:00:00", "and a date");
  said(ix, "b/same day.xml", "the one whose path sorts first is used", "two of one day");
  hl_index_free(ix);
  make_folder(in_scratch("readingless"));
  fails(hl_index_readings(&ix, in_scratch("readingless"), NULL, NULL, &e), HL_EFORMAT, &e,
        "holds no LIDC reading (0 files", "a folder without any");
}

static void test_refusals(void) {
  hl_err e = {0};
  hl_index *ix;
  fails(hl_index_new(&ix, in_scratch("nowhere"), NULL, NULL, &e), HL_EIO, &e, "No such file",
        "a folder that is not there");
  make_folder(in_scratch("bare"));
  fails(hl_index_new(&ix, in_scratch("bare"), NULL, NULL, &e), HL_EFORMAT, &e,
        "holds neither a CT slice nor an LIDC reading (0 files", "an empty folder");
  write_text(in_scratch("bare/x.dcm"), "no");
  fails(hl_index_new(&ix, in_scratch("bare"), NULL, NULL, &e), HL_EFORMAT, &e,
        "(1 files, 0 of them", "a folder with a text file");
  fails(hl_index_new(&ix, in_scratch("bare/x.dcm"), NULL, NULL, &e), HL_EIO, &e, "Not a directory",
        "a file for a folder");
  ok(!ix, "makes nothing");
  hl_cancel_request();
  fails(hl_index_new(&ix, in_scratch("tree"), NULL, NULL, &e), HL_ECANCELLED, &e, "stopped",
        "a walk that is cancelled");
  hl_cancel_clear();
}

/* Zeros instead of a file's content, with its size and, if asked for, its time. */
static void blank(const char *path, bool keep_time) {
  struct stat st;
  char *bytes = stat(path, &st) == 0 ? calloc(1, (size_t)st.st_size) : NULL;
  if (!bytes) return;
  write_bytes(path, bytes, (size_t)st.st_size);
  free(bytes);
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (keep_time && utimensat(AT_FDCWD, path, times, 0) != 0) perror(path);
}

static hl_index *remembered(const char *what) {
  hl_err e = {0};
  hl_index *ix = NULL;
  succeeds(hl_index_remembered(&ix, in_scratch("tree"), in_scratch("memory"), NULL, NULL, &e), &e,
           "%s", what);
  return ix;
}

static void stop_later(void *ctx, int64_t done, int64_t total, const char *what) {
  (void)ctx, (void)total, (void)what;
  if (done == 0) hl_cancel_request();
}

static bool same_series(const hl_index *a, const hl_index *b) {
  bool same = hl_index_n_series(a) == hl_index_n_series(b);
  for (int64_t i = 0; same && i < hl_index_n_series(a); i++) {
    const hl_index_series *x = hl_index_series_at(a, i), *y = hl_index_series_at(b, i);
    same = strcmp(x->identity, y->identity) == 0 && x->n_files == y->n_files &&
           strcmp(x->uid, y->uid) == 0 && strcmp(x->patient, y->patient) == 0 &&
           strcmp(x->study_uid, y->study_uid) == 0 && x->rows == y->rows &&
           memcmp(x->spacing_mm, y->spacing_mm, sizeof x->spacing_mm) == 0 && x->xml == y->xml;
    for (int64_t k = 0; same && k < x->n_files; k++) same = strcmp(x->files[k], y->files[k]) == 0;
  }
  return same && memcmp(hl_index_totals(a), hl_index_totals(b), sizeof(hl_index_counts)) == 0 &&
         hl_problems_count(hl_index_problems(a)) == hl_problems_count(hl_index_problems(b));
}

static void test_memory(void) {
  hl_err e = {0};
  hl_index *plain, *stopped;
  fails(
      hl_index_remembered(&stopped, in_scratch("tree"), in_scratch("memory"), stop_later, NULL, &e),
      HL_ECANCELLED, &e, "stopped while looking at files", "stopped in the middle");
  hl_cancel_clear();
  ok(access(in_scratch("memory"), R_OK) == 0, "what was seen is remembered");
  if (!succeeds(hl_index_new(&plain, in_scratch("tree"), NULL, NULL, &e), &e, "without memory"))
    return;
  hl_index *first = remembered("with it"), *second = remembered("once more");
  ok(first && same_series(plain, first), "memory does not change what is found");
  ok(second && same_series(plain, second), "the second time neither");
  hl_index_free(first);
  hl_index_free(second);

  char slice[PATH_MAX];
  snprintf(slice, sizeof slice, "%s", in_scratch("tree/a/x2"));
  blank(slice, true);
  hl_index *same = remembered("a file whose content changed, but neither size nor time");
  ok(same && same_series(plain, same), "is not opened");
  hl_index_free(same);
  blank(slice, false);
  hl_index *other = remembered("a file with another time");
  ok(other && hl_index_totals(other)->ct_files == hl_index_totals(plain)->ct_files - 1,
     "is looked at");
  ok(other && strcmp(hl_index_series_at(other, 1)->identity,
                     hl_index_series_at(plain, 1)->identity) != 0,
     "and its series is another one");
  hl_index_free(other);
  put_slice(slice, "1.7", 2);

  write_text(in_scratch("memory"), "no store");
  other = remembered("a damaged memory");
  if (other) said(other, "memory", "all are looked at again", "is a note");
  hl_index_free(other);
  other = remembered("after that");
  ok(other && !problem_with(other, "memory", "looked at again"), "it is whole again");
  hl_index_free(other);
  if (succeeds(hl_index_remembered(&other, in_scratch("tree"), in_scratch("nowhere/memory"), NULL,
                                   NULL, &e),
               &e, "a place that cannot be written")) {
    said(other, "nowhere/memory", "not remembered", "is a note, too");
    hl_index_free(other);
  }
  hl_index_free(plain);
}

/* Root may read everything: it becomes nobody for this. */
static void test_forbidden(void) {
  hl_err e = {0};
  hl_index *ix;
  bool root = geteuid() == 0;
  chmod(scratch, 0755);
  chmod(in_scratch("tree/empty"), 0);
  if (root && seteuid(65534) != 0) perror("seteuid");
  hl_status status = hl_index_new(&ix, in_scratch("tree/empty"), NULL, NULL, &e);
  fails(status, HL_EIO, &e, "the folder cannot be read: Permission denied", "a forbidden folder");
  if (succeeds(hl_index_new(&ix, in_scratch("tree"), NULL, NULL, &e), &e, "one below")) {
    said(ix, "tree/empty", "Permission denied", "is a problem, not the end");
    hl_index_free(ix);
  }
  if (root && seteuid(0) != 0) perror("seteuid");
}

int main(void) {
  scratch_begin("index");
  test_tree();
  test_readings();
  test_refusals();
  test_memory();
  test_forbidden();
  return tap_done();
}
