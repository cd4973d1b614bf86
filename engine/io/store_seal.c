#include "store_hdf5.h"

#include <hilum/hash.h>

#include <stdio.h>
#include <string.h>

static uint32_t rotated(uint32_t x, int k) {
  return x << k | x >> (32 - k);
}

/* "lookup3" (Bob Jenkins, 2006, public domain), as HDF5 uses it for metadata. */
static uint32_t lookup3(const uint8_t *key, size_t n) {
  uint32_t w[3] = {0}, a = UINT32_C(0xdeadbeef) + (uint32_t)n, b = a, c = a;
  for (; n > 12; n -= 12, key += 12) {
    memcpy(w, key, sizeof w);
    a += w[0], b += w[1], c += w[2];
    a -= c, a ^= rotated(c, 4), c += b;
    b -= a, b ^= rotated(a, 6), a += c;
    c -= b, c ^= rotated(b, 8), b += a;
    a -= c, a ^= rotated(c, 16), c += b;
    b -= a, b ^= rotated(a, 19), a += c;
    c -= b, c ^= rotated(b, 4), b += a;
  }
  memset(w, 0, sizeof w);
  memcpy(w, key, n);
  a += w[0], b += w[1], c += w[2];
  c ^= b, c -= rotated(b, 14);
  a ^= c, a -= rotated(c, 11);
  b ^= a, b -= rotated(a, 25);
  c ^= b, c -= rotated(b, 16);
  a ^= c, a -= rotated(c, 4);
  b ^= a, b -= rotated(a, 14);
  c ^= b, c -= rotated(b, 24);
  return c;
}

/* H5Fget_file_image (1.10) clears the "open for writing" flag in its copy of the superblock but not
 * the checksum behind it, and nothing opens such a file. The version 2 superblock has 44 bytes and
 * the checksum (HDF5 File Format Specification 3.0, II.A). */
static hl_status seal_superblock(const hl_store *s, uint8_t *image, size_t n, hl_err *e) {
  enum { SUMMED = 44, VERSION_AT = 8, OFFSET_SIZE_AT = 9 };
  if (n < SUMMED + 4 || image[VERSION_AT] != 2 || image[OFFSET_SIZE_AT] != 8)
    return store_fail(s, "/", HL_EINTERNAL, "HDF5 made a superblock of an unknown kind", e);
  uint32_t sum = lookup3(image, SUMMED);
  memcpy(image + SUMMED, &sum, sizeof sum);
  return HL_OK;
}

/* ---- the line at the end ---- */

static const char before_sum[] = "\nhilum archive, sha256 of all above ";

enum { BEFORE = sizeof before_sum - 1, SUM = HL_HASH_TEXT - 1, PIECE = 1 << 20 };
_Static_assert(BEFORE + SUM + 1 == STORE_SEAL, "the line ends in one line break");

hl_status store_seal(const hl_store *s, uint8_t *image, size_t n, hl_err *e) {
  char sum[HL_HASH_TEXT];
  HL_TRY(seal_superblock(s, image, n, e));
  HL_TRY(hl_hash_bytes(image, n, sum, e));
  memcpy(image + n, before_sum, BEFORE);
  memcpy(image + n + BEFORE, sum, SUM);
  image[n + BEFORE + SUM] = '\n';
  return HL_OK;
}

/* The hash of the file's first n bytes. */
static hl_status hash_front(FILE *f, int64_t n, char sum[HL_HASH_TEXT], hl_err *e) {
  char *piece = hl_host_calloc(PIECE, 1);
  hl_hash *h = NULL;
  hl_status s = piece == NULL ? hl_fail(e, HL_ENOMEM, "no memory to read") : hl_hash_new(&h, e);
  rewind(f);
  for (int64_t rest = n; rest > 0 && s == HL_OK;) {
    size_t got = fread(piece, 1, rest < PIECE ? (size_t)rest : PIECE, f);
    s = got == 0 ? hl_fail(e, HL_EIO, "cannot be read") : hl_hash_add(h, piece, got, e);
    rest -= (int64_t)got;
  }
  if (s == HL_OK) s = hl_hash_text(h, sum, e);
  hl_hash_free(h);
  hl_host_free(piece);
  return s;
}

static hl_status check_seal(FILE *f, const char *path, int64_t bytes, hl_err *e) {
  char line[STORE_SEAL], sum[HL_HASH_TEXT];
  int64_t n = bytes - STORE_SEAL;
  if (n < 0 || fseek(f, n, SEEK_SET) != 0 || fread(line, 1, sizeof line, f) != sizeof line ||
      memcmp(line, before_sum, BEFORE) != 0 || line[STORE_SEAL - 1] != '\n')
    return HL_OK; /* not sealed: another program's file */
  hl_status s = hash_front(f, n, sum, e);
  if (s != HL_OK) return hl_err_prefix(e, s, "%s", path);
  if (memcmp(line + BEFORE, sum, SUM) == 0) return HL_OK;
  return hl_fail(e, HL_EFORMAT,
                 "%s: is damaged: its content does not have the SHA-256 that it was written with",
                 path);
}

hl_status store_check_seal(const char *path, int64_t bytes, hl_err *e) {
  FILE *f = fopen(path, "rb");
  if (f == NULL) return hl_fail(e, HL_EIO, "%s: cannot be opened", path);
  hl_status s = check_seal(f, path, bytes, e);
  (void)fclose(f);
  return s;
}
