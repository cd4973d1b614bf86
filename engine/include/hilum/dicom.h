/* The part of a DICOM file's header that a CT slice needs, and CT slices written. */
#ifndef HILUM_DICOM_H
#define HILUM_DICOM_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HL_UID_TEXT 65 /* at most 64 characters (DICOM PS3.5 §9.1) and the final zero */

enum { /* hl_dicom_header.has: which of the numbers below were in the file */
       HL_DICOM_POSITION = 1,
       HL_DICOM_ORIENTATION = 2,
       HL_DICOM_SPACING = 4,
       HL_DICOM_SIZE = 8,
       HL_DICOM_RESCALE = 16,
       HL_DICOM_PIXELS = 32, /* there are pixels, and the file is long enough for them */
       HL_DICOM_PADDING = 64
};

/* Texts are empty where the file has none. DICOM's own order of axes is kept here: (x, y, z). */
typedef struct hl_dicom_header {
  char transfer_syntax[HL_UID_TEXT];
  char sop_class[HL_UID_TEXT];
  char sop_uid[HL_UID_TEXT];
  char series_uid[HL_UID_TEXT];
  char study_uid[HL_UID_TEXT];
  char frame_uid[HL_UID_TEXT]; /* FrameOfReferenceUID */
  char patient_id[HL_UID_TEXT], patient_name[HL_UID_TEXT];
  char patient_birth[17], patient_sex[17];
  char study_date[17], study_time[17], study_id[17], accession[17];
  char modality[17];
  unsigned has;
  int instance; /* InstanceNumber, 0 where absent */
  int rows, columns, samples, frames, bits_allocated, bits_stored, is_signed;
  double position_mm[3];   /* ImagePositionPatient: centre of the first pixel */
  double orientation[6];   /* ImageOrientationPatient: direction along a row, along a column */
  double spacing_mm[2];    /* PixelSpacing: between rows (y), between columns (x) */
  double thickness_mm;     /* SliceThickness, 0 where absent */
  double slope, intercept; /* RescaleSlope, RescaleIntercept; 1 and 0 where absent */
  int padding;             /* PixelPaddingValue, as stored; only written, never read */
} hl_dicom_header;

/* Whether the file begins as DICOM files do ("DICM" after a preamble of 128 bytes).
 * HL_EIO if it cannot be read. */
HL_MUST_CHECK hl_status hl_dicom_recognise(const char *path, bool *out, hl_err *e);

/* Reads the header and looks whether the pixels are all there, by a small reader of hilum's own
 * that never reads beyond the file and allocates nothing; a deflated file is inflated by GDCM in a
 * reader process. HL_EFORMAT names the file, the element and the byte where the content is not what
 * it must be. */
HL_MUST_CHECK hl_status hl_dicom_header_read(const char *path, hl_dicom_header *out, hl_err *e);

/* One CT slice (or, where `h` names another sop_class and modality, another image) as a file:
 * explicit VR little endian, RescaleSlope 1 and RescaleIntercept -1024. Of `h` the UIDs (frame_uid
 * may be empty: one is made from the study's), patient, instance, size, position, orientation,
 * spacing and thickness are used, bits_stored (0: 16), is_signed, and padding if `has` says so.
 * `hu` holds rows × columns Hounsfield units; where pixels are unsigned, those below -1024 become
 * -1024.
 */
HL_MUST_CHECK hl_status hl_dicom_write_ct(const char *path, const hl_dicom_header *h,
                                          const int16_t *hu, const char *description, hl_err *e);

/* "3.0.21": the version of the library that decodes DICOM (GDCM). */
const char *hl_dicom_library(void);

#ifdef __cplusplus
}
#endif
#endif
