/* A chest that never was: synthetic CT scans with nodules and four readers, written as LIDC
 * folders.
 *
 * Two lungs with lobes, fissures, arteries, bronchi and veins; heart and great vessels, ribs,
 * spine, shoulders, muscles, fat and skin, couch; nodules solid, part-solid, ground glass and
 * calcified, smooth, lobulated and spiculated, free, on the pleura and on vessels; slices of
 * several thicknesses, reconstructed with soft and sharp kernels. Everything follows from the
 * options and the case's number, and from nothing else. */
#ifndef HILUM_PHANTOM_H
#define HILUM_PHANTOM_H

#include <hilum/marks.h>
#include <hilum/parallel.h>
#include <hilum/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Another number whenever the same options make another phantom. */
enum { HL_PHANTOM_VERSION = 3 };

typedef enum hl_phantom_size {
  HL_PHANTOM_SMALL, /* children's chests, 82 mm of each on 176 or 192 pixels: some 3 MB a case */
  HL_PHANTOM_FULL,  /* adults from shoulders to kidneys on 512 pixels: 60 to 130 MB a case */
  HL_PHANTOM_SIZES
} hl_phantom_size;

/* What may be odd or wrong with a phantom, for tests of whatever reads it; docs/phantom.md says
 * what each is and what becomes of it. */
typedef enum hl_phantom_variant {
  HL_PHANTOM_PLAIN,
  HL_PHANTOM_TILTED,
  HL_PHANTOM_MISSING_SLICE,
  HL_PHANTOM_DOUBLED_SLICE,
  HL_PHANTOM_REPEATED_FILE,
  HL_PHANTOM_UNEVEN,
  HL_PHANTOM_OVERLAPPING,
  HL_PHANTOM_TRUNCATED,
  HL_PHANTOM_UNSIGNED,
  HL_PHANTOM_BITS12,
  HL_PHANTOM_PADDING,
  HL_PHANTOM_RADIOGRAPH,
  HL_PHANTOM_SEGMENTATION,
  HL_PHANTOM_NO_READING,
  HL_PHANTOM_NO_SERIES,
  HL_PHANTOM_DAMAGED_XML,
  HL_PHANTOM_SAME_READING,
  HL_PHANTOM_OTHER_READING,
  HL_PHANTOM_SESSIONS_3,
  HL_PHANTOM_SESSIONS_8,
  HL_PHANTOM_RATINGS,
  HL_PHANTOM_EMPTY_CHARACTERISTICS,
  HL_PHANTOM_Z_BLANKS,
  HL_PHANTOM_OPEN_OUTLINES,
  HL_PHANTOM_GAPS,
  HL_PHANTOM_VARIANTS
} hl_phantom_variant;

typedef struct hl_phantom_options {
  int cases;   /* patients, each with one scan; 1 … 1000 */
  int nodules; /* at most so many in each scan, 1 … 4 */
  uint64_t seed;
  hl_phantom_size size;
  hl_phantom_variant variant; /* of what is written; the scan in memory is always plain */
} hl_phantom_options;
/* "small", "full"; "" for another number. */
const char *hl_phantom_size_name(hl_phantom_size size);
/* "plain", "tilted", "missing-slice", …; "" for another number. */
const char *hl_phantom_variant_name(hl_phantom_variant variant);
/* The phantom of the examples. */
hl_phantom_options hl_phantom_options_default(void);
/* HL_EINVAL where one is off its range. */
HL_MUST_CHECK hl_status hl_phantom_options_check(const hl_phantom_options *o, hl_err *e);

typedef enum hl_phantom_place { HL_FREE, HL_ON_WALL, HL_ON_VESSEL } hl_phantom_place;
typedef struct hl_phantom_nodule {
  double centre_mm[3];
  double diameter_mm; /* twice its mean radius */
  hl_phantom_place place;
  bool subsolid, calcified;
} hl_phantom_nodule;

enum { HL_PHANTOM_NODULES = 4 };

typedef struct hl_phantom_scan {
  hl_tensor *voxels; /* plain i16 [z,y,x], Hounsfield units */
  double spacing_mm[3], origin_mm[3];
  double thickness_mm; /* of a slice: its spacing, or a quarter more */
  int padding_hu;      /* of voxels beyond the scanner's circle; 0 where there is none */
  hl_marks *marks;     /* four sessions; their UIDs are those of hl_phantom_uid */
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
