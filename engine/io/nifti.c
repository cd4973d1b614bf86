/* The header is checked here, number by number, before libnifti sees it; libnifti turns its
 * quaternion or matrix into a place and inflates the file. */
#include <hilum/disk.h>
#include <hilum/ledger.h>
#include <hilum/nifti.h>

#include <float.h>
#include <math.h>
#include <nifti1_io.h>
#include <string.h>

enum {
  MOST_BEYOND = 1 << 24,
  MOST_SIZE = 8192,
  HEADER = sizeof(nifti_1_header),
  NIFTI2_HEADER = 540
};
static const int64_t MOST_VOXELS = (int64_t)1 << 31;
static const double MOST_TILT_COS = 0.99996; /* cos 0.5° */
/* Deflate makes at most 1,032 bytes of one (RFC 1951: 258 bytes from two bits). */
static const int64_t MOST_DEFLATED = 1032;

typedef struct type {
  int code, bytes;
  bool small; /* every value is an i16 */
  const char *name;
} type;

static const type types[] = {{DT_UINT8, 1, true, "u8"},     {DT_INT8, 1, true, "i8"},
                             {DT_INT16, 2, true, "i16"},    {DT_UINT16, 2, false, "u16"},
                             {DT_INT32, 4, false, "i32"},   {DT_UINT32, 4, false, "u32"},
                             {DT_INT64, 8, false, "i64"},   {DT_UINT64, 8, false, "u64"},
                             {DT_FLOAT32, 4, false, "f32"}, {DT_FLOAT64, 8, false, "f64"}};

typedef struct source {
  const char *path;
  nifti_1_header h; /* in this machine's order of bytes */
  bool swapped;
  const type *type;
  int64_t bytes, skip; /* of the file; before the voxels */
  double slope, inter;
  int64_t size[3]; /* i, j, k as in the file */
  /* for hilum's axis a: the file's axis, 1 or -1 along it */
  int axis[3], way[3];
  hl_grid grid;
  hl_space stored;
  znzFile file;
} source;

/* ---- the header ---- */

static hl_status refuse(const source *s, hl_err *e, const char *what) {
  return hl_fail(e, HL_EFORMAT, "%s: is no NIfTI-1 image that can be read: %s", s->path, what);
}

static bool is_gzipped(const char *path) {
  size_t n = strlen(path);
  return n > 3 && strcmp(path + n - 3, ".gz") == 0;
}

static hl_status open_source(source *s, hl_err *e) {
  HL_TRY(hl_disk_readable(s->path, &s->bytes, e));
  s->file = znzopen(s->path, "rb", is_gzipped(s->path));
  if (znz_isnull(s->file)) return hl_fail(e, HL_EIO, "%s: cannot be opened", s->path);
  if (znzread(&s->h, 1, HEADER, s->file) != HEADER)
    return refuse(s, e, "it is shorter than a header, or not gzipped as its name says");
  return HL_OK;
}

static hl_status check_form(source *s, hl_err *e) {
  int length = s->h.sizeof_hdr, other = length;
  nifti_swap_4bytes(1, &other);
  s->swapped = length != HEADER && other == HEADER;
  if (length == NIFTI2_HEADER || other == NIFTI2_HEADER)
    return refuse(s, e, "it is NIfTI-2; save it as NIfTI-1");
  if (length != HEADER && !s->swapped) return refuse(s, e, "its header does not begin with 348");
  if (s->swapped) swap_nifti_header(&s->h, 1);
  if (memcmp(s->h.magic, "n+1", 4) == 0) return HL_OK;
  if (memcmp(s->h.magic, "ni1", 4) == 0)
    return refuse(s, e, "its voxels are in another file (.img); save both as one .nii");
  return refuse(s, e, "it lacks the word n+1");
}

static hl_status check_size(source *s, hl_err *e) {
  int64_t voxels = 1;
  if (s->h.dim[0] < 3 || s->h.dim[0] > 7)
    return hl_fail(e, HL_EFORMAT, "%s: has %d axes, expected 3", s->path, s->h.dim[0]);
  for (int i = 1; i <= s->h.dim[0]; i++) {
    bool space = i <= 3;
    if (s->h.dim[i] < 1 || s->h.dim[i] > MOST_SIZE || (!space && s->h.dim[i] != 1))
      return hl_fail(e, HL_EFORMAT, "%s: axis %d has the size %d, expected %s", s->path, i,
                     s->h.dim[i], space ? "1 to 8192" : "1: one volume of numbers");
    if (space) s->size[i - 1] = s->h.dim[i];
    voxels *= s->h.dim[i];
  }
  if (voxels <= MOST_VOXELS) return HL_OK;
  return hl_fail(e, HL_EFORMAT, "%s: has %lld voxels, more than are read (%lld)", s->path,
                 (long long)voxels, (long long)MOST_VOXELS);
}

static hl_status check_type(source *s, hl_err *e) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].code == s->h.datatype) s->type = &types[i];
  if (!s->type)
    return hl_fail(e, HL_EFORMAT,
                   "%s: has the element type %d (NIfTI's number), expected a real or whole one",
                   s->path, s->h.datatype);
  if (s->h.bitpix == 8 * s->type->bytes) return HL_OK;
  return hl_fail(e, HL_EFORMAT, "%s: says that an %s has %d bits", s->path, s->type->name,
                 s->h.bitpix);
}

/* Whether the file can hold the voxels at all. */
static hl_status check_length(source *s, hl_err *e) {
  double skip = s->h.vox_offset;
  if (!(skip >= HEADER) || skip > 1e9 || skip != floor(skip))
    return hl_fail(e, HL_EFORMAT, "%s: its voxels begin at byte %g", s->path, skip);
  s->skip = (int64_t)skip;
  int64_t needed = s->skip + s->size[0] * s->size[1] * s->size[2] * s->type->bytes;
  int64_t most = is_gzipped(s->path) ? s->bytes * MOST_DEFLATED : s->bytes;
  if (most >= needed) return HL_OK;
  return hl_fail(e, HL_EFORMAT, "%s: has %lld bytes, its header asks for %lld%s", s->path,
                 (long long)s->bytes, (long long)needed,
                 is_gzipped(s->path) ? " uncompressed" : "");
}

static hl_status check_scale(source *s, hl_err *e) {
  s->slope = s->h.scl_slope;
  s->inter = s->h.scl_inter;
  if (s->slope == 0) s->slope = 1, s->inter = 0; /* NIfTI: then the values are not scaled */
  if (isfinite(s->slope) && isfinite(s->inter)) return HL_OK;
  return hl_fail(e, HL_EFORMAT, "%s: scl_slope and scl_inter are %g and %g", s->path, s->slope,
                 s->inter);
}

/* ---- the place ---- */

/* libnifti takes NaN for 0, so it is looked for before. */
static hl_status check_numbers(const source *s, hl_err *e) {
  const nifti_1_header *h = &s->h;
  const float q[] = {h->pixdim[1], h->pixdim[2], h->pixdim[3], h->quatern_b, h->quatern_c,
                     h->quatern_d, h->qoffset_x, h->qoffset_y, h->qoffset_z};
  const float *rows[3] = {h->srow_x, h->srow_y, h->srow_z};
  bool fine = true;
  for (size_t i = 0; i < sizeof q / sizeof *q; i++) fine = fine && fabsf(q[i]) < FLT_MAX / 4;
  for (int i = 0; i < 12 && h->sform_code > 0; i++)
    fine = fine && fabsf(rows[i / 4][i % 4]) < FLT_MAX / 4;
  return fine ? HL_OK : refuse(s, e, "its pixdim, sform or qform is not finite");
}

/* From voxels of the file to mm, right, anterior, superior: rows of the result. */
static hl_status place_matrix(const source *s, double m[3][4], hl_err *e) {
  nifti_1_header h = s->h;
  if (h.sform_code <= 0 && h.qform_code <= 0)
    return hl_fail(e, HL_EFORMAT,
                   "%s: has neither sform nor qform, so nobody knows how it lies in the patient",
                   s->path);
  HL_TRY(check_numbers(s, e));
  for (int i = 4; i < 8; i++) h.pixdim[i] = 1;
  h.vox_offset = 352;
  nifti_set_debug_level(0);
  nifti_image *nim = nifti_convert_nhdr2nim(h, NULL);
  if (!nim) return refuse(s, e, "libnifti refuses its header");
  const mat44 *r = h.sform_code > 0 ? &nim->sto_xyz : &nim->qto_xyz;
  bool finite = true;
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 4; k++) {
      m[i][k] = r->m[i][k];
      finite = finite && isfinite(m[i][k]);
    }
  nifti_image_free(nim);
  return finite ? HL_OK : refuse(s, e, "its sform or qform is not finite");
}

/* The patient's axis (0: right, 1: anterior, 2: superior) along which a column of the matrix runs,
 * or -1. */
static int axis_of(double m[3][4], int column, double *length) {
  double sum = 0;
  int best = 0;
  for (int i = 0; i < 3; i++) {
    sum += m[i][column] * m[i][column];
    if (fabs(m[i][column]) > fabs(m[best][column])) best = i;
  }
  *length = sqrt(sum);
  return *length > 1e-6 && fabs(m[best][column]) > MOST_TILT_COS * *length ? best : -1;
}

/* The file's own place, in DICOM's space; m: right, anterior, superior. */
static void keep_place(source *s, double m[3][4], int column, double length) {
  int own = 2 - column;
  s->stored.spacing_mm[own] = length;
  for (int row = 0; row < 3; row++) {
    double sign = row < 2 ? -1 : 1;
    s->stored.direction[3 * own + 2 - row] = sign * m[row][column] / length;
    s->stored.origin_mm[2 - row] = sign * m[row][3];
  }
}

/* Which axis of the file is which of hilum's, which way it runs, and where voxel (0, 0, 0) lies. */
static hl_status find_place(source *s, const int sign[3], hl_err *e) {
  static const int patient[3] = {2, 1, 0};   /* hilum's z, y, x among right, anterior, superior */
  static const int towards[3] = {1, -1, -1}; /* superior, posterior, left */
  double m[3][4], length;
  bool taken[3] = {false};
  HL_TRY(place_matrix(s, m, e));
  for (int column = 0; column < 3; column++) {
    int along = axis_of(m, column, &length), a = 0;
    if (along < 0 || taken[along])
      return hl_fail(e, HL_EFORMAT,
                     "%s: lies oblique: its axis %d runs along (%.3g, %.3g, %.3g), expected one of "
                     "the patient's axes within 0.5 degrees; resample it first",
                     s->path, column + 1, m[0][column], m[1][column], m[2][column]);
    taken[along] = true;
    keep_place(s, m, column, length);
    while (patient[a] != along) a++;
    int to = towards[a] * (sign ? sign[a] : 1);
    s->axis[a] = column;
    s->way[a] = m[along][column] * to > 0 ? 1 : -1;
    s->grid.size[a] = s->size[column];
    s->grid.spacing_mm[a] = length;
    double first = to * m[along][3];
    s->grid.origin_mm[a] = s->way[a] > 0 ? first : first - (double)(s->size[column] - 1) * length;
  }
  return hl_grid_check(&s->grid, e);
}

/* ---- voxels ---- */

static double value_at(const source *s, const uint8_t *p) {
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
  } v;
  memcpy(&v, p, (size_t)s->type->bytes);
  switch (s->type->code) {
  case DT_UINT8:
    return v.u8;
  case DT_INT8:
    return v.i8;
  case DT_INT16:
    return v.i16;
  case DT_UINT16:
    return v.u16;
  case DT_INT32:
    return v.i32;
  case DT_UINT32:
    return v.u32;
  case DT_INT64:
    return (double)v.i64;
  case DT_UINT64:
    return (double)v.u64;
  case DT_FLOAT32:
    return (double)v.f32;
  default:
    return v.f64;
  }
}

/* Every value stays an i16. */
static bool fits_i16(const source *s) {
  return s->type->small && s->slope == 1 && s->inter == 0;
}

/* One plane of the file into its place; false where a value is no number that f32 holds. */
static bool put_plane(const source *s, hl_tensor *t, int64_t k, const uint8_t *plane) {
  int64_t step[3], at = 0, stride[3] = {s->grid.size[1] * s->grid.size[2], s->grid.size[2], 1};
  for (int a = 0; a < 3; a++) {
    step[s->axis[a]] = s->way[a] * stride[a];
    if (s->way[a] < 0) at += (s->grid.size[a] - 1) * stride[a];
  }
  int16_t *shorts = hl_tensor_dtype(t) == HL_I16 ? hl_tensor_i16(t) : NULL;
  float *floats = shorts ? NULL : hl_tensor_f32(t);
  bool fine = true;
  for (int64_t j = 0; j < s->size[1]; j++)
    for (int64_t i = 0; i < s->size[0]; i++, plane += s->type->bytes) {
      int64_t to = at + k * step[2] + j * step[1] + i * step[0];
      double v = value_at(s, plane) * s->slope + s->inter;
      if (shorts) {
        shorts[to] = (int16_t)v;
      } else {
        fine = fine && fabs(v) <= FLT_MAX; /* a NaN is not */
        floats[to] = (float)(fine ? v : 0);
      }
    }
  return fine;
}

/* At its end gzip compares its checksum. Little may follow the voxels. */
static hl_status read_to_end(source *s, uint8_t *buffer, size_t room, hl_err *e) {
  size_t got = 1;
  for (size_t all = 0; got > 0 && got <= room && all < MOST_BEYOND; all += got)
    got = znzread(buffer, 1, room, s->file);
  if (got == 0) return HL_OK;
  return hl_fail(e, HL_EFORMAT, "%s: is damaged: its checksum does not fit", s->path);
}

static hl_status read_planes(source *s, hl_tensor *t, uint8_t *plane, hl_err *e) {
  int64_t n = s->size[0] * s->size[1], bytes = n * s->type->bytes;
  if (znzseek(s->file, s->skip, SEEK_SET) < 0) return refuse(s, e, "it ends before its voxels");
  for (int64_t k = 0; k < s->size[2]; k++) {
    if (znzread(plane, 1, (size_t)bytes, s->file) != (size_t)bytes)
      return hl_fail(e, HL_EFORMAT, "%s: is damaged or cut off in plane %lld of %lld", s->path,
                     (long long)k + 1, (long long)s->size[2]);
    if (s->swapped && s->type->bytes > 1) nifti_swap_Nbytes((size_t)n, s->type->bytes, plane);
    if (!put_plane(s, t, k, plane))
      return hl_fail(e, HL_EFORMAT, "%s: holds NaN, infinite or too large values in plane %lld",
                     s->path, (long long)k + 1);
  }
  return is_gzipped(s->path) ? read_to_end(s, plane, (size_t)bytes, e) : HL_OK;
}

static hl_status read_voxels(source *s, hl_tensor **out, hl_err *e) {
  hl_desc d = {.dtype = fits_i16(s) ? HL_I16 : HL_F32,
               .layout = HL_PLAIN,
               .shape = {.rank = 3, .dim = {s->grid.size[0], s->grid.size[1], s->grid.size[2]}}};
  hl_tensor *t = NULL;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, "a NIfTI image", e));
  uint8_t *plane = hl_host_calloc((size_t)(s->size[0] * s->size[1]), (size_t)s->type->bytes);
  hl_status status = plane ? read_planes(s, t, plane, e)
                           : hl_fail(e, HL_ENOMEM, "%s: no memory for one plane", s->path);
  hl_host_free(plane);
  if (status == HL_OK)
    *out = t;
  else
    hl_tensor_unref(t);
  return status;
}

static hl_status read_source(source *s, const int sign[3], hl_tensor **voxels, hl_err *e) {
  HL_TRY(open_source(s, e));
  HL_TRY(check_form(s, e));
  HL_TRY(check_size(s, e));
  HL_TRY(check_type(s, e));
  HL_TRY(check_length(s, e));
  HL_TRY(check_scale(s, e));
  HL_TRY(find_place(s, sign, e));
  return read_voxels(s, voxels, e);
}

hl_status hl_nifti_read(hl_nifti *out, const char *path, const int sign[3], hl_err *e) {
  *out = (hl_nifti){0};
  source s = {.path = path};
  hl_status status = read_source(&s, sign, &out->voxels, e);
  bool whole = znz_isnull(s.file) || znzclose(s.file) == 0; /* false: no end of a gzip stream */
  if (status == HL_OK && !whole)
    status = hl_fail(e, HL_EFORMAT, "%s: is damaged: it ends within its compressed data", path);
  if (status != HL_OK) {
    hl_nifti_clear(out);
    return status;
  }
  out->grid = s.grid;
  out->stored = s.stored;
  for (int a = 0; a < 3; a++) {
    out->axis[a] = 2 - s.axis[a];
    out->way[a] = s.way[a];
  }
  return HL_OK;
}

void hl_nifti_clear(hl_nifti *n) {
  hl_tensor_unref(n->voxels);
  *n = (hl_nifti){0};
}
