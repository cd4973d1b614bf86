/* DICOM data sets written into memory: explicit VR, little endian (PS3.5 §7.1.2). */
#ifndef HILUM_IO_DICOM_PUT_H
#define HILUM_IO_DICOM_PUT_H

#include <hilum/status.h>

/* Zero it to begin. The first failure (memory, a value too long) stays; nothing is added after it.
 * Elements come in ascending order of their tags, which are written 0xGGGGEEEE. */
typedef struct dicom_out {
  uint8_t *bytes; /* released by dicom_out_free */
  size_t n, room;
  hl_status status;
  uint32_t wrong; /* tag of the element that did not fit */
} dicom_out;

void dicom_out_free(dicom_out *o);

/* The preamble and the file meta information (PS3.10 §7.1). */
void dicom_put_meta(dicom_out *o, const char *sop_class, const char *sop_uid);

/* Values of text are padded to even length as their kind wants it. */
void dicom_put_text(dicom_out *o, uint32_t tag, const char vr[3], const char *text);
/* DS: n numbers of at most 16 characters. */
void dicom_put_numbers(dicom_out *o, uint32_t tag, const double *v, int n);
void dicom_put_integer(dicom_out *o, uint32_t tag, int64_t v); /* IS */
void dicom_put_us(dicom_out *o, uint32_t tag, int v);
void dicom_put_uls(dicom_out *o, uint32_t tag, const uint32_t *v, int n);
void dicom_put_pointer(dicom_out *o, uint32_t tag, uint32_t to); /* AT: a tag as a value */
/* OB; a zero is added to an odd number of bytes. */
void dicom_put_bytes(dicom_out *o, uint32_t tag, const void *bytes, size_t n);

/* A sequence is begun, then each of its items, and all are ended (delimiters, no lengths). */
void dicom_begin_sequence(dicom_out *o, uint32_t tag);
void dicom_end_sequence(dicom_out *o);
void dicom_begin_item(dicom_out *o);
void dicom_end_item(dicom_out *o);
/* Sequences with one item, as most are. */
void dicom_begin_only(dicom_out *o, uint32_t tag);
void dicom_end_only(dicom_out *o);
/* A code (PS3.3 §8.8) as the only item of a sequence. */
void dicom_put_code(dicom_out *o, uint32_t tag, const char *value, const char *scheme,
                    const char *meaning);

#endif
