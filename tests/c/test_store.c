/* The store: round trips, misuse, determinism, failing disks and memory. Hostile and damaged files
 * are in test_store_damage.c. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/disk.h>
#include <hilum/hash.h>
#include <hilum/narrow.h>
#include <hilum/rng.h>
#include <hilum/store.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[HL_DISK_PATH];

static const char *in_folder(const char *name) {
  static char path[2][HL_DISK_PATH + 64];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

/* Entries of the folder, hidden ones included. */
static int files_in_folder(void) {
  DIR *d = opendir(folder);
  int n = -2; /* "." and ".." */
  while (d != NULL && readdir(d) != NULL) n++;
  if (d != NULL) closedir(d);
  return n;
}

static const char *hash_of(const char *path) {
  static char text[2][HL_HASH_TEXT];
  static int turn;
  turn = !turn;
  hl_err e = {0};
  if (hl_hash_file(path, text[turn], &e) != HL_OK) snprintf(text[turn], HL_HASH_TEXT, "none");
  return text[turn];
}

/* ---- tensors ---- */

static hl_tensor *counted(hl_dtype type, hl_layout layout, hl_shape shape) {
  hl_desc d = {type, layout, shape};
  hl_tensor *t = NULL;
  hl_err e = {0};
  succeeds(hl_tensor_zeros(&t, &d, HL_MEM_DATA, "a test tensor", &e), &e, "a tensor");
  int64_t index[HL_MAX_RANK] = {0};
  for (int64_t i = 0; i < hl_shape_numel(&shape); i++) {
    int64_t rest = i;
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
      index[axis] = rest % shape.dim[axis];
      rest /= shape.dim[axis];
    }
    if (hl_tensor_set(t, index, (double)(i % 100), &e) != HL_OK) break;
  }
  return t;
}

/* Fixed-point numbers are written as the f32 that they are. */
static hl_dtype written(hl_dtype t) {
  return hl_dtype_is_fixed(t) ? HL_F32 : t;
}

static bool same_values(hl_tensor *a, hl_tensor *b) {
  hl_tensor *x = NULL, *y = NULL;
  hl_err e = {0};
  bool same = hl_shape_equal(hl_tensor_shape(a), hl_tensor_shape(b)) &&
              written(hl_tensor_dtype(a)) == hl_tensor_dtype(b) &&
              hl_tensor_dense(&x, a, hl_tensor_dtype(b), HL_PLAIN, &e) == HL_OK &&
              hl_tensor_dense(&y, b, hl_tensor_dtype(b), HL_PLAIN, &e) == HL_OK &&
              memcmp(hl_tensor_data(x), hl_tensor_data(y), hl_tensor_bytes(x)) == 0;
  hl_tensor_unref(x);
  hl_tensor_unref(y);
  return same;
}

/* Puts, saves, opens, reads and compares. Takes over t. */
static void tensor_round_trip(hl_tensor *t, const char *name) {
  hl_err e = {0};
  hl_store *w = NULL, *r = NULL;
  hl_tensor *back = NULL;
  succeeds(hl_store_new(&w, &e), &e, "%s: a store", name);
  succeeds(hl_store_put_tensor(w, "/group/of tensors/x", t, &e), &e, "%s: put", name);
  succeeds(hl_store_save(w, in_folder("t.h5"), &e), &e, "%s: saved", name);
  hl_store_free(w);
  succeeds(hl_store_open(&r, in_folder("t.h5"), &e), &e, "%s: opened", name);
  hl_entry entry;
  succeeds(hl_store_entry(r, "/group/of tensors/x", &entry, &e), &e, "%s: described", name);
  ok(entry.dtype == written(hl_tensor_dtype(t)) && !entry.list &&
         hl_shape_equal(&entry.shape, hl_tensor_shape(t)),
     "%s: type and shape", name);
  succeeds(hl_store_get_tensor(r, "/group/of tensors/x", &back, &e), &e, "%s: read", name);
  ok(back != NULL && same_values(t, back), "%s: the same values", name);
  hl_tensor_unref(back);
  hl_tensor_unref(t);
  hl_store_free(r);
}

static void test_tensors(void) {
  for (int type = 0; type < HL_DTYPES; type++) {
    hl_shape s = {3, {5, 7, 3}};
    tensor_round_trip(counted((hl_dtype)type, HL_PLAIN, s), hl_dtype_name((hl_dtype)type));
  }
  tensor_round_trip(counted(HL_F32, HL_IMAGE, (hl_shape){5, {2, 3, 4, 5, 6}}), "image layout");
  tensor_round_trip(counted(HL_F32, HL_PLAIN, (hl_shape){0, {0}}), "no axes");
  tensor_round_trip(counted(HL_F64, HL_PLAIN, (hl_shape){2, {3, 0}}), "no elements");
  tensor_round_trip(counted(HL_U8, HL_PLAIN, (hl_shape){8, {1, 2, 1, 2, 3, 1, 2, 2}}), "8 axes");
  tensor_round_trip(counted(HL_F32, HL_PLAIN, (hl_shape){2, {100, 100}}), "one chunk");
  tensor_round_trip(counted(HL_F32, HL_PLAIN, (hl_shape){3, {7, 300, 301}}), "several chunks");
  tensor_round_trip(counted(HL_I16, HL_PLAIN, (hl_shape){3, {7, 300, 301}}), "deflated chunks");
  tensor_round_trip(counted(HL_BF16, HL_PLAIN, (hl_shape){1, {1500007}}), "chunks of one axis");
  hl_tensor *whole = counted(HL_I32, HL_PLAIN, (hl_shape){3, {6, 40, 50}}), *cut = NULL,
            *view = NULL;
  hl_err e = {0};
  succeeds(hl_tensor_slice(&cut, whole, 1, 3, 39, 4, &e), &e, "a slice");
  succeeds(hl_tensor_permute(&view, cut, (int[]){2, 0, 1}, &e), &e, "a permuted slice");
  tensor_round_trip(view, "a strided view");
  hl_tensor_unref(cut);
  hl_tensor_unref(whole);
}

/* An image tensor is n, c, z, y, x on disk: the value counts up in that order. */
static void test_axis_order(void) {
  hl_err e = {0};
  hl_store *s = NULL;
  hl_tensor *t = counted(HL_F32, HL_IMAGE, (hl_shape){5, {1, 2, 2, 3, 4}}), *back = NULL;
  succeeds(hl_store_new(&s, &e), &e, "a store");
  succeeds(hl_store_put_tensor(s, "/x", t, &e), &e, "an image");
  succeeds(hl_store_get_tensor(s, "/x", &back, &e), &e, "read back before it is saved");
  bool counts_up = back != NULL && hl_tensor_layout(back) == HL_PLAIN;
  for (int i = 0; counts_up && i < 48; i++) counts_up = hl_tensor_f32(back)[i] == (float)i;
  ok(counts_up, "row-major in the order n, c, z, y, x");
  hl_tensor_unref(t);
  hl_tensor_unref(back);
  hl_store_free(s);
}

/* ---- values ---- */

static const int64_t integers[] = {INT64_MIN, -1, 0, 7, INT64_MAX};
static const int64_t bools[] = {0, 1, 1, 0, 1};
static const double reals[] = {0.1, -0.0, INFINITY, 1e308, 5e-324};
static const char *const texts[] = {"", "plain", "Größe in mm, 直径", "caf\xe9", "trailing  "};

static const struct {
  const char *name;
  hl_value value;
} samples[] = {
    {"bool", {.kind = HL_KIND_BOOL, .count = 1, .integers = bools + 1}},
    {"integer", {.kind = HL_KIND_INTEGER, .count = 1, .integers = integers}},
    {"real", {.kind = HL_KIND_REAL, .count = 1, .reals = reals}},
    {"text", {.kind = HL_KIND_TEXT, .count = 1, .texts = texts + 2}},
    {"empty text", {.kind = HL_KIND_TEXT, .count = 1, .texts = texts}},
    {"bytes", {.kind = HL_KIND_TEXT, .count = 1, .texts = texts + 3}},
    {"bools", {.kind = HL_KIND_BOOL, .list = true, .count = 5, .integers = bools}},
    {"integers", {.kind = HL_KIND_INTEGER, .list = true, .count = 5, .integers = integers}},
    {"reals", {.kind = HL_KIND_REAL, .list = true, .count = 5, .reals = reals}},
    {"texts", {.kind = HL_KIND_TEXT, .list = true, .count = 5, .texts = texts}},
    {"no integers", {.kind = HL_KIND_INTEGER, .list = true, .integers = integers}},
    {"no texts", {.kind = HL_KIND_TEXT, .list = true, .texts = texts}},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static bool equal(const hl_value *a, const hl_value *b) {
  if (a->kind != b->kind || a->list != b->list || a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++) {
    if (a->kind == HL_KIND_TEXT && strcmp(a->texts[i], b->texts[i]) != 0) return false;
    if (a->kind == HL_KIND_REAL && memcmp(a->reals + i, b->reals + i, sizeof(double)) != 0)
      return false;
    if (a->kind != HL_KIND_TEXT && a->kind != HL_KIND_REAL && a->integers[i] != b->integers[i])
      return false;
  }
  return true;
}

static hl_status put_samples(hl_store *s, hl_err *e) {
  char path[64];
  HL_TRY(hl_store_put_group(s, "/empty/group", e));
  for (int i = 0; i < SAMPLES; i++) {
    snprintf(path, sizeof path, "/values/%s", samples[i].name);
    HL_TRY(hl_store_put_value(s, path, &samples[i].value, e));
    HL_TRY(hl_store_put_attr(s, "/values", samples[i].name, &samples[i].value, e));
    HL_TRY(hl_store_put_attr(s, path, "again", &samples[i].value, e));
  }
  return HL_OK;
}

static void test_values(void) {
  hl_err e = {0};
  hl_store *w = NULL, *r = NULL;
  succeeds(hl_store_new(&w, &e), &e, "a store");
  succeeds(put_samples(w, &e), &e, "every kind of value and attribute");
  succeeds(hl_store_put_attr(w, "/", "twice", &samples[1].value, &e), &e, "an attribute");
  succeeds(hl_store_put_attr(w, "/", "twice", &samples[3].value, &e), &e, "put again");
  succeeds(hl_store_save(w, in_folder("v.h5"), &e), &e, "saved");
  hl_store_free(w);
  succeeds(hl_store_open(&r, in_folder("v.h5"), &e), &e, "opened");
  for (int i = 0; i < SAMPLES; i++) {
    char path[64];
    hl_value v;
    hl_entry entry;
    snprintf(path, sizeof path, "/values/%s", samples[i].name);
    succeeds(hl_store_get_value(r, path, &v, &e), &e, "%s: read", samples[i].name);
    ok(equal(&v, &samples[i].value), "%s: the same", samples[i].name);
    hl_value_free(&v);
    succeeds(hl_store_entry(r, path, &entry, &e), &e, "%s: described", samples[i].name);
    ok(entry.kind == samples[i].value.kind && entry.list == samples[i].value.list, "%s: kind",
       samples[i].name);
    succeeds(hl_store_get_attr(r, "/values", samples[i].name, &v, &e), &e,
             "%s: attribute of a group", samples[i].name);
    ok(equal(&v, &samples[i].value), "%s: the same", samples[i].name);
    hl_value_free(&v);
    succeeds(hl_store_get_attr(r, path, "again", &v, &e), &e, "%s: attribute of a value",
             samples[i].name);
    ok(equal(&v, &samples[i].value), "%s: the same", samples[i].name);
    hl_value_free(&v);
  }
  hl_value v;
  succeeds(hl_store_get_attr(r, "/", "twice", &v, &e), &e, "the replaced attribute");
  ok(equal(&v, &samples[3].value), "has the later value");
  hl_value_free(&v);
  hl_store_free(r);
}

static void test_long_text(void) {
  enum { LONG = 3 << 20 };
  hl_err e = {0};
  hl_store *w = NULL, *r = NULL;
  char *text = hl_host_calloc(LONG + 1, 1);
  for (int i = 0; i < LONG; i++) text[i] = (char)('a' + i % 26);
  hl_value v = {.kind = HL_KIND_TEXT, .count = 1, .texts = (const char *const *)&text};
  succeeds(hl_store_new(&w, &e), &e, "a store");
  succeeds(hl_store_put_text(w, "/log", text, &e), &e, "a text of 3 MiB");
  succeeds(hl_store_put_attr(w, "/log", "copy", &v, &e), &e, "an attribute of 3 MiB");
  succeeds(hl_store_save(w, in_folder("l.h5"), &e), &e, "saved");
  hl_store_free(w);
  succeeds(hl_store_open(&r, in_folder("l.h5"), &e), &e, "opened");
  hl_value back;
  succeeds(hl_store_get_value(r, "/log", &back, &e), &e, "the text");
  ok(equal(&v, &back), "is the same");
  hl_value_free(&back);
  succeeds(hl_store_get_attr(r, "/log", "copy", &back, &e), &e, "the attribute");
  ok(equal(&v, &back), "is the same");
  hl_value_free(&back);
  hl_store_free(r);
  hl_host_free(text);
}

static void test_listing(void) {
  enum { MANY = 700 };
  hl_err e = {0};
  hl_store *s = NULL;
  succeeds(hl_store_new(&s, &e), &e, "a store");
  bool put = true;
  char path[64];
  for (int i = 0; i < MANY && put; i++) {
    snprintf(path, sizeof path, "/many/%d", (i * 37) % MANY);
    put = hl_store_put_value(s, path, &samples[0].value, &e) == HL_OK;
  }
  ok(put, "%d values in one group", MANY);
  hl_value names;
  succeeds(hl_store_list(s, "/many", &names, &e), &e, "listed");
  bool sorted = names.count == MANY && strcmp(names.texts[0], "0") == 0;
  for (size_t i = 1; i < names.count && sorted; i++)
    sorted = strcmp(names.texts[i - 1], names.texts[i]) < 0;
  ok(sorted, "all names, sorted");
  hl_value_free(&names);
  succeeds(hl_store_list(s, "/", &names, &e), &e, "the root");
  ok(names.count == 1 && strcmp(names.texts[0], "many") == 0, "has one name");
  hl_value_free(&names);
  succeeds(hl_store_list_attrs(s, "/many", &names, &e), &e, "attributes of a bare group");
  is_int(names.count, 0, "are none");
  hl_value_free(&names);
  fails(hl_store_list(s, "/many/7", &names, &e), HL_EFORMAT, &e, "cannot be listed",
        "a value has no names");
  bool has;
  succeeds(hl_store_has(s, "/many/7", &has, &e), &e, "looking something up");
  ok(has, "it is there");
  succeeds(hl_store_has(s, "/other/7", &has, &e), &e, "looking something else up");
  ok(!has, "it is not there");
  hl_store_free(s);
}

static void test_misuse(void) {
  hl_err e = {0};
  hl_store *s = NULL;
  hl_value v;
  hl_tensor *t = NULL;
  const hl_value *one = &samples[1].value;
  succeeds(hl_store_new(&s, &e), &e, "a store");
  static const char *const bad[] = {"",   "x",     "/x/",    "//x",     "/x//y",
                                    "/.", "/x/..", "/x/./y", "/caf\xe9"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    fails(hl_store_put_value(s, bad[i], one, &e), HL_EINVAL, &e, "", "the path '%s'", bad[i]);
  char longest[HL_STORE_PATH + 2];
  memset(longest, 'x', sizeof longest);
  longest[0] = '/';
  longest[HL_STORE_PATH + 1] = '\0';
  fails(hl_store_put_value(s, longest, one, &e), HL_EINVAL, &e, "1023 bytes", "a path too long");
  longest[HL_STORE_PATH] = '\0';
  succeeds(hl_store_put_value(s, longest, one, &e), &e, "the longest path");
  fails(hl_store_put_value(s, "/", one, &e), HL_EINVAL, &e, "root", "a value as the root");
  succeeds(hl_store_put_value(s, "/a/b", one, &e), &e, "a value");
  fails(hl_store_put_value(s, "/a/b", one, &e), HL_EINVAL, &e, "/a/b: is there already",
        "put twice");
  fails(hl_store_put_value(s, "/a", one, &e), HL_EINVAL, &e, "is there already", "over a group");
  fails(hl_store_put_value(s, "/a/b/c", one, &e), HL_EINVAL, &e, "/a/b: is a value",
        "below a value");
  fails(hl_store_put_attr(s, "/no", "x", one, &e), HL_EFORMAT, &e, "/no: is missing",
        "attribute of nothing");
  fails(hl_store_put_attr(s, "/a", "", one, &e), HL_EINVAL, &e, "not empty",
        "attribute without a name");
  fails(hl_store_get_value(s, "/a/c", &v, &e), HL_EFORMAT, &e, "/a/c: is missing",
        "a missing value");
  fails(hl_store_get_value(s, "/a", &v, &e), HL_EFORMAT, &e, "is a group", "a group as a value");
  fails(hl_store_get_attr(s, "/a", "x", &v, &e), HL_EFORMAT, &e, "no attribute 'x'",
        "a missing attribute");
  fails(hl_store_get_tensor(s, "/a/c", &t, &e), HL_EFORMAT, &e, "is missing", "a missing tensor");
  ok(t == NULL, "nothing is returned");
  succeeds(hl_store_put_text(s, "/text", "x", &e), &e, "a text");
  fails(hl_store_get_tensor(s, "/text", &t, &e), HL_EFORMAT, &e, "is text", "text as a tensor");
  hl_value group = {.kind = HL_KIND_GROUP, .count = 1};
  fails(hl_store_put_value(s, "/g", &group, &e), HL_EINVAL, &e, "not group", "a group as a value");
  hl_value two = {.kind = HL_KIND_REAL, .count = 2, .reals = reals};
  fails(hl_store_put_value(s, "/g", &two, &e), HL_EINVAL, &e, "count 1", "two single values");
  succeeds(hl_store_save(s, in_folder("m.h5"), &e), &e, "saved");
  hl_store_free(s);
  succeeds(hl_store_open(&s, in_folder("m.h5"), &e), &e, "opened");
  fails(hl_store_put_value(s, "/new", one, &e), HL_EINVAL, &e, "reading only", "written to");
  fails(hl_store_save(s, in_folder("m2.h5"), &e), HL_EINVAL, &e, "reading only", "saved again");
  hl_store_free(s);
}

static hl_status save_samples(const char *path, hl_err *e) {
  hl_store *s;
  HL_TRY(hl_store_new(&s, e));
  hl_status status = put_samples(s, e);
  if (status == HL_OK) status = hl_store_save(s, path, e);
  hl_store_free(s);
  return status;
}

static void test_same_bytes(void) {
  hl_err e = {0};
  succeeds(save_samples(in_folder("a.h5"), &e), &e, "one file");
  sleep(1); /* times in the file would differ */
  succeeds(save_samples(in_folder("b.h5"), &e), &e, "the same content a second later");
  is_str(hash_of(in_folder("a.h5")), hash_of(in_folder("b.h5")), "the same bytes");
  hl_store *s = NULL;
  succeeds(hl_store_new(&s, &e), &e, "a store");
  succeeds(put_samples(s, &e), &e, "filled");
  succeeds(hl_store_save(s, in_folder("a.h5"), &e), &e, "saved");
  succeeds(hl_store_save(s, in_folder("b.h5"), &e), &e, "saved again");
  is_str(hash_of(in_folder("a.h5")), hash_of(in_folder("b.h5")), "the same bytes");
  succeeds(hl_store_put_text(s, "/more", "x", &e), &e, "changed after it was saved");
  succeeds(hl_store_save(s, in_folder("b.h5"), &e), &e, "and saved");
  ok(strcmp(hash_of(in_folder("a.h5")), hash_of(in_folder("b.h5"))) != 0, "other bytes");
  hl_store_free(s);
}

/* ---- a failing disk ---- */

/* The n-th call from now on fails with `error`; writes are cut to `most` bytes. */
static struct {
  int left, error, made;
  size_t most;
} disk;

static bool fails_now(void) {
  disk.made++;
  if (disk.left-- != 0) return false;
  errno = disk.error;
  return true;
}
static int fake_open(const char *path, int flags, unsigned mode) {
  return fails_now() ? -1 : open(path, flags, (mode_t)mode);
}
static int64_t fake_write(int fd, const void *bytes, size_t n) {
  return fails_now() ? -1 : write(fd, bytes, n < disk.most ? n : disk.most);
}
static int fake_fsync(int fd) {
  return fails_now() ? -1 : fsync(fd);
}
static int fake_close(int fd) {
  return close(fd);
}
static int fake_rename(const char *from, const char *to) {
  return fails_now() ? -1 : rename(from, to);
}
static const hl_disk_calls fakes = {fake_open, fake_write, fake_fsync, fake_close, fake_rename};

static hl_status save_on_fakes(hl_store *s, int fail_at, int error, size_t most, hl_err *e) {
  disk.left = fail_at;
  disk.error = error;
  disk.made = 0;
  disk.most = most;
  hl_test_disk_calls(&fakes);
  hl_status status = hl_store_save(s, in_folder("run.h5"), e);
  hl_test_disk_calls(NULL);
  return status;
}

/* Every call fails in turn, over an old file and where there was none. */
static void sweep_disk(hl_store *s, bool old, int error, size_t most) {
  hl_err e = {0};
  const char *kept = "none";
  if (old) {
    succeeds(save_samples(in_folder("run.h5"), &e), &e, "an old file");
    kept = hash_of(in_folder("run.h5"));
  }
  char before[HL_HASH_TEXT];
  snprintf(before, sizeof before, "%s", kept);
  int files = files_in_folder();
  if (!old) unlink(in_folder("run.h5"));
  succeeds(save_on_fakes(s, -1, 0, most, &e), &e, "nothing fails");
  int calls = disk.made;
  ok(calls >= 6, "%d calls in all", calls);
  for (int i = 0; i < calls; i++) {
    unlink(in_folder("run.h5"));
    if (old && save_samples(in_folder("run.h5"), &e) != HL_OK) break;
    hl_status status = save_on_fakes(s, i, error, most, &e);
    /* The last two calls concern the folder: the new file is in place by then. */
    const char *want = i < calls - 2 ? "cannot be written" : "written completely";
    fails(status, HL_EIO, &e, want, "%s at call %d", strerror(error), i);
    if (i < calls - 2) is_str(hash_of(in_folder("run.h5")), before, "call %d: as it was before", i);
    is_int(files_in_folder(), files - (!old && i < calls - 2), "call %d: nothing is left over", i);
  }
}

static void test_failing_disk(void) {
  hl_err e = {0};
  hl_store *s = NULL;
  hl_tensor *t = counted(HL_F64, HL_PLAIN, (hl_shape){2, {90, 100}});
  succeeds(hl_store_new(&s, &e), &e, "a store");
  succeeds(hl_store_put_tensor(s, "/weights/x", t, &e), &e, "filled");
  hl_tensor_unref(t);
  succeeds(hl_store_save(s, in_folder("run.h5"), &e), &e, "saved");
  sweep_disk(s, true, ENOSPC, SIZE_MAX);
  sweep_disk(s, true, EIO, 4000);
  sweep_disk(s, false, EDQUOT, 4000);
  succeeds(hl_store_save(s, in_folder("one.h5"), &e), &e, "written in one go");
  succeeds(save_on_fakes(s, -1, 0, 777, &e), &e, "written in small pieces");
  is_str(hash_of(in_folder("run.h5")), hash_of(in_folder("one.h5")), "the same bytes");
  succeeds(save_on_fakes(s, 3, EINTR, 777, &e), &e, "a write that is interrupted goes on");
  is_str(hash_of(in_folder("run.h5")), hash_of(in_folder("one.h5")), "the same bytes");
  fails(save_on_fakes(s, 2, ENOSPC, 777, &e), HL_EIO, &e, "No space left on device, while writing",
        "the system's words");
  hl_store_free(s);
}

static void test_places(void) {
  hl_err e = {0};
  hl_store *s = NULL;
  struct stat st;
  succeeds(hl_store_new(&s, &e), &e, "a store");
  fails(hl_store_save(s, in_folder("no/such/run.h5"), &e), HL_EIO, &e, "No such file or directory",
        "a folder that is not there");
  fails(hl_store_save(s, folder, &e), HL_EIO, &e, "renaming it", "a folder in the way");
  fails(hl_store_save(s, "", &e), HL_EINVAL, &e, "", "no name");
  fails(hl_store_save(s, in_folder(""), &e), HL_EINVAL, &e, "end in /", "a folder's name");
  succeeds(hl_store_save(s, in_folder("old.h5"), &e), &e, "a file");
  chmod(in_folder("old.h5"), 0640);
  symlink("old.h5", in_folder("link.h5"));
  succeeds(hl_store_save(s, in_folder("link.h5"), &e), &e, "through a symbolic link");
  ok(lstat(in_folder("link.h5"), &st) == 0 && S_ISLNK(st.st_mode), "the link is still one");
  ok(stat(in_folder("old.h5"), &st) == 0 && (st.st_mode & 0777) == 0640, "permissions are kept");
  /* What a killed writer left behind is swept away; what somebody is writing is not. */
  int dead = open(in_folder(".old.h5.999-0.part"), O_CREAT | O_WRONLY, 0600);
  close(dead);
  close(open(in_folder(".old.h5.mine.part"), O_CREAT | O_WRONLY, 0600));
  succeeds(hl_store_save(s, in_folder("old.h5"), &e), &e, "saved again");
  ok(!hl_disk_exists(in_folder(".old.h5.999-0.part")), "a dead writer's file is gone");
  ok(hl_disk_exists(in_folder(".old.h5.mine.part")), "other hidden files stay");
  unlink(in_folder(".old.h5.mine.part"));
  hl_store_free(s);
}

/* A writer that is killed at any moment leaves a complete file, and what it left beside it goes
 * with the next one. */
static void test_killed_writer(void) {
  hl_err e = {0};
  enum { KILLS = 12 };
  int damaged = 0;
  succeeds(save_samples(in_folder("killed.h5"), &e), &e, "a file");
  hl_rng r = hl_rng_stream(11, "kill", 0, 0);
  for (int i = 0; i < KILLS; i++) {
    pid_t child = fork();
    if (child == 0)
      for (;;)
        if (save_samples(in_folder("killed.h5"), &e) != HL_OK) _exit(1);
    usleep(2000 + hl_rng_below(&r, 30000));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    hl_store *s = NULL;
    hl_value v = {0};
    if (hl_store_open(&s, in_folder("killed.h5"), &e) != HL_OK ||
        hl_store_get_value(s, "/values/texts", &v, &e) != HL_OK)
      damaged++;
    hl_value_free(&v);
    hl_store_free(s);
  }
  is_int(damaged, 0, "killed %d times: the file is always complete", (int)KILLS);
  int files = files_in_folder();
  succeeds(save_samples(in_folder("killed.h5"), &e), &e, "written once more");
  ok(files_in_folder() <= files, "%d files before, %d after", files, files_in_folder());
  DIR *d = opendir(folder);
  int left = 0;
  for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;)
    left += strncmp(f->d_name, ".killed.h5.", 11) == 0;
  if (d != NULL) closedir(d);
  is_int(left, 0, "nothing of the killed ones is left");
}

/* ---- failing memory ---- */

static hl_status write_and_read(hl_err *e) {
  hl_store *w = NULL, *r = NULL;
  hl_tensor *t = NULL;
  hl_value v = {0}, names = {0}, attr = {0};
  HL_TRY(hl_store_new(&w, e));
  hl_status s = put_samples(w, e);
  if (s == HL_OK) s = hl_store_save(w, in_folder("oom.h5"), e);
  if (s == HL_OK) s = hl_store_open(&r, in_folder("oom.h5"), e);
  if (s == HL_OK) s = hl_store_get_tensor(r, "/values/bools", &t, e);
  if (s == HL_OK) s = hl_store_get_value(r, "/values/texts", &v, e);
  if (s == HL_OK) s = hl_store_get_attr(r, "/values", "real", &attr, e);
  if (s == HL_OK) s = hl_store_list(r, "/values", &names, e);
  hl_value_free(&v);
  hl_value_free(&attr);
  hl_value_free(&names);
  hl_tensor_unref(t);
  hl_store_free(w);
  hl_store_free(r);
  return s;
}

static void test_failing_memory(void) {
  hl_err e = {0};
  (void)hl_test_fail_after(-1);
  succeeds(write_and_read(&e), &e, "with enough memory");
  long allocations = hl_test_fail_after(-1);
  ok(allocations > 20, "%ld allocations", allocations);
  long wrong = 0;
  for (long i = 0; i < allocations; i++) {
    (void)hl_test_fail_after(i);
    hl_status s = write_and_read(&e);
    (void)hl_test_fail_after(-1);
    if (s != HL_ENOMEM || strstr(e.msg, "memory") == NULL || hl_test_store_open_ids() != 0) wrong++;
    memset(&e, 0, sizeof e);
  }
  is_int(wrong, 0, "each of them fails cleanly");
}

int main(void) {
  hl_err e = {0};
  succeeds(hl_disk_scratch(folder, &e), &e, "a scratch folder");
  test_tensors();
  test_axis_order();
  test_values();
  test_long_text();
  test_listing();
  test_misuse();
  test_same_bytes();
  test_failing_disk();
  test_places();
  test_killed_writer();
  test_failing_memory();
  is_int(hl_test_store_open_ids(), 0, "no HDF5 object is open");
  hl_disk_scratch_remove(folder);
  ok(!hl_disk_exists(folder), "the scratch folder is gone");
  return tap_done();
}
