#include <hilum/hash.h>
#include <hilum/ledger.h>

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

struct hl_hash {
  EVP_MD_CTX *ctx; /* NULL once finished: OpenSSL itself would go on without a word */
};

hl_status hl_hash_new(hl_hash **out, hl_err *e) {
  *out = NULL;
  hl_hash *h = hl_host_calloc(1, sizeof *h);
  if (h == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a hash");
  h->ctx = EVP_MD_CTX_new();
  if (h->ctx == NULL || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
    hl_hash_free(h);
    return hl_fail(e, HL_ENOMEM, "SHA-256 could not be started");
  }
  *out = h;
  return HL_OK;
}

void hl_hash_free(hl_hash *h) {
  if (h == NULL) return;
  EVP_MD_CTX_free(h->ctx);
  hl_host_free(h);
}

hl_status hl_hash_add(hl_hash *h, const void *bytes, size_t n, hl_err *e) {
  if (h->ctx == NULL || EVP_DigestUpdate(h->ctx, bytes, n) != 1)
    return hl_fail(e, HL_EINTERNAL, "SHA-256 refused %zu bytes", n);
  return HL_OK;
}

hl_status hl_hash_text(hl_hash *h, char out[HL_HASH_TEXT], hl_err *e) {
  static const char digits[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  if (h->ctx == NULL || EVP_DigestFinal_ex(h->ctx, digest, &n) != 1 || n != 32)
    return hl_fail(e, HL_EINTERNAL, "SHA-256 could not be finished");
  EVP_MD_CTX_free(h->ctx);
  h->ctx = NULL;
  for (unsigned int i = 0; i < n; i++) {
    out[2 * i] = digits[digest[i] >> 4];
    out[2 * i + 1] = digits[digest[i] & 15];
  }
  out[2 * n] = '\0';
  return HL_OK;
}

hl_status hl_hash_bytes(const void *bytes, size_t n, char out[HL_HASH_TEXT], hl_err *e) {
  hl_hash *h;
  HL_TRY(hl_hash_new(&h, e));
  hl_status s = hl_hash_add(h, bytes, n, e);
  if (s == HL_OK) s = hl_hash_text(h, out, e);
  hl_hash_free(h);
  return s;
}

static hl_status hash_stream(FILE *f, const char *path, char out[HL_HASH_TEXT], hl_err *e) {
  char buffer[65536];
  hl_hash *h;
  HL_TRY(hl_hash_new(&h, e));
  hl_status s = HL_OK;
  size_t n;
  while (s == HL_OK && (n = fread(buffer, 1, sizeof buffer, f)) > 0)
    s = hl_hash_add(h, buffer, n, e);
  if (s == HL_OK && ferror(f))
    s = hl_fail(e, HL_EIO, "%s: cannot be read: %s", path, strerror(errno));
  if (s == HL_OK) s = hl_hash_text(h, out, e);
  hl_hash_free(h);
  return s;
}

hl_status hl_hash_file(const char *path, char out[HL_HASH_TEXT], hl_err *e) {
  FILE *f = fopen(path, "rb");
  if (f == NULL) return hl_fail(e, HL_EIO, "%s: %s", path, strerror(errno));
  hl_status s = hash_stream(f, path, out, e);
  fclose(f);
  return s;
}

hl_status hl_hash_uid(const void *bytes, size_t n, char out[HL_HASH_UID_TEXT], hl_err *e) {
  char hash[HL_HASH_TEXT];
  out[0] = '\0';
  HL_TRY(hl_hash_bytes(bytes, n, hash, e));
  unsigned __int128 v = 0;
  for (int i = 0; i < 32; i++) {
    char d = hash[i];
    v = v << 4 | (unsigned)(d <= '9' ? d - '0' : d - 'a' + 10);
  }
  const unsigned __int128 one = 1;
  v = (v & ~((one * 0xF) << 76)) | (one * 8) << 76;
  v = (v & ~((one * 0x3) << 62)) | (one * 2) << 62;
  char digits[48];
  int k = 0;
  do {
    digits[k++] = (char)('0' + (int)(v % 10));
    v /= 10;
  } while (v);
  memcpy(out, "2.25.", 5);
  for (int i = 0; i < k; i++) out[5 + i] = digits[k - 1 - i];
  out[5 + k] = '\0';
  return HL_OK;
}

const char *hl_hash_library(void) {
  return OpenSSL_version(OPENSSL_VERSION_STRING);
}
