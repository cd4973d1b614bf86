/* LIDC's XML: what is read, what is refused and how, and the collection's own files. */
#include "scratch.h"
#include "tap.h"

#include <hilum/lidc.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>

#define HEAD                                                                                       \
  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LidcReadMessage xmlns=\"http://www.nih.gov\">\n"   \
  "<ResponseHeader><SeriesInstanceUid>1.2.3</SeriesInstanceUid></ResponseHeader>\n"
#define SESSION(marks) "<readingSession>\n" marks "</readingSession>\n"
#define NODULE(inside)                                                                             \
  "<unblindedReadNodule><noduleID>N1</noduleID>\n" inside "</unblindedReadNodule>\n"
#define ROI(inside)                                                                                \
  "<roi><imageZposition>-12.5 </imageZposition><imageSOP_UID>1.2.9</imageSOP_UID>\n"               \
  "<inclusion>TRUE</inclusion>" inside "</roi>\n"
#define POINT(x, y) "<edgeMap><xCoord>" x "</xCoord><yCoord>" y "</yCoord></edgeMap>\n"
#define TAIL "</LidcReadMessage>\n"

static const char *file_with(const char *text) {
  const char *path = in_scratch("reading.xml");
  write_text(path, text);
  return path;
}

static void test_values(void) {
  const char *path = file_with(HEAD SESSION(NODULE(
      "<characteristics><subtlety>4</subtlety><margin> 7 </margin>"
      "</characteristics>" ROI(POINT("1", "2") POINT(" 3\n", "4") POINT("1", "2")) ROI(POINT(
          "5", "6"))) "<nonNodule><nonNoduleID>X</nonNoduleID><imageZposition>3</imageZposition>"
                      "<imageSOP_UID>1.2.8</imageSOP_UID><locus><xCoord>7</xCoord>"
                      "<yCoord>8</yCoord></locus></nonNodule>")
                                   SESSION(NODULE("<characteristics/>" ROI(POINT("9", "9"))))
                                       SESSION("") TAIL);
  hl_err e = {0};
  hl_marks *m;
  hl_problems *p;
  succeeds(hl_problems_new(&p, &e), &e, "a list of problems");
  if (!succeeds(hl_lidc_read(&m, path, p, &e), &e, "reading marks")) return;
  is_str(hl_marks_series_uid(m), "1.2.3", "series UID");
  is_int(hl_marks_sessions(m), 3, "sessions, one without marks");
  is_int(hl_marks_count(m), 3, "marks");
  const hl_mark *a = hl_marks_at(m, 0), *b = hl_marks_at(m, 1), *c = hl_marks_at(m, 2);
  ok(a->kind == HL_MARK_OUTLINE && b->kind == HL_MARK_NON_NODULE && c->kind == HL_MARK_POINT,
     "an outline, a non-nodule, a point");
  is_str(a->id, "N1", "name of a mark");
  is_near(a->rois[0].z_mm, -12.5, 0, "z with a trailing blank");
  is_str(a->rois[0].sop_uid, "1.2.9", "SOP UID");
  ok(a->n_rois == 2 && a->rois[0].n == 3 && a->rois[1].n == 1 && a->rois[0].inclusion, "outlines");
  ok(a->rois[0].points[1].x == 3 && a->rois[0].points[1].y == 4, "blanks around a coordinate");
  ok(a->rating[0] == 4 && a->rating[4] == 7 && a->rating[8] == INT_MIN, "ratings are kept raw");
  ok(b->rois[0].points[0].x == 7 && b->session == 0 && c->session == 1, "place and session");
  ok(!c->rated && c->empty_characteristics, "empty characteristics are not ratings");
  is_int(hl_problems_count(p), 1, "one problem");
  ok(strstr(hl_problems_at(p, 0)->message, "margin is 7, expected 1 to 5") != NULL, "%s",
     hl_problems_at(p, 0)->message);
  char first[HL_HASH_TEXT], second[HL_HASH_TEXT];
  succeeds(hl_marks_hash(m, first, &e), &e, "hash");
  hl_marks *again;
  const char *copy = in_scratch("copy.xml");
  succeeds(hl_lidc_write(copy, m, &e), &e, "writing the marks");
  if (succeeds(hl_lidc_read(&again, copy, NULL, &e), &e, "reading what was written")) {
    succeeds(hl_marks_hash(again, second, &e), &e, "its hash");
    is_str(second, first, "the same marks come back");
    hl_marks_free(again);
  }
  hl_marks_free(m);
  hl_problems_free(p);
}

static void test_capitals(void) {
  const char *path = file_with(
      "<?xml version='1.0'?><!-- x --><n:LidcReadMessage xmlns:n='http://www.nih.gov'>"
      "<RESPONSEHEADER><SERIESINSTANCEUID>1.2.3 </SERIESINSTANCEUID></RESPONSEHEADER>"
      "<READINGSESSION><UNBLINDEDREADNODULE><ROI><INCLUSION>false</INCLUSION>"
      "<EDGEMAP><XCOORD>1</XCOORD><YCOORD>2</YCOORD></EDGEMAP></ROI></UNBLINDEDREADNODULE>"
      "</READINGSESSION></n:LidcReadMessage>");
  hl_err e = {0};
  hl_marks *m;
  hl_xml_kind kind;
  succeeds(hl_lidc_recognise(path, &kind, &e), &e, "a prefix and a comment before the root");
  is_int(kind, HL_XML_CT, "do not hide the root");
  if (!succeeds(hl_lidc_read(&m, path, NULL, &e), &e, "capitals, no z, no SOP UID")) return;
  const hl_roi *roi = hl_marks_at(m, 0)->rois;
  ok(isnan(roi->z_mm) && !roi->sop_uid[0] && !roi->inclusion, "an exclusion without a place");
  hl_marks_free(m);
}

#define PLACE(z, uid)                                                                              \
  "<roi><imageZposition>" z "</imageZposition><imageSOP_UID>" uid "</imageSOP_UID>\n"
#define BOX POINT("1", "1") POINT("2", "1") POINT("2", "2") POINT("1", "2") POINT("1", "1") "</roi>"
#define RATED(name, value) "<characteristics><" name ">" value "</" name "></characteristics>"

/* Every oddity that is counted, once, beside its ordinary counterpart. */
static void test_counts(void) {
  const char *path = file_with(HEAD SESSION(
      NODULE(RATED("malignancy", "5") PLACE("1", "a") BOX PLACE("1.0", "a") BOX) NODULE(
          RATED("malignancy", "0") PLACE("1", "a") BOX PLACE("2", "a")
              BOX) NODULE(RATED("malignancy", "6") PLACE("1", "a") BOX PLACE("1", "b") BOX)
          NODULE("<characteristics> </characteristics>" PLACE(" 1", "a") POINT("1", "1")
                     POINT("1", "3") "</roi>") NODULE(RATED("malignancy", "0") ROI(POINT("1", "1")))
              NODULE("<roi>" POINT("1", "1") "</roi><roi></roi>") "<nonNodule><imageZposition>3 "
                                                                  "</imageZposition></nonNodule>")
                                   TAIL);
  hl_err e = {0};
  hl_marks *m;
  hl_problems *p;
  if (!succeeds(hl_problems_new(&p, &e), &e, "a list of problems")) return;
  if (!succeeds(hl_lidc_read(&m, path, p, &e), &e, "reading oddities")) return;
  hl_marks_counts c = hl_marks_count_kinds(m);
  ok(c.outlines == 4 && c.points == 2 && c.non_nodules == 1, "marks of all kinds");
  is_int(c.rated_outlines, 3, "outlines with ratings");
  is_int(c.rated_points, 1, "a point with ratings");
  is_int(c.empty_characteristics, 1, "characteristics of a blank");
  is_int(c.several_on_slice, 1, "a nodule with two outlines on a slice, z written differently");
  is_int(c.z_disagrees, 1, "a nodule with one slice at two z");
  is_int(c.outlines_open, 1, "an open outline");
  is_int(c.outlines_with_gaps, 1, "that has a gap");
  is_int(c.outlines_closed, 6, "closed ones");
  is_int(c.rois_without_points, 2, "a roi and a non-nodule without points");
  is_int(c.rois_without_sop_uid, 3, "two rois and a non-nodule without SOP UID");
  is_int(c.rois_without_z, 2, "rois without z");
  is_int(c.z_with_blanks, 3, "z with a blank before or after");
  is_int(c.ratings_out_of_range, 2, "0 and 6 for outlines are out of range, 0 for a point is not");
  ok(c.malignancy[5] == 1 && c.malignancy[0] == 2 && c.malignancy[1] == 0, "malignancy");
  is_int(hl_problems_count(p), 4, "two ratings and what has no points are reported");
  hl_marks_free(m);
  hl_problems_free(p);
}

typedef struct bad {
  const char *what, *text, *message;
  hl_status code;
} bad;

static void test_bad_files(void) {
  static const bad table[] = {
      {"an empty file", "", "is empty", HL_EFORMAT},
      {"no XML", "hello", "not well-formed", HL_EFORMAT},
      {"cut off in a tag", HEAD "<readingSess", "line 4: not well-formed", HL_EFORMAT},
      {"cut off between tags", HEAD SESSION(NODULE(ROI(POINT("1", "2")))), "not well-formed",
       HL_EFORMAT},
      {"cut off in a number", HEAD "<readingSession><unblindedReadNodule><roi><edgeMap><xCoord>12",
       "not well-formed", HL_EFORMAT},
      {"a radiograph's reading", "<IdriReadMessage xmlns='http://www.nih.gov/idri'/>",
       "line 1: root tag is IdriReadMessage (a radiograph's reading), expected LidcReadMessage",
       HL_EFORMAT},
      {"another root", "<html></html>", "root tag is html", HL_EFORMAT},
      {"no series", "<LidcReadMessage/>", "has no SeriesInstanceUid", HL_EFORMAT},
      {"a coordinate that is no number", HEAD SESSION(NODULE(ROI(POINT("x12", "2")))) TAIL,
       "line 7: xCoord is 'x12', expected a whole number", HL_EFORMAT},
      {"a fractional coordinate", HEAD SESSION(NODULE(ROI(POINT("12.5", "2")))) TAIL,
       "xCoord is '12.5'", HL_EFORMAT},
      {"a huge coordinate", HEAD SESSION(NODULE(ROI(POINT("1", "99999999999999999999")))) TAIL,
       "yCoord is '99999999999999999999'", HL_EFORMAT},
      {"a missing coordinate",
       HEAD SESSION(NODULE(ROI("<edgeMap><xCoord>1</xCoord></edgeMap>"))) TAIL,
       "a point without xCoord or yCoord", HL_EFORMAT},
      {"an infinite z",
       HEAD SESSION(NODULE("<roi><imageZposition>1e999</imageZposition></roi>")) TAIL,
       "imageZposition is '1e999', expected a number", HL_EFORMAT},
      {"a rating that is no number",
       HEAD SESSION(NODULE("<characteristics><margin>high</margin></characteristics>")) TAIL,
       "margin is 'high'", HL_EFORMAT},
      {"a document type",
       "<?xml version='1.0'?>\n<!DOCTYPE LidcReadMessage SYSTEM 'file:///etc/passwd'>\n"
       "<LidcReadMessage/>",
       "DOCTYPE", HL_EFORMAT},
      {"a billion laughs",
       "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>\n"
       "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>\n<LidcReadMessage>&c;</LidcReadMessage>",
       "DOCTYPE", HL_EFORMAT},
      {"an unknown entity", HEAD "<x>&laugh;</x>" TAIL, "not well-formed", HL_EFORMAT},
      {"bytes that are no UTF-8", HEAD "<x>\xff\xfe</x>" TAIL, "not well-formed", HL_EFORMAT},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    hl_err e = {0};
    hl_marks *m = (hl_marks *)1;
    const char *path = file_with(table[i].text);
    hl_status status = hl_lidc_read(&m, path, NULL, &e);
    bool named = strncmp(e.msg, path, strlen(path)) == 0;
    fails(status, table[i].code, &e, table[i].message, "%s", table[i].what);
    ok(named && !m, "names the file and makes nothing");
  }
}

static void test_odd_places(void) {
  hl_err e = {0};
  hl_marks *m;
  fails(hl_lidc_read(&m, in_scratch("nowhere.xml"), NULL, &e), HL_EIO, &e, "No such file",
        "a missing file");
  fails(hl_lidc_read(&m, scratch, NULL, &e), HL_EIO, &e, "no regular file", "a folder");
  const char *huge = in_scratch("huge.xml");
  write_text(huge, HEAD);
  if (truncate(huge, (off_t)1 << 30) != 0) perror(huge);
  fails(hl_lidc_read(&m, huge, NULL, &e), HL_EFORMAT, &e, "XML of 1024 MiB, expected at most 64",
        "a gigabyte");
  hl_xml_kind kind;
  succeeds(hl_lidc_recognise(huge, &kind, &e), &e, "is recognised all the same");
  is_int(kind, HL_XML_CT, "by its root");
  unlink(huge);
  size_t n = 100000;
  char *deep = malloc(3 * n + sizeof HEAD);
  strcpy(deep, HEAD);
  for (size_t i = 0; i < n; i++) strcpy(deep + sizeof HEAD - 1 + 3 * i, "<a>");
  fails(hl_lidc_read(&m, file_with(deep), NULL, &e), HL_EFORMAT, &e, "not well-formed",
        "100,000 nested tags");
  free(deep);
}

/* libxml2 likes to print what is wrong with an encoding. */
static void test_silence(void) {
  static const char *const texts[] = {
      "<?xml version='1.0' encoding='UTF-16'?><LidcReadMessage/>\xff\xfe\x01",
      "<?xml version='1.0' encoding='ISO-2022-KR'?><LidcReadMessage>\x0e!!~~</LidcReadMessage>",
      "<?xml version='1.0' encoding='no-such-thing'?><LidcReadMessage/>", "\xff\xfe<\0L\0",
      "\xfe\xff\0<\xd8"};
  const char *said = in_scratch("stderr");
  hl_err e = {0};
  hl_marks *m;
  fflush(stderr);
  int kept = dup(2), quiet = open(said, O_CREAT | O_WRONLY, 0600);
  dup2(quiet, 2);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    hl_marks_free(hl_lidc_read(&m, file_with(texts[i]), NULL, &e) == HL_OK ? m : NULL);
  dup2(kept, 2);
  close(kept);
  close(quiet);
  size_t n;
  char *text = read_bytes(said, &n);
  is_str(text, "", "strange encodings make nobody print");
  free(text);
}

/* Every place where a good file may be cut gives a message or, behind the end, the marks. */
static void test_every_cut(void) {
  const char *whole = HEAD SESSION(NODULE(
      "<characteristics><margin>3</margin></characteristics>" ROI(POINT("1", "2") POINT("3", "4"))))
      TAIL;
  size_t n = strlen(whole), good = 0, silent = 0;
  char *text = malloc(n + 1);
  for (size_t k = 0; k < n; k++) {
    hl_err e = {0};
    hl_marks *m;
    memcpy(text, whole, k);
    text[k] = '\0';
    good += hl_lidc_read(&m, file_with(text), NULL, &e) == HL_OK;
    silent += !e.msg[0];
    hl_marks_free(m);
  }
  ok(good <= 1, "of %zu cuts none is taken for whole, the last line break apart (%zu)", n, good);
  ok(silent == good, "and each has a message");
  free(text);
}

static void test_no_memory(void) {
  const char *path =
      file_with(HEAD SESSION(NODULE("<characteristics><margin>3</margin></characteristics>" ROI(
          POINT("1", "2") POINT("3", "4")))) TAIL);
  int failures = 0, wrong = 0;
  for (long n = 0; n < 200; n++) {
    hl_err e = {0};
    hl_marks *m;
    hl_test_fail_after(n);
    hl_status status = hl_lidc_read(&m, path, NULL, &e);
    hl_test_fail_after(-1);
    wrong += status != HL_OK && (status != HL_ENOMEM || m);
    hl_marks_free(m);
    if (status == HL_OK) break;
    failures++;
  }
  ok(failures > 5 && failures < 200, "memory ended at %d places", failures);
  is_int(wrong, 0, "each time it was said, and nothing was made");
}

/* ---- The collection's files ---- */

static struct {
  int64_t files, ct, radiographs, others, failed;
  hl_marks_counts sum;
} audit;

static int audit_file(const char *path, const struct stat *st, int flag) {
  hl_err e = {0};
  hl_xml_kind kind;
  hl_marks *m;
  (void)st;
  if (flag != FTW_F) return 0;
  audit.files++;
  if (hl_lidc_recognise(path, &kind, &e) != HL_OK) kind = HL_XML_NONE;
  audit.radiographs += kind == HL_XML_RADIOGRAPH;
  audit.others += kind == HL_XML_NONE;
  if (kind != HL_XML_CT) return 0;
  audit.ct++;
  if (hl_lidc_read(&m, path, NULL, &e) != HL_OK) {
    tap_diag("%s", e.msg);
    audit.failed++;
    return 0;
  }
  hl_marks_counts c = hl_marks_count_kinds(m);
  for (size_t i = 0; i < sizeof c / sizeof(int64_t); i++)
    ((int64_t *)(void *)&audit.sum)[i] += ((const int64_t *)(const void *)&c)[i];
  hl_marks_free(m);
  return 0;
}

static void test_collection(void) {
  char script[PATH_MAX], command[3 * PATH_MAX], folder[PATH_MAX + 32];
  const char *build = getenv("HILUM_BUILD");
  if (!in_shared(script, "lidc/unpack.sh") || !build) {
    tap_skip(1, "no LIDC material here");
    return;
  }
  snprintf(folder, sizeof folder, "%s/lidc", build);
  snprintf(command, sizeof command, "sh '%s' '%s' xml", script, folder);
  if (!ok(system(command) == 0, "unpacking the collection's XML")) return;
  snprintf(folder, sizeof folder, "%s/lidc/tcia-lidc-xml", build);
  ftw(folder, audit_file, 16);
  const hl_marks_counts *c = &audit.sum;
  is_int(audit.files, 881, "files");
  is_int(audit.ct, 667, "of them CT");
  is_int(audit.radiographs, 214, "of them radiographs");
  is_int(audit.failed + audit.others, 0, "not understood");
  is_int(c->sessions, 4 * 667, "sessions");
  is_int(c->outlines, 4518, "outlined nodules");
  is_int(c->points, 8832, "points");
  is_int(c->non_nodules, 14201, "non-nodules");
  is_int(c->empty_characteristics, 16, "empty characteristics");
  is_int(c->rois_included, 34695, "included rois");
  is_int(c->rois_excluded, 531, "excluded rois");
  is_int(c->outlines_closed, 26299, "closed outlines");
  is_int(c->outlines_open, 47, "open outlines");
  is_int(c->outlines_with_gaps, 264, "outlines with a gap");
}

int main(int argc, char **argv) {
  scratch_begin("lidc");
  if (argc > 1 && strcmp(argv[1], "collection") == 0) {
    test_collection();
    return tap_done();
  }
  test_values();
  test_capitals();
  test_counts();
  test_bad_files();
  test_odd_places();
  test_silence();
  test_every_cut();
  test_no_memory();
  return tap_done();
}
