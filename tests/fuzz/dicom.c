/* Fuzzing the reader of DICOM headers. Files that it would hand to GDCM (deflated ones) are left
 * out: that library has a process of its own, and test_mutated.c. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"

#include <hilum/dicom.h>

#include <math.h>
#include <string.h>

static const char DEFLATED[] = "1.2.840.10008.1.2.1.99";

static void check_text(const char *text, size_t room) {
  const char *end = memchr(text, '\0', room);
  fuzz_must(end != NULL, "a text ends within its field");
  for (const char *s = text; s < end; s++) fuzz_must(*s >= ' ' && *s < 127, "a text is plain");
}

static void check_numbers(const double *v, int n) {
  for (int i = 0; i < n; i++) fuzz_must(isfinite(v[i]) != 0, "a number is finite");
}

static void check_header(const hl_dicom_header *h) {
  check_text(h->transfer_syntax, sizeof h->transfer_syntax);
  check_text(h->sop_class, sizeof h->sop_class);
  check_text(h->sop_uid, sizeof h->sop_uid);
  check_text(h->series_uid, sizeof h->series_uid);
  check_text(h->study_uid, sizeof h->study_uid);
  check_text(h->patient_id, sizeof h->patient_id);
  check_text(h->modality, sizeof h->modality);
  check_numbers(h->position_mm, 3);
  check_numbers(h->orientation, 6);
  check_numbers(h->spacing_mm, 2);
  check_numbers(&h->slope, 1);
  check_numbers(&h->intercept, 1);
  bool sized = (h->has & HL_DICOM_SIZE) != 0;
  fuzz_must(sized == (h->rows > 0 && h->columns > 0), "a size has rows and columns");
  fuzz_plant(sized && (h->has & HL_DICOM_ORIENTATION) != 0 && h->rows > 255);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (memmem(data, n, DEFLATED, sizeof DEFLATED - 1) != NULL) return 0;
  const char *path = fuzz_file(data, n);
  hl_err e = {0};
  hl_dicom_header h;
  bool dicom = false;
  fuzz_must(hl_dicom_recognise(path, &dicom, &e) == HL_OK, "any file can be recognised or not");
  hl_status status = hl_dicom_header_read(path, &h, &e);
  fuzz_refusal(status, &e);
  fuzz_must(dicom || status != HL_OK, "what is no DICOM file is not read");
  check_header(&h);
  return 0;
}

/* ---- Seeds ---- */

typedef struct writer {
  uint8_t bytes[2048];
  size_t n;
  bool implicit, big;
} writer;

static void put_bytes(writer *w, const void *bytes, size_t n) {
  memcpy(w->bytes + w->n, bytes, n);
  w->n += n;
}

static void put_number(writer *w, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    w->bytes[w->n++] = (uint8_t)(value >> 8 * (w->big ? bytes - 1 - i : i));
}

/* The header of an element; `vr` NULL: items and delimiters. */
static void put_element(writer *w, uint32_t tag, const char *vr, uint32_t length) {
  put_number(w, tag >> 16, 2);
  put_number(w, tag & 0xFFFF, 2);
  bool is_long = vr && strstr("OB OW SQ UN", vr) != NULL;
  if (vr && !w->implicit) put_bytes(w, vr, 2);
  if (vr && !w->implicit && is_long) put_number(w, 0, 2);
  put_number(w, length, vr && !w->implicit && !is_long ? 2 : 4);
}

static void put_text(writer *w, uint32_t tag, const char *vr, const char *text) {
  size_t n = strlen(text);
  put_element(w, tag, vr, (uint32_t)(n + n % 2));
  put_bytes(w, text, n);
  if (n % 2) put_bytes(w, vr[0] == 'U' ? "" : " ", 1);
}

static void put_us(writer *w, uint32_t tag, uint32_t value) {
  put_element(w, tag, "US", 2);
  put_number(w, value, 2);
}

/* A sequence of undefined length with an item of undefined length and one of a known one. */
static void put_sequence(writer *w) {
  put_element(w, 0x00081140, "SQ", UINT32_MAX);
  put_element(w, 0xFFFEE000, NULL, UINT32_MAX);
  put_text(w, 0x00081150, "UI", "1.2");
  put_element(w, 0xFFFEE00D, NULL, 0);
  put_element(w, 0xFFFEE000, NULL, 0);
  put_element(w, 0xFFFEE0DD, NULL, 0);
}

static void put_meta(writer *w, const char *syntax) {
  memset(w->bytes, 0, 128);
  w->n = 128;
  put_bytes(w, "DICM", 4);
  put_text(w, 0x00020010, "UI", syntax);
}

static void put_image(writer *w) {
  put_text(w, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
  put_text(w, 0x00080018, "UI", "1.2.9");
  put_text(w, 0x00080060, "CS", "CT");
  put_sequence(w);
  put_text(w, 0x00100020, "LO", "patient");
  put_text(w, 0x00180050, "DS", "2.5");
  put_text(w, 0x0020000D, "UI", "1.2");
  put_text(w, 0x0020000E, "UI", "1.2.3");
  put_text(w, 0x00200013, "IS", "7");
  put_text(w, 0x00200032, "DS", "-1\\-2.5\\1e2");
  put_text(w, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
  put_us(w, 0x00280002, 1);
  put_text(w, 0x00280008, "IS", "1");
  put_us(w, 0x00280010, 2);
  put_us(w, 0x00280011, 2);
  put_text(w, 0x00280030, "DS", "0.5\\0.5");
  put_us(w, 0x00280100, 16);
  put_us(w, 0x00280101, 16);
  put_us(w, 0x00280103, 0);
  put_text(w, 0x00281052, "DS", "-1024");
  put_text(w, 0x00281053, "DS", "1");
}

static void put_pixels(writer *w, bool fragments) {
  if (fragments) {
    put_element(w, 0x7FE00010, "OB", UINT32_MAX);
    put_element(w, 0xFFFEE000, NULL, 0);
    put_element(w, 0xFFFEE000, NULL, 4);
    put_bytes(w, "abcd", 4);
    put_element(w, 0xFFFEE0DD, NULL, 0);
    return;
  }
  put_element(w, 0x7FE00010, "OW", 8);
  put_bytes(w, "\0\1\0\1\0\1\0\1", 8);
}

void fuzz_seeds(fuzz_put put, void *ctx) {
  static const struct {
    const char *name, *syntax;
    bool implicit, big, fragments;
  } kinds[] = {{"implicit", "1.2.840.10008.1.2", true, false, false},
               {"explicit", "1.2.840.10008.1.2.1", false, false, false},
               {"big", "1.2.840.10008.1.2.2", false, true, false},
               {"fragments", "1.2.840.10008.1.2.4.70", false, false, true}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    writer w = {0};
    put_meta(&w, kinds[i].syntax);
    w.implicit = kinds[i].implicit;
    w.big = kinds[i].big;
    put_image(&w);
    put_pixels(&w, kinds[i].fragments);
    put(ctx, kinds[i].name, w.bytes, w.n);
  }
}
