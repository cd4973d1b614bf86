/* Which marks of different readers mean the same nodule: the rule of hilum/nodule.h. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

/* Two pieces of different sessions that may belong together. */
typedef struct link {
  int64_t a, b; /* a < b */
  double dice;  /* 0: no common voxel */
  double gap_mm;
} link;

typedef struct links {
  link *items;
  int64_t n, room;
} links;

static int64_t common_voxels(const piece *p, const piece *q) {
  int64_t n = 0, lo[3], hi[3];
  for (int a = 0; a < 3; a++) {
    int64_t pe = p->first[a] + p->size[a], qe = q->first[a] + q->size[a];
    lo[a] = p->first[a] > q->first[a] ? p->first[a] : q->first[a];
    hi[a] = pe < qe ? pe : qe;
  }
  for (int64_t z = lo[0]; z < hi[0]; z++)
    for (int64_t y = lo[1]; y < hi[1]; y++)
      for (int64_t x = lo[2]; x < hi[2]; x++) n += piece_at(p, z, y, x) && piece_at(q, z, y, x);
  return n;
}

/* Distance between the nearest voxel centres of two ranges of one axis. */
static double axis_gap_mm(const hl_grid *g, int a, const piece *p, const piece *q) {
  const piece *low = p->first[a] < q->first[a] ? p : q, *high = low == p ? q : p;
  int64_t end = low->first[a] + low->size[a] - 1;
  if (high->first[a] <= end) return 0;
  if (a == 0) return hl_grid_slice_mm(g, high->first[0]) - hl_grid_slice_mm(g, end);
  return (double)(high->first[a] - end) * g->spacing_mm[a];
}

static double box_gap_mm(const hl_grid *g, const piece *p, const piece *q) {
  double sum = 0;
  for (int a = 0; a < 3; a++) {
    double d = axis_gap_mm(g, a, p, q);
    sum += d * d;
  }
  return sqrt(sum);
}

/* Smallest square distance of voxel (z, y, x) to a voxel of q, looking no further than reach_mm. */
static double square_gap_mm(const hl_grid *g, const piece *q, const int64_t at[3],
                            double reach_mm) {
  double least = INFINITY;
  int64_t ry = (int64_t)(reach_mm / g->spacing_mm[1]), rx = (int64_t)(reach_mm / g->spacing_mm[2]);
  for (int64_t z = q->first[0]; z < q->first[0] + q->size[0]; z++) {
    double dz = hl_grid_slice_mm(g, z) - hl_grid_slice_mm(g, at[0]);
    if (fabs(dz) > reach_mm) continue;
    for (int64_t y = at[1] - ry; y <= at[1] + ry; y++)
      for (int64_t x = at[2] - rx; x <= at[2] + rx; x++) {
        if (!piece_at(q, z, y, x)) continue;
        double dy = (double)(y - at[1]) * g->spacing_mm[1];
        double dx = (double)(x - at[2]) * g->spacing_mm[2];
        least = fmin(least, dz * dz + dy * dy + dx * dx);
      }
  }
  return least;
}

static double gap_mm(const hl_grid *g, const piece *p, const piece *q, double reach_mm) {
  double least = INFINITY;
  for (int64_t i = 0; i < box_voxels(p->size); i++) {
    if (!p->mask[i]) continue;
    int64_t area = p->size[1] * p->size[2];
    int64_t at[3] = {p->first[0] + i / area, p->first[1] + i % area / p->size[2],
                     p->first[2] + i % p->size[2]};
    least = fmin(least, square_gap_mm(g, q, at, reach_mm));
  }
  return sqrt(least);
}

static hl_status add_link(links *l, link item, hl_err *e) {
  if (l->n == l->room) {
    int64_t room = 2 * l->room + 32;
    link *items = hl_host_realloc(l->items, (size_t)room * sizeof *items);
    if (!items) return hl_fail(e, HL_ENOMEM, "no memory for %lld pairs of marks", (long long)room);
    l->items = items;
    l->room = room;
  }
  l->items[l->n++] = item;
  return HL_OK;
}

static hl_status link_pair(links *l, const hl_nodules *ns, int64_t a, int64_t b, hl_err *e) {
  const piece *p = &ns->pieces[a], *q = &ns->pieces[b];
  double reach_mm = ns->rule.gap_mm;
  if (p->session == q->session || box_gap_mm(&ns->grid, p, q) > reach_mm) return HL_OK;
  int64_t common = common_voxels(p, q);
  link item = {.a = a, .b = b};
  item.dice = 2.0 * (double)common / (double)(p->voxels + q->voxels);
  if (common == 0) {
    item.gap_mm = gap_mm(&ns->grid, p, q, reach_mm);
    if (item.gap_mm > reach_mm) return HL_OK;
  }
  return add_link(l, item, e);
}

static int order_links(const void *x, const void *y) {
  const link *p = x, *q = y;
  if (p->dice != q->dice) return p->dice > q->dice ? -1 : 1;
  if (p->gap_mm != q->gap_mm) return p->gap_mm < q->gap_mm ? -1 : 1;
  if (p->a != q->a) return p->a < q->a ? -1 : 1;
  return p->b < q->b ? -1 : p->b > q->b;
}

/* root[i]: the first piece of i's group; sessions[i]: bits of the sessions in it, valid at roots.
 */
typedef struct forest {
  int64_t *root;
  uint32_t *sessions;
} forest;

static void join(forest *f, int64_t n, int64_t a, int64_t b) {
  int64_t ra = f->root[a], rb = f->root[b];
  if (ra == rb || (f->sessions[ra] & f->sessions[rb])) return;
  int64_t keep = ra < rb ? ra : rb, gone = ra < rb ? rb : ra;
  f->sessions[keep] |= f->sessions[gone];
  for (int64_t i = 0; i < n; i++)
    if (f->root[i] == gone) f->root[i] = keep;
}

static void add_member(hl_nodules *ns, group *g, int64_t index) {
  const piece *p = &ns->pieces[index];
  for (int a = 0; a < 3; a++) {
    int64_t end = g->first[a] + g->size[a], pe = p->first[a] + p->size[a];
    if (g->n == 0 || p->first[a] < g->first[a]) g->first[a] = p->first[a];
    g->size[a] = (g->n == 0 || pe > end ? pe : end) - g->first[a];
  }
  int at = g->n++;
  for (; at > 0 && ns->pieces[g->members[at - 1]].session > p->session; at--)
    g->members[at] = g->members[at - 1];
  g->members[at] = index;
}

static hl_status members_new(hl_nodules *ns, group *g, const int64_t *root, int64_t first,
                             hl_err *e) {
  int64_t n = 0;
  for (int64_t i = first; i < ns->n_pieces; i++) n += root[i] == first;
  if (n > HL_MAX_READERS)
    return hl_fail(e, HL_EFORMAT,
                   "%lld marks are grouped as one nodule, expected at most %d (grouping '%s')",
                   (long long)n, HL_MAX_READERS, hl_grouping_name(ns->rule.grouping));
  g->members = hl_host_calloc((size_t)n, sizeof *g->members);
  g->marks = hl_host_calloc((size_t)n, sizeof *g->marks);
  if (!g->members || !g->marks)
    return hl_fail(e, HL_ENOMEM, "no memory for the readers of a nodule");
  return HL_OK;
}

hl_status groups_collect(hl_nodules *ns, const int64_t *root, hl_err *e) {
  int64_t n = ns->n_pieces;
  ns->groups = hl_host_calloc((size_t)n, sizeof *ns->groups);
  if (!ns->groups) return hl_fail(e, HL_ENOMEM, "no memory for %lld nodules", (long long)n);
  for (int64_t first = 0; first < n; first++) {
    if (root[first] != first) continue;
    group *g = &ns->groups[ns->n_groups++];
    HL_TRY(members_new(ns, g, root, first, e));
    for (int64_t i = first; i < n; i++)
      if (root[i] == first) add_member(ns, g, i);
    for (int i = 0; i < g->n; i++) g->marks[i] = ns->pieces[g->members[i]].mark;
  }
  return HL_OK;
}

static hl_status link_all(links *l, const hl_nodules *ns, hl_err *e) {
  for (int64_t a = 0; a < ns->n_pieces; a++)
    for (int64_t b = a + 1; b < ns->n_pieces; b++) HL_TRY(link_pair(l, ns, a, b, e));
  if (l->n) qsort(l->items, (size_t)l->n, sizeof *l->items, order_links);
  return HL_OK;
}

hl_status pieces_group(hl_nodules *ns, hl_err *e) {
  int64_t n = ns->n_pieces;
  if (n == 0) return HL_OK;
  if (ns->rule.grouping == HL_GROUP_PYLIDC) return pieces_group_pylidc(ns, e);
  links l = {0};
  forest f = {hl_host_calloc((size_t)n, sizeof(int64_t)),
              hl_host_calloc((size_t)n, sizeof(uint32_t))};
  hl_status status = HL_OK;
  if (!f.root || !f.sessions) status = hl_fail(e, HL_ENOMEM, "no memory to group marks");
  if (status == HL_OK) status = link_all(&l, ns, e);
  if (status == HL_OK) {
    for (int64_t i = 0; i < n; i++) {
      f.root[i] = i;
      f.sessions[i] = UINT32_C(1) << ns->pieces[i].session;
    }
    for (int64_t i = 0; i < l.n; i++) join(&f, n, l.items[i].a, l.items[i].b);
    status = groups_collect(ns, f.root, e);
  }
  hl_host_free(l.items);
  hl_host_free(f.root);
  hl_host_free(f.sessions);
  return status;
}
