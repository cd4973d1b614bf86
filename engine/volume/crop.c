/* A nodule's surroundings, or the whole scan, on a grid of their own. */
#include "internal.h"

#include <math.h>
#include <string.h>

/* A piece with so many empty voxels around that what a voxel of `to` takes is empty outside the
 * mask; at the scan's end the mask ends with the scan. */
static patch patch_of(const hl_nodules *ns, const piece *p, const hl_grid *to) {
  int64_t first[3], end[3];
  for (int a = 0; a < 3; a++) {
    int64_t around = 1 + (int64_t)ceil(0.5 * to->spacing_mm[a] / ns->grid.spacing_mm[a]);
    first[a] = p->first[a] - around;
    end[a] = p->first[a] + p->size[a] + around;
  }
  return patch_within(&ns->grid, first, end);
}

static hl_status patch_mask(hl_tensor **out, const patch *at, const piece *p, hl_err *e) {
  hl_desc d = {.dtype = HL_U8, .layout = HL_PLAIN, .shape = hl_shape_make(3, at->grid.size)};
  HL_TRY(hl_tensor_new(out, &d, hl_ledger_main(), HL_MEM_DATA, "reader's mask", e));
  uint8_t *to = hl_tensor_u8(*out);
  for (int64_t z = 0; z < at->grid.size[0]; z++)
    for (int64_t y = 0; y < at->grid.size[1]; y++)
      for (int64_t x = 0; x < at->grid.size[2]; x++)
        *to++ = (uint8_t)piece_at(p, z + at->first[0], y + at->first[1], x + at->first[2]);
  return HL_OK;
}

/* Adds 1 to sum[] where the piece, resampled, is at least one half. */
static hl_status add_piece(const hl_nodules *ns, const piece *p, const hl_grid *to,
                           hl_resampling kind, uint8_t *sum, hl_err *e) {
  patch at = patch_of(ns, p, to);
  hl_tensor *mask = NULL, *soft = NULL;
  HL_TRY(patch_mask(&mask, &at, p, e));
  hl_resample_options how = {.kind = kind, .type = HL_F32};
  hl_status status = hl_volume_resample(&soft, mask, &at.grid, to, &how, e);
  hl_tensor_unref(mask);
  HL_TRY(status);
  const float *v = hl_tensor_f32(soft);
  int64_t n = hl_tensor_numel(soft);
  for (int64_t i = 0; i < n; i++) sum[i] = (uint8_t)(sum[i] + (v[i] >= 0.5F));
  hl_tensor_unref(soft);
  return HL_OK;
}

static hl_status new_mask(hl_tensor **out, const hl_grid *g, const char *label, hl_err *e) {
  hl_desc d = image_desc(HL_U8, g);
  return hl_tensor_zeros(out, &d, HL_MEM_DATA, label, e);
}

static hl_status crop_image(hl_crop *out, const hl_nodules *ns, const hl_tensor *voxels,
                            const hl_grid *to, const hl_crop_options *options, hl_err *e) {
  return hl_volume_image(&out->image, &out->valid, voxels, &ns->grid, to, options->image,
                         options->window_hu, e);
}

static hl_status crop_readers(hl_crop *out, const hl_nodules *ns, int64_t i, const hl_grid *to,
                              hl_resampling kind, hl_err *e) {
  const group *g = &ns->groups[i];
  for (out->readers = 0; out->readers < g->n; out->readers++) {
    hl_tensor **mask = &out->reader[out->readers];
    HL_TRY(new_mask(mask, to, "reader's crop", e));
    HL_TRY(add_piece(ns, &ns->pieces[g->members[out->readers]], to, kind, hl_tensor_u8(*mask), e));
  }
  return HL_OK;
}

/* The denominator of a share of votes. */
static double voters(const hl_nodules *ns, int readers) {
  return ns->rule.of == HL_OF_SESSIONS ? ns->sessions : readers;
}

static hl_status new_truth(hl_tensor **out, const hl_nodules *ns, const hl_grid *to, hl_err *e) {
  hl_desc d = image_desc(ns->rule.soft ? HL_F32 : HL_U8, to);
  return hl_tensor_zeros(out, &d, HL_MEM_DATA, "truth", e);
}

/* What `votes` of a finding's readers make of a voxel; where findings overlap, the larger counts.
 */
static void vote(hl_tensor *truth, int64_t voxel, const hl_nodules *ns, int votes, int readers) {
  float *soft = hl_tensor_f32(truth);
  if (soft)
    soft[voxel] = fmaxf(soft[voxel], (float)(votes / voters(ns, readers)));
  else if (votes >= votes_needed(ns, readers))
    hl_tensor_u8(truth)[voxel] = 1;
}

static hl_status crop_truth(hl_crop *out, const hl_nodules *ns, const hl_grid *to, hl_err *e) {
  HL_TRY(new_truth(&out->truth, ns, to, e));
  int64_t n = hl_tensor_numel(out->truth);
  for (int64_t v = 0; v < n; v++) {
    int votes = 0;
    for (int r = 0; r < out->readers; r++) votes += hl_tensor_u8(out->reader[r])[v];
    vote(out->truth, v, ns, votes, out->readers);
  }
  return HL_OK;
}

/* Edges, in mm, of voxels first … first + size - 1 along one axis. */
static void edges_mm(const hl_grid *g, int a, int64_t first, int64_t size, double edge[2]) {
  for (int side = 0; side < 2; side++) {
    double index[3] = {0, 0, 0}, at_mm[3];
    index[a] = side ? (double)(first + size) - 0.5 : (double)first - 0.5;
    hl_grid_position(g, index, at_mm);
    edge[side] = at_mm[a];
  }
}

typedef enum relation { APART, MEETS, WITHIN } relation;

/* How a box of voxels of the scan lies to the crop. */
static relation relate(const hl_nodules *ns, const int64_t first[3], const int64_t size[3],
                       const hl_grid *to) {
  const double slack_mm = 1e-6;
  relation worst = WITHIN;
  for (int a = 0; a < 3; a++) {
    double box[2], crop[2];
    edges_mm(&ns->grid, a, first[a], size[a], box);
    edges_mm(to, a, 0, to->size[a], crop);
    if (box[1] < crop[0] || box[0] > crop[1]) return APART;
    if (box[0] < crop[0] - slack_mm || box[1] > crop[1] + slack_mm) worst = MEETS;
  }
  return worst;
}

/* Other findings are neither nodule nor background of this crop. */
static hl_status ignore_others(hl_crop *out, const hl_nodules *ns, int64_t i, const hl_grid *to,
                               hl_resampling kind, hl_err *e) {
  hl_tensor *others = NULL;
  HL_TRY(new_mask(&others, to, "other findings", e));
  uint8_t *sum = hl_tensor_u8(others), *valid = hl_tensor_u8(out->valid);
  int64_t n = hl_tensor_numel(others);
  hl_status status = HL_OK;
  for (int64_t g = 0; g < ns->n_groups && status == HL_OK; g++) {
    const group *other = &ns->groups[g];
    if (g == i || relate(ns, other->first, other->size, to) == APART) continue;
    for (int r = 0; r < other->n && status == HL_OK; r++) {
      status = add_piece(ns, &ns->pieces[other->members[r]], to, kind, sum, e);
      for (int64_t v = 0; v < n; v++) sum[v] = sum[v] != 0;
    }
  }
  for (int64_t v = 0; v < n && status == HL_OK; v++) {
    bool own = false;
    for (int r = 0; r < out->readers; r++) own = own || hl_tensor_u8(out->reader[r])[v];
    if (sum[v] && !own) valid[v] = 0;
  }
  hl_tensor_unref(others);
  return status;
}

static hl_status crop(hl_crop *out, const hl_nodules *ns, int64_t i, const hl_tensor *voxels,
                      const hl_crop_options *options, hl_err *e) {
  hl_grid to = hl_grid_around(ns->nodules[i].centre_mm, options->size, options->spacing_mm);
  HL_TRY(hl_grid_check(&to, e));
  HL_TRY(crop_image(out, ns, voxels, &to, options, e));
  HL_TRY(crop_readers(out, ns, i, &to, options->masks, e));
  HL_TRY(crop_truth(out, ns, &to, e));
  out->cut = relate(ns, ns->groups[i].first, ns->groups[i].size, &to) != WITHIN;
  return ignore_others(out, ns, i, &to, options->masks, e);
}

hl_status hl_nodule_crop(hl_crop *out, const hl_nodules *ns, int64_t i, const hl_tensor *voxels,
                         const hl_crop_options *options, hl_err *e) {
  *out = (hl_crop){0};
  if (i < 0 || i >= ns->n) return hl_fail(e, HL_EINVAL, "no nodule %lld", (long long)i);
  hl_status status = crop(out, ns, i, voxels, options, e);
  if (status != HL_OK) hl_crop_clear(out);
  return status;
}

/* ---- the whole scan ---- */

/* A box of voxels of a grid as a grid of its own. */
typedef struct part {
  hl_grid grid;
  int64_t first[3];
} part;

static hl_grid grid_over(const hl_grid *scan, const int64_t size[3]) {
  hl_grid to = {0};
  for (int a = 0; a < 3; a++) {
    double edge[2];
    edges_mm(scan, a, 0, scan->size[a], edge);
    to.size[a] = size[a];
    to.spacing_mm[a] = (edge[1] - edge[0]) / (double)size[a];
    to.origin_mm[a] = edge[0] + to.spacing_mm[a] / 2;
  }
  return to;
}

/* The voxels of `whole` around a finding, so that the cost is the finding's and not the scan's. */
static part part_around(const hl_nodules *ns, const group *g, const hl_grid *whole) {
  part out = {.grid = *whole};
  for (int a = 0; a < 3; a++) {
    double edge[2], spacing = whole->spacing_mm[a], start = whole->origin_mm[a];
    edges_mm(&ns->grid, a, g->first[a] - 1, g->size[a] + 2, edge);
    double lo = floor((edge[0] - start) / spacing), hi = ceil((edge[1] - start) / spacing);
    int64_t last = whole->size[a] - 1;
    out.first[a] = lo < 0 ? 0 : lo > (double)last ? last : (int64_t)lo;
    if (hi < (double)last) last = hi < (double)out.first[a] ? out.first[a] : (int64_t)hi;
    out.grid.size[a] = last - out.first[a] + 1;
    out.grid.origin_mm[a] = start + (double)out.first[a] * spacing;
  }
  return out;
}

/* How many readers' masks of a finding hold each voxel of the part: new image-layout u8. */
static hl_status votes_of(hl_tensor **out, const hl_nodules *ns, const group *g, const part *at,
                          hl_resampling kind, hl_err *e) {
  HL_TRY(new_mask(out, &at->grid, "votes", e));
  hl_status status = HL_OK;
  for (int r = 0; r < g->n && status == HL_OK; r++)
    status = add_piece(ns, &ns->pieces[g->members[r]], &at->grid, kind, hl_tensor_u8(*out), e);
  if (status == HL_OK) return HL_OK;
  hl_tensor_unref(*out);
  *out = NULL;
  return status;
}

static bool is_truth(const hl_tensor *truth, int64_t voxel) {
  const float *soft = hl_tensor_f32(truth);
  return soft ? soft[voxel] > 0 : hl_tensor_u8(truth)[voxel] != 0;
}

/* Lays finding i on the whole grid: a nodule into the truth; any other finding is not valid where
 * it is not truth. */
static hl_status lay_finding(hl_crop *out, const hl_nodules *ns, int64_t i, const hl_grid *whole,
                             hl_resampling kind, hl_err *e) {
  const group *g = &ns->groups[i];
  part at = part_around(ns, g, whole);
  hl_tensor *votes = NULL;
  HL_TRY(votes_of(&votes, ns, g, &at, kind, e));
  const uint8_t *from = hl_tensor_u8(votes);
  for (int64_t z = 0; z < at.grid.size[0]; z++)
    for (int64_t y = 0; y < at.grid.size[1]; y++) {
      int64_t row = (z + at.first[0]) * whole->size[1] + y + at.first[1];
      for (int64_t x = 0; x < at.grid.size[2]; x++, from++) {
        int64_t v = row * whole->size[2] + x + at.first[2];
        if (i < ns->n)
          vote(out->truth, v, ns, *from, g->n);
        else if (*from && !is_truth(out->truth, v))
          hl_tensor_u8(out->valid)[v] = 0;
      }
    }
  hl_tensor_unref(votes);
  return HL_OK;
}

/* The nodules first, then what was left out. */
static hl_status lay_findings(hl_crop *out, const hl_nodules *ns, const hl_grid *whole,
                              hl_resampling kind, hl_err *e) {
  HL_TRY(new_truth(&out->truth, ns, whole, e));
  for (int64_t i = 0; i < ns->n_groups; i++) HL_TRY(lay_finding(out, ns, i, whole, kind, e));
  return HL_OK;
}

static hl_status whole(hl_crop *out, const hl_nodules *ns, const hl_tensor *voxels,
                       const hl_crop_options *options, hl_err *e) {
  for (int a = 0; a < 3; a++)
    if (options->size[a] < 1)
      return hl_fail(e, HL_EINVAL, "a grid of %lld voxels", (long long)options->size[a]);
  hl_grid to = grid_over(&ns->grid, options->size);
  HL_TRY(hl_grid_check(&to, e));
  HL_TRY(crop_image(out, ns, voxels, &to, options, e));
  return lay_findings(out, ns, &to, options->masks, e);
}

hl_status hl_nodules_whole(hl_crop *out, const hl_nodules *ns, const hl_tensor *voxels,
                           const hl_crop_options *options, hl_err *e) {
  *out = (hl_crop){0};
  hl_status status = whole(out, ns, voxels, options, e);
  if (status != HL_OK) hl_crop_clear(out);
  return status;
}

void hl_crop_clear(hl_crop *c) {
  hl_tensor_unref(c->image);
  hl_tensor_unref(c->truth);
  hl_tensor_unref(c->valid);
  for (int r = 0; r < HL_MAX_READERS; r++) hl_tensor_unref(c->reader[r]);
  *c = (hl_crop){0};
}
