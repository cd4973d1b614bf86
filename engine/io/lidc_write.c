/* Marks as LIDC's XML, in the order and spelling of the collection's own files. */
#include <hilum/lidc.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_part(FILE *f, const char *s, size_t n) {
  for (const char *end = s + n; s < end; s++) switch (*s) {
    case '&':
      fputs("&amp;", f);
      break;
    case '<':
      fputs("&lt;", f);
      break;
    case '>':
      fputs("&gt;", f);
      break;
    default:
      fputc(*s, f);
    }
}

/* The first n characters of a value. */
static void put_tag_part(FILE *f, const char *tag, const char *value, size_t n) {
  fprintf(f, "<%s>", tag);
  put_part(f, value, n);
  fprintf(f, "</%s>\n", tag);
}

static void put_tag(FILE *f, const char *tag, const char *value) {
  put_tag_part(f, tag, value, strlen(value));
}

static void put_header(FILE *f, const hl_marks *m) {
  const char *date = hl_marks_date(m), *blank = strchr(date, ' ');
  fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<LidcReadMessage xmlns=\"http://www.nih.gov\">\n<ResponseHeader>\n",
        f);
  put_tag(f, "SeriesInstanceUid", hl_marks_series_uid(m));
  put_tag(f, "StudyInstanceUID", hl_marks_study_uid(m));
  if (blank) {
    put_tag_part(f, "DateService", date, (size_t)(blank - date));
    put_tag(f, "TimeService", blank + 1);
  }
  fputs("</ResponseHeader>\n", f);
}

static void put_place(FILE *f, const hl_roi *roi) {
  if (isfinite(roi->z_mm))
    fprintf(f, "<imageZposition>%.6f%s</imageZposition>\n", roi->z_mm, roi->z_blanks ? " " : "");
  put_tag(f, "imageSOP_UID", roi->sop_uid);
}

static void put_points(FILE *f, const hl_roi *roi, const char *tag) {
  for (int64_t i = 0; i < roi->n; i++)
    fprintf(f, "<%s><xCoord>%d</xCoord><yCoord>%d</yCoord></%s>\n", tag, (int)roi->points[i].x,
            (int)roi->points[i].y, tag);
}

static void put_ratings(FILE *f, const hl_mark *mark) {
  fputs("<characteristics>\n", f);
  for (int i = 0; i < HL_RATINGS; i++)
    if (mark->rated && mark->rating[i] != INT_MIN)
      fprintf(f, "<%s>%d</%s>\n", hl_rating_name(i), mark->rating[i], hl_rating_name(i));
  fputs("</characteristics>\n", f);
}

static void put_nodule(FILE *f, const hl_mark *mark) {
  fputs("<unblindedReadNodule>\n", f);
  put_tag(f, "noduleID", mark->id);
  if (mark->rated || mark->empty_characteristics) put_ratings(f, mark);
  for (int64_t i = 0; i < mark->n_rois; i++) {
    fputs("<roi>\n", f);
    put_place(f, &mark->rois[i]);
    fprintf(f, "<inclusion>%s</inclusion>\n", mark->rois[i].inclusion ? "TRUE" : "FALSE");
    put_points(f, &mark->rois[i], "edgeMap");
    fputs("</roi>\n", f);
  }
  fputs("</unblindedReadNodule>\n", f);
}

static void put_non_nodule(FILE *f, const hl_mark *mark) {
  fputs("<nonNodule>\n", f);
  put_tag(f, "nonNoduleID", mark->id);
  if (mark->n_rois) put_place(f, &mark->rois[0]);
  if (mark->n_rois) put_points(f, &mark->rois[0], "locus");
  fputs("</nonNodule>\n", f);
}

static void put_sessions(FILE *f, const hl_marks *m) {
  int64_t i = 0;
  for (int session = 0; session < hl_marks_sessions(m); session++) {
    fputs("<readingSession>\n<annotationVersion>3.12</annotationVersion>\n"
          "<servicingRadiologistID>anonymous</servicingRadiologistID>\n",
          f);
    for (; i < hl_marks_count(m) && hl_marks_at(m, i)->session == session; i++) {
      const hl_mark *mark = hl_marks_at(m, i);
      if (mark->kind == HL_MARK_NON_NODULE)
        put_non_nodule(f, mark);
      else
        put_nodule(f, mark);
    }
    fputs("</readingSession>\n", f);
  }
}

hl_status hl_lidc_write(const char *path, const hl_marks *m, hl_err *e) {
  FILE *f = fopen(path, "wbe");
  if (!f) return hl_fail(e, HL_EIO, "%s: cannot be written: %s", path, strerror(errno));
  put_header(f, m);
  put_sessions(f, m);
  fputs("</LidcReadMessage>\n", f);
  bool failed = ferror(f) != 0;
  int reason = errno;
  failed = fclose(f) != 0 || failed;
  if (failed)
    return hl_fail(e, HL_EIO, "%s: not written whole: %s", path, strerror(errno ? errno : reason));
  return HL_OK;
}
