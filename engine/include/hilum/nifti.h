/* NIfTI-1 images (.nii, .nii.gz), read. */
#ifndef HILUM_NIFTI_H
#define HILUM_NIFTI_H

#include <hilum/nifti_write.h>
#include <hilum/volume.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_nifti {
  hl_tensor *voxels; /* plain [z,y,x]: i16 where every value is one, else f32 */
  /* In DICOM's patient space (left, posterior, superior; NIfTI's own is right, anterior, superior):
   * z, y and x grow towards superior, posterior and left. */
  hl_grid grid;
  /* How the file has it, to write something else in the same way: the place of its own axes k, j,
   * i (the last runs fastest); and for z, y, x of `voxels` which of k, j, i (0, 1, 2) it is, and 1
   * or -1: along it, or the other way. */
  hl_space stored;
  int axis[3], way[3];
} hl_nifti;

/* Reads one volume as stored · scl_slope + scl_inter. Its axes are put in hilum's order and turned
 * to grow as said above, those with sign -1 the other way (sign NULL: all as above; coordinates
 * then are negative mm along that axis, as those of a DICOM series stored that way are).
 *
 * The place comes from the sform, else from the qform. Refused with HL_EFORMAT: no NIfTI-1 in one
 * file, more than one volume, an element type that is no number, an image that lies oblique (an
 * axis more than 0.5 degrees off the patient's), numbers that are none, a file too short for what
 * its header says. Nothing is allocated before that was looked at. */
HL_MUST_CHECK hl_status hl_nifti_read(hl_nifti *out, const char *path, const int sign[3],
                                      hl_err *e);
void hl_nifti_clear(hl_nifti *n);

#ifdef __cplusplus
}
#endif
#endif
