/* The store as a reader of files that somebody else made, damaged, or made to harm. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/disk.h>
#include <hilum/rng.h>
#include <hilum/store.h>

#include <hdf5.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[HL_DISK_PATH];
static char path[HL_DISK_PATH + 64];

static const char *in_folder(const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void write_bytes(const void *bytes, size_t n) {
  FILE *f = fopen(in_folder("damaged.h5"), "wb");
  if (f == NULL) return;
  (void)fwrite(bytes, 1, n, f);
  (void)fclose(f);
}

/* ---- damage ---- */

static hl_status read_group(const hl_store *s, const char *group, int depth, hl_err *e);

static hl_status read_object(const hl_store *s, const char *at, int depth, hl_err *e) {
  hl_entry entry;
  HL_TRY(hl_store_entry(s, at, &entry, e));
  if (entry.kind == HL_KIND_GROUP) return read_group(s, at, depth + 1, e);
  if (entry.kind == HL_KIND_OTHER) return HL_OK;
  if (entry.dtype == HL_DTYPES || entry.shape.rank == 0) {
    hl_value v;
    HL_TRY(hl_store_get_value(s, at, &v, e));
    hl_value_free(&v);
    return HL_OK;
  }
  hl_tensor *t;
  HL_TRY(hl_store_get_tensor(s, at, &t, e));
  hl_tensor_unref(t);
  return HL_OK;
}

static hl_status read_attrs(const hl_store *s, const char *at, hl_err *e) {
  hl_value names, v;
  HL_TRY(hl_store_list_attrs(s, at, &names, e));
  hl_status status = HL_OK;
  for (size_t i = 0; i < names.count && status == HL_OK; i++) {
    status = hl_store_get_attr(s, at, names.texts[i], &v, e);
    hl_value_free(&v);
  }
  hl_value_free(&names);
  return status;
}

/* Reads everything below a group, up to the first error. */
static hl_status read_group(const hl_store *s, const char *group, int depth, hl_err *e) {
  if (depth > 20) return hl_fail(e, HL_EFORMAT, "a cycle");
  hl_value names;
  HL_TRY(read_attrs(s, group, e));
  HL_TRY(hl_store_list(s, group, &names, e));
  hl_status status = HL_OK;
  for (size_t i = 0; i < names.count && status == HL_OK; i++) {
    char at[HL_STORE_PATH + 1];
    int n = snprintf(at, sizeof at, "%s/%s", strcmp(group, "/") == 0 ? "" : group, names.texts[i]);
    if (n > 0 && n <= HL_STORE_PATH) status = read_object(s, at, depth, e);
    if (status == HL_OK && n > 0 && n <= HL_STORE_PATH) status = read_attrs(s, at, e);
  }
  hl_value_free(&names);
  return status;
}

static hl_status read_all(const char *file, hl_err *e) {
  hl_store *s;
  HL_TRY(hl_store_open(&s, file, e));
  hl_store_set_limit(s, 64 << 20);
  hl_status status = read_group(s, "/", 0, e);
  hl_store_free(s);
  return status;
}

static hl_status fill(hl_store *s, hl_err *e) {
  static const double reals[] = {0.5, 0.25, 0.75};
  static const char *const ids[] = {"LIDC-IDRI-0001", "LIDC-IDRI-0002", "LIDC-IDRI-0003"};
  hl_value curve = {.kind = HL_KIND_REAL, .list = true, .count = 3, .reals = reals};
  hl_value split = {.kind = HL_KIND_TEXT, .list = true, .count = 3, .texts = ids};
  hl_desc small = {HL_F32, HL_PLAIN, {4, {4, 2, 3, 3}}},
          large = {HL_F32, HL_PLAIN, {2, {600, 500}}};
  hl_tensor *a, *b;
  HL_TRY(hl_store_put_text(s, "/experiment", "return hl.experiment {}", e));
  HL_TRY(hl_store_put_value(s, "/split/train", &split, e));
  for (int i = 0; i < 12; i++) {
    char at[64];
    snprintf(at, sizeof at, "/curves/epoch/column%d", i);
    HL_TRY(hl_store_put_value(s, at, &curve, e));
    HL_TRY(hl_store_put_attr(s, "/curves", at + 14, &curve, e));
  }
  HL_TRY(hl_tensor_zeros(&a, &small, HL_MEM_DATA, "small", e));
  HL_TRY(hl_tensor_zeros(&b, &large, HL_MEM_DATA, "large", e));
  hl_rng r = hl_rng_stream(1, "test", 0, 0);
  for (int i = 0; i < 300000; i++) hl_tensor_f32(b)[i] = (float)(hl_rng_below(&r, 9));
  hl_status status = hl_store_put_tensor(s, "/weights/last/conv.weight", a, e);
  if (status == HL_OK) status = hl_store_put_tensor(s, "/weights/last/large", b, e);
  hl_tensor_unref(a);
  hl_tensor_unref(b);
  return status;
}

/* To be freed with hl_host_free. */
static uint8_t *whole_file(const char *file, size_t *n) {
  FILE *f = fopen(file, "rb");
  struct stat st;
  if (f == NULL || fstat(fileno(f), &st) != 0) return NULL;
  uint8_t *bytes = hl_host_calloc((size_t)st.st_size, 1);
  *n = fread(bytes, 1, (size_t)st.st_size, f);
  (void)fclose(f);
  return bytes;
}

/* A small archive of every kind, as bytes to be freed with hl_host_free. */
static uint8_t *archive_bytes(size_t *n) {
  hl_err e = {0};
  hl_store *s = NULL;
  succeeds(hl_store_new(&s, &e), &e, "a store");
  succeeds(fill(s, &e), &e, "filled");
  succeeds(hl_store_save(s, in_folder("whole.h5"), &e), &e, "saved");
  hl_store_free(s);
  succeeds(read_all(in_folder("whole.h5"), &e), &e, "everything in it can be read");
  return whole_file(in_folder("whole.h5"), n);
}

static void test_truncated(const uint8_t *bytes, size_t n) {
  int accepted = 0, unclear = 0, tried = 0;
  for (size_t length = 0; length < n; length += length < 4096 ? 61 : n / 200) {
    hl_err e = {0};
    write_bytes(bytes, length);
    hl_status s = read_all(in_folder("damaged.h5"), &e);
    tried++;
    if (s == HL_OK) accepted++;
    if ((s != HL_EFORMAT && s != HL_EIO) || strstr(e.msg, "damaged.h5") == NULL) unclear++;
  }
  is_int(accepted, 0, "%d lengths: none is taken for complete", tried);
  is_int(unclear, 0, "each is refused naming the file");
  is_int(hl_test_store_open_ids(), 0, "nothing stays open");
}

/* One changed byte anywhere before the last line is noticed. */
static void test_flipped(uint8_t *bytes, size_t n) {
  enum { FLIPS = 400, LINE = 101 };
  hl_rng r = hl_rng_stream(20, "flip", 0, 0);
  int wrong = 0, unclear = 0;
  for (int i = 0; i < FLIPS; i++) {
    hl_err e = {0};
    /* Half of them at the front, where the description of everything is. */
    size_t at = hl_rng_below(&r, (uint32_t)(i % 2 == 0 ? n : 12000));
    uint8_t mask = (uint8_t)(1 + hl_rng_below(&r, 255));
    bytes[at] ^= mask;
    write_bytes(bytes, n);
    hl_status s = read_all(in_folder("damaged.h5"), &e);
    bytes[at] ^= mask;
    if (s != HL_EFORMAT && at < n - LINE) wrong++;
    if (s != HL_OK && strstr(e.msg, "damaged.h5") == NULL) unclear++;
  }
  is_int(wrong, 0, "%d flipped bytes are noticed", (int)FLIPS);
  is_int(unclear, 0, "each is refused naming the file");
  is_int(hl_test_store_open_ids(), 0, "nothing stays open");
  hl_err e = {0};
  write_bytes(bytes, n - LINE);
  succeeds(read_all(in_folder("damaged.h5"), &e), &e, "without the last line it is still a file");
}

static void test_no_hdf5(void) {
  hl_err e = {0};
  hl_store *s = NULL;
  fails(hl_store_open(&s, in_folder("nothing.h5"), &e), HL_EIO, &e, "No such file", "no file");
  ok(s == NULL, "nothing is returned");
  fails(hl_store_open(&s, folder, &e), HL_EIO, &e, "is a folder", "a folder");
  fails(hl_store_open(&s, "", &e), HL_EIO, &e, "", "no name");
  write_bytes("", 0);
  fails(hl_store_open(&s, in_folder("damaged.h5"), &e), HL_EFORMAT, &e,
        "not an HDF5 file (0 bytes)", "an empty file");
  write_bytes("PK\003\004 some other format", 23);
  fails(hl_store_open(&s, in_folder("damaged.h5"), &e), HL_EFORMAT, &e, "not an HDF5 file",
        "another format");
  write_bytes("\211HDF\r\n\032\n and nothing more", 26);
  fails(hl_store_open(&s, in_folder("damaged.h5"), &e), HL_EFORMAT, &e, "damaged or incomplete",
        "a signature only");
  if (mkfifo(in_folder("pipe"), 0600) == 0)
    fails(hl_store_open(&s, in_folder("pipe"), &e), HL_EIO, &e, "not an ordinary file", "a pipe");
}

/* ---- files of others ---- */

static void put_raw(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dim,
                    hid_t memory, const void *data) {
  hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dim, NULL);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  if (data != NULL) (void)H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
  (void)H5Dclose(set);
  (void)H5Sclose(space);
}

static void put_with(hid_t file, const char *name, hid_t list, int rank, const hsize_t *dim) {
  hid_t space = H5Screate_simple(rank, dim, NULL);
  hid_t set = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
  ok(set >= 0, "made %s", name);
  (void)H5Dclose(set);
  (void)H5Sclose(space);
  (void)H5Pclose(list);
}

static void put_numbers(hid_t f) {
  static const uint64_t wide[] = {1, UINT64_MAX};
  static const int64_t large[] = {1, INT64_C(1) << 40}, small[] = {-5, 7};
  static const int8_t bytes[] = {-128, 127};
  static const uint16_t shorts[] = {1, 65535};
  static const uint32_t words[] = {1, 4000000000U};
  static const float halves[] = {0.5F, -2.0F};
  hsize_t two = 2;
  put_raw(f, "u64", H5T_STD_U64LE, 1, &two, H5T_NATIVE_UINT64, wide);
  put_raw(f, "i64 large", H5T_STD_I64LE, 1, &two, H5T_NATIVE_INT64, large);
  put_raw(f, "i64 small", H5T_STD_I64BE, 1, &two, H5T_NATIVE_INT64, small);
  put_raw(f, "i8", H5T_STD_I8LE, 1, &two, H5T_NATIVE_INT8, bytes);
  put_raw(f, "u16", H5T_STD_U16BE, 1, &two, H5T_NATIVE_UINT16, shorts);
  put_raw(f, "u32", H5T_STD_U32LE, 1, &two, H5T_NATIVE_UINT32, words);
  hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  (void)H5Tset_fields(half, 15, 10, 5, 0, 10);
  (void)H5Tset_precision(half, 16);
  (void)H5Tset_size(half, 2);
  (void)H5Tset_ebias(half, 15);
  put_raw(f, "f16", half, 1, &two, H5T_NATIVE_FLOAT, halves);
  (void)H5Tclose(half);
}

static void put_texts(hid_t f) {
  static const char *const words[] = {"of any", NULL, "length"};
  hsize_t three = 3;
  hid_t variable = H5Tcopy(H5T_C_S1), padded = H5Tcopy(H5T_C_S1);
  (void)H5Tset_size(variable, H5T_VARIABLE);
  put_raw(f, "variable", variable, 1, &three, variable, words);
  (void)H5Tset_size(padded, 6);
  (void)H5Tset_strpad(padded, H5T_STR_SPACEPAD);
  put_raw(f, "padded", padded, 0, NULL, padded, "pad   ");
  (void)H5Tclose(variable);
  (void)H5Tclose(padded);
}

static void put_oddities(hid_t f) {
  hsize_t many[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, two = 2;
  put_raw(f, "ten axes", H5T_IEEE_F32LE, 10, many, -1, NULL);
  hid_t pair = H5Tcreate(H5T_COMPOUND, 8);
  (void)H5Tinsert(pair, "a", 0, H5T_STD_I32LE);
  (void)H5Tinsert(pair, "b", 4, H5T_STD_I32LE);
  put_raw(f, "compound", pair, 1, &two, -1, NULL);
  (void)H5Tcommit2(f, "type", pair, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  (void)H5Tclose(pair);
  hid_t null = H5Screate(H5S_NULL);
  hid_t set = H5Dcreate2(f, "null", H5T_IEEE_F32LE, null, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  (void)H5Dclose(set);
  (void)H5Sclose(null);
  (void)H5Lcreate_soft("/i8", f, "soft", H5P_DEFAULT, H5P_DEFAULT);
  (void)H5Lcreate_soft("/loop", f, "loop", H5P_DEFAULT, H5P_DEFAULT);
  (void)H5Lcreate_external("/etc/hostname", "/x", f, "external", H5P_DEFAULT, H5P_DEFAULT);
  (void)H5Lcreate_hard(f, "/i8", f, "hard", H5P_DEFAULT, H5P_DEFAULT);
}

static void put_hostile(hid_t f) {
  hsize_t huge[2] = {1 << 20, 1 << 20}, wide[2] = {1 << 14, 1 << 14}, four = 4, two = 2;
  hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t chunk[2] = {1024, 1024};
  (void)H5Pset_chunk(list, 2, chunk);
  put_with(f, "beyond the limit", list, 2, huge);
  list = H5Pcreate(H5P_DATASET_CREATE);
  (void)H5Pset_chunk(list, 2, chunk);
  put_with(f, "nothing stored", list, 2, wide);
  /* "hosts" holds text of this machine: a reader must not pass it off as data. */
  list = H5Pcreate(H5P_DATASET_CREATE);
  (void)H5Pset_external(list, "/etc/passwd", 0, 16);
  put_with(f, "external data", list, 1, &four);
  list = H5Pcreate(H5P_DATASET_CREATE);
  hid_t space = H5Screate_simple(1, &two, NULL);
  (void)H5Pset_virtual(list, space, "/etc/other.h5", "x", space);
  (void)H5Sclose(space);
  put_with(f, "virtual data", list, 1, &two);
  list = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t one = 1, unlimited = H5S_UNLIMITED, big = 1 << 28;
  (void)H5Pset_chunk(list, 1, &big);
  space = H5Screate_simple(1, &one, &unlimited);
  hid_t set = H5Dcreate2(f, "huge chunk", H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
  (void)H5Dclose(set);
  (void)H5Sclose(space);
  (void)H5Pclose(list);
}

static void test_numbers_of_others(const hl_store *s) {
  hl_err e = {0};
  static const struct {
    const char *name;
    hl_dtype dtype;
    double second;
  } good[] = {{"/i64 small", HL_I32, 7},
              {"/i8", HL_I16, 127},
              {"/hard", HL_I16, 127},
              {"/u16", HL_I32, 65535},
              {"/f16", HL_F32, -2}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    hl_tensor *t = NULL;
    double v = 0;
    succeeds(hl_store_get_tensor(s, good[i].name, &t, &e), &e, "%s: read", good[i].name);
    if (t == NULL) continue;
    is_int(hl_tensor_dtype(t), good[i].dtype, "%s: type", good[i].name);
    succeeds(hl_tensor_get(t, (int64_t[]){1}, &v, &e), &e, "%s: element", good[i].name);
    is_near(v, good[i].second, 0, "%s: value", good[i].name);
    hl_tensor_unref(t);
  }
  hl_tensor *t = NULL;
  fails(hl_store_get_tensor(s, "/i64 large", &t, &e), HL_EFORMAT, &e,
        "1099511627776 does not fit into an i32", "i64 too large for a tensor");
  fails(hl_store_get_tensor(s, "/u32", &t, &e), HL_EFORMAT, &e, "4000000000", "u32 too large");
  fails(hl_store_get_tensor(s, "/u64", &t, &e), HL_EFORMAT, &e, "18446744073709551615", "u64");
  hl_value v;
  succeeds(hl_store_get_value(s, "/i64 large", &v, &e), &e, "as a list it can be read");
  ok(v.count == 2 && v.integers[1] == INT64_C(1) << 40, "with its values");
  hl_value_free(&v);
  succeeds(hl_store_get_value(s, "/variable", &v, &e), &e, "text of variable length");
  ok(v.count == 3 && strcmp(v.texts[0], "of any") == 0 && strcmp(v.texts[1], "") == 0 &&
         strcmp(v.texts[2], "length") == 0,
     "has its words");
  hl_value_free(&v);
  succeeds(hl_store_get_value(s, "/padded", &v, &e), &e, "text padded with blanks");
  ok(!v.list && strcmp(v.texts[0], "pad") == 0, "without the blanks");
  hl_value_free(&v);
}

static void test_refused(const hl_store *s) {
  hl_err e = {0};
  static const struct {
    const char *name, *why;
  } bad[] = {{"/ten axes", "up to 8 axes"},
             {"/compound", "neither numbers nor text"},
             {"/null", "neither numbers nor text"},
             {"/type", "is a type"},
             {"/soft", "soft or external link"},
             {"/loop", "soft or external link"},
             {"/external", "soft or external link"},
             {"/external/x", "/external: is a soft or external link"},
             {"/beyond the limit", "claims 1099511627776 elements"},
             {"/nothing stored", "stores only 0"},
             {"/external data", "lies in other files"},
             {"/virtual data", "lies in other files"},
             {"/huge chunk", "layout is damaged"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    hl_tensor *t = NULL;
    hl_value v;
    fails(hl_store_get_tensor(s, bad[i].name, &t, &e), HL_EFORMAT, &e, bad[i].why, "%s as a tensor",
          bad[i].name);
    ok(t == NULL, "nothing is returned");
    fails(hl_store_get_value(s, bad[i].name, &v, &e), HL_EFORMAT, &e, "others.h5", "%s as a value",
          bad[i].name);
  }
  hl_entry entry;
  succeeds(hl_store_entry(s, "/compound", &entry, &e), &e, "what is not read can be described");
  is_int(entry.kind, HL_KIND_OTHER, "as other");
}

static void test_others(void) {
  hl_err e = {0};
  hl_store *s = NULL;
  hid_t f = H5Fcreate(in_folder("others.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  put_numbers(f);
  put_texts(f);
  put_oddities(f);
  put_hostile(f);
  (void)H5Fclose(f);
  succeeds(hl_store_open(&s, in_folder("others.h5"), &e), &e, "a file of somebody else");
  if (s == NULL) return;
  test_numbers_of_others(s);
  test_refused(s);
  hl_store_set_limit(s, 16);
  hl_tensor *t = NULL;
  succeeds(hl_store_get_tensor(s, "/i8", &t, &e), &e, "at the limit");
  hl_tensor_unref(t);
  hl_store_set_limit(s, 15);
  fails(hl_store_get_tensor(s, "/i8", &t, &e), HL_EFORMAT, &e, "the limit is 15 bytes",
        "beyond it");
  hl_store_free(s);
}

/* HDF5's older format, which other programs still write, has no checksums: damage reaches the
 * library. It is met apart, where it may do its worst; what comes through there is read here too.
 */
static void test_tried(void) {
  enum { FILES = 400 };
  size_t n;
  uint8_t *bytes = whole_file(in_folder("others.h5"), &n);
  hl_rng r = hl_rng_stream(21, "tried", 0, 0);
  int read = 0, refused = 0, died = 0, unclear = 0;
  for (int i = 0; i < FILES && bytes != NULL; i++) {
    hl_err e = {0};
    size_t at[3];
    uint8_t kept[3];
    int changes = 1 + (int)hl_rng_below(&r, 3);
    for (int k = 0; k < changes; k++) {
      at[k] = hl_rng_below(&r, (uint32_t)n);
      kept[k] = bytes[at[k]];
      bytes[at[k]] = (uint8_t)hl_rng_below(&r, 256);
    }
    write_bytes(bytes, n);
    hl_status s = hl_store_try(in_folder("damaged.h5"), &e);
    for (int k = changes - 1; k >= 0; k--) bytes[at[k]] = kept[k];
    if (s != HL_OK && strstr(e.msg, "damaged.h5: ") == NULL) unclear++;
    if (s != HL_OK && strstr(e.msg, "made to harm") != NULL)
      died++;
    else if (s != HL_OK || read_all(in_folder("damaged.h5"), &e) != HL_OK)
      refused++;
    else
      read++;
  }
  hl_host_free(bytes);
  is_int(read + refused + died, FILES, "%d files: %d read, %d refused, %d ended their process",
         (int)FILES, read, refused, died);
  is_int(unclear, 0, "each is refused naming the file");
  hl_err e = {0};
  succeeds(hl_store_try(in_folder("whole.h5"), &e), &e, "a whole archive may be opened");
  fails(hl_store_try(in_folder("nowhere.h5"), &e), HL_EIO, &e,
        "nowhere.h5: ", "one that is not there");
}

/* ---- reference files ---- */

static void test_golden_attrs(const hl_store *s) {
  hl_err e = {0};
  hl_value v;
  succeeds(hl_store_get_attr(s, "/", "topic", &v, &e), &e, "a text of fixed length");
  ok(v.kind == HL_KIND_TEXT && !v.list && strcmp(v.texts[0], "optim") == 0, "is 'optim'");
  hl_value_free(&v);
  succeeds(hl_store_get_attr(s, "/adam_5", "betas", &v, &e), &e, "a list of reals");
  ok(v.kind == HL_KIND_REAL && v.list && v.count == 2, "with two numbers");
  hl_value_free(&v);
  succeeds(hl_store_get_attr(s, "/adam_5", "steps", &v, &e), &e, "an i64");
  ok(v.kind == HL_KIND_INTEGER && !v.list && v.integers[0] == 20, "is 20");
  hl_value_free(&v);
  succeeds(hl_store_get_attr(s, "/adam_5", "amsgrad", &v, &e), &e, "an i32");
  ok(v.kind == HL_KIND_INTEGER, "is an integer");
  hl_value_free(&v);
  hl_tensor *t = NULL;
  succeeds(hl_store_get_tensor(s, "/adam_5/outputs.trajectory", &t, &e), &e,
           "a dataset with a dot");
  ok(t != NULL && hl_tensor_f64(t) != NULL && hl_tensor_numel(t) == 240, "f64[20,4,3]");
  hl_tensor_unref(t);
}

static void test_golden(void) {
  static const char *const topics[] = {"optim", "losses",  "ops",        "orthogonal", "coupling",
                                       "iunet", "imaging", "lidc_masks", "metrics"};
  const char *shared = getenv("HILUM_SHARED");
  char file[HL_DISK_PATH + 64];
  for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
    snprintf(file, sizeof file, "%s/golden/%s.h5", shared == NULL ? "../shared" : shared,
             topics[i]);
    if (!hl_disk_exists(file)) {
      tap_skip(1, "%s is not here", file);
      continue;
    }
    hl_err e = {0};
    hl_store *s = NULL;
    succeeds(read_all(file, &e), &e, "%s.h5: everything can be read", topics[i]);
    if (i > 0) continue;
    succeeds(hl_store_open(&s, file, &e), &e, "%s", topics[i]);
    if (s != NULL) test_golden_attrs(s);
    hl_store_free(s);
  }
}

int main(void) {
  hl_err e = {0};
  size_t n = 0;
  succeeds(hl_disk_scratch(folder, &e), &e, "a scratch folder");
  uint8_t *bytes = archive_bytes(&n);
  if (bytes != NULL) {
    test_truncated(bytes, n);
    test_flipped(bytes, n);
  }
  hl_host_free(bytes);
  test_no_hdf5();
  test_others();
  test_tried();
  test_golden();
  is_int(hl_test_store_open_ids(), 0, "no HDF5 object is open");
  hl_disk_scratch_remove(folder);
  return tap_done();
}
