/* From the marks of several readers to nodules with a mask per reader, and crops of them.
 *
 * A mark's rois are laid on slices by SOP instance UID first, by z second. The rule that says which
 * marks of different readers mean the same nodule works in mm and is deterministic:
 *   1. Every outlined mark is drawn (semantics as asked for). Two marks of different sessions are
 *      candidates if their masks share a voxel, or if the smallest distance between voxel centres
 * of the two is at most gap_mm.
 *   2. Candidates are taken in order of overlap (Dice of the masks, largest first; pairs without
 * overlap follow by distance, smallest first; ties by order in the file). Two groups are joined if
 * no session would be in it twice. So neighbouring nodules never grow together, and a mark belongs
 * to one nodule.
 *
 * For comparison with others' numbers there is pylidc 0.2.3's rule: single linkage of marks whose
 * outlines' points come as near as the slice thickness, the distance in voxels, the thickness in
 * mm; while a group has more than 4 marks, that limit is multiplied by 0.9, as long as it is 0.1 or
 * more. A session may be in such a group twice, and then counts as two readers. */
#ifndef HILUM_NODULE_H
#define HILUM_NODULE_H

#include <hilum/marks.h>
#include <hilum/problems.h>
#include <hilum/volume.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How outlines find their slice. A slice may be known by several UIDs (doubled slices). */
typedef struct hl_slice_uid {
  const char *uid;
  int64_t slice;
} hl_slice_uid;
typedef struct hl_slices {
  const hl_slice_uid *uids; /* sorted by uid */
  int64_t n_uids;
  const double *z_mm; /* of slice k: what a roi's z is compared with; ascending or descending */
  int64_t n;
} hl_slices;

typedef enum hl_grouping { HL_GROUP_MM, HL_GROUP_PYLIDC, HL_GROUPINGS } hl_grouping;

const char *hl_grouping_name(hl_grouping g); /* "mm", "pylidc" */
/* HL_GROUPINGS if there is no such name. */
hl_grouping hl_grouping_by_name(const char *name);

typedef enum hl_denominator { HL_OF_SESSIONS, HL_OF_MARKS } hl_denominator;

typedef struct hl_nodule_rule {
  hl_semantics semantics;
  hl_grouping grouping;
  double gap_mm;          /* see above; of HL_GROUP_MM */
  double thickness_mm;    /* of HL_GROUP_PYLIDC; 0: the grid's spacing along z */
  int min_readers;        /* sessions that outlined it */
  double min_diameter_mm; /* see hl_nodule.diameter_mm */
  double level;           /* consensus: votes ≥ level · denominator */
  hl_denominator of;      /* all reading sessions, or those that outlined the nodule */
  int votes;              /* consensus: at least so many readers, whatever level says; 0: level */
  /* The truth of a crop is the share of votes (f32, denominator `of`) instead of the consensus,
   * which still decides what is a nodule, where its centre lies and how large it is. */
  bool soft;
} hl_nodule_rule;
/* interior, grouped in mm, 3 mm, 2 readers, 3 mm, 0.5 of sessions. */
hl_nodule_rule hl_nodule_rule_default(void);

typedef struct hl_nodule {
  int readers;          /* sessions that outlined it */
  const int *sessions;  /* their numbers, ascending */
  const int64_t *marks; /* index of each one's mark in the hl_marks */
  double centre_mm[3];  /* centroid of the consensus mask */
  /* Mean over its readers of the longest in-plane diameter: the largest distance between two points
   * of one outline, less one pixel (the outline is the first voxel outside on both ends). */
  double diameter_mm;
  double volume_mm3;              /* of the consensus mask */
  int64_t first[3], size[3];      /* box that holds all readers' masks, in voxels of the scan */
  double mean_rating[HL_RATINGS]; /* over the readers that rated; NaN if none did */
} hl_nodule;

typedef struct hl_nodules hl_nodules;

/* Groups the marks of one scan. Oddities (a roi on no slice, UID and z that disagree, points
 * outside the image, an outline without inside) go to `problems`; the mark goes on without that
 * roi. Nodules below min_readers or min_diameter_mm, or without a consensus voxel, are left out and
 * counted. */
HL_MUST_CHECK hl_status hl_nodules_find(hl_nodules **out, const hl_marks *m, const hl_grid *grid,
                                        const hl_slices *slices, const hl_nodule_rule *rule,
                                        hl_problems *problems, hl_err *e);
void hl_nodules_free(hl_nodules *ns);
int64_t hl_nodules_count(const hl_nodules *ns);
/* Ordered by z, y, x of the centre. Lends; valid as long as ns. */
const hl_nodule *hl_nodules_at(const hl_nodules *ns, int64_t i);
int64_t hl_nodules_few_readers(const hl_nodules *ns); /* left out by min_readers */
int64_t hl_nodules_small(const hl_nodules *ns);       /* left out by min_diameter_mm */
int64_t hl_nodules_disputed(const hl_nodules *ns);    /* left out without a consensus voxel */

/* Leaves all nodules out but those with keep[i]: they become findings of the scan that are no
 * nodules. keep has one entry for each nodule; what is kept stays in order. */
void hl_nodules_keep(hl_nodules *ns, const bool *keep);

/* All groups of marks, the nodules first and in their order, then what was left out. *marks lends
 * the indices of group i's marks. */
int64_t hl_nodules_groups(const hl_nodules *ns);
int hl_nodules_group(const hl_nodules *ns, int64_t i, const int64_t **marks);

/* With HL_GROUP_PYLIDC: smallest distances between outline points, in voxels, of each two of the
 * outlined marks that lie in the scan, in the order of the file: new plain f64 [n,n], 0 on the
 * diagonal. */
HL_MUST_CHECK hl_status hl_nodules_distances(hl_tensor **out, const hl_nodules *ns, hl_err *e);

/* Mask of reader r (0 … readers-1) of nodule i on its box: new plain u8 [z,y,x]. */
HL_MUST_CHECK hl_status hl_nodule_mask(hl_tensor **out, const hl_nodules *ns, int64_t i, int r,
                                       hl_err *e);

/* Its consensus mask on the same box. */
HL_MUST_CHECK hl_status hl_nodule_consensus(hl_tensor **out, const hl_nodules *ns, int64_t i,
                                            hl_err *e);

/* How many readers of nodule i have each voxel of its box: new plain u8 [z,y,x]. */
HL_MUST_CHECK hl_status hl_nodule_votes(hl_tensor **out, const hl_nodules *ns, int64_t i,
                                        hl_err *e);

/* What is drawn of nodules on the scan's own grid. */
typedef struct hl_drawing {
  int session;       /* its reader's masks; negative: the consensus of all */
  double level;      /* consensus: votes ≥ level · denominator */
  hl_denominator of; /* of the level */
  bool labels;       /* voxels are the nodule's number, from 1 on, instead of 1 */
} hl_drawing;
/* Votes that a consensus of nodule i needs. */
double hl_nodule_needed(const hl_nodules *ns, int64_t i, const hl_drawing *what);
/* Nodule i on its box: new plain u8 [z,y,x] of 0 and 1. All zero where the reader of the session
 * did not outline it. */
HL_MUST_CHECK hl_status hl_nodule_draw(hl_tensor **out, const hl_nodules *ns, int64_t i,
                                       const hl_drawing *what, hl_err *e);
/* All nodules on the scan's grid: new plain u8 [z,y,x], or i16 for more labels than 255. Where
 * nodules overlap, the last counts. */
HL_MUST_CHECK hl_status hl_nodules_draw(hl_tensor **out, const hl_nodules *ns,
                                        const hl_drawing *what, hl_err *e);

typedef struct hl_crop_options {
  int64_t size[3];
  double spacing_mm[3];
  double window_hu[2];
  hl_resampling image; /* 0: linear */
  /* A reader's mask is 1 where its resampling is at least 0.5. 0: linear; HL_RESAMPLE_AREA: half of
   * the voxel's box, better than a look at its middle where voxels are coarser than the scan's. */
  hl_resampling masks;
} hl_crop_options;

enum { HL_MAX_READERS = 16 };

/* All masks are image layout u8 {1,1,z,y,x}; a soft truth is f32. */
typedef struct hl_crop {
  hl_tensor *image; /* f32 {1,1,z,y,x}, 0 … 1; 0 outside the scan */
  hl_tensor *truth; /* consensus of the resampled readers' masks; share of them (f32) if soft */
  /* 0 outside the scan, and where another finding (of any reader, outlined) lies that is not truth
   */
  hl_tensor *valid;
  int readers;
  hl_tensor *reader[HL_MAX_READERS]; /* in the order of hl_nodule.sessions */
  bool cut;                          /* some reader's mask goes beyond the crop */
} hl_crop;

/* Cuts nodule i out of the scan: a grid of `size` voxels whose middle is the nodule's centre. The
 * image is resampled and windowed to 0 … 1; readers' masks are resampled as options->masks says. */
HL_MUST_CHECK hl_status hl_nodule_crop(hl_crop *out, const hl_nodules *ns, int64_t i,
                                       const hl_tensor *voxels, const hl_crop_options *options,
                                       hl_err *e);
void hl_crop_clear(hl_crop *c);

/* The whole scan on a grid of options->size voxels that covers it from edge to edge, whatever its
 * spacing (options->spacing_mm is not read). Image and masks are resampled as for a nodule; truth
 * is the consensus of every nodule, and not valid are the findings that are none: outlined by too
 * few readers, too small, or without a consensus. No masks of readers, and nothing is cut. */
HL_MUST_CHECK hl_status hl_nodules_whole(hl_crop *out, const hl_nodules *ns,
                                         const hl_tensor *voxels, const hl_crop_options *options,
                                         hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
