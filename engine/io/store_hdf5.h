/* Shared by the store's own files. */
#ifndef HILUM_IO_STORE_HDF5_H
#define HILUM_IO_STORE_HDF5_H

#include <hilum/store.h>

#include <hdf5.h>

struct hl_store {
  hid_t file;
  bool writable;
  bool squeezes;
  size_t limit;
  int64_t file_bytes; /* of an opened file */
  char *name;         /* the file, for messages */
};

/* Lists of numbers carry this attribute, so that they are told from tensors with one axis. */
#define LIST_MARK "list"

/* To be called before HDF5 is used: no messages on stderr, no filter plug-ins. */
void store_quiet(void);

/* "file: path: what (HDF5's own innermost reason)". */
hl_status store_fail(const hl_store *s, const char *path, hl_status code, const char *what,
                     hl_err *e);

/* HL_EINVAL unless the path is well formed. "/" is. */
hl_status store_check_path(const char *path, hl_err *e);

bool store_is_utf8(const char *text);

/* Looks along a path without following anything but hard links. */
hl_status store_find(const hl_store *s, const char *path, bool *found, hl_err *e);

/* A group or dataset that must be there. To be closed with H5Oclose. */
hl_status store_open_object(const hl_store *s, const char *path, hid_t *out, hl_err *e);

/* Archives end in a line of text behind the HDF5 data, which HDF5 does not see: the SHA-256 of all
 * bytes before it. HDF5 1.10 checks most of what it reads but can crash on damage, so damage is
 * found before HDF5 sees the file. Programs that change the file in place drop the line. */
enum { STORE_SEAL = 101 };

/* Makes n bytes from H5Fget_file_image a valid file and adds the line: room for n + STORE_SEAL. */
hl_status store_seal(const hl_store *s, uint8_t *image, size_t n, hl_err *e);

/* HL_EFORMAT if the file has such a line and its bytes are not those that were written. */
hl_status store_check_seal(const char *path, int64_t bytes, hl_err *e);

/* bf16 as HDF5 sees it: a 16-bit real with 8 bits of exponent. Negative on failure. */
hid_t store_bf16_type(void);

/* bool as h5py sees it. Negative on failure. */
hid_t store_bool_type(void);

#endif
