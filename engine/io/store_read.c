#include "store_hdf5.h"

#include <stdlib.h>
#include <string.h>

/* Deflate cannot shrink by more than about 1032; a file that claims more holds nothing but fill. */
enum { BEST_DEFLATE = 1100, FREE_BYTES = 64 << 20 };

/* An array of elements on disk: a dataset or an attribute, with what is known about it. */
typedef struct array {
  const hl_store *s;
  const char *path;
  hid_t id, type, space;
  bool attr;
  hl_entry entry;
  size_t count; /* elements */
} array;

static void array_close(array *a) {
  if (a->space >= 0) (void)H5Sclose(a->space);
  if (a->type >= 0) (void)H5Tclose(a->type);
  if (a->id >= 0) (void)(a->attr ? H5Aclose(a->id) : H5Dclose(a->id));
}

static hl_status array_fail(const array *a, const char *what, hl_err *e) {
  return store_fail(a->s, a->path, HL_EFORMAT, what, e);
}

/* ---- what it is ---- */

static bool same_type(hid_t type, hid_t (*make)(void)) {
  hid_t known = make();
  bool same = known >= 0 && H5Tequal(type, known) > 0;
  if (known >= 0) (void)H5Tclose(known);
  return same;
}

static hl_dtype integer_dtype(hid_t type) {
  size_t size = H5Tget_size(type);
  bool has_sign = H5Tget_sign(type) != H5T_SGN_NONE;
  if (size == 1) return has_sign ? HL_I16 : HL_U8;
  if (size == 2) return has_sign ? HL_I16 : HL_I32;
  return size <= 8 ? HL_I32 : HL_DTYPES;
}

static hl_dtype real_dtype(hid_t type) {
  if (same_type(type, store_bf16_type)) return HL_BF16;
  size_t size = H5Tget_size(type);
  return size <= 4 ? HL_F32 : size <= 8 ? HL_F64 : HL_DTYPES;
}

/* h5py's bool: an enumeration of FALSE = 0 and TRUE = 1, of any width. */
static bool is_bool(hid_t type) {
  static const char *const names[] = {"FALSE", "TRUE"};
  if (H5Tget_nmembers(type) != 2) return false;
  for (unsigned i = 0; i < 2; i++) {
    char *name = H5Tget_member_name(type, i);
    bool same = name != NULL && strcmp(name, names[i]) == 0;
    if (name != NULL) (void)H5free_memory(name);
    if (!same) return false;
  }
  return H5Tget_size(type) == 1;
}

static void classify_enum(hid_t type, hl_entry *entry) {
  if (is_bool(type)) {
    entry->kind = HL_KIND_BOOL;
    entry->dtype = HL_U8;
    return;
  }
  hid_t base = H5Tget_super(type);
  if (base < 0) return;
  entry->kind = HL_KIND_INTEGER;
  entry->dtype = integer_dtype(base);
  (void)H5Tclose(base);
}

/* Leaves the kind "other" if hilum has nothing for the type. */
static void classify(hid_t type, hl_entry *entry) {
  switch (H5Tget_class(type)) {
  case H5T_INTEGER:
    entry->kind = HL_KIND_INTEGER;
    entry->dtype = integer_dtype(type);
    break;
  case H5T_FLOAT:
    entry->kind = HL_KIND_REAL;
    entry->dtype = real_dtype(type);
    break;
  case H5T_STRING:
    entry->kind = HL_KIND_TEXT;
    return;
  case H5T_ENUM:
    classify_enum(type, entry);
    break;
  default:
    return;
  }
  if (entry->dtype == HL_DTYPES) entry->kind = HL_KIND_OTHER;
}

/* Shape and number of elements; false if there are too many axes or the numbers do not fit. */
static bool measure(array *a) {
  a->count = 1;
  H5S_class_t class = H5Sget_simple_extent_type(a->space);
  if (class == H5S_SCALAR) return true;
  int rank = H5Sget_simple_extent_ndims(a->space);
  hsize_t dim[HL_MAX_RANK];
  if (class != H5S_SIMPLE || rank < 1 || rank > HL_MAX_RANK ||
      H5Sget_simple_extent_dims(a->space, dim, NULL) < 0)
    return false;
  a->entry.shape.rank = rank;
  bool empty = false;
  for (int i = 0; i < rank; i++) {
    if (dim[i] > INT64_MAX) return false;
    a->entry.shape.dim[i] = (int64_t)dim[i];
    empty = empty || dim[i] == 0;
  }
  for (int i = 0; i < rank && !empty; i++) {
    if (a->count > SIZE_MAX / dim[i]) return false;
    a->count *= (size_t)dim[i];
  }
  if (empty) a->count = 0;
  return true;
}

static hl_status array_describe(array *a, hl_err *e) {
  a->entry = (hl_entry){.kind = HL_KIND_OTHER, .dtype = HL_DTYPES};
  if (a->type < 0 || a->space < 0) return array_fail(a, "its description is damaged", e);
  if (measure(a)) classify(a->type, &a->entry);
  return HL_OK;
}

/* ---- may it be read ---- */

/* HDF5 allocates whole chunks: one may not be much larger than what it is part of. */
static bool chunk_is_sane(const array *a, int rank, const hsize_t *chunk) {
  if (rank != a->entry.shape.rank) return false;
  hsize_t most = a->count > FREE_BYTES ? a->count : FREE_BYTES, elements = 1;
  for (int i = 0; i < rank; i++) {
    if (chunk[i] == 0 || chunk[i] > most / elements) return false;
    elements *= chunk[i];
  }
  return true;
}

/* Data that lies in other files is not followed. */
static hl_status check_layout(const array *a, hl_err *e) {
  hid_t list = H5Dget_create_plist(a->id);
  if (list < 0) return array_fail(a, "its layout is damaged", e);
  H5D_layout_t layout = H5Pget_layout(list);
  int external = H5Pget_external_count(list);
  hsize_t chunk[HL_MAX_RANK] = {0};
  bool sane = layout >= 0 && external >= 0;
  if (sane && layout == H5D_CHUNKED)
    sane = chunk_is_sane(a, H5Pget_chunk(list, HL_MAX_RANK, chunk), chunk);
  (void)H5Pclose(list);
  if (!sane) return array_fail(a, "its layout is damaged", e);
  if (layout == H5D_VIRTUAL || external > 0)
    return hl_fail(e, HL_EFORMAT, "%s: %s: its data lies in other files, which are not read",
                   a->s->name, a->path);
  return HL_OK;
}

/* Refuses sizes beyond the limit, and sizes that the file cannot possibly hold. */
static hl_status check_size(const array *a, hl_err *e) {
  size_t element = H5Tget_size(a->type);
  if (element < 8) element = 8; /* the widest that elements become in memory */
  if (a->count > a->s->limit / element)
    return hl_fail(e, HL_EFORMAT,
                   "%s: %s: claims %zu elements of %zu bytes, the limit is %zu bytes", a->s->name,
                   a->path, a->count, H5Tget_size(a->type), a->s->limit);
  if (a->attr || a->s->writable) return HL_OK;
  size_t bytes = a->count * H5Tget_size(a->type);
  hsize_t stored = H5Dget_storage_size(a->id);
  if (bytes > FREE_BYTES && bytes / BEST_DEFLATE > stored)
    return hl_fail(e, HL_EFORMAT, "%s: %s: claims %zu bytes but stores only %llu", a->s->name,
                   a->path, bytes, (unsigned long long)stored);
  return HL_OK;
}

static hl_status check_readable(const array *a, hl_err *e) {
  if (a->entry.kind == HL_KIND_OTHER)
    return hl_fail(
        e, HL_EFORMAT,
        "%s: %s: is neither numbers nor text with up to %d axes, which is all that is read",
        a->s->name, a->path, HL_MAX_RANK);
  if (!a->attr) HL_TRY(check_layout(a, e));
  return check_size(a, e);
}

/* ---- opening ---- */

static hl_status open_dataset(array *a, const hl_store *s, const char *path, hl_err *e) {
  *a = (array){.s = s, .path = path, .id = -1, .type = -1, .space = -1};
  HL_TRY(store_open_object(s, path, &a->id, e));
  if (H5Iget_type(a->id) != H5I_DATASET) {
    bool group = H5Iget_type(a->id) == H5I_GROUP;
    (void)H5Oclose(a->id);
    a->id = -1;
    return hl_fail(e, HL_EFORMAT, "%s: %s: is %s, not a value", s->name, path,
                   group ? "a group" : "a type");
  }
  a->type = H5Dget_type(a->id);
  a->space = H5Dget_space(a->id);
  return array_describe(a, e);
}

static hl_status open_attr(array *a, const hl_store *s, const char *path, const char *name,
                           hl_err *e) {
  *a = (array){.s = s, .path = path, .id = -1, .type = -1, .space = -1, .attr = true};
  hid_t object;
  HL_TRY(store_open_object(s, path, &object, e));
  if (H5Aexists(object, name) > 0) a->id = H5Aopen(object, name, H5P_DEFAULT);
  (void)H5Oclose(object);
  if (a->id < 0)
    return hl_fail(e, HL_EFORMAT, "%s: %s: has no attribute '%s' that can be read", s->name, path,
                   name);
  a->type = H5Aget_type(a->id);
  a->space = H5Aget_space(a->id);
  return array_describe(a, e);
}

static hl_status array_read(const array *a, hid_t memory, void *to, hl_err *e) {
  if (a->count == 0) return HL_OK;
  herr_t r = a->attr ? H5Aread(a->id, memory, to)
                     : H5Dread(a->id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to);
  return r >= 0 ? HL_OK : array_fail(a, "cannot be read, it is damaged or incomplete", e);
}

/* Integers of any width, as i64; those beyond it are refused. */
static hl_status read_integers(const array *a, int64_t *to, hl_err *e) {
  bool unsigned_wide = a->entry.kind == HL_KIND_INTEGER && H5Tget_class(a->type) == H5T_INTEGER &&
                       H5Tget_size(a->type) == 8 && H5Tget_sign(a->type) == H5T_SGN_NONE;
  HL_TRY(array_read(a, unsigned_wide ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64, to, e));
  for (size_t i = 0; i < a->count && unsigned_wide; i++)
    if (to[i] < 0)
      return hl_fail(e, HL_EFORMAT, "%s: %s: the value %llu does not fit into 64 bits with a sign",
                     a->s->name, a->path, (unsigned long long)to[i]);
  return HL_OK;
}

/* ---- values ---- */

void hl_value_free(hl_value *v) {
  hl_host_free(v->owned);
  memset(v, 0, sizeof *v);
}

/* One block holds everything a value owns. */
static hl_status value_alloc(hl_value *v, const array *a, size_t bytes, hl_err *e) {
  v->owned = hl_host_calloc(1, bytes);
  if (v->owned != NULL) return HL_OK;
  return hl_fail(e, HL_ENOMEM, "%s: %s: no memory for %zu bytes", a->s->name, a->path, bytes);
}

/* Without what fills a fixed-length text up. */
static size_t text_length(const char *text, size_t size, H5T_str_t padding) {
  size_t n = strnlen(text, size);
  if (padding == H5T_STR_SPACEPAD)
    while (n > 0 && text[n - 1] == ' ') n--;
  return n;
}

static hl_status read_fixed_texts(const array *a, hl_value *v, hl_err *e) {
  size_t size = H5Tget_size(a->type);
  H5T_str_t padding = H5Tget_strpad(a->type);
  char *raw = hl_host_calloc(a->count, size);
  if (raw == NULL) return hl_fail(e, HL_ENOMEM, "%s: %s: no memory", a->s->name, a->path);
  hl_status status = array_read(a, a->type, raw, e);
  if (status == HL_OK) status = value_alloc(v, a, a->count * (sizeof(char *) + size + 1), e);
  if (status == HL_OK) {
    char **texts = v->owned, *next = (char *)(texts + a->count);
    for (size_t i = 0; i < a->count; i++, next += size + 1) {
      texts[i] = next; /* the block is zeroed: a zero follows each text */
      memcpy(next, raw + i * size, text_length(raw + i * size, size, padding));
    }
    v->texts = v->owned;
  }
  hl_host_free(raw);
  return status;
}

static hl_status copy_texts(const array *a, char *const *raw, hl_value *v, hl_err *e) {
  size_t bytes = a->count * sizeof(char *);
  for (size_t i = 0; i < a->count; i++) bytes += (raw[i] == NULL ? 0 : strlen(raw[i])) + 1;
  HL_TRY(value_alloc(v, a, bytes, e));
  char **texts = v->owned, *next = (char *)(texts + a->count);
  for (size_t i = 0; i < a->count; i++) {
    size_t n = raw[i] == NULL ? 0 : strlen(raw[i]);
    texts[i] = next;
    if (n > 0) memcpy(next, raw[i], n);
    next += n + 1;
  }
  v->texts = v->owned;
  return HL_OK;
}

static hl_status read_variable_texts(const array *a, hl_value *v, hl_err *e) {
  char **raw = hl_host_calloc(a->count, sizeof *raw);
  if (raw == NULL) return hl_fail(e, HL_ENOMEM, "%s: %s: no memory", a->s->name, a->path);
  hl_status status = array_read(a, a->type, raw, e);
  if (status == HL_OK) {
    status = copy_texts(a, raw, v, e);
    (void)H5Dvlen_reclaim(a->type, a->space, H5P_DEFAULT, raw);
  }
  hl_host_free(raw);
  return status;
}

static hl_status read_numbers(const array *a, hl_value *v, hl_err *e) {
  HL_TRY(value_alloc(v, a, a->count * 8, e));
  if (v->kind == HL_KIND_REAL) {
    v->reals = v->owned;
    return array_read(a, H5T_NATIVE_DOUBLE, v->owned, e);
  }
  v->integers = v->owned;
  return read_integers(a, v->owned, e);
}

static hl_status read_value(const array *a, hl_value *v, hl_err *e) {
  HL_TRY(check_readable(a, e));
  if (a->entry.shape.rank > 1)
    return hl_fail(e, HL_EFORMAT, "%s: %s: has %d axes, a list has one", a->s->name, a->path,
                   a->entry.shape.rank);
  v->kind = a->entry.kind;
  v->list = a->entry.shape.rank == 1;
  v->count = a->count;
  hl_status status = v->kind != HL_KIND_TEXT           ? read_numbers(a, v, e)
                     : H5Tis_variable_str(a->type) > 0 ? read_variable_texts(a, v, e)
                                                       : read_fixed_texts(a, v, e);
  if (status != HL_OK) hl_value_free(v);
  return status;
}

hl_status hl_store_get_value(const hl_store *s, const char *path, hl_value *out, hl_err *e) {
  memset(out, 0, sizeof *out);
  array a;
  hl_status status = open_dataset(&a, s, path, e);
  if (status == HL_OK) status = read_value(&a, out, e);
  array_close(&a);
  return status;
}

hl_status hl_store_get_attr(const hl_store *s, const char *path, const char *name, hl_value *out,
                            hl_err *e) {
  memset(out, 0, sizeof *out);
  array a;
  hl_status status = open_attr(&a, s, path, name, e);
  if (status == HL_OK) status = read_value(&a, out, e);
  array_close(&a);
  return status == HL_OK ? HL_OK : hl_err_prefix(e, status, "attribute '%s'", name);
}

/* ---- tensors ---- */

/* Integers that may not fit are read wide and looked at one by one. */
static hl_status read_narrowed(const array *a, hl_tensor *t, hl_err *e) {
  hl_ledger *ledger = hl_ledger_main();
  size_t bytes = a->count * sizeof(int64_t);
  void *wide;
  HL_TRY(hl_mem_alloc(ledger, &wide, bytes, HL_MEM_WORKSPACE, a->path, e));
  hl_status status = read_integers(a, wide, e);
  int32_t *to = hl_tensor_i32(t);
  for (size_t i = 0; i < a->count && status == HL_OK; i++) {
    int64_t value = ((int64_t *)wide)[i];
    if (value < INT32_MIN || value > INT32_MAX)
      status = hl_fail(e, HL_EFORMAT, "%s: %s: the value %lld does not fit into an i32 tensor",
                       a->s->name, a->path, (long long)value);
    else
      to[i] = (int32_t)value;
  }
  hl_mem_free(ledger, wide, bytes, HL_MEM_WORKSPACE);
  return status;
}

/* True if some values of the type on disk do not fit into i32. */
static bool is_wide(hid_t type) {
  size_t size = H5Tget_size(type);
  return size > 4 || (size == 4 && H5Tget_sign(type) == H5T_SGN_NONE);
}

static hl_status read_elements(const array *a, hl_tensor *t, hl_err *e) {
  switch (a->entry.dtype) {
  case HL_F32:
    return array_read(a, H5T_NATIVE_FLOAT, hl_tensor_data(t), e);
  case HL_F64:
    return array_read(a, H5T_NATIVE_DOUBLE, hl_tensor_data(t), e);
  case HL_BF16:
    return array_read(a, a->type, hl_tensor_data(t), e);
  case HL_I16:
    return array_read(a, H5T_NATIVE_INT16, hl_tensor_data(t), e);
  case HL_U8:
    return array_read(a, H5T_NATIVE_UINT8, hl_tensor_data(t), e);
  case HL_I32:
    if (is_wide(a->type)) return read_narrowed(a, t, e);
    return array_read(a, H5T_NATIVE_INT32, hl_tensor_data(t), e);
  case HL_Q10:
  case HL_Q9:
  case HL_Q8:
  case HL_Q7:
  case HL_DTYPES:
    break;
  }
  return array_fail(a, "has no element type that a tensor takes", e);
}

static hl_status read_tensor(const array *a, hl_tensor **out, hl_err *e) {
  HL_TRY(check_readable(a, e));
  if (a->entry.dtype == HL_DTYPES) return array_fail(a, "is text, not a tensor", e);
  hl_desc d = {a->entry.dtype, HL_PLAIN, a->entry.shape};
  hl_tensor *t;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, a->path, e));
  hl_status status = read_elements(a, t, e);
  if (status == HL_OK)
    *out = t;
  else
    hl_tensor_unref(t);
  return status;
}

hl_status hl_store_get_tensor(const hl_store *s, const char *path, hl_tensor **out, hl_err *e) {
  *out = NULL;
  array a;
  hl_status status = open_dataset(&a, s, path, e);
  if (status == HL_OK) status = read_tensor(&a, out, e);
  array_close(&a);
  return status;
}

/* ---- what there is ---- */

hl_status hl_store_entry(const hl_store *s, const char *path, hl_entry *out, hl_err *e) {
  *out = (hl_entry){.kind = HL_KIND_OTHER, .dtype = HL_DTYPES};
  hid_t object;
  HL_TRY(store_open_object(s, path, &object, e));
  H5I_type_t type = H5Iget_type(object);
  bool marked = type == H5I_DATASET && H5Aexists(object, LIST_MARK) > 0;
  (void)H5Oclose(object);
  if (type == H5I_GROUP) out->kind = HL_KIND_GROUP;
  if (type != H5I_DATASET) return HL_OK;
  array a;
  hl_status status = open_dataset(&a, s, path, e);
  if (status == HL_OK) *out = a.entry;
  out->list = out->shape.rank == 1 && (marked || out->kind == HL_KIND_TEXT);
  array_close(&a);
  return status;
}

/* Names that grow one by one, back to back, each with its zero. */
typedef struct names {
  char *text;
  size_t used, room, count;
  bool full; /* memory has ended */
} names;

static herr_t add_name(names *n, const char *name) {
  size_t bytes = strlen(name) + 1;
  if (n->used + bytes > n->room) {
    size_t room = 2 * (n->used + bytes) + 256;
    char *text = hl_host_realloc(n->text, room);
    n->full = text == NULL;
    if (n->full) return -1;
    n->text = text;
    n->room = room;
  }
  memcpy(n->text + n->used, name, bytes);
  n->used += bytes;
  n->count++;
  return 0;
}

static herr_t add_link(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
  (void)group, (void)info;
  return add_name(ctx, name);
}

static herr_t add_attr(hid_t object, const char *name, const H5A_info_t *info, void *ctx) {
  (void)object, (void)info;
  return add_name(ctx, name);
}

static hl_status names_to_value(const names *n, hl_value *out, hl_err *e) {
  out->owned = hl_host_calloc(1, n->count * sizeof(char *) + n->used);
  if (out->owned == NULL) return hl_fail(e, HL_ENOMEM, "no memory for %zu names", n->count);
  char **texts = out->owned, *next = (char *)(texts + n->count);
  if (n->used > 0) memcpy(next, n->text, n->used);
  for (size_t i = 0; i < n->count; i++, next += strlen(next) + 1) texts[i] = next;
  out->kind = HL_KIND_TEXT;
  out->list = true;
  out->count = n->count;
  out->texts = out->owned;
  return HL_OK;
}

static hl_status list_object(const hl_store *s, const char *path, bool attrs, hl_value *out,
                             hl_err *e) {
  memset(out, 0, sizeof *out);
  hid_t object;
  HL_TRY(store_open_object(s, path, &object, e));
  names n = {0};
  herr_t r = attrs ? H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, add_attr, &n)
                   : H5Literate(object, H5_INDEX_NAME, H5_ITER_INC, NULL, add_link, &n);
  hl_status status = n.full
                         ? hl_fail(e, HL_ENOMEM, "%s: %s: no memory for its names", s->name, path)
                     : r < 0 ? store_fail(s, path, HL_EFORMAT, "cannot be listed", e)
                             : names_to_value(&n, out, e);
  (void)H5Oclose(object);
  hl_host_free(n.text);
  return status;
}

hl_status hl_store_list(const hl_store *s, const char *path, hl_value *out, hl_err *e) {
  return list_object(s, path, false, out, e);
}

hl_status hl_store_list_attrs(const hl_store *s, const char *path, hl_value *out, hl_err *e) {
  return list_object(s, path, true, out, e);
}

hl_status hl_store_has_attr(const hl_store *s, const char *path, const char *name, bool *out,
                            hl_err *e) {
  *out = false;
  hid_t object;
  HL_TRY(store_open_object(s, path, &object, e));
  htri_t there = H5Aexists(object, name);
  hl_status status =
      there >= 0 ? HL_OK : store_fail(s, path, HL_EFORMAT, "its attributes cannot be read", e);
  *out = there > 0;
  (void)H5Oclose(object);
  return status;
}
