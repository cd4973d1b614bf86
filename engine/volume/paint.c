/* Nodules on the grid of their scan: readers' masks and votes, laid where they belong. */
#include "internal.h"
#include <hilum/ledger.h>

static hl_status new_box(hl_tensor **out, const group *g, hl_err *e) {
  hl_desc d = {.dtype = HL_U8, .layout = HL_PLAIN, .shape = hl_shape_make(3, g->size)};
  return hl_tensor_zeros(out, &d, HL_MEM_DATA, "nodule's box", e);
}

static void add_piece(hl_tensor *box, const group *g, const piece *p) {
  uint8_t *to = hl_tensor_u8(box);
  for (int64_t z = 0; z < g->size[0]; z++)
    for (int64_t y = 0; y < g->size[1]; y++)
      for (int64_t x = 0; x < g->size[2]; x++)
        *to++ += (uint8_t)piece_at(p, z + g->first[0], y + g->first[1], x + g->first[2]);
}

hl_status hl_nodule_votes(hl_tensor **out, const hl_nodules *ns, int64_t i, hl_err *e) {
  *out = NULL;
  if (i < 0 || i >= ns->n) return hl_fail(e, HL_EINVAL, "no nodule %lld", (long long)i);
  const group *g = &ns->groups[i];
  HL_TRY(new_box(out, g, e));
  for (int r = 0; r < g->n; r++) add_piece(*out, g, &ns->pieces[g->members[r]]);
  return HL_OK;
}

double hl_nodule_needed(const hl_nodules *ns, int64_t i, const hl_drawing *what) {
  return what->level * (what->of == HL_OF_SESSIONS ? ns->sessions : ns->groups[i].n);
}

static void threshold(hl_tensor *box, double needed) {
  uint8_t *v = hl_tensor_u8(box);
  for (int64_t k = 0; k < hl_tensor_numel(box); k++) v[k] = v[k] > 0 && v[k] >= needed;
}

hl_status hl_nodule_draw(hl_tensor **out, const hl_nodules *ns, int64_t i, const hl_drawing *what,
                         hl_err *e) {
  if (what->session < 0) {
    HL_TRY(hl_nodule_votes(out, ns, i, e));
    threshold(*out, hl_nodule_needed(ns, i, what));
    return HL_OK;
  }
  *out = NULL;
  if (i < 0 || i >= ns->n) return hl_fail(e, HL_EINVAL, "no nodule %lld", (long long)i);
  const group *g = &ns->groups[i];
  HL_TRY(new_box(out, g, e));
  for (int r = 0; r < g->n; r++)
    if (ns->pieces[g->members[r]].session == what->session)
      add_piece(*out, g, &ns->pieces[g->members[r]]);
  threshold(*out, 1);
  return HL_OK;
}

hl_status hl_nodule_consensus(hl_tensor **out, const hl_nodules *ns, int64_t i, hl_err *e) {
  HL_TRY(hl_nodule_votes(out, ns, i, e));
  threshold(*out, votes_needed(ns, ns->groups[i].n));
  return HL_OK;
}

hl_status hl_nodule_mask(hl_tensor **out, const hl_nodules *ns, int64_t i, int r, hl_err *e) {
  *out = NULL;
  if (i < 0 || i >= ns->n || r < 0 || r >= ns->nodules[i].readers)
    return hl_fail(e, HL_EINVAL, "no reader %d of nodule %lld", r, (long long)i);
  HL_TRY(new_box(out, &ns->groups[i], e));
  add_piece(*out, &ns->groups[i], &ns->pieces[ns->groups[i].members[r]]);
  return HL_OK;
}

typedef struct canvas {
  uint8_t *small; /* one of the two */
  int16_t *large;
  const int64_t *size;
} canvas;

static void lay(const canvas *c, const hl_tensor *box, const int64_t first[3], int64_t value) {
  const int64_t *size = hl_tensor_shape(box)->dim;
  const uint8_t *from = hl_tensor_u8(box);
  for (int64_t z = 0; z < size[0]; z++)
    for (int64_t y = 0; y < size[1]; y++) {
      int64_t at = ((z + first[0]) * c->size[1] + y + first[1]) * c->size[2] + first[2];
      for (int64_t x = 0; x < size[2]; x++, at++) {
        if (!*from++) continue;
        if (c->small)
          c->small[at] = (uint8_t)value;
        else
          c->large[at] = (int16_t)value;
      }
    }
}

static hl_status draw_all(hl_tensor *t, const hl_nodules *ns, const hl_drawing *what, hl_err *e) {
  const canvas c = {
      .small = hl_tensor_u8(t), .large = hl_tensor_i16(t), .size = hl_tensor_shape(t)->dim};
  for (int64_t i = 0; i < ns->n; i++) {
    hl_tensor *box;
    HL_TRY(hl_nodule_draw(&box, ns, i, what, e));
    lay(&c, box, ns->groups[i].first, what->labels ? i + 1 : 1);
    hl_tensor_unref(box);
  }
  return HL_OK;
}

hl_status hl_nodules_draw(hl_tensor **out, const hl_nodules *ns, const hl_drawing *what,
                          hl_err *e) {
  bool many = what->labels && ns->n > UINT8_MAX;
  hl_desc d = {.dtype = many ? HL_I16 : HL_U8, .shape = hl_shape_make(3, ns->grid.size)};
  *out = NULL;
  if (ns->n > INT16_MAX)
    return hl_fail(e, HL_EINVAL, "%lld nodules, expected at most %d", (long long)ns->n, INT16_MAX);
  HL_TRY(hl_tensor_zeros(out, &d, HL_MEM_DATA, "nodules of a scan", e));
  hl_status status = draw_all(*out, ns, what, e);
  if (status == HL_OK) return HL_OK;
  hl_tensor_unref(*out);
  *out = NULL;
  return status;
}
