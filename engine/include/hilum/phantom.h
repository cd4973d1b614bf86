/* A chest that never was: synthetic CT scans with nodules and four readers, written as LIDC
 * folders.
 *
 * Body, chest wall, two lungs, tapering vessels, bronchi, correlated noise, partial volume; nodules
 * solid, part-solid and ground glass, smooth, lobulated and spiculated, free, on the wall and on
 * vessels. Everything follows from the seed and the case's number. */
#ifndef HILUM_PHANTOM_H
#define HILUM_PHANTOM_H

#include <hilum/index.h>
#include <hilum/marks.h>
#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_phantom_options {
  int cases; /* patients, each with one scan; 1 … 1000 */
  uint64_t seed;
  int nodules; /* for each case, 1 … 4 */
} hl_phantom_options;
/* The phantom of the examples. */
hl_phantom_options hl_phantom_options_default(void);

typedef enum hl_phantom_place { HL_FREE, HL_ON_WALL, HL_ON_VESSEL } hl_phantom_place;
typedef struct hl_phantom_nodule {
  double centre_mm[3];
  double diameter_mm; /* of the ball with its volume */
  hl_phantom_place place;
  bool subsolid;
} hl_phantom_nodule;

typedef struct hl_phantom_scan {
  hl_tensor *voxels; /* plain i16 [z,y,x], Hounsfield units */
  double spacing_mm[3], origin_mm[3];
  hl_marks *marks; /* four sessions; UIDs are those the files get */
  hl_phantom_nodule nodule[4];
  int nodules;
} hl_phantom_scan;

/* Case number `item` (0-based) in memory. */
HL_MUST_CHECK hl_status hl_phantom_scan_new(hl_phantom_scan *out, const hl_phantom_options *options,
                                            int item, hl_err *e);
void hl_phantom_scan_clear(hl_phantom_scan *s);

/* Writes folder/PATIENT/STUDY/SERIES/*.dcm with one XML each. A complete phantom of the same
 * options and version that is already there is left as it is; one of others is replaced; any other
 * non-empty folder is refused (HL_EINVAL). All is written into a temporary sibling first and then
 * renamed, so a folder is whole or not there. HL_ECANCELLED when the user asked to stop; nothing is
 * left then. */
HL_MUST_CHECK hl_status hl_phantom_write(const char *folder, const hl_phantom_options *options,
                                         hl_progress progress, void *ctx, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
