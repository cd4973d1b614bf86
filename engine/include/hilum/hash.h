/* SHA-256 as lower-case hexadecimal text. */
#ifndef HILUM_HASH_H
#define HILUM_HASH_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HL_HASH_TEXT 65 /* 64 hexadecimal digits and the final zero */

typedef struct hl_hash hl_hash;

HL_MUST_CHECK hl_status hl_hash_new(hl_hash **out, hl_err *e);
void hl_hash_free(hl_hash *h);
HL_MUST_CHECK hl_status hl_hash_add(hl_hash *h, const void *bytes, size_t n, hl_err *e);
/* Finishes; the object may only be freed afterwards. */
HL_MUST_CHECK hl_status hl_hash_text(hl_hash *h, char out[HL_HASH_TEXT], hl_err *e);

HL_MUST_CHECK hl_status hl_hash_bytes(const void *bytes, size_t n, char out[HL_HASH_TEXT],
                                      hl_err *e);
HL_MUST_CHECK hl_status hl_hash_file(const char *path, char out[HL_HASH_TEXT], hl_err *e);

#define HL_HASH_UID_TEXT 65
/* A UID that follows from the bytes: the upper 128 bits of their SHA-256, marked as a UUID of
 * version 8 (RFC 9562), written as DICOM PS3.5 §B.2 writes UUIDs: "2.25." and a decimal number. */
HL_MUST_CHECK hl_status hl_hash_uid(const void *bytes, size_t n, char out[HL_HASH_UID_TEXT],
                                    hl_err *e);

/* "3.0.17": the version of the library that hashes (OpenSSL). */
const char *hl_hash_library(void);

#ifdef __cplusplus
}
#endif
#endif
