/* A chest that never was: synthetic CT scans with nodules and four readers, written as LIDC
 * folders.
 *
 * Body, chest wall, two lungs, tapering vessels, bronchi, correlated noise, partial volume; nodules
 * solid, part-solid and ground glass, smooth, lobulated and spiculated, free, on the wall and on
 * vessels. Everything follows from the seed and the case's number. */
#ifndef HILUM_PHANTOM_H
#define HILUM_PHANTOM_H

#include <hilum/marks.h>
#include <hilum/parallel.h>
#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Another number whenever the same options make another phantom. */
enum { HL_PHANTOM_VERSION = 2 };

typedef struct hl_phantom_options {
  int cases;   /* patients, each with one scan; 1 … 1000 */
  int nodules; /* at most so many in each scan, 1 … 4 */
  uint64_t seed;
} hl_phantom_options;
/* The phantom of the examples. */
hl_phantom_options hl_phantom_options_default(void);

typedef enum hl_phantom_place { HL_FREE, HL_ON_WALL, HL_ON_VESSEL } hl_phantom_place;
typedef struct hl_phantom_nodule {
  double centre_mm[3];
  double diameter_mm; /* twice its mean radius */
  hl_phantom_place place;
  bool subsolid;
} hl_phantom_nodule;

enum { HL_PHANTOM_NODULES = 4 };

typedef struct hl_phantom_scan {
  hl_tensor *voxels; /* plain i16 [z,y,x], Hounsfield units */
  double spacing_mm[3], origin_mm[3];
  hl_marks *marks; /* four sessions; their UIDs are those of hl_phantom_uid */
  hl_phantom_nodule nodule[HL_PHANTOM_NODULES];
  int nodules;
} hl_phantom_scan;

/* Case number `item` (0-based) in memory. */
HL_MUST_CHECK hl_status hl_phantom_scan_new(hl_phantom_scan *out, const hl_phantom_options *options,
                                            int item, hl_err *e);
void hl_phantom_scan_clear(hl_phantom_scan *s);

typedef enum hl_phantom_object {
  HL_PHANTOM_STUDY,
  HL_PHANTOM_SERIES,
  HL_PHANTOM_SLICE
} hl_phantom_object;
#define HL_PHANTOM_UID_TEXT 65
/* "2.25." and a number made from options, case, kind and index (of a slice), as DICOM PS3.5 §B.2
 * makes UIDs from UUIDs. */
HL_MUST_CHECK hl_status hl_phantom_uid(char out[HL_PHANTOM_UID_TEXT],
                                       const hl_phantom_options *options, int item,
                                       hl_phantom_object kind, int64_t index, hl_err *e);

/* Writes folder/PATIENT/STUDY/SERIES/ with the slices of a case and one XML. A complete phantom of
 * the same options and version that is already there is left as it is; one of others is replaced;
 * any other folder that is not empty is refused (HL_EIO). All is written into a temporary
 * sibling first and then renamed, so a folder is whole or not there. HL_ECANCELLED when the user
 * asked to stop; nothing is left then. */
HL_MUST_CHECK hl_status hl_phantom_write(const char *folder, const hl_phantom_options *options,
                                         hl_progress progress, void *ctx, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
