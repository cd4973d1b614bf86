/* NIfTI files made here, number by number: all orientations, all element types, and everything that
 * a header can lie about. */
#include "scratch.h"
#include "tap.h"

#include <hilum/nifti.h>

#include <math.h>
#include <nifti1_io.h>

enum { NI = 3, NJ = 4, NK = 5, N = NI * NJ * NK };

/* A header of an f32 image whose axes run right, anterior, superior; spacing 2, 3, 4 mm. */
static nifti_1_header usual(void) {
  nifti_1_header h = {.sizeof_hdr = 348,
                      .dim = {3, NI, NJ, NK, 1, 1, 1, 1},
                      .datatype = DT_FLOAT32,
                      .bitpix = 32,
                      .pixdim = {1, 2, 3, 4, 1, 1, 1, 1},
                      .vox_offset = 352,
                      .sform_code = 1,
                      .srow_x = {2, 0, 0, 10},
                      .srow_y = {0, 3, 0, 20},
                      .srow_z = {0, 0, 4, 30},
                      .magic = "n+1"};
  return h;
}

/* What voxel i, j, k holds: no two are the same. */
static double value_of(int i, int j, int k) {
  return i + 10 * j + 100 * k;
}

static size_t put(uint8_t *to, int code, double v) {
  union {
    uint8_t u8;
    int8_t i8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    float f32;
    double f64;
  } x = {0};
  size_t n = 0;
  switch (code) {
  case DT_UINT8:
    x.u8 = (uint8_t)v, n = 1;
    break;
  case DT_INT8:
    x.i8 = (int8_t)v, n = 1;
    break;
  case DT_INT16:
    x.i16 = (int16_t)v, n = 2;
    break;
  case DT_UINT16:
    x.u16 = (uint16_t)v, n = 2;
    break;
  case DT_INT32:
    x.i32 = (int32_t)v, n = 4;
    break;
  case DT_UINT32:
    x.u32 = (uint32_t)v, n = 4;
    break;
  case DT_INT64:
    x.i64 = (int64_t)v, n = 8;
    break;
  case DT_UINT64:
    x.u64 = (uint64_t)v, n = 8;
    break;
  case DT_FLOAT32:
    x.f32 = (float)v, n = 4;
    break;
  default:
    x.f64 = v, n = 8;
  }
  memcpy(to, &x, n);
  return n;
}

/* Writes the header and value_of(i, j, k) · factor as its type says; `bytes` of it, 0 for all. */
static void write_nifti(const char *path, nifti_1_header h, double factor, bool swap,
                        size_t bytes) {
  uint8_t all[352 + 8 * N] = {0};
  size_t at = 352, size = 1;
  for (int k = 0; k < NK; k++)
    for (int j = 0; j < NJ; j++)
      for (int i = 0; i < NI; i++)
        at += size = put(all + at, h.datatype, factor * value_of(i, j, k));
  if (swap && size > 1) nifti_swap_Nbytes(N, (int)size, all + 352);
  if (swap) swap_nifti_header(&h, 1);
  memcpy(all, &h, sizeof h);
  bool gz = strcmp(path + strlen(path) - 3, ".gz") == 0;
  znzFile f = znzopen(path, "wb", gz);
  znzwrite(all, 1, bytes ? bytes : at, f);
  znzclose(f);
}

static double at(const hl_tensor *t, int64_t z, int64_t y, int64_t x) {
  double v = NAN;
  const int64_t index[3] = {z, y, x};
  if (hl_tensor_get(t, index, &v, NULL) != HL_OK) return NAN;
  return v;
}

static void test_usual(void) {
  hl_err e = {0};
  hl_nifti n;
  write_nifti(in_scratch("a.nii"), usual(), 1, false, 0);
  if (!succeeds(hl_nifti_read(&n, in_scratch("a.nii"), NULL, &e), &e, "an image")) return;
  const hl_grid *g = &n.grid;
  ok(g->size[0] == NK && g->size[1] == NJ && g->size[2] == NI, "axes z, y, x");
  ok(g->spacing_mm[0] == 4 && g->spacing_mm[1] == 3 && g->spacing_mm[2] == 2, "spacing");
  /* the file's x runs to the right from 10: the leftmost voxel has 14 mm right = -14 mm left */
  ok(g->origin_mm[0] == 30 && g->origin_mm[1] == -29 && g->origin_mm[2] == -14, "origin: %g %g %g",
     g->origin_mm[0], g->origin_mm[1], g->origin_mm[2]);
  bool same = true;
  for (int k = 0; k < NK; k++)
    for (int j = 0; j < NJ; j++)
      for (int i = 0; i < NI; i++)
        same = same && at(n.voxels, k, NJ - 1 - j, NI - 1 - i) == value_of(i, j, k);
  ok(same, "voxels run to superior, posterior and left");
  hl_nifti_clear(&n);
}

/* The same place in the patient holds the same value, however the file's axes lie. */
static bool same_places(const hl_nifti *n, const nifti_1_header *h, const int sign[3]) {
  for (int k = 0; k < NK; k++)
    for (int j = 0; j < NJ; j++)
      for (int i = 0; i < NI; i++) {
        const float *rows[3] = {h->srow_z, h->srow_y, h->srow_x};
        const double towards[3] = {sign[0], -sign[1], -sign[2]};
        double mm[3], index[3];
        for (int a = 0; a < 3; a++)
          mm[a] = towards[a] * (rows[a][0] * (float)i + rows[a][1] * (float)j +
                                rows[a][2] * (float)k + rows[a][3]);
        hl_grid_index(&n->grid, mm, index);
        for (int a = 0; a < 3; a++)
          if (fabs(index[a] - round(index[a])) > 1e-4) return false;
        double v = at(n->voxels, (int64_t)round(index[0]), (int64_t)round(index[1]),
                      (int64_t)round(index[2]));
        if (v != value_of(i, j, k)) return false;
      }
  return true;
}

static void test_orientations(void) {
  static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  int right = 0;
  for (int o = 0; o < 6; o++)
    for (int flips = 0; flips < 8; flips++)
      for (int turned = 0; turned < 8; turned++) {
        nifti_1_header h = usual();
        float *rows[3] = {h.srow_x, h.srow_y, h.srow_z};
        const int sign[3] = {turned & 1 ? -1 : 1, turned & 2 ? -1 : 1, turned & 4 ? -1 : 1};
        for (int a = 0; a < 3; a++)
          for (int c = 0; c < 3; c++)
            rows[a][c] = orders[o][a] == c ? (float)(c + 2) * (flips >> a & 1 ? -1 : 1) : 0;
        write_nifti(in_scratch("turned.nii"), h, 1, false, 0);
        hl_nifti n;
        hl_err e = {0};
        if (hl_nifti_read(&n, in_scratch("turned.nii"), sign, &e) != HL_OK)
          tap_diag("%s", e.msg);
        else
          right += same_places(&n, &h, sign);
        hl_nifti_clear(&n);
      }
  is_int(right, 6 * 8 * 8, "orders and directions of axes, each read in each direction");

  nifti_1_header h =
      usual(); /* half a turn about z: right and anterior become left and posterior */
  h.sform_code = 0;
  h.qform_code = 1;
  h.quatern_d = 1;
  h.qoffset_x = 10, h.qoffset_y = 20, h.qoffset_z = 30;
  write_nifti(in_scratch("q.nii"), h, 1, false, 0);
  hl_nifti n;
  hl_err e = {0};
  if (succeeds(hl_nifti_read(&n, in_scratch("q.nii"), NULL, &e), &e, "an image with a qform")) {
    ok(fabs(n.grid.origin_mm[1] + 20) < 1e-5 && fabs(n.grid.origin_mm[2] + 10) < 1e-5 &&
           at(n.voxels, 0, 0, 0) == 0 && at(n.voxels, 0, 0, 1) == 1,
       "lies as its quaternion says");
    hl_nifti_clear(&n);
  }
}

static void test_types(void) {
  static const struct {
    int code, bits;
    double factor;
    bool whole;
  } types[] = {{DT_UINT8, 8, 0.5, true},     {DT_INT8, 8, -0.25, true},
               {DT_INT16, 16, -70, true},    {DT_UINT16, 16, 140, false},
               {DT_INT32, 32, -1000, false}, {DT_UINT32, 32, 1000, false},
               {DT_INT64, 64, -1000, false}, {DT_UINT64, 64, 1000, false},
               {DT_FLOAT32, 32, 0.5, false}, {DT_FLOAT64, 64, -0.5, false}};
  for (size_t t = 0; t < sizeof types / sizeof *types; t++)
    for (int form = 0; form < 4; form++) {
      bool swap = form & 1, gz = form & 2;
      nifti_1_header h = usual();
      h.datatype = (short)types[t].code;
      h.bitpix = (short)types[t].bits;
      const char *path = in_scratch(gz ? "t.nii.gz" : "t.nii");
      write_nifti(path, h, types[t].factor, swap, 0);
      hl_nifti n;
      hl_err e = {0};
      if (!succeeds(hl_nifti_read(&n, path, NULL, &e), &e, "type %d%s%s", types[t].code,
                    swap ? ", bytes swapped" : "", gz ? ", gzipped" : ""))
        continue;
      uint8_t stored[8];
      put(stored, types[t].code, types[t].factor * value_of(2, 3, 4));
      double expected = types[t].factor * value_of(2, 3, 4);
      if (types[t].whole && types[t].bits == 8)
        expected = types[t].code == DT_INT8 ? (double)(int8_t)stored[0] : stored[0];
      ok(at(n.voxels, 4, 0, 0) == expected, "its last voxel is %g", expected);
      ok(hl_tensor_dtype(n.voxels) == (types[t].whole ? HL_I16 : HL_F32),
         "kept small where it can be");
      hl_nifti_clear(&n);
    }
}

static void test_scaled(void) {
  nifti_1_header h = usual();
  h.datatype = DT_INT16, h.bitpix = 16, h.scl_slope = 2, h.scl_inter = -1024;
  write_nifti(in_scratch("s.nii"), h, 1, false, 0);
  hl_nifti n;
  hl_err e = {0};
  if (succeeds(hl_nifti_read(&n, in_scratch("s.nii"), NULL, &e), &e, "a scaled image")) {
    ok(at(n.voxels, 4, 0, 0) == 2 * value_of(2, 3, 4) - 1024, "slope and intercept count");
    hl_nifti_clear(&n);
  }
  h.scl_slope = 0;
  write_nifti(in_scratch("s.nii"), h, 1, false, 0);
  if (succeeds(hl_nifti_read(&n, in_scratch("s.nii"), NULL, &e), &e, "a slope of 0")) {
    ok(at(n.voxels, 4, 0, 0) == value_of(2, 3, 4), "means none");
    hl_nifti_clear(&n);
  }
}

static void refused(nifti_1_header h, const char *text, const char *what) {
  hl_nifti n;
  hl_err e = {0};
  write_nifti(in_scratch("bad.nii"), h, 1, false, 0);
  fails(hl_nifti_read(&n, in_scratch("bad.nii"), NULL, &e), HL_EFORMAT, &e, text, what);
  ok(n.voxels == NULL, "and nothing is made");
}

#define REFUSED(change, text, what)                                                                \
  do {                                                                                             \
    nifti_1_header h = usual();                                                                    \
    change;                                                                                        \
    refused(h, text, what);                                                                        \
  } while (0)

static void test_headers(void) {
  REFUSED(h.sizeof_hdr = 349, "does not begin with 348", "another size of header");
  REFUSED(h.sizeof_hdr = 540, "NIfTI-2", "NIfTI-2");
  REFUSED(memcpy(h.magic, "ni1", 4), "in another file", "a header alone");
  REFUSED(memcpy(h.magic, "n+2", 4), "lacks the word", "no magic word");
  REFUSED(h.dim[0] = 2, "has 2 axes, expected 3", "two axes");
  REFUSED(h.dim[0] = -3, "has -3 axes", "a negative number of axes");
  REFUSED(h.dim[0] = 8, "has 8 axes", "eight axes");
  REFUSED(h.dim[2] = 0, "axis 2 has the size 0", "an empty axis");
  REFUSED(h.dim[3] = -5, "axis 3 has the size -5", "a negative size");
  REFUSED(h.dim[0] = 4; h.dim[4] = 2, "axis 4 has the size 2, expected 1", "two volumes");
  REFUSED(h.dim[1] = h.dim[2] = h.dim[3] = 8192, "more than are read", "a lie about sizes");
  REFUSED(h.dim[1] = h.dim[2] = 1000, "has 592 bytes, its header asks for",
          "more than the file has");
  REFUSED(h.datatype = DT_RGB24; h.bitpix = 24, "element type 128", "colours");
  REFUSED(h.datatype = DT_COMPLEX64; h.bitpix = 64, "element type 32", "complex numbers");
  REFUSED(h.datatype = 0, "element type 0", "no type");
  REFUSED(h.bitpix = 16, "says that an f32 has 16 bits", "bits that do not fit the type");
  REFUSED(h.vox_offset = 100, "begin at byte 100", "voxels in the header");
  REFUSED(h.vox_offset = NAN, "begin at byte", "voxels nowhere");
  REFUSED(h.vox_offset = 1e30f, "begin at byte", "voxels far away");
  REFUSED(h.vox_offset = 352.5f, "begin at byte 352.5", "voxels between bytes");
  REFUSED(h.scl_slope = INFINITY, "scl_slope and scl_inter are inf", "an infinite slope");
  REFUSED(h.scl_slope = 1;
          h.scl_inter = NAN, "scl_slope and scl_inter are 1 and nan", "no intercept");
  REFUSED(h.sform_code = 0, "neither sform nor qform", "no place");
  REFUSED(h.pixdim[2] = NAN, "not finite", "no spacing");
  REFUSED(h.srow_x[3] = INFINITY, "not finite", "a place that is nowhere");
  REFUSED(h.srow_x[0] = 0, "lies oblique: its axis 1", "an axis without length");
  REFUSED(h.srow_y[0] = 0.1f, "lies oblique: its axis 1", "an oblique axis");
  REFUSED(h.srow_y[0] = 2; h.srow_x[0] = 0, "lies oblique: its axis 2", "two axes along one");
  REFUSED(h.sform_code = 0; h.qform_code = 1; h.quatern_b = NAN, "not finite", "no quaternion");
  REFUSED(h.srow_x[0] = 1e-9f, "lies oblique", "a spacing of nothing");
}

static void test_files(void) {
  hl_err e = {0};
  hl_nifti n;
  fails(hl_nifti_read(&n, in_scratch("none.nii"), NULL, &e), HL_EIO, &e, "cannot be opened",
        "no file");
  fails(hl_nifti_read(&n, scratch, NULL, &e), HL_EIO, &e, "is a folder", "a folder");
  write_text(in_scratch("short.nii"), "short");
  fails(hl_nifti_read(&n, in_scratch("short.nii"), NULL, &e), HL_EFORMAT, &e,
        "shorter than a header", "five bytes");
  write_text(in_scratch("plain.nii.gz"), "not gzipped at all, though its name says so");
  fails(hl_nifti_read(&n, in_scratch("plain.nii.gz"), NULL, &e), HL_EFORMAT, &e,
        "shorter than a header", "no gzip");
  for (size_t bytes = 1; bytes < 352 + 4 * N; bytes += 13) {
    write_nifti(in_scratch("cut.nii.gz"), usual(), 1, false, bytes);
    if (hl_nifti_read(&n, in_scratch("cut.nii.gz"), NULL, NULL) == HL_OK) break;
    write_nifti(in_scratch("cut.nii"), usual(), 1, false, bytes);
    if (hl_nifti_read(&n, in_scratch("cut.nii"), NULL, NULL) == HL_OK) break;
    if (bytes + 13 >= 352 + 4 * N) ok(true, "cut off anywhere it is refused");
  }
  write_nifti(in_scratch("whole.nii.gz"), usual(), 1, false, 0);
  size_t size;
  char *bytes = read_bytes(in_scratch("whole.nii.gz"), &size);
  int read = 0;
  for (size_t i = 0; bytes && i < size; i++) {
    bytes[i] = (char)(bytes[i] ^ 0x55);
    write_bytes(in_scratch("flipped.nii.gz"), bytes, size);
    if (hl_nifti_read(&n, in_scratch("flipped.nii.gz"), NULL, NULL) == HL_OK) read++;
    hl_nifti_clear(&n);
    bytes[i] = (char)(bytes[i] ^ 0x55);
  }
  free(bytes);
  ok(read <= 6,
     "a flipped byte is noticed, but for those of gzip's header (%d of %zu files were read)", read,
     size);
  nifti_1_header h = usual();
  write_nifti(in_scratch("nan.nii"), h, NAN, false, 0);
  fails(hl_nifti_read(&n, in_scratch("nan.nii"), NULL, &e), HL_EFORMAT, &e, "holds NaN",
        "no numbers");
  h.datatype = DT_FLOAT64, h.bitpix = 64;
  write_nifti(in_scratch("huge.nii"), h, 1e300, false, 0);
  fails(hl_nifti_read(&n, in_scratch("huge.nii"), NULL, &e), HL_EFORMAT, &e, "too large values",
        "numbers beyond f32");
}

int main(void) {
  scratch_begin("nifti");
  test_usual();
  test_orientations();
  test_types();
  test_scaled();
  test_headers();
  test_files();
  return tap_done();
}
