/* Nodules as a DICOM Segmentation object (PS3.3 §A.51). */
#ifndef HILUM_SEG_H
#define HILUM_SEG_H

#include <hilum/series.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_seg_options {
  bool readers;      /* a segment for each reader of each nodule, instead of the consensus */
  double level;      /* of the consensus: see hl_drawing */
  hl_denominator of; /* of the level */
} hl_seg_options;

typedef struct hl_seg_result {
  int64_t segments, frames;
  int64_t without_consensus; /* nodules left out because no voxel has the votes */
} hl_seg_result;

/* Writes the nodules of a series: binary, one segment a nodule (or reader of a nodule), one frame
 * for each slice on which it has a voxel, bits packed, on the series' own grid. Frames name their
 * source slice by SOP UID and have its position; study, patient and frame of reference are the
 * series'. Segments of one nodule share their TrackingUID. The file is replaced as a whole
 * (disk.h).
 *
 * UIDs follow from what is written, ContentDate from the reading (hl_marks_date; else the study's
 * date), so the same input gives the same bytes. HL_EFORMAT if there is no nodule to write, or the
 * series has no frame of reference. */
HL_MUST_CHECK hl_status hl_seg_write(const char *path, const hl_series *s, const hl_nodules *ns,
                                     const hl_marks *m, const hl_seg_options *options,
                                     hl_seg_result *result, hl_err *e);

/* A number of a volume of labels: its box, and a sentence about it (ASCII). */
typedef struct hl_seg_part {
  int64_t first[3], size[3];
  const char *text;
} hl_seg_part;

/* Writes what a program predicted: `labels` is plain dense i32 [z,y,x] on the series' grid, with
 * the number i + 1 where part i lies. Segments are AUTOMATIC, `algorithm` names what made them (up
 * to 64 ASCII characters without a backslash). Else as above; ContentDate is the study's.
 * HL_EFORMAT if there is no part. */
HL_MUST_CHECK hl_status hl_seg_write_parts(const char *path, const hl_series *s,
                                           const hl_tensor *labels, const hl_seg_part *parts,
                                           int64_t n, const char *algorithm, hl_seg_result *result,
                                           hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
