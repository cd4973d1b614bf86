/* pylidc's grouping of marks, by name: see hilum/nodule.h. */
#include "internal.h"

#include <math.h>

static const int MOST_MARKS = 4;
static const double SHRINK = 0.9, LEAST = 0.1;

static double distance(const piece *p, const piece *q) {
  int64_t least = INT64_MAX;
  for (int64_t i = 0; i < p->n_points; i++)
    for (int64_t k = 0; k < q->n_points; k++) {
      int64_t sum = 0;
      for (int a = 0; a < 3; a++) {
        int64_t d = (int64_t)p->points[i][a] - q->points[k][a];
        sum += d * d;
      }
      if (sum < least) least = sum;
    }
  return sqrt((double)least);
}

static void measure(const hl_nodules *ns, double *d) {
  int64_t n = ns->n_pieces;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = i + 1; k < n; k++)
      d[i * n + k] = d[k * n + i] = distance(&ns->pieces[i], &ns->pieces[k]);
}

hl_status hl_nodules_distances(hl_tensor **out, const hl_nodules *ns, hl_err *e) {
  *out = NULL;
  if (ns->rule.grouping != HL_GROUP_PYLIDC)
    return hl_fail(e, HL_EINVAL, "distances of outline points belong to the grouping 'pylidc'");
  int64_t dim[2] = {ns->n_pieces, ns->n_pieces};
  hl_desc d = {.dtype = HL_F64, .layout = HL_PLAIN, .shape = hl_shape_make(2, dim)};
  HL_TRY(hl_tensor_zeros(out, &d, HL_MEM_DATA, "distances of marks", e));
  measure(ns, hl_tensor_f64(*out));
  return HL_OK;
}

/* Joins what is at most `limit` apart; returns the size of the largest group. */
static int link_within(int64_t *root, const double *d, int64_t n, double limit) {
  for (int64_t i = 0; i < n; i++) root[i] = i;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = i + 1; k < n; k++) {
      int64_t a = root[i], b = root[k];
      if (d[i * n + k] > limit || a == b) continue;
      int64_t keep = a < b ? a : b, gone = a < b ? b : a;
      for (int64_t j = 0; j < n; j++)
        if (root[j] == gone) root[j] = keep;
    }
  int most = 0;
  for (int64_t i = 0; i < n; i++) {
    int size = 0;
    for (int64_t k = 0; k < n; k++) size += root[k] == root[i];
    if (size > most) most = size;
  }
  return most;
}

static hl_status group_all(hl_nodules *ns, int64_t *root, double *d, hl_err *e) {
  int64_t n = ns->n_pieces;
  measure(ns, d);
  double limit = ns->rule.thickness_mm > 0 ? ns->rule.thickness_mm : ns->grid.spacing_mm[0];
  while (link_within(root, d, n, limit) > MOST_MARKS && limit * SHRINK >= LEAST) limit *= SHRINK;
  return groups_collect(ns, root, e);
}

hl_status pieces_group_pylidc(hl_nodules *ns, hl_err *e) {
  size_t n = (size_t)ns->n_pieces;
  int64_t *root = hl_host_calloc(n, sizeof *root);
  double *d = hl_host_calloc(n * n, sizeof *d);
  hl_status status = root && d ? group_all(ns, root, d, e)
                               : hl_fail(e, HL_ENOMEM, "no memory to group %zu marks", n);
  hl_host_free(root);
  hl_host_free(d);
  return status;
}
