/* Pixels of every kind that CT comes in: 8 to 16 bits, with and without a sign, unused bits that
 * are not zero, padding; and steps that are not the thickness. */
#define TAP_LEDGER
#include "scratch.h"
#include "tap.h"

#include <hilum/series.h>

enum { ROWS = 4, COLUMNS = 8, PIXELS = ROWS * COLUMNS, SLICES = 3 };

static hl_dicom_header header_at(int k) {
  hl_dicom_header h = {.rows = ROWS,
                       .columns = COLUMNS,
                       .instance = k + 1,
                       .position_mm = {-8, -7, 2.5 * k},
                       .orientation = {1, 0, 0, 0, 1, 0},
                       .spacing_mm = {0.5, 0.75},
                       .thickness_mm = 2.5};
  snprintf(h.sop_uid, sizeof h.sop_uid, "2.25.%d", 1000 + k);
  snprintf(h.series_uid, sizeof h.series_uid, "2.25.77");
  snprintf(h.study_uid, sizeof h.study_uid, "2.25.7");
  return h;
}

/* Where an element's value begins in a file that we wrote (explicit VR, little endian). */
static size_t value_of(const uint8_t *bytes, size_t n, uint32_t tag) {
  const uint8_t want[4] = {(uint8_t)(tag >> 16), (uint8_t)(tag >> 24), (uint8_t)tag,
                           (uint8_t)(tag >> 8)};
  for (size_t i = 132; i + 12 < n; i++)
    if (memcmp(bytes + i, want, 4) == 0) return i + (tag == 0x7FE00010 ? 12 : 8);
  return 0;
}

static void put_us(uint8_t *bytes, size_t n, uint32_t tag, int value) {
  size_t at = value_of(bytes, n, tag);
  bytes[at] = (uint8_t)value;
  bytes[at + 1] = (uint8_t)(value >> 8);
}

typedef struct format {
  const char *what;
  int allocated, stored, is_signed;
  int rubbish; /* in the bits above those that are stored */
} format;

/* Rewrites a slice's pixels: stored[i] in the format's bits. */
static void repack(const char *path, const format *f, const int *stored) {
  size_t n;
  uint8_t *bytes = (uint8_t *)read_bytes(path, &n);
  if (!bytes) return;
  size_t at = value_of(bytes, n, 0x7FE00010), size = (size_t)f->allocated / 8;
  put_us(bytes, n, 0x00280100, f->allocated);
  put_us(bytes, n, 0x00280101, f->stored);
  put_us(bytes, n, 0x00280102, f->stored - 1);
  put_us(bytes, n, 0x00280103, f->is_signed);
  unsigned mask = (1U << f->stored) - 1;
  for (size_t i = 0; i < PIXELS; i++) {
    unsigned v = ((unsigned)stored[i] & mask) | ((unsigned)f->rubbish & ~mask);
    for (size_t b = 0; b < size; b++) bytes[at + i * size + b] = (uint8_t)(v >> 8 * b);
  }
  bytes[at - 4] = (uint8_t)(PIXELS * size);
  bytes[at - 3] = 0;
  write_bytes(path, bytes, at + PIXELS * size);
  free(bytes);
}

static const char *slice_path(int k) {
  return in_scratch("slice-%d.dcm", k);
}

static hl_status read_all(hl_series **s, hl_problems *p, hl_err *e) {
  const char *files[SLICES];
  for (int k = 0; k < SLICES; k++) files[k] = slice_path(k);
  return hl_series_read(s, files, SLICES, NULL, p, e);
}

static void write_all(void) {
  const int16_t hu[PIXELS] = {0};
  for (int k = 0; k < SLICES; k++) {
    hl_err e = {0};
    hl_dicom_header h = header_at(k);
    if (hl_dicom_write_ct(slice_path(k), &h, hu, "test", &e) != HL_OK) tap_diag("%s", e.msg);
  }
}

static int16_t hounsfield(int stored) {
  int v = stored - 1024; /* slope 1, intercept -1024 */
  return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

static void test_formats(void) {
  static const format table[] = {{"8 bits", 8, 8, 0, 0},
                                 {"8 bits with sign", 8, 8, 1, 0},
                                 {"10 of 16 bits", 16, 10, 0, 0},
                                 {"12 of 16 bits", 16, 12, 0, 0},
                                 {"12 of 16 bits with sign", 16, 12, 1, 0},
                                 {"12 of 16 bits, rubbish above", 16, 12, 0, 0xF000},
                                 {"12 of 16 bits with sign, rubbish above", 16, 12, 1, 0x5000},
                                 {"15 of 16 bits with sign", 16, 15, 1, 0},
                                 {"16 bits", 16, 16, 0, 0},
                                 {"16 bits with sign", 16, 16, 1, 0}};
  for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
    const format *f = &table[t];
    int lo = f->is_signed ? -(1 << (f->stored - 1)) : 0, stored[PIXELS];
    int hi = lo + (1 << f->stored) - 1;
    for (int i = 0; i < PIXELS; i++) stored[i] = lo + (int)((int64_t)(hi - lo) * i / (PIXELS - 1));
    write_all();
    repack(slice_path(1), f, stored);
    hl_err e = {0};
    hl_series *s;
    if (!succeeds(read_all(&s, NULL, &e), &e, "%s: %d to %d", f->what, lo, hi)) continue;
    const int16_t *v = hl_tensor_i16(hl_series_voxels(s)) + PIXELS;
    int wrong = 0;
    for (int i = 0; i < PIXELS; i++) wrong += v[i] != hounsfield(stored[i]);
    if (!is_int(wrong, 0, "each value is the one that was stored, saturated at 16 bits"))
      for (int i = 0; i < PIXELS; i += 8) tap_diag("%d -> %d", stored[i], v[i]);
    hl_series_free(s);
  }
}

/* Outside the scanner's circle: values that no tissue has stay what they are, said so or not. */
static void test_padding(void) {
  static const format f = {"16 bits with sign", 16, 16, 1, 0};
  int stored[PIXELS] = {-2000, -2000, 0, -3024};
  size_t n;
  hl_err e = {0};
  hl_series *s;
  hl_problems *p;
  write_all();
  for (int k = 0; k < SLICES; k++) repack(slice_path(k), &f, stored);
  uint8_t *bytes = (uint8_t *)read_bytes(slice_path(1), &n);
  size_t at = value_of(bytes, n, 0x00281052) - 8;
  uint8_t *more = malloc(n + 10);
  memcpy(more, bytes, at);
  memcpy(more + at, "\x28\0\x20\x01SS\2\0\x30\xf8", 10); /* PixelPaddingValue -2000 */
  memcpy(more + at + 10, bytes + at, n - at);
  write_bytes(slice_path(1), more, n + 10);
  free(bytes);
  free(more);
  if (hl_problems_new(&p, &e) != HL_OK) return;
  if (succeeds(read_all(&s, p, &e), &e, "padding of -2000 and -3024, in one slice by name")) {
    const int16_t *v = hl_tensor_i16(hl_series_voxels(s));
    ok(v[0] == -3024 && v[1] == -3024 && v[2] == -1024 && v[3] == -4048, "is rescaled like all");
    ok(memcmp(v, v + PIXELS, PIXELS * sizeof *v) == 0, "with the element and without it");
    is_int(hl_problems_count(p), 0, "and is no problem");
    hl_series_free(s);
  }
  hl_problems_free(p);
}

/* Slices of 5 mm every 2.5 mm, and of 1 mm every 2.5 mm: what counts are the positions. */
static void test_thickness(void) {
  static const double thickness_mm[] = {5, 1, 0};
  const int16_t hu[PIXELS] = {0};
  for (size_t t = 0; t < sizeof thickness_mm / sizeof *thickness_mm; t++) {
    hl_err e = {0};
    hl_series *s;
    hl_problems *p;
    for (int k = 0; k < SLICES; k++) {
      hl_dicom_header h = header_at(k);
      h.thickness_mm = thickness_mm[t];
      if (hl_dicom_write_ct(slice_path(k), &h, hu, "test", &e) != HL_OK) tap_diag("%s", e.msg);
    }
    if (hl_problems_new(&p, &e) != HL_OK) return;
    if (succeeds(read_all(&s, p, &e), &e, "slices of %g mm", thickness_mm[t])) {
      is_near(hl_series_grid(s)->spacing_mm[0], 2.5, 1e-9, "lie 2.5 mm apart");
      is_int(hl_problems_count(p), 0, "overlap or a gap between them is no problem");
      hl_series_free(s);
    }
    hl_problems_free(p);
  }
}

int main(void) {
  scratch_begin("pixels");
  test_formats();
  test_padding();
  test_thickness();
  return tap_done();
}
