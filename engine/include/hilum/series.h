/* A CT series: Hounsfield units and where they lie. */
#ifndef HILUM_SERIES_H
#define HILUM_SERIES_H

#include <hilum/dicom.h>
#include <hilum/hash.h>
#include <hilum/nodule.h>
#include <hilum/problems.h>
#include <hilum/reader.h>
#include <hilum/volume.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_series hl_series;

typedef struct hl_series_options {
  hl_reader_limits limits; /* of the reader processes */
  bool header_only;        /* geometry and UIDs, no voxels */
} hl_series_options;

/* Reads one axial CT series. Slices are ordered along the slice normal, ascending; z_mm is the
 * position along it, so that with the usual orientation it is ImagePositionPatient's z. Voxels are
 * stored · RescaleSlope + RescaleIntercept of their own slice, rounded, saturated to 16 bits.
 *
 * Refused with HL_EFORMAT: files of several series, another modality than CT, colour or multi-frame
 * pixels, slices of different size, spacing or orientation, an oblique or tilted series (an axis
 * more than 0.5° off the patient's), slices shifted sideways, fewer than two slices, a missing
 * slice (a step of 1.5 median steps or more). Lived with, and reported in `problems` (may be NULL):
 * uneven steps (the true positions are used); two slices at one position (less than 0.01 mm apart):
 * the one with the lower InstanceNumber, then SOP UID, is kept, and outlines drawn on the other are
 * taken to it by its UID; the same file twice; no RescaleSlope (1 is taken). A file that cannot be
 * decoded costs the series: the first is the error, all are in `problems`. */
HL_MUST_CHECK hl_status hl_series_read(hl_series **out, const char *const *files, int64_t n,
                                       const hl_series_options *options, hl_problems *problems,
                                       hl_err *e);
void hl_series_free(hl_series *s);

/* Lends: plain i16 [z,y,x]; NULL if read with header_only. */
hl_tensor *hl_series_voxels(const hl_series *s);
const hl_grid *hl_series_grid(const hl_series *s);
const hl_slices *hl_series_slices(const hl_series *s);
/* The unit vectors of the image's axes z, y, x in patient space, each as (z, y, x). */
const double *hl_series_direction(const hl_series *s);
/* SliceThickness, the largest of the slices'; the spacing along z where the files have none. */
double hl_series_thickness_mm(const hl_series *s);
const char *hl_series_uid(const hl_series *s);
const char *hl_series_study_uid(const hl_series *s);
const char *hl_series_patient(const hl_series *s);
/* The header of slice k, as its file has it. Lends. */
const hl_dicom_header *hl_series_header(const hl_series *s, int64_t k);
/* The one step between slices, for formats that know no other: from the first position to the last,
 * divided. HL_EFORMAT where a step differs from the median by more than 2 %. */
HL_MUST_CHECK hl_status hl_series_step(const hl_series *s, double *mm, hl_err *e);
/* SHA-256 of UIDs, positions, spacing and voxels. */
HL_MUST_CHECK hl_status hl_series_hash(const hl_series *s, char out[HL_HASH_TEXT], hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
