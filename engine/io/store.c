#include "store_hdf5.h"

#include <hilum/disk.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void store_quiet(void) {
  (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  (void)H5PLset_loading_state(0);
}

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *ctx) {
  const char **reason = ctx;
  (void)n;
  *reason = error->desc;
  return 1; /* the first one is enough */
}

hl_status store_fail(const hl_store *s, const char *path, hl_status code, const char *what,
                     hl_err *e) {
  const char *reason = NULL;
  (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, (void *)&reason);
  bool known = reason != NULL && reason[0] != '\0';
  return hl_fail(e, code, "%s: %s: %s%s%s%s", s->name, path, what, known ? " (" : "",
                 known ? reason : "", known ? ")" : "");
}

const char *hl_kind_name(hl_kind k) {
  static const char *const names[] = {"group", "bool", "integer", "real", "text", "other"};
  return (unsigned)k <= HL_KIND_OTHER ? names[k] : "?";
}

const char *hl_store_library(void) {
  static char text[24];
  unsigned major, minor, release;
  if (H5get_libversion(&major, &minor, &release) < 0) return "unknown";
  snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
  return text;
}

long hl_test_store_open_ids(void) {
  return (long)H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
}

void hl_store_set_limit(hl_store *s, size_t bytes) {
  s->limit = bytes;
}

void hl_store_squeeze(hl_store *s) {
  s->squeezes = true;
}

void hl_store_free(hl_store *s) {
  if (s == NULL) return;
  store_quiet();
  if (s->file >= 0) (void)H5Fclose(s->file);
  hl_host_free(s->name);
  hl_host_free(s);
}

static hl_status store_alloc(hl_store **out, const char *name, hl_err *e) {
  store_quiet();
  *out = hl_host_calloc(1, sizeof **out);
  if (*out == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory for it", name);
  (*out)->file = H5I_INVALID_HID;
  (*out)->limit = HL_STORE_LIMIT;
  (*out)->name = hl_host_strdup(name);
  if ((*out)->name != NULL) return HL_OK;
  hl_store_free(*out);
  *out = NULL;
  return hl_fail(e, HL_ENOMEM, "%s: no memory for it", name);
}

/* A file in memory that is never on disk. HDF5 tells such files apart by their names, so each gets
 * its own; nothing can exist below /dev/null. */
static hid_t create_in_memory(hid_t access, hid_t creation) {
  static atomic_uint serial;
  char name[40];
  snprintf(name, sizeof name, "/dev/null/%u", atomic_fetch_add(&serial, 1));
  if (H5Pset_fapl_core(access, (size_t)1 << 20, 0) < 0 ||
      H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V110) < 0 ||
      H5Pset_obj_track_times(creation, 0) < 0)
    return H5I_INVALID_HID;
  hid_t file = H5Fcreate(name, H5F_ACC_TRUNC, creation, access);
  /* A version 2 superblock with version 1.10 objects: everything in the file carries checksums. */
  if (file >= 0 && H5Fset_libver_bounds(file, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0) {
    (void)H5Fclose(file);
    return H5I_INVALID_HID;
  }
  return file;
}

hl_status hl_store_new(hl_store **out, hl_err *e) {
  HL_TRY(store_alloc(out, "new archive", e));
  hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
  (*out)->file = create_in_memory(access, creation);
  (*out)->writable = true;
  hl_status s =
      (*out)->file >= 0 ? HL_OK : store_fail(*out, "/", HL_ENOMEM, "cannot be made in memory", e);
  if (access >= 0) (void)H5Pclose(access);
  if (creation >= 0) (void)H5Pclose(creation);
  if (s == HL_OK) return HL_OK;
  hl_store_free(*out);
  *out = NULL;
  return s;
}

static hl_status open_file(hl_store *s, const char *path, hl_err *e) {
  HL_TRY(hl_disk_readable(path, &s->file_bytes, e));
  if (H5Fis_hdf5(path) <= 0)
    return hl_fail(e, HL_EFORMAT, "%s: is not an HDF5 file (%lld bytes)", path,
                   (long long)s->file_bytes);
  HL_TRY(store_check_seal(path, s->file_bytes, e));
  /* Files are replaced, never changed in place: no need for locks, which some file systems lack. */
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access >= 0 && H5Pset_file_locking(access, 0, 1) >= 0)
    s->file = H5Fopen(path, H5F_ACC_RDONLY, access);
  hl_status status =
      s->file >= 0 ? HL_OK : store_fail(s, "/", HL_EFORMAT, "the file is damaged or incomplete", e);
  if (access >= 0) (void)H5Pclose(access);
  return status;
}

hl_status hl_store_open(hl_store **out, const char *path, hl_err *e) {
  HL_TRY(store_alloc(out, path, e));
  hl_status s = open_file(*out, path, e);
  if (s == HL_OK) return HL_OK;
  hl_store_free(*out);
  *out = NULL;
  return s;
}

/* ---- saving ---- */

static hl_status save_image(const hl_store *s, const char *path, void *image, size_t n, hl_err *e) {
  if (H5Fget_file_image(s->file, image, n) != (ssize_t)n)
    return store_fail(s, "/", HL_EINTERNAL, "HDF5 gave no complete image", e);
  HL_TRY(store_seal(s, image, n, e));
  return hl_disk_replace(path, image, n + STORE_SEAL, e);
}

/* Brings everything into the image and gives its size, or -1. Completing the metadata may reserve
 * space that only the next flush gives back: with one flush, saving twice would differ. */
static ssize_t complete(const hl_store *s) {
  for (int i = 0; i < 2; i++)
    if (H5Fflush(s->file, H5F_SCOPE_GLOBAL) < 0) return -1;
  return H5Fget_file_image(s->file, NULL, 0);
}

hl_status hl_store_save(hl_store *s, const char *path, hl_err *e) {
  store_quiet();
  if (!s->writable) return hl_fail(e, HL_EINVAL, "%s: is open for reading only", s->name);
  ssize_t n = complete(s);
  if (n < 0) return store_fail(s, "/", HL_ENOMEM, "HDF5 cannot complete it in memory", e);
  void *image;
  size_t bytes = (size_t)n + STORE_SEAL;
  hl_ledger *ledger = hl_ledger_main();
  hl_status status =
      hl_mem_alloc(ledger, &image, bytes, HL_MEM_WORKSPACE, "the image of an archive", e);
  if (status != HL_OK) return hl_err_prefix(e, status, "%s", path);
  status = save_image(s, path, image, (size_t)n, e);
  hl_mem_free(ledger, image, bytes, HL_MEM_WORKSPACE);
  return status;
}

/* ---- finding ---- */

/* Length of the UTF-8 sequence at s, 0 if there is none (RFC 3629: no surrogates, nothing overlong,
 * nothing beyond U+10FFFF). */
static size_t utf8_length(const unsigned char *s) {
  static const struct {
    unsigned char low, high, next_low, next_high;
    size_t length;
  } rows[] = {
      {0x01, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
      {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
      {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
  for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
    if (s[0] < rows[r].low || s[0] > rows[r].high) continue;
    if (rows[r].length == 1) return 1;
    if (s[1] < rows[r].next_low || s[1] > rows[r].next_high) return 0;
    for (size_t i = 2; i < rows[r].length; i++)
      if (s[i] < 0x80 || s[i] > 0xBF) return 0;
    return rows[r].length;
  }
  return 0;
}

bool store_is_utf8(const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  while (*s != 0) {
    size_t n = utf8_length(s);
    if (n == 0) return false;
    s += n;
  }
  return true;
}

hl_status store_check_path(const char *path, hl_err *e) {
  if (strlen(path) > HL_STORE_PATH)
    return hl_fail(e, HL_EINVAL, "a path in an archive has up to %d bytes, this one %zu",
                   HL_STORE_PATH, strlen(path));
  if (path[0] != '/')
    return hl_fail(e, HL_EINVAL, "'%s': a path in an archive starts with /", path);
  if (!store_is_utf8(path)) return hl_fail(e, HL_EINVAL, "'%s': is not UTF-8", path);
  if (path[1] == '\0') return HL_OK;
  for (const char *part = path; part != NULL; part = strchr(part + 1, '/')) {
    size_t n = strcspn(part + 1, "/");
    bool dots = n <= 2 && strncmp(part + 1, "..", n) == 0;
    if (n == 0 || dots)
      return hl_fail(e, HL_EINVAL, "'%s': no part of a path may be empty, '.' or '..'", path);
  }
  return HL_OK;
}

hl_status store_find(const hl_store *s, const char *path, bool *found, hl_err *e) {
  store_quiet();
  *found = true;
  HL_TRY(store_check_path(path, e));
  char prefix[HL_STORE_PATH + 1] = "";
  for (const char *end = path; *end != '\0' && path[1] != '\0';) {
    end += 1 + strcspn(end + 1, "/");
    memcpy(prefix, path, (size_t)(end - path));
    prefix[end - path] = '\0';
    htri_t there = H5Lexists(s->file, prefix, H5P_DEFAULT);
    if (there == 0) {
      *found = false;
      return HL_OK;
    }
    H5L_info_t link;
    if (there < 0 || H5Lget_info(s->file, prefix, &link, H5P_DEFAULT) < 0)
      return store_fail(s, prefix, HL_EFORMAT, "cannot be looked up", e);
    if (link.type != H5L_TYPE_HARD)
      return hl_fail(e, HL_EFORMAT, "%s: %s: is a soft or external link, which is not followed",
                     s->name, prefix);
  }
  return HL_OK;
}

hl_status store_open_object(const hl_store *s, const char *path, hid_t *out, hl_err *e) {
  *out = H5I_INVALID_HID;
  bool found;
  HL_TRY(store_find(s, path, &found, e));
  if (!found) return hl_fail(e, HL_EFORMAT, "%s: %s: is missing", s->name, path);
  *out = H5Oopen(s->file, path, H5P_DEFAULT);
  if (*out < 0) return store_fail(s, path, HL_EFORMAT, "cannot be opened", e);
  return HL_OK;
}

hl_status hl_store_has(const hl_store *s, const char *path, bool *out, hl_err *e) {
  hl_status status = store_find(s, path, out, e);
  if (status != HL_OK) *out = false;
  return status;
}

/* ---- types that HDF5 has no names for ---- */

hid_t store_bf16_type(void) {
  hid_t t = H5Tcopy(H5T_IEEE_F32LE);
  /* sign at bit 15, exponent from 7 with 8 bits, mantissa from 0 with 7 bits */
  if (t >= 0 && H5Tset_fields(t, 15, 7, 8, 0, 7) >= 0 && H5Tset_precision(t, 16) >= 0 &&
      H5Tset_size(t, 2) >= 0 && H5Tset_ebias(t, 127) >= 0)
    return t;
  if (t >= 0) (void)H5Tclose(t);
  return H5I_INVALID_HID;
}

hid_t store_bool_type(void) {
  static const signed char no = 0, yes = 1;
  hid_t t = H5Tenum_create(H5T_STD_I8LE);
  if (t >= 0 && H5Tenum_insert(t, "FALSE", &no) >= 0 && H5Tenum_insert(t, "TRUE", &yes) >= 0)
    return t;
  if (t >= 0) (void)H5Tclose(t);
  return H5I_INVALID_HID;
}
