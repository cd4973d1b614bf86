/* LIDC's XML, read by events: nothing of the document is kept but the marks. */
#include "lidc_file.h"
#include <hilum/ledger.h>
#include <hilum/lidc.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>

enum { MOST_TEXT = 1024, MOST_COORDINATE = 65535 };

typedef enum place { /* which tag's children are being read */
                     OUTSIDE,
                     IN_SESSION,
                     IN_NODULE,
                     IN_RATINGS,
                     IN_ROI,
                     IN_POINT
} place;

typedef struct reading {
  const char *path;
  hl_marks *marks;
  hl_problems *problems;
  hl_err *err;
  hl_status status;
  xmlParserCtxtPtr parser;
  bool root_seen;
  place at;
  char text[MOST_TEXT]; /* of the tag being read */
  size_t n_text;

  char series_uid[128], study_uid[128], date[64], time[64];
  /* the mark being read */
  bool mark_added, non_nodule;
  char id[256];
  int mark_line;
  int rating[HL_RATINGS];
  int n_ratings;
  /* the roi being read */
  double z_mm;
  char sop_uid[128];
  bool inclusion, z_blanks;
  int roi_line;
  hl_point *points;
  int64_t n_points, room;
  /* the point being read */
  int32_t x, y;
  bool has_x, has_y;
} reading;

static int line_of(const reading *r) {
  return xmlSAX2GetLineNumber(r->parser);
}

/* The first failure counts; the parser stops. */
static void fail(reading *r, hl_status status) {
  if (r->status == HL_OK) r->status = status;
  xmlStopParser(r->parser);
}

static void check(reading *r, hl_status status) {
  if (status != HL_OK) fail(r, status);
}

/* ---- Values ---- */

static const char *trimmed(reading *r) {
  char *s = r->text, *end = s + r->n_text;
  while (end > s && strchr(" \t\r\n", end[-1])) end--;
  *end = '\0';
  while (*s && strchr(" \t\r\n", *s)) s++;
  return s;
}

static void refuse_value(reading *r, const char *tag, const char *expected) {
  fail(r, hl_fail(r->err, HL_EFORMAT, "%s: line %d: %s is '%.60s', expected %s", r->path,
                  line_of(r), tag, trimmed(r), expected));
}

static int32_t whole(reading *r, const char *tag) {
  const char *s = trimmed(r);
  char *end;
  errno = 0;
  long v = strtol(s, &end, 10);
  if (end == s || *end || errno || v < -MOST_COORDINATE || v > MOST_COORDINATE) {
    refuse_value(r, tag, "a whole number of at most 65535");
    return 0;
  }
  return (int32_t)v;
}

static double decimal(reading *r, const char *tag) {
  const char *s = trimmed(r);
  char *end;
  double v = strtod(s, &end);
  if (end == s || *end || !isfinite(v)) {
    refuse_value(r, tag, "a number");
    return 0;
  }
  return v;
}

static void keep_text(reading *r, char *to, size_t room, const char *tag) {
  const char *s = trimmed(r);
  if (strlen(s) >= room) {
    refuse_value(r, tag, "a shorter text");
    return;
  }
  memcpy(to, s, strlen(s) + 1);
}

/* ---- Marks ---- */

static void begin_mark(reading *r, bool non_nodule) {
  r->at = IN_NODULE;
  r->mark_added = false;
  r->non_nodule = non_nodule;
  r->id[0] = '\0';
  r->mark_line = line_of(r);
}

static void begin_roi(reading *r) {
  r->z_mm = (double)NAN;
  r->sop_uid[0] = '\0';
  r->inclusion = true;
  r->z_blanks = false;
  r->roi_line = line_of(r);
  r->n_points = 0;
}

static void begin_ratings(reading *r) {
  r->at = IN_RATINGS;
  r->n_ratings = 0;
  for (int i = 0; i < HL_RATINGS; i++) r->rating[i] = INT_MIN;
}

/* The mark's name comes first in the file; it is added when its first part is complete. */
static void add_mark(reading *r) {
  if (r->mark_added) return;
  r->mark_added = true;
  hl_mark_kind kind = r->non_nodule ? HL_MARK_NON_NODULE : HL_MARK_OUTLINE;
  check(r, hl_marks_add(r->marks, kind, r->id, r->mark_line, r->err));
}

static void end_roi(reading *r) {
  if (r->status != HL_OK) return;
  add_mark(r);
  if (r->n_points == 0)
    hl_problems_add(r->problems, HL_EFORMAT, r->path, "line %d: an outline without points",
                    r->roi_line);
  if (r->status == HL_OK)
    check(r, hl_marks_add_roi(r->marks, r->z_mm, r->sop_uid, r->inclusion, r->roi_line, r->err));
  if (r->status == HL_OK && r->z_blanks) hl_marks_set_z_blanks(r->marks);
  if (r->status == HL_OK) check(r, hl_marks_add_points(r->marks, r->points, r->n_points, r->err));
}

static void end_mark(reading *r) {
  r->at = IN_SESSION;
  if (r->non_nodule) end_roi(r);
  if (r->status == HL_OK) add_mark(r);
}

static void end_ratings(reading *r) {
  r->at = IN_NODULE;
  if (r->status != HL_OK) return;
  add_mark(r);
  if (r->status == HL_OK)
    check(r, hl_marks_set_ratings(r->marks, r->n_ratings ? r->rating : NULL, r->err));
}

static void end_rating(reading *r, const char *tag) {
  int i = 0;
  while (i < HL_RATINGS && strcasecmp(tag, hl_rating_name(i)) != 0) i++;
  if (i == HL_RATINGS || !*trimmed(r)) return;
  r->rating[i] = whole(r, tag);
  r->n_ratings++;
}

/* A mark's kind, on which its scales depend, is known when it is complete. */
static void report_ratings(const reading *r, const hl_mark *mark) {
  for (int i = 0; i < HL_RATINGS; i++)
    if (!hl_rating_in_range(mark, i))
      hl_problems_add(r->problems, HL_OK, r->path,
                      "line %d: rating %s is %d, expected 1 to %d; kept as it is", mark->line,
                      hl_rating_name(i), mark->rating[i], hl_rating_max(i));
}

static void end_point(reading *r) {
  r->at = r->non_nodule ? IN_NODULE : IN_ROI;
  if (r->status != HL_OK) return;
  if (!r->has_x || !r->has_y) {
    fail(r, hl_fail(r->err, HL_EFORMAT, "%s: line %d: a point without xCoord or yCoord", r->path,
                    line_of(r)));
    return;
  }
  if (r->n_points == r->room) {
    int64_t room = 2 * r->room + 256;
    hl_point *points = hl_host_realloc(r->points, (size_t)room * sizeof *points);
    if (!points) {
      fail(r,
           hl_fail(r->err, HL_ENOMEM, "%s: no memory for %lld points", r->path, (long long)room));
      return;
    }
    r->points = points;
    r->room = room;
  }
  r->points[r->n_points++] = (hl_point){.x = r->x, .y = r->y};
}

static void end_inclusion(reading *r) {
  const char *s = trimmed(r);
  r->inclusion = strcasecmp(s, "FALSE") != 0;
  if (r->inclusion && strcasecmp(s, "TRUE") != 0)
    hl_problems_add(r->problems, HL_OK, r->path,
                    "line %d: inclusion is '%.20s', expected TRUE or FALSE; taken as TRUE",
                    line_of(r), s);
}

/* ---- Events ---- */

static bool is(const char *tag, const char *name) {
  return strcasecmp(tag, name) == 0;
}

static void check_root(reading *r, const char *tag) {
  r->root_seen = true;
  if (is(tag, "LidcReadMessage")) return;
  const char *what = is(tag, "IdriReadMessage") ? " (a radiograph's reading)" : "";
  fail(r, hl_fail(r->err, HL_EFORMAT, "%s: line %d: root tag is %.60s%s, expected LidcReadMessage",
                  r->path, line_of(r), tag, what));
}

static void begin_tag(reading *r, const char *tag) {
  switch (r->at) {
  case OUTSIDE:
    if (!is(tag, "readingSession")) return;
    r->at = IN_SESSION;
    check(r, hl_marks_add_session(r->marks, r->err));
    return;
  case IN_SESSION:
    if (is(tag, "unblindedReadNodule")) begin_mark(r, false);
    if (!is(tag, "nonNodule")) return;
    begin_mark(r, true);
    begin_roi(r);
    return;
  case IN_NODULE:
    if (is(tag, "characteristics")) begin_ratings(r);
    if (!r->non_nodule && is(tag, "roi")) {
      r->at = IN_ROI;
      begin_roi(r);
    }
    if (!r->non_nodule || !is(tag, "locus")) return;
    break;
  case IN_ROI:
    if (!is(tag, "edgeMap")) return;
    break;
  case IN_RATINGS:
  case IN_POINT:
    return;
  }
  r->at = IN_POINT;
  r->has_x = r->has_y = false;
}

static void end_coordinate(reading *r, const char *tag) {
  if (is(tag, "xCoord")) {
    r->x = whole(r, tag);
    r->has_x = true;
  } else if (is(tag, "yCoord")) {
    r->y = whole(r, tag);
    r->has_y = true;
  }
}

static void end_z(reading *r, const char *tag) {
  size_t n = r->n_text;
  r->z_mm = decimal(r, tag);
  r->z_blanks = strlen(trimmed(r)) != n;
}

static void end_roi_value(reading *r, const char *tag) {
  if (is(tag, "imageZposition"))
    end_z(r, tag);
  else if (is(tag, "imageSOP_UID"))
    keep_text(r, r->sop_uid, sizeof r->sop_uid, tag);
  else if (is(tag, "inclusion"))
    end_inclusion(r);
}

static void end_header_value(reading *r, const char *tag) {
  if (is(tag, "SeriesInstanceUid"))
    keep_text(r, r->series_uid, sizeof r->series_uid, tag);
  else if (is(tag, "StudyInstanceUID"))
    keep_text(r, r->study_uid, sizeof r->study_uid, tag);
  else if (is(tag, "DateService"))
    keep_text(r, r->date, sizeof r->date, tag);
  else if (is(tag, "TimeService"))
    keep_text(r, r->time, sizeof r->time, tag);
}

static void end_nodule_value(reading *r, const char *tag) {
  if (is(tag, r->non_nodule ? "nonNodule" : "unblindedReadNodule"))
    end_mark(r);
  else if (is(tag, "noduleID") || is(tag, "nonNoduleID"))
    keep_text(r, r->id, sizeof r->id, tag);
  else if (r->non_nodule)
    end_roi_value(r, tag);
}

static void end_tag(reading *r, const char *tag) {
  switch (r->at) {
  case OUTSIDE:
    end_header_value(r, tag);
    return;
  case IN_SESSION:
    if (is(tag, "readingSession")) r->at = OUTSIDE;
    return;
  case IN_NODULE:
    end_nodule_value(r, tag);
    return;
  case IN_RATINGS:
    if (is(tag, "characteristics"))
      end_ratings(r);
    else
      end_rating(r, tag);
    return;
  case IN_ROI:
    if (is(tag, "roi")) {
      r->at = IN_NODULE;
      end_roi(r);
    } else {
      end_roi_value(r, tag);
    }
    return;
  case IN_POINT:
    if (is(tag, "edgeMap") || is(tag, "locus"))
      end_point(r);
    else
      end_coordinate(r, tag);
    return;
  }
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int n_namespaces, const xmlChar **namespaces, int n_attributes,
                     int n_defaulted, const xmlChar **attributes) {
  (void)prefix, (void)uri, (void)n_namespaces, (void)namespaces;
  (void)n_attributes, (void)n_defaulted, (void)attributes;
  reading *r = ctx;
  if (r->status != HL_OK) return;
  r->n_text = 0;
  if (r->root_seen)
    begin_tag(r, (const char *)name);
  else
    check_root(r, (const char *)name);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
  (void)prefix, (void)uri;
  reading *r = ctx;
  if (r->status != HL_OK) return;
  end_tag(r, (const char *)name);
  r->n_text = 0;
}

static void on_text(void *ctx, const xmlChar *text, int n) {
  reading *r = ctx;
  size_t room = sizeof r->text - 1 - r->n_text, take = (size_t)n < room ? (size_t)n : room;
  memcpy(r->text + r->n_text, text, take);
  r->n_text += take;
}

static void on_dtd(void *ctx, const xmlChar *name, const xmlChar *id, const xmlChar *system) {
  (void)name, (void)id, (void)system;
  reading *r = ctx;
  fail(r, hl_fail(r->err, HL_EFORMAT,
                  "%s: line %d: has a document type declaration (DOCTYPE), expected none: refused",
                  r->path, line_of(r)));
}

static void on_error(void *ctx, xmlErrorPtr error) {
  reading *r = ctx;
  if (error->level < XML_ERR_ERROR || r->status != HL_OK) return;
  char text[200] = "";
  if (error->message) strncpy(text, error->message, sizeof text - 1);
  text[strcspn(text, "\r\n")] = '\0';
  hl_status code = error->code == XML_ERR_NO_MEMORY ? HL_ENOMEM : HL_EFORMAT;
  fail(r,
       hl_fail(r->err, code, "%s: line %d: not well-formed XML: %s", r->path, error->line, text));
}

/* ---- The file ---- */

/* libxml2 prints what goes wrong in an encoding, unless somebody takes it. */
static void on_loose_error(void *ctx, xmlErrorPtr error) {
  (void)ctx, (void)error;
}

static bool parse_document(reading *r) {
  xmlStructuredErrorFunc theirs = xmlStructuredError; /* of this thread */
  void *their_ctx = xmlStructuredErrorContext;
  xmlSetStructuredErrorFunc(NULL, on_loose_error);
  xmlParseDocument(r->parser);
  xmlSetStructuredErrorFunc(their_ctx, theirs);
  return r->parser->wellFormed;
}

static hl_status parse(reading *r, const char *text, size_t n) {
  static const xmlSAXHandler handler = {.initialized = XML_SAX2_MAGIC,
                                        .startElementNs = on_start,
                                        .endElementNs = on_end,
                                        .characters = on_text,
                                        .cdataBlock = on_text,
                                        .internalSubset = on_dtd,
                                        .serror = on_error};
  r->parser = n ? xmlCreateMemoryParserCtxt(text, (int)n) : NULL;
  if (n == 0) return hl_fail(r->err, HL_EFORMAT, "%s: is empty, expected XML", r->path);
  if (!r->parser) return hl_fail(r->err, HL_ENOMEM, "%s: no memory for a parser", r->path);
  xmlCtxtUseOptions(r->parser, XML_PARSE_NONET);
  *r->parser->sax = handler;
  r->parser->userData = r;
  bool well_formed = parse_document(r);
  xmlFreeParserCtxt(r->parser);
  HL_TRY(r->status);
  if (!well_formed) return hl_fail(r->err, HL_EFORMAT, "%s: not well-formed XML", r->path);
  return HL_OK;
}

static hl_status conclude(reading *r) {
  char date[sizeof r->date + sizeof r->time];
  if (!r->series_uid[0])
    return hl_fail(r->err, HL_EFORMAT, "%s: has no SeriesInstanceUid", r->path);
  size_t n = strlen(r->date);
  memcpy(date, r->date, n);
  date[n] = ' ';
  memcpy(date + n + 1, r->time, strlen(r->time) + 1);
  HL_TRY(
      hl_marks_set_source(r->marks, r->path, r->series_uid, r->study_uid, n ? date : "", r->err));
  hl_marks_finish(r->marks);
  for (int64_t i = 0; i < hl_marks_count(r->marks); i++)
    report_ratings(r, hl_marks_at(r->marks, i));
  if (hl_marks_sessions(r->marks) == 0)
    hl_problems_add(r->problems, HL_EFORMAT, r->path, "has no reading session");
  return HL_OK;
}

hl_status hl_lidc_read(hl_marks **out, const char *path, hl_problems *problems, hl_err *e) {
  char *text;
  size_t n = 0;
  hl_err own = {0};
  *out = NULL;
  HL_TRY(lidc_read_file(path, &text, &n, e));
  reading r = {.path = path, .problems = problems, .err = e ? e : &own};
  hl_status status = hl_marks_new(&r.marks, r.err);
  if (status == HL_OK) status = parse(&r, text, n);
  if (status == HL_OK) status = conclude(&r);
  hl_host_free(text);
  hl_host_free(r.points);
  if (status != HL_OK) {
    hl_marks_free(r.marks);
    return status;
  }
  *out = r.marks;
  return HL_OK;
}

const char *hl_lidc_library(void) {
  return LIBXML_DOTTED_VERSION;
}
