/* PNG files to and from u8 tensors. Rows run along y from the top, columns along x. */
#ifndef HILUM_PNG_H
#define HILUM_PNG_H

#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Width and height of an image that is still read, in pixels. */
#define HL_PNG_MOST 32768

/* A u8 tensor: [y,x] for grey images, [y,x,c] with c = 2 (grey, alpha), 3 (R,G,B) or 4
 * (R,G,B,alpha) for others. Palettes are resolved; fewer than 8 bits become 8 by repeating them, 16
 * by rounding. Files are not trusted: HL_EIO or HL_EFORMAT for what is no PNG, damaged, incomplete
 * or too large. */
HL_MUST_CHECK hl_status hl_png_read(hl_tensor **out, const char *path, hl_err *e);

/* The same as [y,x] whatever the file holds: colour by 0.2126 R + 0.7152 G + 0.0722 B, alpha
 * ignored. */
HL_MUST_CHECK hl_status hl_png_read_grey(hl_tensor **out, const char *path, hl_err *e);

/* Writes a u8 tensor [y,x] or [y,x,c] with c as above (or 1), replacing the file as a whole
 * (disk.h). The same pixels give the same bytes. */
HL_MUST_CHECK hl_status hl_png_write(const char *path, hl_tensor *t, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
