/* Fuzzing the reader of PNG files. Mutations get new checksums, or nothing would come past them. */
#include "fuzz.h"

#include <hilum/png.h>

#include <string.h>

typedef struct writer {
  uint8_t bytes[4096];
  size_t n;
} writer;

static void store_u32(uint8_t *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* PNG specification, annex D. */
static uint32_t crc(const uint8_t *p, size_t n) {
  uint32_t c = UINT32_MAX;
  for (size_t i = 0; i < n; i++) {
    c ^= p[i];
    for (int k = 0; k < 8; k++) c = c & 1 ? UINT32_C(0xEDB88320) ^ c >> 1 : c >> 1;
  }
  return ~c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const char *path = fuzz_file(data, n);
  hl_err e = {0}, grey_e = {0};
  hl_tensor *t = NULL, *grey = NULL;
  hl_status status = hl_png_read(&t, path, &e);
  fuzz_refusal(status, &e);
  fuzz_must((status == HL_OK) == (t != NULL), "an image if and only if it was read");
  hl_status grey_status = hl_png_read_grey(&grey, path, &grey_e);
  fuzz_refusal(grey_status, &grey_e);
  if (t && grey) {
    const hl_shape *s = hl_tensor_shape(t), *g = hl_tensor_shape(grey);
    fuzz_must(g->rank == 2 && g->dim[0] == s->dim[0] && g->dim[1] == s->dim[1], "the same size");
    fuzz_must(s->rank == 2 || (s->dim[2] >= 2 && s->dim[2] <= 4), "2 to 4 values for a pixel");
    fuzz_plant(s->dim[0] * s->dim[1] != 4); /* no seed has another size */
  }
  hl_tensor_unref(t);
  hl_tensor_unref(grey);
  return 0;
}

/* ---- Mutations ---- */

#ifdef HILUM_FUZZ
static uint32_t read_u32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed) {
  n = LLVMFuzzerMutate(data, n, most);
  if (seed % 16 == 0) return n; /* wrong sums are worth a try now and then */
  for (size_t at = 8; at + 12 <= n;) {
    size_t length = read_u32(data + at);
    if (length > n - at - 12) break;
    store_u32(data + at + 8 + length, crc(data + at + 4, length + 4));
    at += length + 12;
  }
  return n;
}
#endif

/* ---- Seeds ---- */

static void put_chunk(writer *w, const char *name, const void *data, size_t n) {
  uint8_t *p = w->bytes + w->n;
  store_u32(p, (uint32_t)n);
  memcpy(p + 4, name, 4);
  if (n) memcpy(p + 8, data, n);
  store_u32(p + 8 + n, crc(p + 4, n + 4));
  w->n += n + 12;
}

static void put_header(writer *w, uint32_t width, uint32_t height, uint8_t bits, uint8_t colour,
                       uint8_t interlaced) {
  uint8_t data[13] = {0};
  memcpy(w->bytes, "\211PNG\r\n\032\n", 8);
  w->n = 8;
  store_u32(data, width);
  store_u32(data + 4, height);
  data[8] = bits;
  data[9] = colour;
  data[12] = interlaced;
  put_chunk(w, "IHDR", data, sizeof data);
}

/* n bytes of image (filter bytes included), stored without compression (RFC 1950, 1951). */
static void put_image(writer *w, const uint8_t *image, size_t n) {
  uint8_t data[1024] = {
      0x78, 0x01, 1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n, (uint8_t)(~n >> 8)};
  uint32_t a = 1, b = 0;
  for (size_t i = 0; i < n; i++) {
    a = (a + image[i]) % 65521;
    b = (b + a) % 65521;
  }
  memcpy(data + 7, image, n);
  store_u32(data + 7 + n, b << 16 | a);
  put_chunk(w, "IDAT", data, n + 11);
  put_chunk(w, "IEND", NULL, 0);
}

void fuzz_seeds(fuzz_put put, void *ctx) {
  static const struct {
    const char *name;
    uint8_t bits, colour, interlaced;
    size_t row; /* bytes of a row of two pixels, its filter's included */
  } kinds[] = {{"grey", 8, 0, 0, 3}, {"bits", 1, 0, 0, 2},     {"grey16", 16, 0, 0, 5},
               {"rgb", 8, 2, 0, 7},  {"palette", 4, 3, 0, 2},  {"grey-alpha", 8, 4, 0, 5},
               {"rgba", 8, 6, 0, 9}, {"rgba16", 16, 6, 0, 17}, {"interlaced", 8, 0, 1, 3}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    writer w = {0};
    uint8_t image[64] = {0};
    size_t n = 2 * kinds[i].row;
    for (size_t k = 0; k < n; k++) image[k] = (uint8_t)(k % kinds[i].row ? 37 * k : 0);
    if (kinds[i].interlaced) memcpy(image, "\0\1\0\2\0\3\4", n = 7); /* three passes: 1, 1, 2 */
    put_header(&w, 2, 2, kinds[i].bits, kinds[i].colour, kinds[i].interlaced);
    if (kinds[i].colour == 3) put_chunk(&w, "PLTE", "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
    if (kinds[i].colour == 3) put_chunk(&w, "tRNS", "\377\200\0", 3);
    put_image(&w, image, n);
    put(ctx, kinds[i].name, w.bytes, w.n);
  }
}
