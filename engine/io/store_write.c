#include "store_hdf5.h"

#include <hilum/narrow.h>

#include <string.h>

enum {
  COMPACT_BYTES = 32 << 10, /* up to this inside the object's header; HDF5 allows 64 KiB */
  SQUEEZED_BYTES = 4 << 10, /* the same where small arrays are worth deflating */
  CHUNK_BYTES = 1 << 20,
  DEFLATE_LEVEL = 1 /* with shuffle, most of the gain for the least time */
};

static hl_status check_writable(const hl_store *s, hl_err *e) {
  store_quiet();
  if (s->writable) return HL_OK;
  return hl_fail(e, HL_EINVAL, "%s: is open for reading only", s->name);
}

/* A property list that keeps times out of the file; negative on failure. */
static hid_t untimed(hid_t class_id) {
  hid_t list = H5Pcreate(class_id);
  if (list >= 0 && H5Pset_obj_track_times(list, 0) >= 0) return list;
  if (list >= 0) (void)H5Pclose(list);
  return H5I_INVALID_HID;
}

/* Names of links are UTF-8; negative on failure. */
static hid_t utf8_names(void) {
  hid_t list = H5Pcreate(H5P_LINK_CREATE);
  if (list >= 0 && H5Pset_char_encoding(list, H5T_CSET_UTF8) >= 0) return list;
  if (list >= 0) (void)H5Pclose(list);
  return H5I_INVALID_HID;
}

/* ---- groups ---- */

static hl_status make_group(hl_store *s, const char *path, hl_err *e) {
  hid_t creation = untimed(H5P_GROUP_CREATE), names = utf8_names();
  hid_t group = H5Gcreate2(s->file, path, names, creation, H5P_DEFAULT);
  hl_status status =
      group >= 0 ? HL_OK : store_fail(s, path, HL_ENOMEM, "the group cannot be made", e);
  if (group >= 0) (void)H5Gclose(group);
  if (creation >= 0) (void)H5Pclose(creation);
  if (names >= 0) (void)H5Pclose(names);
  return status;
}

static hl_status need_group(hl_store *s, const char *path, hl_err *e) {
  bool found;
  HL_TRY(store_find(s, path, &found, e));
  if (!found) return make_group(s, path, e);
  hl_entry entry;
  HL_TRY(hl_store_entry(s, path, &entry, e));
  if (entry.kind != HL_KIND_GROUP)
    return hl_fail(e, HL_EINVAL, "%s: is a value, so nothing can be put below it", path);
  return HL_OK;
}

hl_status hl_store_put_group(hl_store *s, const char *path, hl_err *e) {
  HL_TRY(check_writable(s, e));
  HL_TRY(store_check_path(path, e));
  char prefix[HL_STORE_PATH + 1] = "";
  for (const char *end = path; *end != '\0' && path[1] != '\0';) {
    end += 1 + strcspn(end + 1, "/");
    memcpy(prefix, path, (size_t)(end - path));
    prefix[end - path] = '\0';
    HL_TRY(need_group(s, prefix, e));
  }
  return HL_OK;
}

/* Makes the groups above `path`, where nothing may be yet. */
static hl_status make_room(hl_store *s, const char *path, hl_err *e) {
  HL_TRY(check_writable(s, e));
  HL_TRY(store_check_path(path, e));
  if (path[1] == '\0') return hl_fail(e, HL_EINVAL, "/: is the root group, not a value");
  char parent[HL_STORE_PATH + 1] = "/";
  size_t n = (size_t)(strrchr(path, '/') - path);
  if (n > 0) memcpy(parent, path, n);
  HL_TRY(hl_store_put_group(s, parent, e));
  bool found;
  HL_TRY(store_find(s, path, &found, e));
  if (found) return hl_fail(e, HL_EINVAL, "%s: is there already", path);
  return HL_OK;
}

/* ---- datasets ---- */

/* What is to be written: `data` holds elements of `memory`, in row-major order. */
typedef struct content {
  hl_shape shape;
  hid_t file_type, memory_type;
  const void *data;
} content;

static hid_t make_space(const hl_shape *shape) {
  if (shape->rank == 0) return H5Screate(H5S_SCALAR);
  hsize_t dim[HL_MAX_RANK];
  for (int i = 0; i < shape->rank; i++) dim[i] = (hsize_t)shape->dim[i];
  return H5Screate_simple(shape->rank, dim, NULL);
}

/* Chunks of about CHUNK_BYTES: the slowest axes are cut first. */
static herr_t set_chunks(hid_t list, const hl_shape *shape, size_t element) {
  hsize_t dim[HL_MAX_RANK];
  size_t bytes = element;
  for (int i = 0; i < shape->rank; i++) {
    dim[i] = (hsize_t)shape->dim[i];
    bytes *= (size_t)shape->dim[i];
  }
  for (int i = 0; i < shape->rank && bytes > CHUNK_BYTES; i++) {
    hsize_t slab = bytes / dim[i];
    hsize_t keep = CHUNK_BYTES / slab;
    dim[i] = keep < 1 ? 1 : keep < dim[i] ? keep : dim[i];
    bytes = slab * dim[i];
  }
  return H5Pset_chunk(list, shape->rank, dim);
}

/* Small values live in the object's header, which has a checksum; large arrays in chunks with a
 * checksum each; a single large value (text) can only be contiguous. Reals are deflated
 * if asked for: weights shrink by a seventh, which takes fifty times as long as writing them. */
static hid_t make_creation(const hl_store *s, const hl_shape *shape, hid_t type) {
  hid_t list = untimed(H5P_DATASET_CREATE);
  if (list < 0) return list;
  size_t bytes = H5Tget_size(type) * (size_t)hl_shape_numel(shape);
  bool deflated = s->squeezes || H5Tget_class(type) != H5T_FLOAT;
  herr_t r = 0;
  if (bytes <= (size_t)(s->squeezes ? SQUEEZED_BYTES : COMPACT_BYTES)) {
    r = H5Pset_layout(list, H5D_COMPACT);
  } else if (shape->rank > 0) {
    r = set_chunks(list, shape, H5Tget_size(type));
    if (r >= 0 && deflated) r = H5Pset_shuffle(list);
    if (r >= 0 && deflated) r = H5Pset_deflate(list, DEFLATE_LEVEL);
    if (r >= 0) r = H5Pset_fletcher32(list);
  }
  if (r >= 0) return list;
  (void)H5Pclose(list);
  return H5I_INVALID_HID;
}

static hl_status write_dataset(hl_store *s, const char *path, const content *c, hl_err *e) {
  hid_t space = make_space(&c->shape), names = utf8_names();
  hid_t creation = make_creation(s, &c->shape, c->file_type);
  hid_t set = H5Dcreate2(s->file, path, c->file_type, space, names, creation, H5P_DEFAULT);
  bool made = set >= 0;
  bool written =
      made && (hl_shape_numel(&c->shape) == 0 ||
               H5Dwrite(set, c->memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, c->data) >= 0);
  hl_status status = written ? HL_OK : store_fail(s, path, HL_ENOMEM, "cannot be stored", e);
  if (set >= 0) (void)H5Dclose(set);
  if (made && !written) (void)H5Ldelete(s->file, path, H5P_DEFAULT);
  if (space >= 0) (void)H5Sclose(space);
  if (creation >= 0) (void)H5Pclose(creation);
  if (names >= 0) (void)H5Pclose(names);
  return status;
}

/* File and memory types of a tensor's elements. Only bf16's has to be closed. */
static void tensor_types(hl_dtype t, hid_t *file, hid_t *memory) {
  switch (t) {
  case HL_F32:
    *file = H5T_IEEE_F32LE, *memory = H5T_NATIVE_FLOAT;
    return;
  case HL_F64:
    *file = H5T_IEEE_F64LE, *memory = H5T_NATIVE_DOUBLE;
    return;
  case HL_BF16:
    *file = *memory = store_bf16_type();
    return;
  case HL_I32:
    *file = H5T_STD_I32LE, *memory = H5T_NATIVE_INT32;
    return;
  case HL_I16:
    *file = H5T_STD_I16LE, *memory = H5T_NATIVE_INT16;
    return;
  case HL_U8:
    *file = H5T_STD_U8LE, *memory = H5T_NATIVE_UINT8;
    return;
  case HL_Q10:
  case HL_Q9:
  case HL_Q8:
  case HL_Q7:
  case HL_DTYPES:
    break;
  }
  *file = *memory = H5I_INVALID_HID;
}

hl_status hl_store_put_tensor(hl_store *s, const char *path, hl_tensor *t, hl_err *e) {
  HL_TRY(make_room(s, path, e));
  hl_dtype dtype = hl_tensor_dtype(t);
  if (hl_dtype_is_fixed(dtype)) dtype = HL_F32; /* which holds the same numbers */
  hl_tensor *plain;
  HL_TRY(hl_tensor_dense(&plain, t, dtype, HL_PLAIN, e));
  content c = {.shape = *hl_tensor_shape(plain), .data = hl_tensor_data(plain)};
  tensor_types(dtype, &c.file_type, &c.memory_type);
  hl_status status = write_dataset(s, path, &c, e);
  if (dtype == HL_BF16 && c.file_type >= 0) (void)H5Tclose(c.file_type);
  hl_tensor_unref(plain);
  return status;
}

/* ---- values ---- */

/* A value as HDF5 takes it: its type (to be closed) and, for bool and text, a packed copy. */
typedef struct packed {
  content c;
  void *copy;
} packed;

static void unpack(packed *p) {
  if (p->c.file_type >= 0) (void)H5Tclose(p->c.file_type);
  hl_host_free(p->copy);
}

static hid_t text_type(size_t size, bool utf8) {
  hid_t t = H5Tcopy(H5T_C_S1);
  if (t >= 0 && H5Tset_size(t, size) >= 0 && H5Tset_strpad(t, H5T_STR_NULLPAD) >= 0 &&
      H5Tset_cset(t, utf8 ? H5T_CSET_UTF8 : H5T_CSET_ASCII) >= 0)
    return t;
  if (t >= 0) (void)H5Tclose(t);
  return H5I_INVALID_HID;
}

static hl_status pack_texts(packed *p, const char *path, const hl_value *v, hl_err *e) {
  size_t size = 1;
  bool utf8 = true;
  for (size_t i = 0; i < v->count; i++) {
    size_t n = strlen(v->texts[i]);
    if (n > size) size = n;
    utf8 = utf8 && store_is_utf8(v->texts[i]);
  }
  p->copy = hl_host_calloc(v->count, size);
  if (p->copy == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory to store it", path);
  for (size_t i = 0; i < v->count; i++)
    memcpy((char *)p->copy + i * size, v->texts[i], strlen(v->texts[i]));
  p->c.data = p->copy;
  p->c.file_type = p->c.memory_type = text_type(size, utf8);
  return HL_OK;
}

static hl_status pack_bools(packed *p, const char *path, const hl_value *v, hl_err *e) {
  p->copy = hl_host_calloc(v->count, 1);
  if (p->copy == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory to store it", path);
  for (size_t i = 0; i < v->count; i++) ((signed char *)p->copy)[i] = v->integers[i] != 0;
  p->c.data = p->copy;
  p->c.file_type = p->c.memory_type = store_bool_type();
  return HL_OK;
}

static hl_status pack(packed *p, const char *path, const hl_value *v, hl_err *e) {
  memset(p, 0, sizeof *p);
  p->c.file_type = H5I_INVALID_HID;
  if (v->list)
    p->c.shape = (hl_shape){.rank = 1, .dim = {(int64_t)v->count}};
  else if (v->count != 1)
    return hl_fail(e, HL_EINVAL, "%s: a single value has the count 1, not %zu", path, v->count);
  switch (v->kind) {
  case HL_KIND_BOOL:
    return pack_bools(p, path, v, e);
  case HL_KIND_INTEGER:
    p->c.file_type = H5Tcopy(H5T_STD_I64LE);
    p->c.memory_type = H5T_NATIVE_INT64;
    p->c.data = v->integers;
    return HL_OK;
  case HL_KIND_REAL:
    p->c.file_type = H5Tcopy(H5T_IEEE_F64LE);
    p->c.memory_type = H5T_NATIVE_DOUBLE;
    p->c.data = v->reals;
    return HL_OK;
  case HL_KIND_TEXT:
    return pack_texts(p, path, v, e);
  case HL_KIND_GROUP:
  case HL_KIND_OTHER:
    break;
  }
  return hl_fail(e, HL_EINVAL, "%s: a value is bool, integer, real or text, not %s", path,
                 hl_kind_name(v->kind));
}

static hl_status mark_as_list(hl_store *s, const char *path, hl_err *e) {
  static const int64_t yes = 1;
  hl_value v = {.kind = HL_KIND_BOOL, .count = 1, .integers = &yes};
  hl_status status = hl_store_put_attr(s, path, LIST_MARK, &v, e);
  if (status != HL_OK) (void)H5Ldelete(s->file, path, H5P_DEFAULT);
  return status;
}

hl_status hl_store_put_value(hl_store *s, const char *path, const hl_value *v, hl_err *e) {
  HL_TRY(make_room(s, path, e));
  packed p;
  hl_status status = pack(&p, path, v, e);
  if (status == HL_OK) status = write_dataset(s, path, &p.c, e);
  unpack(&p);
  HL_TRY(status);
  return v->list && v->kind != HL_KIND_TEXT ? mark_as_list(s, path, e) : HL_OK;
}

hl_status hl_store_put_text(hl_store *s, const char *path, const char *text, hl_err *e) {
  hl_value v = {.kind = HL_KIND_TEXT, .count = 1, .texts = &text};
  return hl_store_put_value(s, path, &v, e);
}

/* ---- attributes ---- */

static hl_status write_attr(hl_store *s, const char *path, hid_t object, const char *name,
                            const content *c, hl_err *e) {
  hid_t space = make_space(&c->shape), names = H5Pcreate(H5P_ATTRIBUTE_CREATE), attr = -1;
  if (names >= 0 && H5Pset_char_encoding(names, H5T_CSET_UTF8) >= 0)
    attr = H5Acreate2(object, name, c->file_type, space, names, H5P_DEFAULT);
  bool written =
      attr >= 0 && (hl_shape_numel(&c->shape) == 0 || H5Awrite(attr, c->memory_type, c->data) >= 0);
  hl_status status =
      written ? HL_OK : store_fail(s, path, HL_ENOMEM, "an attribute cannot be stored", e);
  if (attr >= 0) (void)H5Aclose(attr);
  if (space >= 0) (void)H5Sclose(space);
  if (names >= 0) (void)H5Pclose(names);
  return status;
}

hl_status hl_store_put_attr(hl_store *s, const char *path, const char *name, const hl_value *v,
                            hl_err *e) {
  HL_TRY(check_writable(s, e));
  if (name[0] == '\0' || !store_is_utf8(name))
    return hl_fail(e, HL_EINVAL, "%s: the name of an attribute is UTF-8 and not empty", path);
  hid_t object;
  HL_TRY(store_open_object(s, path, &object, e));
  packed p;
  hl_status status = pack(&p, path, v, e);
  if (status == HL_OK && H5Aexists(object, name) > 0) (void)H5Adelete(object, name);
  if (status == HL_OK) status = write_attr(s, path, object, name, &p.c, e);
  unpack(&p);
  (void)H5Oclose(object);
  return status;
}
