#include "dicom_put.h"
#include <hilum/hash.h>
#include <hilum/ledger.h>

#include <stdio.h>
#include <string.h>

enum { UNDEFINED_LENGTH = -1 };

void dicom_out_free(dicom_out *o) {
  hl_host_free(o->bytes);
  *o = (dicom_out){0};
}

/* ---- Bytes ---- */

static void put(dicom_out *o, const void *bytes, size_t n) {
  if (o->status != HL_OK || n == 0) return;
  if (o->n + n > o->room) {
    size_t room = 2 * (o->n + n) + 4096;
    uint8_t *grown = hl_host_realloc(o->bytes, room);
    if (!grown) {
      o->status = HL_ENOMEM;
      return;
    }
    o->bytes = grown;
    o->room = room;
  }
  memcpy(o->bytes + o->n, bytes, n);
  o->n += n;
}

static void put_number(dicom_out *o, uint32_t v, int bytes) {
  uint8_t le[4];
  for (int i = 0; i < bytes; i++) le[i] = (uint8_t)(v >> 8 * i);
  put(o, le, (size_t)bytes);
}

static void put_tag(dicom_out *o, uint32_t tag) {
  put_number(o, tag >> 16, 2);
  put_number(o, tag & 0xFFFF, 2);
}

static void refuse(dicom_out *o, uint32_t tag) {
  if (o->status != HL_OK) return;
  o->status = HL_EINVAL;
  o->wrong = tag;
}

/* Tag, VR and length; OB, SQ and UT have four bytes for the length, the other kinds used here two.
 */
static void begin_element(dicom_out *o, uint32_t tag, const char vr[3], int64_t length) {
  bool is_long = strcmp(vr, "OB") == 0 || strcmp(vr, "SQ") == 0 || strcmp(vr, "UT") == 0;
  if (length > (is_long ? (int64_t)UINT32_MAX - 1 : UINT16_MAX)) refuse(o, tag);
  put_tag(o, tag);
  put(o, vr, 2);
  if (is_long) put_number(o, 0, 2);
  put_number(o, (uint32_t)length, is_long ? 4 : 2);
}

/* ---- Values ---- */

void dicom_put_text(dicom_out *o, uint32_t tag, const char vr[3], const char *text) {
  size_t n = strlen(text), odd = n % 2;
  begin_element(o, tag, vr, (int64_t)(n + odd));
  put(o, text, n);
  if (odd) put(o, strcmp(vr, "UI") == 0 ? "" : " ", 1);
}

void dicom_put_numbers(dicom_out *o, uint32_t tag, const double *v, int n) {
  char joined[256] = "", one[32];
  size_t used = 0;
  for (int i = 0; i < n; i++) {
    int digits = 15, length;
    do length = snprintf(one, sizeof one, "%.*g", digits--, v[i]);
    while (length > 16);
    if (used + (size_t)length + 2 > sizeof joined) refuse(o, tag);
    if (o->status != HL_OK) return;
    if (i > 0) joined[used++] = '\\';
    memcpy(joined + used, one, (size_t)length + 1);
    used += (size_t)length;
  }
  dicom_put_text(o, tag, "DS", joined);
}

void dicom_put_integer(dicom_out *o, uint32_t tag, int64_t v) {
  char text[24];
  snprintf(text, sizeof text, "%lld", (long long)v);
  dicom_put_text(o, tag, "IS", text);
}

void dicom_put_us(dicom_out *o, uint32_t tag, int v) {
  begin_element(o, tag, "US", 2);
  put_number(o, (uint32_t)v, 2);
}

void dicom_put_uls(dicom_out *o, uint32_t tag, const uint32_t *v, int n) {
  begin_element(o, tag, "UL", 4 * (int64_t)n);
  for (int i = 0; i < n; i++) put_number(o, v[i], 4);
}

void dicom_put_pointer(dicom_out *o, uint32_t tag, uint32_t to) {
  begin_element(o, tag, "AT", 4);
  put_tag(o, to);
}

void dicom_put_bytes(dicom_out *o, uint32_t tag, const void *bytes, size_t n) {
  begin_element(o, tag, "OB", (int64_t)(n + n % 2));
  put(o, bytes, n);
  if (n % 2) put(o, "", 1);
}

/* ---- Sequences ---- */

void dicom_begin_sequence(dicom_out *o, uint32_t tag) {
  begin_element(o, tag, "SQ", UNDEFINED_LENGTH);
}

/* Items and delimiters have no VR. */
static void put_mark(dicom_out *o, uint32_t tag, uint32_t length) {
  put_tag(o, tag);
  put_number(o, length, 4);
}

void dicom_end_sequence(dicom_out *o) {
  put_mark(o, 0xFFFEE0DD, 0);
}

void dicom_begin_item(dicom_out *o) {
  put_mark(o, 0xFFFEE000, UINT32_MAX);
}

void dicom_end_item(dicom_out *o) {
  put_mark(o, 0xFFFEE00D, 0);
}

void dicom_begin_only(dicom_out *o, uint32_t tag) {
  dicom_begin_sequence(o, tag);
  dicom_begin_item(o);
}

void dicom_end_only(dicom_out *o) {
  dicom_end_item(o);
  dicom_end_sequence(o);
}

void dicom_put_code(dicom_out *o, uint32_t tag, const char *value, const char *scheme,
                    const char *meaning) {
  dicom_begin_only(o, tag);
  dicom_put_text(o, 0x00080100, "SH", value);
  dicom_put_text(o, 0x00080102, "SH", scheme);
  dicom_put_text(o, 0x00080104, "LO", meaning);
  dicom_end_only(o);
}

/* ---- The file's head ---- */

void dicom_put_meta(dicom_out *o, const char *sop_class, const char *sop_uid) {
  static const uint8_t preamble[128] = {0};
  dicom_out meta = {0};
  put_tag(&meta, 0x00020001);
  put(&meta, "OB\0\0\2\0\0\0\0\1", 10); /* version 1 of this part */
  dicom_put_text(&meta, 0x00020002, "UI", sop_class);
  dicom_put_text(&meta, 0x00020003, "UI", sop_uid);
  dicom_put_text(&meta, 0x00020010, "UI", "1.2.840.10008.1.2.1");
  char implementation[HL_HASH_UID_TEXT];
  hl_status status = hl_hash_uid("hilum", 5, implementation, NULL);
  if (status != HL_OK) meta.status = status;
  dicom_put_text(&meta, 0x00020012, "UI", implementation);
  dicom_put_text(&meta, 0x00020013, "SH", "HILUM");
  put(o, preamble, sizeof preamble);
  put(o, "DICM", 4);
  const uint32_t length = (uint32_t)meta.n;
  dicom_put_uls(o, 0x00020000, &length, 1);
  put(o, meta.bytes, meta.n);
  if (meta.status != HL_OK && o->status == HL_OK) o->status = meta.status;
  dicom_out_free(&meta);
}
