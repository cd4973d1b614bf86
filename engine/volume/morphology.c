#include "lines.h"

#include <hilum/morphology.h>
#include <hilum/parallel.h>

#include <stdlib.h>
#include <string.h>

/* The neighbours of a voxel. */
typedef struct hood {
  int n;
  int step[26][3];
} hood;

static hl_status hood_make(hood *h, int connectivity, hl_err *e) {
  h->n = 0;
  int reach = connectivity == 6 ? 1 : connectivity == 18 ? 2 : connectivity == 26 ? 3 : 0;
  if (!reach)
    return hl_fail(e, HL_EINVAL, "connectivity is %d, expected 6, 18 or 26", connectivity);
  for (int z = -1; z <= 1; z++)
    for (int y = -1; y <= 1; y++)
      for (int x = -1; x <= 1; x++) {
        int far = abs(z) + abs(y) + abs(x);
        if (far == 0 || far > reach) continue;
        int *s = h->step[h->n++];
        s[0] = z;
        s[1] = y;
        s[2] = x;
      }
  return HL_OK;
}

static bool within(const int64_t *size, int64_t z, int64_t y, int64_t x) {
  return z >= 0 && y >= 0 && x >= 0 && z < size[0] && y < size[1] && x < size[2];
}

static hl_status mask_new(hl_tensor **out, const hl_tensor *like, hl_err *e) {
  return image_new(out, HL_U8, hl_tensor_shape(like)->dim, "a mask", e);
}

/* ---- growing and shrinking ---- */

typedef struct pass {
  const uint8_t *from;
  uint8_t *to;
  const int64_t *size;
  const hood *h;
  bool grow;
} pass;

/* Takes one row of neighbours, displaced by s, into a row of the result. */
static void take_row(const pass *p, int64_t z, int64_t y, const int *s, uint8_t *to) {
  int64_t nx = p->size[2], row = ((z + s[0]) * p->size[1] + y + s[1]) * nx;
  bool there = within(p->size, z + s[0], y + s[1], 0);
  int64_t low = s[2] < 0 ? -s[2] : 0, high = s[2] > 0 ? nx - s[2] : nx;
  if (p->grow) {
    for (int64_t x = low; there && x < high; x++) to[x] |= p->from[row + x + s[2]];
    return;
  }
  for (int64_t x = 0; x < nx; x++)
    if (!there || x < low || x >= high || !p->from[row + x + s[2]]) to[x] = 0;
}

static void morph_rows(int64_t begin, int64_t end, void *ctx) {
  const pass *p = ctx;
  for (int64_t r = begin; r < end; r++) {
    uint8_t *to = p->to + r * p->size[2];
    memcpy(to, p->from + r * p->size[2], (size_t)p->size[2]);
    for (int k = 0; k < p->h->n; k++)
      take_row(p, r / p->size[1], r % p->size[1], p->h->step[k], to);
  }
}

/* *t is replaced, `times` over, by what a pass makes of it; *spare holds the one before. */
static void morph_times(hl_tensor **t, hl_tensor **spare, const hood *h, bool grow, int times) {
  for (int i = 0; i < times; i++) {
    pass p = {.from = hl_tensor_u8(*t),
              .to = hl_tensor_u8(*spare),
              .size = hl_tensor_shape(*t)->dim,
              .h = h,
              .grow = grow};
    hl_parallel_for(p.size[0] * p.size[1], 64, morph_rows, &p);
    hl_tensor *done = *spare;
    *spare = *t;
    *t = done;
  }
}

/* The mask with ones for all that is in. */
static void copy_ones(hl_tensor *to, const hl_tensor *from) {
  int64_t n = hl_tensor_numel(to);
  for (int64_t i = 0; i < n; i++) hl_tensor_u8(to)[i] = hl_tensor_u8(from)[i] != 0;
}

hl_status hl_mask_morph(hl_tensor **out, const hl_tensor *mask, hl_morphology what,
                        int connectivity, int iterations, hl_err *e) {
  *out = NULL;
  hood h;
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  HL_TRY(hood_make(&h, connectivity, e));
  if (what >= HL_MORPHOLOGIES || iterations < 1)
    return hl_fail(e, HL_EINVAL, "an unknown operation, or %d iterations (expected 1 or more)",
                   iterations);
  hl_tensor *t, *spare = NULL;
  HL_TRY(mask_new(&t, mask, e));
  hl_status status = mask_new(&spare, mask, e);
  if (status == HL_OK) {
    bool first = what == HL_DILATE || what == HL_CLOSE;
    copy_ones(t, mask);
    morph_times(&t, &spare, &h, first, iterations);
    if (what == HL_OPEN || what == HL_CLOSE) morph_times(&t, &spare, &h, !first, iterations);
  }
  hl_tensor_unref(spare);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}

/* ---- spreading from voxel to neighbour ---- */

typedef struct queue {
  int64_t *items;
  int64_t n, room;
} queue;

static hl_status push(queue *q, int64_t item, hl_err *e) {
  if (q->n == q->room) {
    int64_t room = 2 * q->room + 1024;
    int64_t *items = hl_host_realloc(q->items, (size_t)room * sizeof *items);
    if (!items) return hl_fail(e, HL_ENOMEM, "no memory to follow %lld voxels", (long long)room);
    q->items = items;
    q->room = room;
  }
  q->items[q->n++] = item;
  return HL_OK;
}

/* Gives `label` to all voxels of value 0 in `label_of` that are `in`, connected with `seed`. */
typedef struct spread {
  const uint8_t *mask;
  bool in; /* follow voxels that are in, or out */
  int32_t *label_of;
  const int64_t *size;
  const hood *h;
  queue q;
  hl_part part;
} spread;

static void count_voxel(hl_part *p, const int64_t at[3]) {
  for (int a = 0; a < 3; a++) {
    p->centre[a] += (double)at[a];
    int64_t end = p->first[a] + p->size[a];
    if (p->voxels == 0 || at[a] < p->first[a]) p->first[a] = at[a];
    p->size[a] = (p->voxels == 0 || at[a] + 1 > end ? at[a] + 1 : end) - p->first[a];
  }
  p->voxels++;
}

static hl_status follow(spread *s, int64_t seed, int32_t label, hl_err *e) {
  int64_t ny = s->size[1], nx = s->size[2];
  s->part = (hl_part){0};
  s->label_of[seed] = label;
  HL_TRY(push(&s->q, seed, e));
  while (s->q.n) {
    int64_t i = s->q.items[--s->q.n], at[3] = {i / (ny * nx), i / nx % ny, i % nx};
    count_voxel(&s->part, at);
    for (int k = 0; k < s->h->n; k++) {
      const int *d = s->h->step[k];
      int64_t z = at[0] + d[0], y = at[1] + d[1], x = at[2] + d[2];
      if (!within(s->size, z, y, x)) continue;
      int64_t j = (z * ny + y) * nx + x;
      if (s->label_of[j] || (s->mask[j] != 0) != s->in) continue;
      s->label_of[j] = label;
      HL_TRY(push(&s->q, j, e));
    }
  }
  for (int a = 0; a < 3; a++) s->part.centre[a] /= (double)s->part.voxels;
  return HL_OK;
}

static hl_status labels_new(hl_tensor **out, const hl_tensor *mask, hl_err *e) {
  HL_TRY(image_new(out, HL_I32, hl_tensor_shape(mask)->dim, "labels", e));
  memset(hl_tensor_data(*out), 0, hl_tensor_bytes(*out));
  return HL_OK;
}

static bool on_border(const int64_t *size, int64_t i) {
  int64_t z = i / (size[1] * size[2]), y = i / size[2] % size[1], x = i % size[2];
  return z == 0 || y == 0 || x == 0 || z == size[0] - 1 || y == size[1] - 1 || x == size[2] - 1;
}

static hl_status follow_outside(spread *s, int64_t n, hl_err *e) {
  for (int64_t i = 0; i < n; i++)
    if (!s->mask[i] && !s->label_of[i] && on_border(s->size, i)) HL_TRY(follow(s, i, 1, e));
  return HL_OK;
}

hl_status hl_mask_fill_holes(hl_tensor **out, const hl_tensor *mask, int connectivity, hl_err *e) {
  *out = NULL;
  hood h;
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  HL_TRY(hood_make(&h, connectivity, e));
  hl_tensor *outside;
  HL_TRY(labels_new(&outside, mask, e));
  spread s = {.mask = hl_tensor_u8(mask),
              .label_of = hl_tensor_i32(outside),
              .size = hl_tensor_shape(mask)->dim,
              .h = &h};
  int64_t n = hl_tensor_numel(mask);
  hl_status status = follow_outside(&s, n, e);
  if (status == HL_OK) status = mask_new(out, mask, e);
  for (int64_t i = 0; status == HL_OK && i < n; i++) hl_tensor_u8(*out)[i] = !s.label_of[i];
  hl_host_free(s.q.items);
  hl_tensor_unref(outside);
  return status;
}

static hl_status follow_all(spread *s, int64_t voxels, hl_part **parts, int64_t *n, hl_err *e) {
  int64_t room = 0;
  for (int64_t i = 0; i < voxels; i++) {
    if (!s->mask[i] || s->label_of[i]) continue;
    HL_TRY(follow(s, i, (int32_t)*n + 1, e));
    if (*n == room) {
      room = 2 * room + 16;
      hl_part *more = hl_host_realloc(*parts, (size_t)room * sizeof *more);
      if (!more) return hl_fail(e, HL_ENOMEM, "no memory for %lld parts", (long long)room);
      *parts = more;
    }
    (*parts)[(*n)++] = s->part;
  }
  return HL_OK;
}

hl_status hl_mask_parts(hl_tensor **labels, hl_part **parts, int64_t *n, const hl_tensor *mask,
                        int connectivity, hl_err *e) {
  *labels = NULL;
  *parts = NULL;
  *n = 0;
  hood h;
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  HL_TRY(hood_make(&h, connectivity, e));
  HL_TRY(labels_new(labels, mask, e));
  spread s = {.mask = hl_tensor_u8(mask),
              .in = true,
              .label_of = hl_tensor_i32(*labels),
              .size = hl_tensor_shape(mask)->dim,
              .h = &h};
  hl_status status = follow_all(&s, hl_tensor_numel(mask), parts, n, e);
  hl_host_free(s.q.items);
  if (status == HL_OK) return HL_OK;
  hl_tensor_unref(*labels);
  hl_host_free(*parts);
  *labels = NULL;
  *parts = NULL;
  *n = 0;
  return status;
}
