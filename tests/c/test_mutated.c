/* Hundreds of damaged DICOM files, made from the shared ones by a fixed generator, through the
 * reader processes: no run ends with them, none waits for ever, and each refusal says what and
 * where.
 *
 *   test_mutated [FILES]      700 by default */
#define TAP_LEDGER
#include "dicom_files.h"
#include "tap.h"

#include <hilum/rng.h>
#include <hilum/series.h>

#include <time.h>

typedef struct file {
  uint8_t *bytes;
  size_t n, room;
  size_t pixels; /* where PixelData begins, or the end */
  bool big;
  hl_rng r;
} file;

static size_t below(file *f, size_t n) {
  return n ? hl_rng_below(&f->r, (uint32_t)n) : 0;
}

/* ---- Places in a file ---- */

/* The next `tag` (GGGGEEEE) at or behind `at`; n if there is none. */
static size_t find_tag(const file *f, uint32_t tag, size_t at) {
  uint8_t want[4];
  for (int half = 0; half < 2; half++) {
    uint32_t v = half ? tag & 0xFFFF : tag >> 16;
    want[2 * half] = (uint8_t)(f->big ? v >> 8 : v);
    want[2 * half + 1] = (uint8_t)(f->big ? v : v >> 8);
  }
  for (; at + 8 < f->n; at++)
    if (memcmp(f->bytes + at, want, 4) == 0) return at;
  return f->n;
}

/* A US value's place, whatever the encoding: behind tag and length of eight bytes. */
static void set_us(file *f, uint32_t tag, uint32_t value) {
  size_t at = find_tag(f, tag, 132);
  if (at + 10 > f->n) return;
  f->bytes[at + 8] = (uint8_t)(f->big ? value >> 8 : value);
  f->bytes[at + 9] = (uint8_t)(f->big ? value : value >> 8);
}

/* Something that looks like an element's beginning in the header: two letters behind a tag. */
static size_t some_element(file *f) {
  size_t from = 132 + below(f, f->pixels > 200 ? f->pixels - 200 : 1);
  for (size_t at = from; at + 8 < f->n && at < from + 400; at++) {
    const uint8_t *vr = f->bytes + at + 4;
    if (vr[0] >= 'A' && vr[0] <= 'Z' && vr[1] >= 'A' && vr[1] <= 'Z') return at;
  }
  return from < f->n ? from : 0;
}

/* ---- What is done to them ---- */

static void flip_bits(file *f) {
  for (size_t i = 0, n = 1 + below(f, 30); i < n; i++)
    f->bytes[132 + below(f, f->n - 132)] ^= (uint8_t)(1 << below(f, 8));
}

static void spoil_header(file *f) {
  for (size_t i = 0, n = 1 + below(f, 8); i < n; i++)
    f->bytes[132 + below(f, f->pixels - 132)] = (uint8_t)below(f, 256);
}

static void cut(file *f) {
  f->n = 132 + below(f, f->n - 132);
}

static void cut_pixels(file *f) {
  if (f->n > f->pixels + 16) f->n = f->pixels + 12 + below(f, f->n - f->pixels - 12);
}

static void lie_about_length(file *f) {
  static const uint32_t lengths[] = {0, 1, 3, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, UINT32_MAX};
  size_t at = some_element(f);
  uint32_t v = lengths[below(f, 8)];
  if (at + 12 > f->n) return;
  bool wide = below(f, 2);
  for (int i = 0; i < (wide ? 4 : 2); i++)
    f->bytes[at + (wide ? 8 : 6) + (size_t)i] = (uint8_t)(v >> 8 * i);
}

static void swap_tags(file *f) {
  uint8_t kept[4];
  size_t a = some_element(f), b = some_element(f);
  if (a + 4 > f->n || b + 4 > f->n) return;
  memcpy(kept, f->bytes + a, 4);
  memmove(f->bytes + a, f->bytes + b, 4);
  memcpy(f->bytes + b, kept, 4);
}

static void change_size(file *f) {
  static const uint32_t sizes[] = {0, 1, 2, 511, 513, 1024, 4096, 8192, 32768, 65535};
  set_us(f, 0x00280010, sizes[below(f, 10)]);
  if (below(f, 2)) set_us(f, 0x00280011, sizes[below(f, 10)]);
}

static void change_format(file *f) {
  static const uint32_t tags[] = {0x00280100, 0x00280101, 0x00280102,
                                  0x00280103, 0x00280002, 0x00280006};
  static const uint32_t values[] = {0, 1, 3, 7, 8, 12, 16, 24, 32, 33, 64, 65535};
  for (size_t i = 0, n = 1 + below(f, 3); i < n; i++)
    set_us(f, tags[below(f, 6)], values[below(f, 12)]);
}

/* The pixels are said to be packed in another way than they are. */
static void change_syntax(file *f) {
  static const char *const syntaxes[] = {
      "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57",
      "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
      "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.1.99"};
  for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++)
    for (size_t at = 132; at + 22 < f->pixels && at < 400; at++)
      if (memcmp(f->bytes + at, syntaxes[i], 22) == 0) {
        memcpy(f->bytes + at, syntaxes[below(f, 9)], 22);
        return;
      }
  spoil_header(f); /* a syntax with a shorter name */
}

/* Item tags, their lengths and what lies at the beginning of a fragment. */
static void spoil_fragments(file *f) {
  size_t at = find_tag(f, 0xFFFEE000, f->pixels);
  for (size_t i = 0, n = below(f, 3); i < n; i++) {
    size_t next = find_tag(f, 0xFFFEE000, at + 1);
    if (next < f->n) at = next;
  }
  if (at + 64 > f->n) at = f->pixels;
  if (at + 64 > f->n) return;
  for (size_t i = 0, n = 1 + below(f, 6); i < n; i++)
    f->bytes[at + below(f, 64)] = (uint8_t)below(f, 256);
}

/* A part of the compressed stream doubled, left out or filled. */
static void spoil_stream(file *f) {
  if (f->n < f->pixels + 600) return;
  size_t from = f->pixels + 100 + below(f, f->n - f->pixels - 400), length = 1 + below(f, 256);
  if (below(f, 3) == 0) {
    memmove(f->bytes + from, f->bytes + from + length, f->n - from - length);
    f->n -= length;
  } else {
    memset(f->bytes + from, (int)below(f, 2) * 255, length);
  }
}

static const struct {
  const char *name;
  void (*spoil)(file *f);
} kinds[] = {{"flipped bits", flip_bits},
             {"changed bytes of the header", spoil_header},
             {"files cut off", cut},
             {"pixels cut off", cut_pixels},
             {"lengths that lie", lie_about_length},
             {"swapped tags", swap_tags},
             {"other rows and columns", change_size},
             {"other pixel formats", change_format},
             {"other transfer syntaxes", change_syntax},
             {"changed fragments", spoil_fragments},
             {"changed streams", spoil_stream}};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- The runs ---- */

typedef struct tally {
  int read, by_header, by_decoder, died, late, silent, unnamed;
} tally;

static void judge(tally *t, hl_status status, const hl_err *e) {
  if (status == HL_OK) {
    t->read++;
    return;
  }
  if (!e->msg[0]) t->silent++;
  if (!strstr(e->msg, "mutated") && !strstr(e->msg, "neighbour")) t->unnamed++;
  if (status == HL_ETIMEOUT)
    t->late++;
  else if (strstr(e->msg, "ended its process"))
    t->died++;
  else if (strstr(e->msg, "decoded") || strstr(e->msg, "DICOM image") ||
           strstr(e->msg, "pixels are"))
    t->by_decoder++;
  else
    t->by_header++;
}

static bool load(file *f, const char *path, uint32_t round) {
  *f = (file){.r = hl_rng_stream(11, "mutated", 0, round)};
  f->bytes = (uint8_t *)read_bytes(path, &f->n);
  f->big = strstr(path, "1.2.2.dcm") != NULL;
  f->pixels = f->bytes ? find_tag(f, 0x7FE00010, 132) : 0;
  return f->bytes && f->n > 1000;
}

/* The damaged slice, and the same damage at another place beside it: a series of two. */
static void run(tally *t, const char *path, uint32_t round, double z_mm) {
  const char *files[2] = {in_scratch("mutated.dcm"), in_scratch("neighbour.dcm")};
  const hl_series_options quick = {.limits = {.timeout_s = 3, .memory_bytes = (size_t)512 << 20}};
  file f;
  hl_series *s;
  hl_err e = {0};
  if (!load(&f, path, round)) return;
  kinds[round % KINDS].spoil(&f);
  write_bytes(files[0], f.bytes, f.n);
  move_slice((char *)f.bytes, f.n, z_mm);
  write_bytes(files[1], f.bytes, f.n);
  free(f.bytes);
  hl_status status = hl_series_read(&s, files, 2, &quick, NULL, &e);
  judge(t, status, &e);
  if (status == HL_OK) hl_series_free(s);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void add(tally *sum, const tally *t) {
  for (size_t i = 0; i < sizeof *t / sizeof(int); i++)
    ((int *)(void *)sum)[i] += ((const int *)(const void *)t)[i];
}

int main(int argc, char **argv) {
  static dicom_files d;
  scratch_begin("mutated");
  hl_dicom_header h;
  hl_err e = {0};
  if (!find_files(&d)) return tap_skip_all("no DICOM material here");
  if (!succeeds(hl_dicom_header_read(d.path[0], &h, &e), &e, "the plain file's header"))
    return tap_done();
  uint32_t files = argc > 1 ? (uint32_t)atoi(argv[1]) : 700;
  tally sum = {0};
  double begun = seconds();
  for (int kind = 0; kind < KINDS; kind++) {
    tally t = {0};
    for (uint32_t round = (uint32_t)kind; round < files; round += KINDS)
      run(&t, d.path[round / KINDS % (uint32_t)d.n], round, h.position_mm[2]);
    ok(t.silent == 0 && t.unnamed == 0,
       "%s: %d read, %d refused by the header, %d by the decoder, %d processes died, %d were late",
       kinds[kind].name, t.read, t.by_header, t.by_decoder, t.died, t.late);
    add(&sum, &t);
  }
  is_int(sum.read + sum.by_header + sum.by_decoder + sum.died + sum.late, files,
         "%u files: %d read, %d + %d refused, %d ended their process, %d did not end in time",
         files, sum.read, sum.by_header, sum.by_decoder, sum.died, sum.late);
  is_int(sum.silent, 0, "every refusal has a message");
  is_int(sum.unnamed, 0, "that names the file");
  tap_diag("%.1f s", seconds() - begun);
  return tap_done();
}
