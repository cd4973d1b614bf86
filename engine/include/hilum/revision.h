/* Which sources turn files into voxels and masks. */
#ifndef HILUM_REVISION_H
#define HILUM_REVISION_H

#ifdef __cplusplus
extern "C" {
#endif

/* SHA-256 of the sources of decoding, outlines, nodules and resampling, as 64 hexadecimal digits:
 * what was prepared under another revision may differ and is not used. */
const char *hl_revision(void);

#ifdef __cplusplus
}
#endif
#endif
