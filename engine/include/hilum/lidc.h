/* LIDC-IDRI's XML: readers' marks of one CT scan. */
#ifndef HILUM_LIDC_H
#define HILUM_LIDC_H

#include <hilum/marks.h>
#include <hilum/problems.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_xml_kind {
  HL_XML_NONE,      /* no XML, or with another root */
  HL_XML_CT,        /* root LidcReadMessage */
  HL_XML_RADIOGRAPH /* root IdriReadMessage */
} hl_xml_kind;

/* Told by the first tag in the file's first 4 KiB, never by its name. HL_EIO if it cannot be read.
 */
HL_MUST_CHECK hl_status hl_lidc_recognise(const char *path, hl_xml_kind *out, hl_err *e);

/* Reads a CT reading (UTF-8 XML, at most 64 MiB; no DTD, no entities of its own, no network).
 * Names of tags are taken without regard to capitals, values without surrounding blanks. What can
 * be lived with (a rating out of its range, a roi without points, an unknown inclusion) goes to
 * `problems`, which may be NULL. HL_EFORMAT: a radiograph's reading, a DTD, XML that is cut off or
 * not well formed, a number that is none; the message has file and line. */
HL_MUST_CHECK hl_status hl_lidc_read(hl_marks **out, const char *path, hl_problems *problems,
                                     hl_err *e);

/* Writes marks as such a file. */
HL_MUST_CHECK hl_status hl_lidc_write(const char *path, const hl_marks *m, hl_err *e);

/* "2.9.14": the version of the library that reads XML (libxml2). */
const char *hl_lidc_library(void);

#ifdef __cplusplus
}
#endif
#endif
