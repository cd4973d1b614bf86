/* Named values in one HDF5 file: tensors, text, numbers, lists, and attributes of all of them.
 *
 * A store is made in memory and saved as a whole (disk.h), or opened to be read. Paths begin
 * at the root, "/curves/epoch/dice_train": UTF-8, no empty part, no "." or ".." as a part, up to
 * HL_STORE_PATH bytes; the groups on the way are made when something is put. On disk, axes are in
 * logical order (images n, c, z, y, x), numbers little-endian, text fixed-length; larger arrays are
 * chunked and carry Fletcher-32 sums, whole numbers are deflated. The same content always gives the
 * same bytes. Saved files end in a line with the SHA-256 of everything before it.
 *
 * Files are not trusted: a damaged one is refused with HL_EFORMAT or HL_EIO and a message that
 * names file and object; links, external and virtual data and filter plug-ins are not followed, and
 * sizes are looked at before memory is taken. HDF5 itself is not proof against files made to harm
 * it: hl_store_try reads those of strangers in a process that may die. Use a store from one thread
 * at a time. */
#ifndef HILUM_STORE_H
#define HILUM_STORE_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HL_STORE_PATH 1023
/* The most bytes that one dataset of an opened file may have, unless hl_store_set_limit says else.
 */
#define HL_STORE_LIMIT ((size_t)4 << 30)

typedef struct hl_store hl_store;

typedef enum hl_kind {
  HL_KIND_GROUP,
  HL_KIND_BOOL,    /* on disk as h5py does it: an enumeration of FALSE and TRUE */
  HL_KIND_INTEGER, /* i64 when written as a value */
  HL_KIND_REAL,    /* f64 when written as a value */
  HL_KIND_TEXT,
  HL_KIND_OTHER /* anything that hilum does not read: compounds, references, more than 8 axes, … */
} hl_kind;

const char *hl_kind_name(hl_kind k); /* "group", "bool", "integer", "real", "text", "other" */

/* What is at a path, without its content. */
typedef struct hl_entry {
  hl_kind kind;
  bool list;      /* written as a list of values: an array of numbers without this is a tensor */
  hl_dtype dtype; /* of the tensor it would be read as; HL_DTYPES for groups, text, other */
  hl_shape shape; /* rank 0: a single value */
} hl_entry;

/* One value (count = 1, list = false) or a list of values of one kind. When given to a function,
 * the pointers are lent; when received, they live until hl_value_free. */
typedef struct hl_value {
  hl_kind kind; /* bool, integer, real or text */
  bool list;
  size_t count;
  const int64_t *integers;  /* bool (0, 1) and integer */
  const double *reals;      /* real */
  const char *const *texts; /* text: UTF-8 (other bytes are kept too, marked as ASCII), no zero */
  void *owned;
} hl_value;

/* Releases what a received value owns and clears it. */
void hl_value_free(hl_value *v);

HL_MUST_CHECK hl_status hl_store_new(hl_store **out, hl_err *e);
HL_MUST_CHECK hl_status hl_store_open(hl_store **out, const char *path, hl_err *e);
/* Opens the file in a reader process (reader.h) and reads all of it there, so that one which brings
 * HDF5 down is refused (HL_EFORMAT, HL_ETIMEOUT) instead of bringing this process down: for files
 * of strangers, before hl_store_open. */
HL_MUST_CHECK hl_status hl_store_try(const char *path, hl_err *e);
void hl_store_free(hl_store *s); /* NULL is allowed */
void hl_store_set_limit(hl_store *s, size_t bytes);

/* From now on reals are deflated, too, and so are small arrays: images and masks shrink by it,
 * weights hardly, and slowly. */
void hl_store_squeeze(hl_store *s);

/* Writing (stores from hl_store_new only, HL_EINVAL otherwise). A path can be put once. On a full
 * memory the store stays usable. Any element type, layout and strides. */
HL_MUST_CHECK hl_status hl_store_put_tensor(hl_store *s, const char *path, hl_tensor *t, hl_err *e);
HL_MUST_CHECK hl_status hl_store_put_value(hl_store *s, const char *path, const hl_value *v,
                                           hl_err *e);
HL_MUST_CHECK hl_status hl_store_put_text(hl_store *s, const char *path, const char *text,
                                          hl_err *e);
/* Makes the group if it is not there. */
HL_MUST_CHECK hl_status hl_store_put_group(hl_store *s, const char *path, hl_err *e);
/* On a group or dataset that is there ("/" is); replaces an attribute of that name. */
HL_MUST_CHECK hl_status hl_store_put_attr(hl_store *s, const char *path, const char *name,
                                          const hl_value *v, hl_err *e);
/* Writes the whole store to `path` as hl_disk_replace does; the store stays open. */
HL_MUST_CHECK hl_status hl_store_save(hl_store *s, const char *path, hl_err *e);

/* Reading (any store). Something missing is HL_EFORMAT. */
HL_MUST_CHECK hl_status hl_store_has(const hl_store *s, const char *path, bool *out, hl_err *e);
HL_MUST_CHECK hl_status hl_store_entry(const hl_store *s, const char *path, hl_entry *out,
                                       hl_err *e);
/* The names in a group, sorted by bytes, as a list of text. */
HL_MUST_CHECK hl_status hl_store_list(const hl_store *s, const char *path, hl_value *out,
                                      hl_err *e);
/* A plain tensor. Element types that hilum has are kept; others are converted if every value fits:
 * bool to u8, i8 to i16, u16, u32, i64 and u64 to i32, 16-bit IEEE reals to f32. */
HL_MUST_CHECK hl_status hl_store_get_tensor(const hl_store *s, const char *path, hl_tensor **out,
                                            hl_err *e);
/* A single value, or an array with one axis as a list. */
HL_MUST_CHECK hl_status hl_store_get_value(const hl_store *s, const char *path, hl_value *out,
                                           hl_err *e);
HL_MUST_CHECK hl_status hl_store_has_attr(const hl_store *s, const char *path, const char *name,
                                          bool *out, hl_err *e);
HL_MUST_CHECK hl_status hl_store_get_attr(const hl_store *s, const char *path, const char *name,
                                          hl_value *out, hl_err *e);
HL_MUST_CHECK hl_status hl_store_list_attrs(const hl_store *s, const char *path, hl_value *out,
                                            hl_err *e);

/* Version of the HDF5 library in use, "1.10.8". */
const char *hl_store_library(void);

/* Tests only: HDF5 objects (files, groups, datasets, attributes) that are open in this process. */
long hl_test_store_open_ids(void);

#ifdef __cplusplus
}
#endif
#endif
