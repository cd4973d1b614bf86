/* PNG files: all kinds of images, damage, misuse, failing disk and memory. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/disk.h>
#include <hilum/png.h>
#include <hilum/rng.h>

#include <png.h>

#include <stdlib.h>
#include <sys/stat.h>

static char folder[HL_DISK_PATH];
static char path[HL_DISK_PATH + 64];

static const char *in_folder(const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

/* ---- what hilum writes ---- */

static hl_tensor *pattern(int rank, int64_t height, int64_t width, int64_t channels) {
  hl_desc d = {HL_U8, HL_PLAIN, {rank, {height, width, channels}}};
  hl_tensor *t = NULL;
  hl_err e = {0};
  succeeds(hl_tensor_zeros(&t, &d, HL_MEM_DATA, "a pattern", &e), &e, "a pattern");
  for (int64_t i = 0; t != NULL && i < hl_tensor_numel(t); i++)
    hl_tensor_u8(t)[i] = (uint8_t)(i * 7 + i / 13);
  return t;
}

static bool same(const hl_tensor *a, const hl_tensor *b) {
  return a != NULL && b != NULL && hl_desc_equal(hl_tensor_desc(a), hl_tensor_desc(b)) &&
         memcmp(hl_tensor_data(a), hl_tensor_data(b), hl_tensor_bytes(a)) == 0;
}

static void test_round_trip(void) {
  for (int64_t channels = 0; channels <= 4; channels++) {
    hl_err e = {0};
    hl_tensor *t = pattern(channels == 0 ? 2 : 3, 33, 70, channels), *back = NULL;
    succeeds(hl_png_write(in_folder("x.png"), t, &e), &e, "%d channels: written", (int)channels);
    succeeds(hl_png_read(&back, in_folder("x.png"), &e), &e, "read");
    if (channels == 1) { /* comes back without the axis of one channel */
      is_int(hl_tensor_shape(back)->rank, 2, "one channel is grey");
      ok(memcmp(hl_tensor_data(t), hl_tensor_data(back), hl_tensor_bytes(t)) == 0, "same pixels");
    } else {
      ok(same(t, back), "the same pixels");
    }
    hl_tensor_unref(back);
    succeeds(hl_png_read_grey(&back, in_folder("x.png"), &e), &e, "read as grey");
    is_int(hl_tensor_shape(back)->rank, 2, "has two axes");
    hl_tensor_unref(back);
    hl_tensor_unref(t);
  }
}

static void test_view(void) {
  hl_err e = {0};
  hl_tensor *t = pattern(2, 20, 30, 0), *turned = NULL, *back = NULL, *dense = NULL;
  succeeds(hl_tensor_permute(&turned, t, (int[]){1, 0}, &e), &e, "a transposed view");
  succeeds(hl_png_write(in_folder("x.png"), turned, &e), &e, "written");
  succeeds(hl_png_read(&back, in_folder("x.png"), &e), &e, "read");
  succeeds(hl_tensor_dense(&dense, turned, HL_U8, HL_PLAIN, &e), &e, "dense");
  ok(same(dense, back), "the same pixels");
  hl_tensor_unref(dense);
  hl_tensor_unref(back);
  hl_tensor_unref(turned);
  hl_tensor_unref(t);
}

static void test_misuse(void) {
  hl_err e = {0};
  static const hl_desc bad[] = {{HL_F32, HL_PLAIN, {2, {4, 4}}},
                                {HL_U8, HL_PLAIN, {1, {4}}},
                                {HL_U8, HL_PLAIN, {3, {4, 4, 5}}},
                                {HL_U8, HL_PLAIN, {2, {0, 4}}},
                                {HL_U8, HL_PLAIN, {2, {1, HL_PNG_MOST + 1}}}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    hl_tensor *t = NULL;
    char text[HL_DESC_TEXT];
    succeeds(hl_tensor_zeros(&t, &bad[i], HL_MEM_DATA, "bad", &e), &e, "a tensor");
    fails(hl_png_write(in_folder("bad.png"), t, &e), HL_ESHAPE, &e, hl_desc_text(&bad[i], text),
          "%s is refused", text);
    hl_tensor_unref(t);
  }
  ok(!hl_disk_exists(in_folder("bad.png")), "nothing was written");
  hl_tensor *t = pattern(2, 4, 4, 0);
  fails(hl_png_write(in_folder("no/such/folder.png"), t, &e), HL_EIO, &e, "No such file",
        "no folder");
  hl_tensor_unref(t);
}

/* ---- what others write ---- */

typedef struct kind {
  const char *name;
  int colour, bits, interlace, rank, channels;
  bool transparent;
} kind;

/* An image of 5 x 3 pixels with rising sample values, made by libpng alone. */
static void write_kind(const kind *k) {
  FILE *f = fopen(in_folder("kind.png"), "wb");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  png_byte row[5 * 8];
  if (setjmp(png_jmpbuf(png)) == 0) {
    png_init_io(png, f);
    png_set_IHDR(png, info, 5, 3, k->bits, k->colour, k->interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_color palette[4] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {9, 9, 9}};
    png_byte alpha[4] = {255, 0, 128, 255};
    if (k->colour == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 4);
    if (k->transparent) png_set_tRNS(png, info, alpha, 4, NULL);
    png_write_info(png, info);
    int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++)
      for (int y = 0; y < 3; y++) {
        for (size_t i = 0; i < sizeof row; i++) row[i] = (png_byte)(k->bits < 8 ? 0x1B : i * 5);
        if (k->colour == PNG_COLOR_TYPE_PALETTE && k->bits == 8)
          for (int i = 0; i < 5; i++) row[i] = (png_byte)(i % 4);
        png_write_row(png, row);
      }
    png_write_end(png, NULL);
  }
  png_destroy_write_struct(&png, &info);
  (void)fclose(f);
}

static void test_kinds(void) {
  static const kind kinds[] = {
      {"grey 1 bit", PNG_COLOR_TYPE_GRAY, 1, 0, 2, 1, false},
      {"grey 4 bits", PNG_COLOR_TYPE_GRAY, 4, 0, 2, 1, false},
      {"grey 16 bits", PNG_COLOR_TYPE_GRAY, 16, 0, 2, 1, false},
      {"grey and alpha", PNG_COLOR_TYPE_GRAY_ALPHA, 8, 0, 3, 2, false},
      {"grey and alpha, 16 bits", PNG_COLOR_TYPE_GRAY_ALPHA, 16, 0, 3, 2, false},
      {"palette of 2 bits", PNG_COLOR_TYPE_PALETTE, 2, 0, 3, 3, false},
      {"palette with transparency", PNG_COLOR_TYPE_PALETTE, 8, 0, 3, 4, true},
      {"RGB", PNG_COLOR_TYPE_RGB, 8, 0, 3, 3, false},
      {"RGB interlaced", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_ADAM7, 3, 3, false},
      {"RGBA 16 bits interlaced", PNG_COLOR_TYPE_RGB_ALPHA, 16, PNG_INTERLACE_ADAM7, 3, 4, false},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    const kind *k = &kinds[i];
    hl_err e = {0};
    hl_tensor *t = NULL, *grey = NULL;
    write_kind(k);
    succeeds(hl_png_read(&t, in_folder("kind.png"), &e), &e, "%s: read", k->name);
    if (t == NULL) continue;
    const hl_shape *s = hl_tensor_shape(t);
    ok(s->rank == k->rank && s->dim[0] == 3 && s->dim[1] == 5 &&
           (s->rank == 2 || s->dim[2] == k->channels),
       "%s: shape", k->name);
    succeeds(hl_png_read_grey(&grey, in_folder("kind.png"), &e), &e, "%s: as grey", k->name);
    if (grey != NULL) is_int(hl_tensor_numel(grey), 15, "%s: 15 pixels", k->name);
    /* 0x1B is 00 01 10 11: the first four colours of the palette, red first */
    if (k->colour == PNG_COLOR_TYPE_PALETTE) is_int(hl_tensor_u8(t)[0], 255, "%s: red", k->name);
    if (k->colour == PNG_COLOR_TYPE_PALETTE && grey != NULL)
      is_near(hl_tensor_u8(grey)[0], 0.2126 * 255, 1, "%s: its luminance", k->name);
    if (k->bits == 16 && k->channels == 1) /* 0x0005 and 0x0A0F, rounded */
      ok(hl_tensor_u8(t)[0] == 0 && hl_tensor_u8(t)[1] == 0x0A, "16 bits are rounded to 8");
    if (k->bits == 4) is_int(hl_tensor_u8(t)[0], 0x11, "4 bits are repeated");
    hl_tensor_unref(t);
    hl_tensor_unref(grey);
  }
}

/* ---- damage ---- */

static void write_bytes(const void *bytes, size_t n) {
  FILE *f = fopen(in_folder("damaged.png"), "wb");
  if (f == NULL) return;
  (void)fwrite(bytes, 1, n, f);
  (void)fclose(f);
}

static uint8_t *image_bytes(size_t *n) {
  hl_err e = {0};
  struct stat st;
  hl_tensor *t = pattern(3, 41, 23, 3);
  succeeds(hl_png_write(in_folder("whole.png"), t, &e), &e, "an image");
  hl_tensor_unref(t);
  FILE *f = fopen(in_folder("whole.png"), "rb");
  if (f == NULL || fstat(fileno(f), &st) != 0) return NULL;
  uint8_t *bytes = hl_host_calloc((size_t)st.st_size, 1);
  *n = fread(bytes, 1, (size_t)st.st_size, f);
  (void)fclose(f);
  return bytes;
}

static void test_damage(void) {
  size_t n = 0;
  uint8_t *bytes = image_bytes(&n);
  if (bytes == NULL) return;
  int accepted = 0, unclear = 0;
  for (size_t length = 0; length < n; length++) {
    hl_err e = {0};
    hl_tensor *t = NULL;
    write_bytes(bytes, length);
    hl_status s = hl_png_read(&t, in_folder("damaged.png"), &e);
    if (s == HL_OK) accepted++;
    if (s != HL_EFORMAT || strstr(e.msg, "damaged.png") == NULL) unclear++;
    hl_tensor_unref(t);
  }
  is_int(accepted, 0, "cut at %zu lengths: none is taken for complete", n);
  is_int(unclear, 0, "each is refused naming the file");
  hl_rng r = hl_rng_stream(3, "flip", 0, 0);
  int noticed = 0;
  for (int i = 0; i < 500; i++) {
    hl_err e = {0};
    hl_tensor *t = NULL;
    size_t at = hl_rng_below(&r, (uint32_t)n);
    bytes[at] ^= (uint8_t)(1 + hl_rng_below(&r, 255)); /* damage adds up over 10 rounds */
    write_bytes(bytes, n);
    if (hl_png_read(&t, in_folder("damaged.png"), &e) != HL_OK) noticed++;
    hl_tensor_unref(t);
    if (i % 10 != 9) continue;
    hl_host_free(bytes);
    bytes = image_bytes(&n);
  }
  is_int(noticed, 500, "changed bytes are noticed");
  hl_host_free(bytes);
}

static void test_no_png(void) {
  hl_err e = {0};
  hl_tensor *t = NULL;
  fails(hl_png_read(&t, in_folder("none.png"), &e), HL_EIO, &e, "No such file", "no file");
  fails(hl_png_read(&t, folder, &e), HL_EIO, &e, "is a folder", "a folder");
  write_bytes("GIF89a", 6);
  fails(hl_png_read(&t, in_folder("damaged.png"), &e), HL_EFORMAT, &e, "no readable PNG", "a GIF");
  /* A header that claims 32768 x 32768 pixels in 45 bytes (CRC included). */
  uint8_t huge[] =
      "\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\x80\0\0\0\x80\0\x08\0\0\0\0....\0\0\0\0IDAT....";
  png_uint_32 crc = (png_uint_32)0xFFFFFFFFU;
  for (int i = 12; i < 29; i++) {
    crc ^= huge[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
  }
  crc ^= 0xFFFFFFFFU;
  for (int i = 0; i < 4; i++) huge[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
  write_bytes(huge, sizeof huge - 1);
  fails(hl_png_read(&t, in_folder("damaged.png"), &e), HL_EFORMAT, &e, "claims 32768 x 32768",
        "an image that cannot be in so few bytes");
  ok(t == NULL, "nothing is returned");
}

static void test_failing_memory(void) {
  hl_err e = {0};
  hl_tensor *t = pattern(2, 50, 60, 0), *back = NULL;
  (void)hl_test_fail_after(-1);
  succeeds(hl_png_write(in_folder("m.png"), t, &e), &e, "written");
  long writing = hl_test_fail_after(-1), wrong = 0;
  for (long i = 0; i < writing; i++) {
    (void)hl_test_fail_after(i);
    wrong += hl_png_write(in_folder("m2.png"), t, &e) != HL_ENOMEM;
    (void)hl_test_fail_after(-1);
    memset(&e, 0, sizeof e);
  }
  is_int(wrong, 0, "writing: each of %ld allocations fails cleanly", writing);
  ok(!hl_disk_exists(in_folder("m2.png")), "and nothing is written");
  (void)hl_test_fail_after(-1);
  succeeds(hl_png_read(&back, in_folder("m.png"), &e), &e, "read");
  hl_tensor_unref(back);
  long reading = hl_test_fail_after(-1);
  for (long i = 0; i < reading; i++) {
    (void)hl_test_fail_after(i);
    wrong += hl_png_read(&back, in_folder("m.png"), &e) != HL_ENOMEM || back != NULL;
    (void)hl_test_fail_after(-1);
    memset(&e, 0, sizeof e);
  }
  is_int(wrong, 0, "reading: each of %ld allocations fails cleanly", reading);
  hl_tensor_unref(t);
}

int main(void) {
  hl_err e = {0};
  succeeds(hl_disk_scratch(folder, &e), &e, "a scratch folder");
  test_round_trip();
  test_view();
  test_misuse();
  test_kinds();
  test_damage();
  test_no_png();
  test_failing_memory();
  hl_disk_scratch_remove(folder);
  return tap_done();
}
