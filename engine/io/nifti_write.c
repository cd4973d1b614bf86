#include <hilum/disk.h>
#include <hilum/nifti_write.h>

#include <nifti1_io.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VOXELS_AT = 352 }; /* header of 348 bytes, four zeros: no extension follows */
/* deflate's fastest: noise of CT gains little from more, and that takes four times as long. */
static const char MODE[] = "wb1";

static bool ends_in(const char *path, const char *ending) {
  size_t n = strlen(path), k = strlen(ending);
  return n > k && strcmp(path + n - k, ending) == 0;
}

static int nifti_type(hl_dtype t) {
  switch (t) {
  case HL_U8:
    return DT_UINT8;
  case HL_I16:
    return DT_INT16;
  case HL_F32:
    return DT_FLOAT32;
  default:
    return DT_UNKNOWN;
  }
}

static hl_status check(const char *path, const hl_tensor *t, hl_err *e) {
  const hl_shape *s = hl_tensor_shape(t);
  char text[HL_DESC_TEXT];
  if (!ends_in(path, ".nii") && !ends_in(path, ".nii.gz"))
    return hl_fail(e, HL_EINVAL, "%s: expected a name that ends in .nii.gz or .nii", path);
  bool fits = s->rank == 3 && nifti_type(hl_tensor_dtype(t)) != DT_UNKNOWN;
  for (int a = 0; a < 3 && fits; a++) fits = s->dim[a] >= 1 && s->dim[a] <= INT16_MAX;
  if (fits) return HL_OK;
  return hl_fail(e, HL_ESHAPE,
                 "%s: NIfTI holds i16, u8 or f32 [z,y,x] of 1 to 32767 voxels an axis, not %s",
                 path, hl_desc_text(hl_tensor_desc(t), text));
}

/* Columns are the steps along x, y, z of the image, rows right, anterior, superior. */
static mat44 matrix(const hl_space *s) {
  mat44 m = {{{0}}};
  for (int row = 0; row < 3; row++) {
    double sign = row < 2 ? -1 : 1;
    for (int column = 0; column < 3; column++) {
      int axis = 2 - column;
      m.m[row][column] = (float)(sign * s->direction[3 * axis + 2 - row] * s->spacing_mm[axis]);
    }
    m.m[row][3] = (float)(sign * s->origin_mm[2 - row]);
  }
  m.m[3][3] = 1;
  return m;
}

static void place(nifti_image *image, const hl_space *s) {
  image->dx = image->pixdim[1] = (float)s->spacing_mm[2];
  image->dy = image->pixdim[2] = (float)s->spacing_mm[1];
  image->dz = image->pixdim[3] = (float)s->spacing_mm[0];
  image->xyz_units = NIFTI_UNITS_MM;
  image->sform_code = image->qform_code = NIFTI_XFORM_SCANNER_ANAT;
  image->sto_xyz = matrix(s);
  nifti_mat44_to_quatern(image->sto_xyz, &image->quatern_b, &image->quatern_c, &image->quatern_d,
                         &image->qoffset_x, &image->qoffset_y, &image->qoffset_z, NULL, NULL, NULL,
                         &image->qfac);
}

static hl_status make_header(nifti_1_header *out, const char *path, const hl_tensor *t,
                             const hl_space *space, const char *description, hl_err *e) {
  const int64_t *n = hl_tensor_shape(t)->dim;
  const int dims[8] = {3, (int)n[2], (int)n[1], (int)n[0], 1, 1, 1, 1};
  nifti_set_debug_level(0);
  nifti_image *image = nifti_make_new_nim(dims, nifti_type(hl_tensor_dtype(t)), 0);
  if (!image) return hl_fail(e, HL_ENOMEM, "%s: no memory for a header", path);
  place(image, space);
  image->nifti_type = NIFTI_FTYPE_NIFTI1_1;
  image->iname_offset = VOXELS_AT;
  snprintf(image->descrip, sizeof image->descrip, "%s", description);
  *out = nifti_convert_nim2nhdr(image);
  nifti_image_free(image);
  return HL_OK;
}

/* Header and voxels into the scratch file, packed or not. */
static bool pack(const char *scratch, bool packed, const nifti_1_header *header,
                 const hl_tensor *t) {
  static const char no_extension[4] = {0};
  size_t n = hl_tensor_bytes(t);
  znzFile f = znzopen(scratch, MODE, packed);
  if (znz_isnull(f)) return false;
  bool fine = znzwrite(header, sizeof *header, 1, f) == 1 &&
              znzwrite(no_extension, sizeof no_extension, 1, f) == 1 &&
              znzwrite(hl_tensor_data(t), 1, n, f) == n;
  return znzclose(f) == 0 && fine;
}

static hl_status read_whole(const char *path, char **out, size_t *n, hl_err *e) {
  struct stat st;
  FILE *f = fopen(path, "rb");
  *out = NULL;
  *n = f && fstat(fileno(f), &st) == 0 ? (size_t)st.st_size : 0;
  if (*n) *out = hl_host_calloc(*n, 1);
  hl_status status = HL_OK;
  if (*n && !*out)
    status = hl_fail(e, HL_ENOMEM, "no memory for %zu bytes", *n);
  else if (!*out || fread(*out, 1, *n, f) != *n)
    status = hl_fail(e, HL_EIO, "%s: cannot be read again: %s", path, strerror(errno));
  if (f) (void)fclose(f);
  return status;
}

static hl_status write_packed(const char *path, const char *scratch, const nifti_1_header *header,
                              const hl_tensor *t, hl_err *e) {
  char *bytes;
  size_t n;
  if (!pack(scratch, ends_in(path, ".gz"), header, t))
    return hl_fail(e, HL_EIO, "%s: cannot be packed in %s: %s", path, scratch, strerror(errno));
  hl_status status = read_whole(scratch, &bytes, &n, e);
  if (status == HL_OK) status = hl_disk_replace(path, bytes, n, e);
  hl_host_free(bytes);
  return status;
}

hl_status hl_nifti_write(const char *path, hl_tensor *t, const hl_space *space,
                         const char *description, hl_err *e) {
  nifti_1_header header;
  hl_tensor *dense;
  char folder[HL_DISK_PATH], scratch[HL_DISK_PATH + 16];
  HL_TRY(check(path, t, e));
  HL_TRY(make_header(&header, path, t, space, description, e));
  HL_TRY(hl_tensor_dense(&dense, t, hl_tensor_dtype(t), HL_PLAIN, e));
  hl_status status = hl_disk_scratch(folder, e);
  if (status == HL_OK) {
    snprintf(scratch, sizeof scratch, "%s/packed", folder);
    status = write_packed(path, scratch, &header, dense, e);
    hl_disk_scratch_remove(folder);
  }
  hl_tensor_unref(dense);
  return status;
}
