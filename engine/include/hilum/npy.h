/* NumPy's .npy files: one array each. Files are not trusted: whatever is wrong with one is an error
 * that names it, and sizes are held against the file's own before memory is taken. */
#ifndef HILUM_NPY_H
#define HILUM_NPY_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads versions 1 to 3, in C or Fortran order, either byte order; a plain tensor. f4, f8, i4, i2
 * and u1 keep their type, truth values become u8, i8 becomes i32 if all numbers fit. HL_EIO: the
 * file cannot be read; HL_EFORMAT: it is no such file, or holds what a tensor cannot. */
HL_MUST_CHECK hl_status hl_npy_read(hl_tensor **out, const char *path, hl_err *e);

/* Writes version 1 in C order, little-endian, axes in logical order (images n, c, z, y, x); bf16
 * becomes f4. The file is replaced as a whole (disk.h). */
HL_MUST_CHECK hl_status hl_npy_write(const char *path, hl_tensor *t, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
