/* Between the C files of this room and the one C++ file that knows GDCM, and between the two
 * readers of headers. */
#ifndef HILUM_IO_DICOM_H
#define HILUM_IO_DICOM_H

#include <hilum/dicom.h>

#ifdef __cplusplus
extern "C" {
#endif

/* dicom_tags.c: takes the value of one top-level element, little endian, if it is one of those that
 * a header keeps. */
void dicom_header_put(hl_dicom_header *h, uint16_t tag_group, uint16_t element, const void *value,
                      size_t n);
/* What a header is before anything was put. */
void dicom_header_begin(hl_dicom_header *h);

/* dicom_gdcm.cpp. Only for reader processes: GDCM may abort or hang on a damaged file. */
HL_MUST_CHECK hl_status dicom_gdcm_header(const char *path, hl_dicom_header *out, hl_err *e);
/* Decodes h->rows x h->columns pixels of any transfer syntax to Hounsfield units, rounded,
 * saturated. */
HL_MUST_CHECK hl_status dicom_gdcm_pixels(const char *path, const hl_dicom_header *h, int16_t *hu,
                                          hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
