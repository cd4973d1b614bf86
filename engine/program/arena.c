/* The arena: one block in which all passing values of a run live, laid out before the first run.
 * What is largest is placed first, at the lowest offset that is free for as long as it lives;
 * nothing is allocated while the program runs. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static hl_status add_slot(hl_program *p, int at, size_t bytes, int32_t *out, hl_err *e) {
  HL_TRY(hl_reserve((void **)&p->slots, p->n_slots, &p->cap_slots, sizeof *p->slots, e));
  size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  p->slots[p->n_slots] = (slot){.first = at, .last = at, .bytes = rounded};
  *out = p->n_slots++;
  return HL_OK;
}

/* The slots of node i: its results and its workspace. */
static hl_status slots_of(hl_program *p, int i, hl_err *e) {
  node *n = &p->nodes[i];
  int from = n->chain >= 0 ? p->chains[n->chain].first : i;
  for (int j = 0; j < n->n_out; j++) {
    variable *v = &p->vars[n->out[j]];
    if (v->is_output || v->passes) continue; /* it outlives the run, or needs no storage */
    if (v->heir_to != HL_NO_VAR)
      v->slot = p->vars[v->heir_to].slot;
    else if (j == 0 && n->takes >= 0)
      v->slot = p->vars[n->in[n->takes]].slot;
    else
      HL_TRY(add_slot(p, from, hl_desc_bytes(&v->desc), &v->slot, e));
    if (v->last_use > p->slots[v->slot].last) p->slots[v->slot].last = v->last_use;
  }
  hl_call c;
  size_t bytes;
  hl_node_call(p, n, &c);
  HL_TRY(hl_call_workspace(&c, &bytes, e));
  return bytes == 0 ? HL_OK : add_slot(p, i, bytes, &n->scratch, e);
}

/* Ties are broken by time, so that layouts repeat. */
static int by_time(const slot *x, const slot *y) {
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  return x < y ? -1 : x > y;
}

static int larger_first(const void *a, const void *b) {
  const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return by_time(x, y);
}

static int longer_first(const void *a, const void *b) {
  const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
  int32_t dx = x->last - x->first, dy = y->last - y->first;
  if (dx != dy) return dx < dy ? 1 : -1;
  return by_time(x, y);
}

static int heavier_first(const void *a, const void *b) {
  const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
  double wx = (double)x->bytes * (x->last - x->first + 1);
  double wy = (double)y->bytes * (y->last - y->first + 1);
  if (wx != wy) return wx < wy ? 1 : -1;
  return by_time(x, y);
}

static int earlier_first(const void *a, const void *b) {
  return by_time(*(slot *const *)a, *(slot *const *)b);
}

static int lower_first(const void *a, const void *b) {
  const slot *x = *(slot *const *)a, *y = *(slot *const *)b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool overlap_in_time(const slot *a, const slot *b) {
  return a->first <= b->last && b->first <= a->last;
}

/* The lowest gap that holds s among the n slots already placed. `near` has room for n pointers. */
static size_t lowest_gap(const slot *s, slot *const *placed, int n, const slot **near) {
  int m = 0;
  for (int i = 0; i < n; i++)
    if (overlap_in_time(s, placed[i])) near[m++] = placed[i];
  qsort(near, (size_t)m, sizeof *near, lower_first);
  size_t end = 0;
  for (int i = 0; i < m; i++) {
    if (near[i]->offset >= end + s->bytes) break;
    if (near[i]->offset + near[i]->bytes > end) end = near[i]->offset + near[i]->bytes;
  }
  return end;
}

/* Places all slots in the order given; returns the bytes needed. */
static size_t lay_out(slot **order, int n, const slot **near) {
  size_t most = 0;
  for (int i = 0; i < n; i++) {
    order[i]->offset = lowest_gap(order[i], order, i, near);
    size_t end = order[i]->offset + order[i]->bytes;
    if (end > most) most = end;
  }
  return most;
}

size_t hl_arena_live(const hl_program *p, int i) {
  size_t live = 0;
  for (int k = 0; k < p->n_slots; k++)
    if (p->slots[k].first <= i && i <= p->slots[k].last) live += p->slots[k].bytes;
  return live;
}

summit hl_arena_summit(const hl_program *p) {
  summit top = {-1, 0, 0};
  for (int i = 0; i < p->n_nodes; i++) {
    size_t live = p->nodes[i].needed ? hl_arena_live(p, i) : 0;
    if (live > top.live) top = (summit){.node = i, .live = live};
  }
  if (top.node >= 0 && p->nodes[top.node].scratch >= 0)
    top.workspace = p->slots[p->nodes[top.node].scratch].bytes;
  return top;
}

/* Moves the slot that ends highest to the front of the order. */
static void promote_highest(slot **order, int n) {
  int top = 0;
  for (int i = 1; i < n; i++)
    if (order[i]->offset + order[i]->bytes > order[top]->offset + order[top]->bytes) top = i;
  slot *highest = order[top];
  memmove(order + 1, order, (size_t)top * sizeof *order);
  order[0] = highest;
}

static void keep_if_better(hl_program *p, size_t bytes, size_t *offsets) {
  if (bytes >= p->arena_bytes) return;
  p->arena_bytes = bytes;
  for (int i = 0; i < p->n_slots; i++) offsets[i] = p->slots[i].offset;
}

/* Lays n slots out in a few orders, then gives what sticks out the first choice for some rounds;
 * the tightest layout is kept. */
static void search(hl_program *p, slot **order, int n, const slot **near, size_t *offsets) {
  static int (*const orders[])(const void *, const void *) = {heavier_first, larger_first,
                                                              longer_first, earlier_first};
  enum { ORDERS = sizeof orders / sizeof orders[0], ROUNDS = 40 };
  size_t bound = hl_arena_summit(p).live;
  for (int t = 0; t < ORDERS && p->arena_bytes > bound; t++) {
    qsort(order, (size_t)n, sizeof *order, orders[t]);
    for (int round = 0; round < ROUNDS && p->arena_bytes > bound; round++) {
      keep_if_better(p, lay_out(order, n, near), offsets);
      promote_highest(order, n);
    }
  }
  for (int i = 0; i < p->n_slots; i++) p->slots[i].offset = offsets[i];
}

/* Puts slots that are small beside the whole at the end; returns how many are not. In a long
 * program they are the most, and where they lie is not worth a search. */
static int large_slots(const hl_program *p, slot **order) {
  enum { FEW = 1024, SMALL = 512 };
  size_t least = p->n_slots <= FEW ? 0 : hl_arena_summit(p).live / SMALL;
  int large = 0, small = p->n_slots;
  for (int i = 0; i < p->n_slots; i++)
    order[p->slots[i].bytes >= least ? large++ : --small] = &p->slots[i];
  return large;
}

/* Finds a gap for each slot from number `large` on, those that live longest first. */
static void place_small(hl_program *p, slot **order, int large, const slot **near) {
  qsort(order + large, (size_t)(p->n_slots - large), sizeof *order, longer_first);
  for (int i = large; i < p->n_slots; i++) {
    order[i]->offset = lowest_gap(order[i], order, i, near);
    size_t end = order[i]->offset + order[i]->bytes;
    if (end > p->arena_bytes) p->arena_bytes = end;
  }
}

static hl_status place_all(hl_program *p, hl_err *e) {
  p->arena_bytes = 0;
  if (p->n_slots == 0) return HL_OK;
  slot **order = hl_host_calloc((size_t)p->n_slots * 2, sizeof *order);
  size_t *offsets = hl_host_calloc((size_t)p->n_slots, sizeof *offsets);
  hl_status s = HL_OK;
  if (order == NULL || offsets == NULL) {
    s = hl_fail(e, HL_ENOMEM, "no memory to lay out a program");
  } else {
    const slot **near = (const slot **)(order + p->n_slots);
    p->arena_bytes = SIZE_MAX;
    int large = large_slots(p, order);
    search(p, order, large, near, offsets);
    place_small(p, order, large, near);
  }
  hl_host_free(order);
  hl_host_free(offsets);
  return s;
}

hl_status hl_arena_plan(hl_program *p, hl_err *e) {
  for (int i = 0; i < p->n_nodes; i++) {
    if (!p->nodes[i].needed) continue;
    hl_status s = slots_of(p, i, e);
    if (s != HL_OK) return hl_at_scope(p, p->nodes[i].scope, s, e);
  }
  return place_all(p, e);
}
