/* Volumes as NIfTI files. */
#ifndef HILUM_NIFTI_WRITE_H
#define HILUM_NIFTI_WRITE_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where voxels lie in patient space as DICOM has it (x grows to the patient's left, y to the back,
 * z to the head). All vectors are (z, y, x). */
typedef struct hl_space {
  double spacing_mm[3];
  double origin_mm[3]; /* centre of voxel (0, 0, 0) */
  double direction[9]; /* unit vectors of the image's axes z, y, x */
} hl_space;

/* Writes a tensor [z,y,x] (i16, u8 or f32) as NIfTI-1, one file, replaced as a whole (disk.h);
 * compressed if `path` ends in ".nii.gz", plain if in ".nii", HL_EINVAL otherwise. NIfTI's world is
 * right, anterior, superior: x and y change their sign. sform and qform say the same (scanner
 * anatomical). The same voxels give the same bytes. `description` has up to 79 characters. */
HL_MUST_CHECK hl_status hl_nifti_write(const char *path, hl_tensor *t, const hl_space *space,
                                       const char *description, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
