/* What the files of nodules, crops and images share. */
#ifndef HILUM_VOLUME_INTERNAL_H
#define HILUM_VOLUME_INTERNAL_H

#include <hilum/nodule.h>

/* Voxels first … first + size - 1 of a scan, and one mask on them. */
typedef struct piece {
  int64_t mark; /* index in the hl_marks */
  int session;
  int64_t first[3], size[3];
  uint8_t *mask;
  int64_t voxels;
  double diameter_mm;
  int32_t (*points)[3]; /* slice, row, column of all outline points; of HL_GROUP_PYLIDC alone */
  int64_t n_points;
} piece;

/* Marks of different sessions that mean the same nodule. */
typedef struct group {
  int64_t *members; /* pieces, by session; n of them */
  int64_t *marks;   /* their marks */
  int n;
  int64_t first[3], size[3]; /* the members' boxes together */
} group;

struct hl_nodules {
  hl_grid grid; /* with its own copy of z_mm */
  hl_nodule_rule rule;
  int sessions;
  piece *pieces;
  int64_t n_pieces;
  group *groups; /* the nodules first, in the order of `nodules`, then what was left out */
  int64_t n_groups;
  hl_nodule *nodules;
  int64_t n, few_readers, small, disputed;
};

static inline int64_t box_voxels(const int64_t size[3]) {
  return size[0] * size[1] * size[2];
}

/* mask[] of a piece at a voxel of the scan; 0 outside its box. */
static inline int piece_at(const piece *p, int64_t z, int64_t y, int64_t x) {
  z -= p->first[0];
  y -= p->first[1];
  x -= p->first[2];
  if (z < 0 || y < 0 || x < 0 || z >= p->size[0] || y >= p->size[1] || x >= p->size[2]) return 0;
  return p->mask[(z * p->size[1] + y) * p->size[2] + x];
}

/* Votes that make a voxel nodule, of a group of so many readers. */
static inline double votes_needed(const hl_nodules *ns, int readers) {
  if (ns->rule.votes > 0) return ns->rule.votes;
  return ns->rule.level * (ns->rule.of == HL_OF_SESSIONS ? ns->sessions : readers);
}

/* image.c: a box of the scan's voxels. */
typedef struct patch {
  hl_grid grid;
  int64_t first[3];
} patch;
/* Voxels first … end - 1, as far as the scan goes. */
patch patch_within(const hl_grid *scan, const int64_t first[3], const int64_t end[3]);
/* Image layout {1,1,z,y,x}. */
hl_desc image_desc(hl_dtype type, const hl_grid *g);

/* draw.c: the outlined mark `index` of m, drawn. out->mask is NULL if nothing of it is in the scan.
 */
HL_MUST_CHECK hl_status piece_draw(piece *out, const hl_marks *m, int64_t index,
                                   const hl_grid *grid, const hl_slices *slices,
                                   const hl_nodule_rule *rule, hl_problems *problems, hl_err *e);

/* draw.c: the slice that a roi lies on, by SOP UID, then by z; -1: none. */
int64_t roi_place(const hl_roi *roi, const hl_slices *s, double step_mm);

/* group.c: fills groups and n_groups of ns from its pieces. */
HL_MUST_CHECK hl_status pieces_group(hl_nodules *ns, hl_err *e);
/* The groups of pieces with one root; root[i] ≤ i. */
HL_MUST_CHECK hl_status groups_collect(hl_nodules *ns, const int64_t *root, hl_err *e);
/* group_pylidc.c: the same by pylidc's rule. */
HL_MUST_CHECK hl_status pieces_group_pylidc(hl_nodules *ns, hl_err *e);

#endif
