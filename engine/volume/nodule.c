#include "internal.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

hl_nodule_rule hl_nodule_rule_default(void) {
  return (hl_nodule_rule){.semantics = HL_INTERIOR,
                          .gap_mm = 3,
                          .min_readers = 2,
                          .min_diameter_mm = 3,
                          .level = 0.5,
                          .of = HL_OF_SESSIONS};
}

static const char *const grouping_names[HL_GROUPINGS] = {"mm", "pylidc"};

const char *hl_grouping_name(hl_grouping g) {
  return g < HL_GROUPINGS ? grouping_names[g] : "unknown";
}

hl_grouping hl_grouping_by_name(const char *name) {
  int g = 0;
  while (g < HL_GROUPINGS && strcmp(name, grouping_names[g]) != 0) g++;
  return (hl_grouping)g;
}

static hl_status check_rule(const hl_nodule_rule *r, hl_err *e) {
  if (r->semantics >= HL_SEMANTICS) return hl_fail(e, HL_EINVAL, "unknown mask semantics");
  if (r->grouping >= HL_GROUPINGS) return hl_fail(e, HL_EINVAL, "unknown grouping of marks");
  if (!(r->thickness_mm >= 0) || r->thickness_mm > 100)
    return hl_fail(e, HL_EINVAL, "thickness_mm is %g, expected 0 to 100", r->thickness_mm);
  if (r->votes < 0 || r->votes > HL_MAX_READERS)
    return hl_fail(e, HL_EINVAL, "a consensus of %d readers, expected 1 to %d", r->votes,
                   HL_MAX_READERS);
  if (!(r->gap_mm >= 0) || r->gap_mm > 100)
    return hl_fail(e, HL_EINVAL, "gap_mm is %g, expected 0 to 100", r->gap_mm);
  if (r->min_readers < 1)
    return hl_fail(e, HL_EINVAL, "min_readers is %d, expected at least 1", r->min_readers);
  if (!(r->min_diameter_mm >= 0))
    return hl_fail(e, HL_EINVAL, "min_diameter_mm is %g, expected 0 or more", r->min_diameter_mm);
  if (!(r->level > 0 && r->level <= 1))
    return hl_fail(e, HL_EINVAL, "consensus level is %g, expected more than 0 and at most 1",
                   r->level);
  return HL_OK;
}

static hl_status draw_pieces(hl_nodules *ns, const hl_marks *m, const hl_slices *slices,
                             hl_problems *problems, hl_err *e) {
  int64_t n = hl_marks_count(m);
  ns->pieces = hl_host_calloc((size_t)(n ? n : 1), sizeof *ns->pieces);
  if (!ns->pieces) return hl_fail(e, HL_ENOMEM, "no memory for %lld marks", (long long)n);
  for (int64_t i = 0; i < n; i++) {
    if (hl_marks_at(m, i)->kind != HL_MARK_OUTLINE) continue;
    piece *p = &ns->pieces[ns->n_pieces];
    HL_TRY(piece_draw(p, m, i, &ns->grid, slices, &ns->rule, problems, e));
    if (p->mask) ns->n_pieces++;
  }
  return HL_OK;
}

static int votes_at(const hl_nodules *ns, const group *g, int64_t z, int64_t y, int64_t x) {
  int votes = 0;
  for (int r = 0; r < g->n; r++) votes += piece_at(&ns->pieces[g->members[r]], z, y, x);
  return votes;
}

/* Volume and centroid of the consensus mask; false if it is empty. */
static bool consensus(const hl_nodules *ns, const group *g, hl_nodule *nodule) {
  double needed = votes_needed(ns, g->n), sum[3] = {0, 0, 0}, volume = 0;
  double area = ns->grid.spacing_mm[1] * ns->grid.spacing_mm[2];
  for (int64_t z = g->first[0]; z < g->first[0] + g->size[0]; z++) {
    double weight = area * hl_grid_thickness_mm(&ns->grid, z);
    for (int64_t y = g->first[1]; y < g->first[1] + g->size[1]; y++)
      for (int64_t x = g->first[2]; x < g->first[2] + g->size[2]; x++) {
        if (votes_at(ns, g, z, y, x) < needed) continue;
        double index[3] = {(double)z, (double)y, (double)x}, at_mm[3];
        hl_grid_position(&ns->grid, index, at_mm);
        for (int a = 0; a < 3; a++) sum[a] += weight * at_mm[a];
        volume += weight;
      }
  }
  nodule->volume_mm3 = volume;
  for (int a = 0; a < 3; a++) nodule->centre_mm[a] = sum[a] / volume;
  return volume > 0;
}

static void average_ratings(const hl_nodules *ns, const group *g, const hl_marks *m,
                            hl_nodule *nodule) {
  for (int i = 0; i < HL_RATINGS; i++) {
    double sum = 0;
    int n = 0;
    for (int r = 0; r < g->n; r++) {
      int value = hl_marks_at(m, ns->pieces[g->members[r]].mark)->rating[i];
      if (value == INT_MIN) continue;
      sum += value;
      n++;
    }
    nodule->mean_rating[i] = n ? sum / n : (double)NAN;
  }
}

static void release_nodule(hl_nodule *nodule) {
  hl_host_free((int *)(uintptr_t)nodule->sessions);
  hl_host_free((int64_t *)(uintptr_t)nodule->marks);
  *nodule = (hl_nodule){0};
}

/* Fills *nodule; *kept says whether the rule takes it. */
static hl_status describe(hl_nodules *ns, const group *g, const hl_marks *m, hl_nodule *nodule,
                          bool *kept, hl_err *e) {
  *kept = false;
  double diameter_mm = 0;
  for (int r = 0; r < g->n; r++) diameter_mm += ns->pieces[g->members[r]].diameter_mm / g->n;
  *nodule = (hl_nodule){.readers = g->n, .diameter_mm = diameter_mm};
  if (g->n < ns->rule.min_readers) {
    ns->few_readers++;
    return HL_OK;
  }
  if (diameter_mm < ns->rule.min_diameter_mm) {
    ns->small++;
    return HL_OK;
  }
  if (!consensus(ns, g, nodule)) {
    ns->disputed++;
    return HL_OK;
  }
  memcpy(nodule->first, g->first, sizeof g->first);
  memcpy(nodule->size, g->size, sizeof g->size);
  average_ratings(ns, g, m, nodule);
  int *sessions = hl_host_calloc((size_t)g->n, sizeof *sessions);
  int64_t *marks = hl_host_calloc((size_t)g->n, sizeof *marks);
  nodule->sessions = sessions;
  nodule->marks = marks;
  if (!sessions || !marks) {
    release_nodule(nodule);
    return hl_fail(e, HL_ENOMEM, "no memory for a nodule");
  }
  for (int r = 0; r < g->n; r++) {
    sessions[r] = ns->pieces[g->members[r]].session;
    marks[r] = ns->pieces[g->members[r]].mark;
  }
  *kept = true;
  return HL_OK;
}

static bool comes_before(const hl_nodule *p, const hl_nodule *q) {
  for (int a = 0; a < 3; a++)
    if (p->centre_mm[a] != q->centre_mm[a]) return p->centre_mm[a] < q->centre_mm[a];
  return false;
}

/* Puts the nodule with its group at its place in the order; `from` is where the group lies now. */
static void insert(hl_nodules *ns, hl_nodule nodule, int64_t from) {
  group g = ns->groups[from];
  ns->groups[from] = ns->groups[ns->n];
  int64_t at = ns->n++;
  for (; at > 0 && comes_before(&nodule, &ns->nodules[at - 1]); at--) {
    ns->nodules[at] = ns->nodules[at - 1];
    ns->groups[at] = ns->groups[at - 1];
  }
  ns->nodules[at] = nodule;
  ns->groups[at] = g;
}

static hl_status describe_all(hl_nodules *ns, const hl_marks *m, hl_err *e) {
  if (ns->n_groups == 0) return HL_OK;
  ns->nodules = hl_host_calloc((size_t)ns->n_groups, sizeof *ns->nodules);
  if (!ns->nodules) return hl_fail(e, HL_ENOMEM, "no memory for nodules");
  for (int64_t i = 0; i < ns->n_groups; i++) {
    hl_nodule nodule;
    bool kept;
    HL_TRY(describe(ns, &ns->groups[i], m, &nodule, &kept, e));
    if (kept) insert(ns, nodule, i);
  }
  return HL_OK;
}

static hl_status copy_grid(hl_grid *to, const hl_grid *from, hl_err *e) {
  *to = *from;
  if (!from->z_mm) return HL_OK;
  size_t n = (size_t)from->size[0];
  double *z_mm = hl_host_calloc(n, sizeof *z_mm);
  to->z_mm = z_mm;
  if (!z_mm) return hl_fail(e, HL_ENOMEM, "no memory for %zu slice positions", n);
  memcpy(z_mm, from->z_mm, n * sizeof *z_mm);
  return HL_OK;
}

static hl_status find(hl_nodules *ns, const hl_marks *m, const hl_grid *grid,
                      const hl_slices *slices, hl_problems *problems, hl_err *e) {
  HL_TRY(copy_grid(&ns->grid, grid, e));
  HL_TRY(draw_pieces(ns, m, slices, problems, e));
  HL_TRY(pieces_group(ns, e));
  return describe_all(ns, m, e);
}

hl_status hl_nodules_find(hl_nodules **out, const hl_marks *m, const hl_grid *grid,
                          const hl_slices *slices, const hl_nodule_rule *rule,
                          hl_problems *problems, hl_err *e) {
  *out = NULL;
  HL_TRY(check_rule(rule, e));
  HL_TRY(hl_grid_check(grid, e));
  if (slices->n != grid->size[0])
    return hl_fail(e, HL_EINVAL, "%lld slices are named, the grid has %lld", (long long)slices->n,
                   (long long)grid->size[0]);
  if (hl_marks_sessions(m) > HL_MAX_READERS)
    return hl_fail(e, HL_EFORMAT, "%s: %d reading sessions, expected at most %d", hl_marks_file(m),
                   hl_marks_sessions(m), HL_MAX_READERS);
  hl_nodules *ns = hl_host_calloc(1, sizeof *ns);
  if (!ns) return hl_fail(e, HL_ENOMEM, "no memory for nodules");
  ns->rule = *rule;
  ns->sessions = hl_marks_sessions(m);
  hl_status status = find(ns, m, grid, slices, problems, e);
  if (status != HL_OK) {
    hl_nodules_free(ns);
    return status;
  }
  *out = ns;
  return HL_OK;
}

void hl_nodules_free(hl_nodules *ns) {
  if (!ns) return;
  for (int64_t i = 0; i < ns->n_pieces; i++) {
    hl_host_free(ns->pieces[i].mask);
    hl_host_free(ns->pieces[i].points);
  }
  for (int64_t i = 0; i < ns->n_groups; i++) {
    hl_host_free(ns->groups[i].members);
    hl_host_free(ns->groups[i].marks);
  }
  for (int64_t i = 0; i < ns->n; i++) release_nodule(&ns->nodules[i]);
  hl_host_free(ns->pieces);
  hl_host_free(ns->groups);
  hl_host_free(ns->nodules);
  hl_host_free((double *)(uintptr_t)ns->grid.z_mm);
  hl_host_free(ns);
}

void hl_nodules_keep(hl_nodules *ns, const bool *keep) {
  int64_t kept = 0;
  for (int64_t i = 0; i < ns->n; i++) { /* what stays, in order, by exchange with what goes */
    if (!keep[i]) continue;
    group g = ns->groups[kept];
    hl_nodule nodule = ns->nodules[kept];
    ns->groups[kept] = ns->groups[i];
    ns->nodules[kept] = ns->nodules[i];
    ns->groups[i] = g;
    ns->nodules[i] = nodule;
    kept++;
  }
  for (int64_t i = kept; i < ns->n; i++) release_nodule(&ns->nodules[i]);
  ns->n = kept;
}

int64_t hl_nodules_groups(const hl_nodules *ns) {
  return ns->n_groups;
}

int hl_nodules_group(const hl_nodules *ns, int64_t i, const int64_t **marks) {
  *marks = ns->groups[i].marks;
  return ns->groups[i].n;
}

int64_t hl_nodules_count(const hl_nodules *ns) {
  return ns->n;
}
const hl_nodule *hl_nodules_at(const hl_nodules *ns, int64_t i) {
  return &ns->nodules[i];
}
int64_t hl_nodules_few_readers(const hl_nodules *ns) {
  return ns->few_readers;
}
int64_t hl_nodules_small(const hl_nodules *ns) {
  return ns->small;
}
int64_t hl_nodules_disputed(const hl_nodules *ns) {
  return ns->disputed;
}
