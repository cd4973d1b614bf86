/* NumPy's files: what numpy writes, what hilum writes, damage, failing memory. */
#define TAP_LEDGER
#include "tap.h"

#include "scratch.h"

#include <hilum/npy.h>

static const char *file_of(const char *version, const char *header, const void *numbers,
                           size_t bytes) {
  const char *path = in_scratch("x.npy");
  FILE *f = fopen(path, "wb");
  size_t n = strlen(header);
  unsigned char length[4] = {(unsigned char)(n & 0xFF), (unsigned char)(n >> 8 & 0xFF), 0, 0};
  if (f == NULL) exit(2);
  fwrite("\x93NUMPY", 1, 6, f);
  fwrite(version, 1, 2, f);
  fwrite(length, 1, version[0] == 1 ? 2 : 4, f);
  fwrite(header, 1, n, f);
  if (bytes > 0) fwrite(numbers, 1, bytes, f);
  fclose(f);
  return path;
}

/* ---- files as numpy writes them ---- */

static const struct good {
  const char *what, *version, *header;
  unsigned char bytes[48];
  size_t size;
  hl_dtype dtype;
  hl_shape shape;
  double values[6];
} goods[] = {
    {"f4",
     "\1",
     "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n",
     {0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC0},
     8,
     HL_F32,
     {1, {2}},
     {1, -2.5}},
    {"f8, big-endian, version 2",
     "\2",
     "{'descr': '>f8', 'fortran_order': False, 'shape': (), }\n",
     {0x40, 0x04, 0, 0, 0, 0, 0, 0},
     8,
     HL_F64,
     {0, {0}},
     {2.5}},
    {"i2 in Fortran order",
     "\1",
     "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n",
     {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0xFF, 0xFF},
     12,
     HL_I16,
     {2, {2, 3}},
     {1, 3, 5, 2, 4, -1}},
    {"i4, big-endian",
     "\1",
     "{'descr': '>i4', 'fortran_order': False, 'shape': (1, 2)}",
     {0, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFE},
     8,
     HL_I32,
     {2, {1, 2}},
     {256, -2}},
    {"i8 that fit into i32, version 3, other order of entries",
     "\3",
     "{'shape': (2,), 'fortran_order': False, 'descr': '<i8'}\n",
     {7, 0, 0, 0, 0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
     16,
     HL_I32,
     {1, {2}},
     {7, -2}},
    {"truth values",
     "\1",
     "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n",
     {1, 0, 1},
     3,
     HL_U8,
     {1, {3}},
     {1, 0, 1}},
    {"nothing",
     "\1",
     "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }\n",
     {0},
     0,
     HL_F32,
     {2, {0, 5}},
     {0}},
};

static void check_good(const struct good *g) {
  const char version[3] = {g->version[0], 0, 0};
  const char *path = file_of(version, g->header, g->bytes, g->size);
  hl_err e = {0};
  hl_tensor *t, *wide;
  if (!succeeds(hl_npy_read(&t, path, &e), &e, "%s", g->what)) return;
  ok(hl_tensor_dtype(t) == g->dtype && hl_shape_equal(hl_tensor_shape(t), &g->shape),
     "%s: type and shape", g->what);
  succeeds(hl_tensor_dense(&wide, t, HL_F64, HL_PLAIN, &e), &e, "%s: as f64", g->what);
  bool same = true;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++)
    same = same && hl_tensor_f64(wide)[i] == g->values[i];
  ok(same, "%s: numbers", g->what);
  hl_tensor_unref(t);
  hl_tensor_unref(wide);
}

/* ---- damage ---- */

#define GOOD "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"
static const struct bad {
  const char *version, *header, *words;
  size_t bytes;
} bads[] = {
    {"\1", GOOD, "the header promises 8 bytes of numbers, but 7 follow", 7},
    {"\1", GOOD, "the header promises 8 bytes of numbers, but 9 follow", 9},
    {"\4", GOOD, "version 4 of the .npy format", 8},
    {"\1", "", "the header is not that of an array", 8},
    {"\1", "{'descr': '<f4', 'shape': (2,), }", "the header is not that of an array", 8},
    {"\1", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "header is not", 8},
    {"\1", "{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}", "the header is not that", 8},
    {"\1", GOOD "import os", "the header is not that of an array", 8},
    {"\1", "{'descr': '<f4', 'fortran_order': False, 'shape': (2", "the header is not that", 8},
    {"\1", "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "the header is not", 8},
    {"\1", "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
     "the header is not that", 8},
    {"\1", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }",
     "at most 8 axes", 8},
    {"\1", "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4), }",
     "would not fit into any memory", 8},
    {"\1", "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "element type 'c8'", 8},
    {"\1", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "header is not", 8},
    {"\1", "{'descr': '<f2', 'fortran_order': False, 'shape': (4,), }", "element type 'f2'", 8},
    {"\1", "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", "does not fit into i32", 8},
};

static void check_damage(void) {
  const unsigned char bytes[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
    hl_err e = {0};
    hl_tensor *t = NULL;
    const char version[3] = {bads[i].version[0], 0, 0};
    const char *path = file_of(version, bads[i].header, bytes, bads[i].bytes);
    fails(hl_npy_read(&t, path, &e), HL_EFORMAT, &e, bads[i].words, "refused: %s", bads[i].words);
    hl_tensor_unref(t);
  }
}

/* Every beginning of a file, and every byte of its head changed, is refused or read; never worse.
 */
static void check_mutations(void) {
  unsigned char whole[80];
  const char *path = file_of((const char[]){1, 0, 0}, GOOD, "12345678", 8);
  FILE *f = fopen(path, "rb");
  if (f == NULL) exit(2);
  size_t n = fread(whole, 1, sizeof whole, f);
  fclose(f);
  int refused = 0, read = 0;
  for (size_t i = 0; i < 3 * n; i++) {
    unsigned char copy[80];
    memcpy(copy, whole, n);
    if (i >= n) copy[i % n] ^= i < 2 * n ? 0xFF : 1;
    f = fopen(in_scratch("y.npy"), "wb");
    if (f == NULL) exit(2);
    fwrite(copy, 1, i < n ? i : n, f);
    fclose(f);
    hl_err e = {0};
    hl_tensor *t = NULL;
    hl_status s = hl_npy_read(&t, in_scratch("y.npy"), &e);
    if (s == HL_OK)
      read++;
    else if (s == HL_EFORMAT && e.msg[0] != '\0' && t == NULL)
      refused++;
    hl_tensor_unref(t);
  }
  is_int(refused + read, (int64_t)(3 * n), "%d damaged files refused, %d read", refused, read);
}

/* ---- what hilum writes ---- */

static void check_round_trip(void) {
  static const hl_dtype types[] = {HL_F32, HL_F64, HL_I32, HL_I16, HL_U8};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    hl_err e = {0};
    const hl_desc d = {types[i], HL_IMAGE, {5, {2, 3, 1, 2, 3}}};
    hl_tensor *t, *back = NULL, *image = NULL;
    succeeds(hl_tensor_zeros(&t, &d, HL_MEM_DATA, "numbers", &e), &e, "an image");
    for (int64_t k = 0; k < 36; k++) {
      int64_t index[] = {k / 18, k / 6 % 3, 0, k / 3 % 2, k % 3};
      if (hl_tensor_set(t, index, (double)k, &e) != HL_OK) exit(2);
    }
    const char *path = in_scratch("z.npy");
    succeeds(hl_npy_write(path, t, &e), &e, "%s: written", hl_dtype_name(types[i]));
    succeeds(hl_npy_read(&back, path, &e), &e, "%s: read", hl_dtype_name(types[i]));
    succeeds(hl_tensor_dense(&image, back, types[i], HL_IMAGE, &e), &e, "as an image");
    ok(memcmp(hl_tensor_data(image), hl_tensor_data(t), hl_tensor_bytes(t)) == 0,
       "%s: the same image", hl_dtype_name(types[i]));
    hl_tensor_unref(t);
    hl_tensor_unref(back);
    hl_tensor_unref(image);
  }
}

static void check_memory(void) {
  const char *path =
      file_of((const char[]){1, 0, 0},
              "{'descr': '<f4', 'fortran_order': True, 'shape': (2,1), }\n", "12345678", 8);
  size_t before = hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES);
  hl_status s = HL_ENOMEM;
  bool good = true;
  for (long n = 0; s != HL_OK && n < 100; n++) {
    hl_err e = {0};
    hl_tensor *t = NULL;
    hl_test_fail_after(n);
    s = hl_npy_read(&t, path, &e);
    if (s == HL_OK) s = hl_npy_write(in_scratch("m.npy"), t, &e);
    hl_test_fail_after(-1);
    hl_tensor_unref(t);
    good = good && (s == HL_OK || s == HL_ENOMEM) &&
           hl_ledger_live(hl_ledger_main(), HL_MEM_CATEGORIES) == before;
  }
  ok(good && s == HL_OK, "memory that ends anywhere: nothing is lost");
}

int main(void) {
  hl_err e = {0};
  hl_tensor *t = NULL;
  scratch_begin("npy");
  for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) check_good(&goods[i]);
  check_damage();
  check_mutations();
  check_round_trip();
  check_memory();
  fails(hl_npy_read(&t, in_scratch("none.npy"), &e), HL_EIO, &e, "none.npy", "a missing file");
  return tap_done();
}
