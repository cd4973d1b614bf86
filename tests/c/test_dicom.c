/* DICOM: the fifteen transfer syntaxes, damaged files, and what a series may and may not be. */
#define TAP_LEDGER
#include "dicom_files.h"
#include "scratch.h"
#include "tap.h"

#include <hilum/rng.h>
#include <hilum/series.h>

enum { SLICES = 6, SIDE = 16 };

/* ---- Small series of our own ---- */

static hl_dicom_header header_at(int k) {
  hl_dicom_header h = {.rows = SIDE,
                       .columns = SIDE,
                       .instance = k + 1,
                       .position_mm = {-8, -7, 2.5 * k - 100},
                       .orientation = {1, 0, 0, 0, 1, 0},
                       .spacing_mm = {0.5, 0.75},
                       .thickness_mm = 2.5};
  snprintf(h.sop_uid, sizeof h.sop_uid, "2.25.%d", 1000 + k);
  snprintf(h.series_uid, sizeof h.series_uid, "2.25.77");
  snprintf(h.study_uid, sizeof h.study_uid, "2.25.7");
  snprintf(h.patient_id, sizeof h.patient_id, "P 1");
  return h;
}

static const char *slice_path(int k) {
  return in_scratch("slice-%02d.dcm", k);
}

static void write_slice(const hl_dicom_header *h, const char *path) {
  int16_t hu[SIDE * SIDE];
  hl_err e = {0};
  for (int i = 0; i < SIDE * SIDE; i++) hu[i] = (int16_t)(h->instance * 100 + i - 1000);
  if (hl_dicom_write_ct(path, h, hu, "test", &e) != HL_OK) tap_diag("%s", e.msg);
}

static void write_all(void) {
  for (int k = 0; k < SLICES; k++) {
    hl_dicom_header h = header_at(k);
    write_slice(&h, slice_path(k));
  }
}

/* Reads the slices 0 … n-1, in an order of no meaning. */
static hl_status read_slices(hl_series **s, int n, hl_problems *p, hl_err *e) {
  static char paths[32][PATH_MAX];
  const char *files[32];
  for (int i = 0; i < n; i++) {
    snprintf(paths[i], PATH_MAX, "%s", slice_path((i * 5 + 2) % n));
    files[i] = paths[i];
  }
  return hl_series_read(s, files, n, NULL, p, e);
}

static void test_series(void) {
  hl_err e = {0};
  hl_series *s;
  hl_problems *p;
  write_all();
  if (hl_problems_new(&p, &e) != HL_OK) return;
  if (!succeeds(read_slices(&s, 7 - 1, p, &e), &e, "reading a series")) return;
  const hl_grid *g = hl_series_grid(s);
  ok(g->size[0] == SLICES && g->size[1] == SIDE && g->size[2] == SIDE, "its size");
  ok(g->spacing_mm[0] == 2.5 && g->spacing_mm[1] == 0.5 && g->spacing_mm[2] == 0.75, "its spacing");
  ok(g->origin_mm[0] == -100 && g->origin_mm[1] == -7 && g->origin_mm[2] == -8, "its origin");
  ok(g->z_mm[5] == -87.5, "its positions");
  const double *d = hl_series_direction(s);
  ok(d[0] == 1 && d[4] == 1 && d[8] == 1 && d[1] == 0, "its direction");
  const int16_t *v = hl_tensor_i16(hl_series_voxels(s));
  int wrong = 0;
  for (int k = 0; k < SLICES; k++)
    for (int i = 0; i < SIDE * SIDE; i++)
      wrong += v[k * SIDE * SIDE + i] != (k + 1) * 100 + i - 1000;
  is_int(wrong, 0, "its Hounsfield units, slices in order");
  is_str(hl_series_patient(s), "P 1", "patient");
  is_str(hl_series_uid(s), "2.25.77", "series UID");
  is_int(hl_series_slices(s)->n_uids, SLICES, "a UID for each slice");
  is_int(hl_problems_count(p), 0, "no problem");
  hl_problems_free(p);
  hl_series_free(s);
}

typedef void (*change)(hl_dicom_header *h);
static void other_series(hl_dicom_header *h) {
  strcpy(h->series_uid, "2.25.78");
}
static void other_size(hl_dicom_header *h) {
  h->rows = SIDE / 2;
}
static void other_spacing(hl_dicom_header *h) {
  h->spacing_mm[1] = 0.8;
}
static void shifted(hl_dicom_header *h) {
  h->position_mm[1] += 1;
}
static void oblique(hl_dicom_header *h) {
  const double tilted[6] = {1, 0, 0, 0, 0.9659258, 0.2588190};
  memcpy(h->orientation, tilted, sizeof tilted);
}
static void skewed(hl_dicom_header *h) {
  h->orientation[4] = 0.5;
}
static void flat(hl_dicom_header *h) {
  h->spacing_mm[0] = 0;
}
static void gone(hl_dicom_header *h) {
  h->position_mm[2] += 2.5;
}
static void doubled(hl_dicom_header *h) {
  h->position_mm[2] -= 2.5;
}
static void uneven(hl_dicom_header *h) {
  h->position_mm[2] += 0.4;
}

static void test_refusals(void) {
  static const struct {
    const char *what;
    change how;
    int first, last; /* slices that change */
    const char *message;
  } table[] = {
      {"two series in one list", other_series, 3, 3, "belongs to series 2.25.78"},
      {"a slice of another size", other_size, 4, 4, "8 x 16 pixels"},
      {"a slice with other pixels", other_spacing, 4, 4, "PixelSpacing 0.5 x 0.8 mm"},
      {"a slice shifted sideways", shifted, 2, 2, "shifted sideways by 0 mm (x) and 1 mm (y)"},
      {"an oblique series", oblique, 0, 5, "oblique or not axial"},
      {"an orientation that is none", skewed, 0, 5, "no pair of perpendicular unit vectors"},
      {"pixels without size", flat, 0, 5, "PixelSpacing is 0 x 0.75 mm, expected more than 0"},
      {"a missing slice", gone, 3, 5,
       "incomplete: slices are missing at 1 place (first: between z -95 and -90 mm"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    hl_err e = {0};
    hl_series *s = (hl_series *)1;
    write_all();
    for (int k = table[i].first; k <= table[i].last; k++) {
      hl_dicom_header h = header_at(k);
      table[i].how(&h);
      write_slice(&h, slice_path(k));
    }
    fails(read_slices(&s, SLICES, NULL, &e), HL_EFORMAT, &e, table[i].message, "%s", table[i].what);
    ok(!s, "makes nothing");
  }
}

static void test_lived_with(void) {
  hl_err e = {0};
  hl_series *s;
  hl_problems *p;
  if (hl_problems_new(&p, &e) != HL_OK) return;
  write_all();
  hl_dicom_header h = header_at(3);
  doubled(&h);
  write_slice(&h, slice_path(6));
  h = header_at(3);
  write_slice(&h, slice_path(3));
  strcpy(h.sop_uid, "2.25.5000");
  h.instance = 40;
  write_slice(&h, slice_path(6));
  if (succeeds(read_slices(&s, 7, p, &e), &e, "two slices at one place")) {
    is_int(hl_series_grid(s)->size[0], SLICES, "one is kept");
    is_int(hl_tensor_i16(hl_series_voxels(s))[3 * SIDE * SIDE], 4 * 100 - 1000,
           "that with the lower number");
    const hl_slices *sl = hl_series_slices(s);
    int64_t at = -1;
    for (int64_t i = 0; i < sl->n_uids; i++)
      if (strcmp(sl->uids[i].uid, "2.25.5000") == 0) at = sl->uids[i].slice;
    is_int(at, 3, "the other's UID leads to it");
    is_int(hl_problems_count(p), 1, "and it is reported");
    ok(strstr(hl_problems_at(p, 0)->message, "lies at z -92.5 mm") != NULL, "%s",
       hl_problems_at(p, 0)->message);
    hl_series_free(s);
  }
  h = header_at(3);
  write_slice(&h, slice_path(6));
  if (succeeds(read_slices(&s, 7, p, &e), &e, "the same slice twice")) {
    ok(strstr(hl_problems_at(p, 1)->message, "the same slice as") != NULL, "is a note");
    hl_series_free(s);
  }
  for (int k = 3; k < SLICES; k++) {
    h = header_at(k);
    uneven(&h);
    write_slice(&h, slice_path(k));
  }
  if (succeeds(read_slices(&s, SLICES, p, &e), &e, "an uneven step")) {
    is_near(hl_series_grid(s)->z_mm[3], -92.1, 1e-9, "true positions are kept");
    ok(strstr(hl_problems_at(p, 2)->message, "1 uneven step") != NULL, "and it is reported");
    hl_series_free(s);
  }
  size_t n;
  write_all();
  char *bytes = read_bytes(slice_path(1), &n);
  for (size_t i = 0; i + 4 < n; i++)
    if (memcmp(bytes + i, "\x28\x00\x53\x10", 4) == 0) bytes[i + 2] = 0x55;
  write_bytes(slice_path(1), bytes, n);
  free(bytes);
  if (succeeds(read_slices(&s, SLICES, p, &e), &e, "a slice without RescaleSlope")) {
    ok(strstr(hl_problems_at(p, 3)->message, "RescaleSlope is missing (in 1 of 6 slices)") != NULL,
       "is a note");
    hl_series_free(s);
  }
  hl_problems_free(p);
}

static void test_damaged_slices(void) {
  hl_err e = {0};
  hl_series *s;
  hl_problems *p;
  size_t n;
  if (hl_problems_new(&p, &e) != HL_OK) return;
  write_all();
  write_text(slice_path(2), "not DICOM at all");
  fails(read_slices(&s, SLICES, p, &e), HL_EFORMAT, &e, "slice-02.dcm: not a DICOM file",
        "a text file among the slices");
  write_all();
  char *bytes = read_bytes(slice_path(4), &n);
  write_bytes(slice_path(4), bytes, n - 200);
  fails(read_slices(&s, SLICES, p, &e), HL_EFORMAT, &e, "slice-04.dcm: ", "pixels cut off");
  write_bytes(slice_path(4), bytes, 400);
  fails(read_slices(&s, SLICES, p, &e), HL_EFORMAT, &e, "slice-04.dcm: cut off",
        "a header cut off");
  free(bytes);
  unlink(slice_path(1));
  fails(read_slices(&s, SLICES, p, &e), HL_EIO, &e, "slice-01.dcm: cannot be read",
        "a file that went away");
  ok(hl_problems_count(p) >= 4, "all bad files are listed");
  const char *one[] = {slice_path(0)};
  fails(hl_series_read(&s, one, 1, NULL, NULL, &e), HL_EFORMAT, &e, "has one slice",
        "a series of one slice");
  fails(hl_series_read(&s, one, 0, NULL, NULL, &e), HL_EINVAL, &e, "without files", "no file");
  hl_problems_free(p);
}

/* Each element that a slice needs, renamed so that it is not there. */
static void test_missing(void) {
  static const struct {
    const char tag[5];
    const char *message;
  } table[] = {{"\x08\0\x18\0", "has no SOPInstanceUID or no SeriesInstanceUID"},
               {"\x08\0\x60\0", "Modality is '', expected CT"},
               {"\x20\0\x0e\0", "has no SOPInstanceUID or no SeriesInstanceUID"},
               {"\x20\0\x32\0", "ImagePositionPatient is missing or unreadable"},
               {"\x20\0\x37\0", "ImageOrientationPatient is missing or unreadable"},
               {"\x28\0\x10\0", "Rows and Columns is missing or unreadable"},
               {"\x28\0\x11\0", "Rows and Columns is missing or unreadable"},
               {"\x28\0\x30\0", "PixelSpacing is missing or unreadable"},
               {"\xe0\x7f\x10\0", "PixelData is missing or unreadable"}};
  for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
    hl_err e = {0};
    hl_series *s;
    size_t n;
    write_all();
    char *bytes = read_bytes(slice_path(3), &n);
    for (size_t i = 132; i + 6 < n; i++)
      if (memcmp(bytes + i, table[k].tag, 4) == 0 && bytes[i + 4] >= 'A' && bytes[i + 4] <= 'Z') {
        bytes[i] ^= 1; /* an odd group: somebody's private element */
        break;
      }
    write_bytes(slice_path(3), bytes, n);
    free(bytes);
    hl_status status = read_slices(&s, SLICES, NULL, &e);
    bool named = strstr(e.msg, "slice-03.dcm: ") != NULL;
    fails(status, HL_EFORMAT, &e, table[k].message, "without an element: %s", table[k].message);
    ok(named, "names the file");
  }
}

/* ---- Every cut and many flips of a header ---- */

static void test_header_damage(void) {
  size_t n;
  write_all();
  char *bytes = read_bytes(slice_path(0), &n);
  const char *path = in_scratch("damaged.dcm");
  hl_dicom_header h;
  int64_t read = 0, silent = 0;
  size_t header = n - 2 * SIDE * SIDE;
  for (size_t k = 0; k < header; k += 3) {
    hl_err e = {0};
    write_bytes(path, bytes, k);
    if (hl_dicom_header_read(path, &h, &e) != HL_OK) {
      silent += strstr(e.msg, "damaged.dcm: ") == NULL;
      continue;
    }
    read++;
  }
  is_int(silent, 0, "every cut header is refused by name or read to its end (%lld)",
         (long long)read);
  hl_rng r = hl_rng_stream(7, "dicom", 0, 0);
  silent = 0;
  for (int round = 0; round < 3000; round++) {
    char *copy = malloc(n);
    memcpy(copy, bytes, n);
    for (int i = 0; i < 4; i++)
      copy[132 + hl_rng_below(&r, (uint32_t)header - 132)] = (char)hl_rng_below(&r, 256);
    write_bytes(path, copy, n);
    hl_err e = {0};
    silent += hl_dicom_header_read(path, &h, &e) != HL_OK && !e.msg[0];
    free(copy);
  }
  is_int(silent, 0, "3000 headers with changed bytes are read or refused");
  free(bytes);
}

/* ---- Shared material: fifteen transfer syntaxes ---- */

/* A series needs two slices: the file and the plain one, whose place is changed to be its
 * neighbour. */
static int16_t *decode_pair(const char *path, const char *neighbour, hl_series **s, hl_err *e) {
  const char *files[2] = {path, neighbour};
  if (hl_series_read(s, files, 2, NULL, NULL, e) != HL_OK) return NULL;
  return hl_tensor_i16(hl_series_voxels(*s));
}

static int64_t deviation(const int16_t *a, const int16_t *b, int64_t n) {
  int64_t most = 0;
  for (int64_t i = 0; i < n; i++)
    if (llabs((int64_t)a[i] - b[i]) > most) most = llabs((int64_t)a[i] - b[i]);
  return most;
}

/* Largest deviation in HU that a syntax is allowed, rounded up; -1: not lossy. */
static int64_t allowed(const char *path) {
  static const struct {
    const char *ending;
    int64_t hu;
  } lossy[] = {{".4.91.dcm", 5},  {".4.81.dcm", 1},  {".4.51.dcm", 36},
               {".4.53.dcm", 36}, {".4.55.dcm", 36}, {".4.50.dcm", 65}};
  for (size_t i = 0; i < sizeof lossy / sizeof *lossy; i++)
    if (strstr(path, lossy[i].ending)) return lossy[i].hu;
  return -1;
}

static void test_transfer_syntaxes(const dicom_files *d) {
  hl_err e = {0};
  hl_dicom_header h;
  size_t n;
  char *bytes = read_bytes(d->path[0], &n);
  if (!succeeds(hl_dicom_header_read(d->path[0], &h, &e), &e, "the plain file's header")) return;
  move_slice(bytes, n, h.position_mm[2]);
  const char *neighbour = in_scratch("neighbour.dcm");
  write_bytes(neighbour, bytes, n);
  free(bytes);
  int64_t voxels = (int64_t)h.rows * h.columns, worst_lossless = 0;
  int16_t *plain = NULL;
  int lossless = 0;
  for (int64_t i = 0; i < d->n; i++) {
    hl_series *s;
    const char *name = strrchr(d->path[i], '/') + 1;
    int16_t *v = decode_pair(d->path[i], neighbour, &s, &e);
    if (!ok(v != NULL, "%s decodes %s", name, e.msg)) continue;
    /* the neighbour lies above or below */
    hl_dicom_header mine, other;
    if (hl_dicom_header_read(d->path[i], &mine, &e) != HL_OK) tap_diag("%s", e.msg);
    if (hl_dicom_header_read(neighbour, &other, &e) != HL_OK) tap_diag("%s", e.msg);
    if (mine.position_mm[2] > other.position_mm[2]) v += voxels;
    if (!plain) {
      plain = malloc((size_t)voxels * sizeof *plain);
      memcpy(plain, v, (size_t)voxels * sizeof *plain);
      int64_t sum = 0, lo = INT16_MAX, hi = INT16_MIN;
      for (int64_t k = 0; k < voxels; k++) {
        int64_t stored = v[k] + 1024;
        sum += stored;
        lo = stored < lo ? stored : lo;
        hi = stored > hi ? stored : hi;
      }
      ok(lo == -2000 && hi == 2402 && sum == 19640763, "min -2000, max 2402, sum 19,640,763");
    }
    int64_t off = deviation(v, plain, voxels), most = allowed(name);
    if (most < 0) {
      lossless++;
      worst_lossless = off > worst_lossless ? off : worst_lossless;
    } else {
      ok(off <= most, "%s is at most %lld HU off (%lld)", name, (long long)most, (long long)off);
    }
    hl_series_free(s);
  }
  ok(lossless >= 9 && worst_lossless == 0, "%d lossless files are identical", lossless);
  free(plain);
}

int main(void) {
  scratch_begin("dicom");
  static dicom_files d;
  test_series();
  test_refusals();
  test_lived_with();
  test_damaged_slices();
  test_missing();
  test_header_damage();
  if (!find_files(&d)) {
    tap_skip(1, "no DICOM material here");
    return tap_done();
  }
  test_transfer_syntaxes(&d);
  return tap_done();
}
