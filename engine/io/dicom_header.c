/* A small reader of DICOM headers (PS3.5 §7, PS3.10 §7): a window over the file, bounds checked
 * before every value, no recursion, no allocation. It stops after the last element that is wanted.
 */
#include "dicom.h"
#include <hilum/reader.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 16384, MAGIC_AT = 128, MOST_NESTING = 16, UNDEFINED = -1 };

typedef struct source {
  const char *path;
  int fd;
  int64_t size, at;      /* of the file; where the next element begins */
  int64_t begin, filled; /* which part of the file the window holds */
  uint8_t window[WINDOW];
} source;

typedef struct element {
  uint16_t group, number;
  char vr[3];
  int64_t length; /* UNDEFINED: ends with a delimiter */
} element;

typedef enum encoding { IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED } encoding;

static hl_status refuse_read(const char *path, hl_err *e) {
  return hl_fail(e, HL_EIO, "%s: cannot be read: %s", path, strerror(errno));
}

static hl_status source_open(source *s, const char *path, hl_err *e) {
  struct stat st;
  *s = (source){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (s->fd < 0) return refuse_read(path, e);
  if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode)) {
    s->size = st.st_size;
    return HL_OK;
  }
  close(s->fd);
  return hl_fail(e, HL_EIO, "%s: is no regular file", path);
}

/* n ≤ WINDOW bytes at s->at; NULL at the end of the file. */
static const uint8_t *look(source *s, int64_t n) {
  if (n < 0 || n > WINDOW || s->at > s->size - n) return NULL;
  if (s->at >= s->begin && s->at + n <= s->begin + s->filled) return s->window + (s->at - s->begin);
  ssize_t got = pread(s->fd, s->window, WINDOW, (off_t)s->at);
  s->begin = s->at;
  s->filled = got > 0 ? got : 0;
  return s->filled >= n ? s->window : NULL;
}

static uint16_t u16(const uint8_t *p, bool big) {
  return (uint16_t)(big ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static uint32_t u32(const uint8_t *p, bool big) {
  uint32_t first = u16(p, big), second = u16(p + 2, big);
  return big ? first << 16 | second : second << 16 | first;
}

static hl_status cut_off(const source *s, const char *what, hl_err *e) {
  return hl_fail(e, HL_EFORMAT, "%s: cut off: %s at byte %lld reaches beyond the file's %lld bytes",
                 s->path, what, (long long)s->at, (long long)s->size);
}

/* VRs whose length takes four bytes after two that are reserved. */
static bool has_long_length(const char *vr) {
  static const char *const names[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                      "SV", "UC", "UN", "UR", "UT", "UV"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (memcmp(vr, names[i], 2) == 0) return true;
  return false;
}

static bool is_vr(const uint8_t *p) {
  return p[0] >= 'A' && p[0] <= 'Z' && p[1] >= 'A' && p[1] <= 'Z';
}

static hl_status next_element(source *s, encoding enc, element *out, hl_err *e) {
  bool big = enc == EXPLICIT_BIG;
  const uint8_t *p = look(s, 8);
  if (!p) return cut_off(s, "an element's header", e);
  *out = (element){.group = u16(p, big), .number = u16(p + 2, big)};
  /* items and delimiters never have a VR */
  bool bare = enc == IMPLICIT_LITTLE || out->group == 0xFFFE;
  uint32_t length;
  int64_t header = 8;
  if (bare) {
    length = u32(p + 4, big);
  } else if (!is_vr(p + 4)) {
    return hl_fail(e, HL_EFORMAT,
                   "%s: element (%04x,%04x) at byte %lld has no value representation", s->path,
                   out->group, out->number, (long long)s->at);
  } else {
    memcpy(out->vr, p + 4, 2);
    length = u16(p + 6, big);
    if (has_long_length(out->vr)) {
      p = look(s, header = 12);
      if (!p) return cut_off(s, "an element's header", e);
      length = u32(p + 8, big);
    }
  }
  out->length = length == UINT32_MAX ? UNDEFINED : (int64_t)length;
  s->at += header;
  return HL_OK;
}

static hl_status skip(source *s, const element *el, hl_err *e) {
  if (el->length > s->size - s->at)
    return hl_fail(e, HL_EFORMAT,
                   "%s: cut off: element (%04x,%04x) at byte %lld has a length of %lld bytes, the "
                   "file ends after %lld",
                   s->path, el->group, el->number, (long long)s->at, (long long)el->length,
                   (long long)(s->size - s->at));
  s->at += el->length;
  return HL_OK;
}

/* A sequence of undefined length: skips up to its delimiter, however deep others lie in it. */
static hl_status skip_sequence(source *s, encoding enc, hl_err *e) {
  for (int depth = 1; depth > 0;) {
    element el;
    HL_TRY(next_element(s, enc, &el, e));
    bool opens = el.length == UNDEFINED;
    bool closes = el.group == 0xFFFE && (el.number == 0xE00D || el.number == 0xE0DD);
    if (closes) {
      depth--;
    } else if (opens) {
      if (++depth > MOST_NESTING)
        return hl_fail(e, HL_EFORMAT, "%s: sequences nested more than %d deep at byte %lld",
                       s->path, MOST_NESTING, (long long)s->at);
    } else {
      HL_TRY(skip(s, &el, e));
    }
  }
  return HL_OK;
}

/* Values of two bytes are turned around where the file is big endian; texts need nothing. */
static void put(hl_dicom_header *h, const element *el, const uint8_t *value, bool big) {
  uint8_t turned[2];
  if (big && el->length == 2 && memcmp(el->vr, "US", 2) == 0) {
    turned[0] = value[1];
    turned[1] = value[0];
    value = turned;
  }
  dicom_header_put(h, el->group, el->number, value, (size_t)el->length);
}

static hl_status take_element(source *s, const element *el, encoding enc, hl_dicom_header *h,
                              hl_err *e) {
  /* of undefined length and unknown: encoded as an implicit sequence (PS3.5 §6.2.2) */
  encoding inside = memcmp(el->vr, "UN", 2) == 0 ? IMPLICIT_LITTLE : enc;
  if (el->length == UNDEFINED) return skip_sequence(s, inside, e);
  const uint8_t *value = el->length <= 1024 ? look(s, el->length) : NULL;
  if (value) put(h, el, value, enc == EXPLICIT_BIG);
  return skip(s, el, e);
}

static hl_status read_meta(source *s, hl_dicom_header *h, hl_err *e) {
  for (;;) {
    const uint8_t *p = look(s, 2);
    if (!p || u16(p, false) != 2) return HL_OK;
    element el;
    HL_TRY(next_element(s, EXPLICIT_LITTLE, &el, e));
    HL_TRY(take_element(s, &el, EXPLICIT_LITTLE, h, e));
  }
}

/* The pixels' own length: they end within the file, or with a delimiter after their fragments. */
static hl_status check_pixels(source *s, const element *el, encoding enc, hl_dicom_header *h,
                              hl_err *e) {
  h->has |= HL_DICOM_PIXELS;
  if (el->length == UNDEFINED) return skip_sequence(s, enc, e);
  /* a lying header's product is beyond 64 bits */
  double needed = (double)h->rows * h->columns * h->samples * h->frames * h->bits_allocated / 8;
  if ((double)el->length < needed)
    return hl_fail(e, HL_EFORMAT, "%s: has %lld bytes of pixels, expected %.0f", s->path,
                   (long long)el->length, needed);
  return skip(s, el, e);
}

/* What follows the pixels is of no interest. */
static hl_status read_dataset(source *s, encoding enc, hl_dicom_header *h, hl_err *e) {
  while (s->at < s->size) {
    element el;
    HL_TRY(next_element(s, enc, &el, e));
    if (el.group == 0x7FE0 && el.number == 0x0010) return check_pixels(s, &el, enc, h, e);
    HL_TRY(take_element(s, &el, enc, h, e));
  }
  return HL_OK;
}

static encoding encoding_of(const char *transfer_syntax) {
  if (strcmp(transfer_syntax, "1.2.840.10008.1.2") == 0) return IMPLICIT_LITTLE;
  if (strcmp(transfer_syntax, "1.2.840.10008.1.2.2") == 0) return EXPLICIT_BIG;
  if (strcmp(transfer_syntax, "1.2.840.10008.1.2.1.99") == 0) return DEFLATED;
  return EXPLICIT_LITTLE;
}

static bool has_magic(source *s) {
  s->at = MAGIC_AT;
  const uint8_t *p = look(s, 4);
  s->at = MAGIC_AT + 4;
  return p && memcmp(p, "DICM", 4) == 0;
}

hl_status hl_dicom_recognise(const char *path, bool *out, hl_err *e) {
  source s;
  *out = false;
  HL_TRY(source_open(&s, path, e));
  *out = has_magic(&s);
  close(s.fd);
  return HL_OK;
}

typedef struct apart {
  const char *path;
  hl_dicom_header *out;
  hl_err err;
} apart;

static hl_status inflate(void *ctx, int64_t item, void *shared, hl_err *e) {
  (void)item;
  return dicom_gdcm_header(((const apart *)ctx)->path, shared, e);
}

static void inflated(void *ctx, int64_t item, void *shared, const hl_err *e) {
  (void)item;
  apart *a = ctx;
  a->err = *e;
  if (e->code == HL_OK) memcpy(a->out, shared, sizeof *a->out);
}

static hl_status read_deflated(const char *path, hl_dicom_header *out, hl_err *e) {
  apart a = {.path = path, .out = out};
  const hl_reader_limits limits = {.processes = 1};
  HL_TRY(hl_reader_run(1, sizeof *out, inflate, inflated, &a, &limits, e));
  if (a.err.code != HL_OK) return hl_fail(e, a.err.code, "%s: %s", path, a.err.msg);
  return HL_OK;
}

hl_status hl_dicom_header_read(const char *path, hl_dicom_header *out, hl_err *e) {
  source s;
  dicom_header_begin(out);
  HL_TRY(source_open(&s, path, e));
  hl_status status = HL_OK;
  encoding enc = EXPLICIT_LITTLE;
  if (!has_magic(&s))
    status = hl_fail(e, HL_EFORMAT, "%s: not a DICOM file (no \"DICM\" at byte 128)", path);
  if (status == HL_OK) status = read_meta(&s, out, e);
  if (status == HL_OK) enc = encoding_of(out->transfer_syntax);
  if (status == HL_OK && enc != DEFLATED) status = read_dataset(&s, enc, out, e);
  close(s.fd);
  if (status == HL_OK && enc == DEFLATED) status = read_deflated(path, out, e);
  if (status != HL_OK) dicom_header_begin(out);
  return status;
}
