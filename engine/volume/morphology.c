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

/* Bytes of 0 and 1, eight at a time. */
static void combine(uint8_t *to, const uint8_t *from, int64_t n, bool grow) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t a, b;
    memcpy(&a, to + i, 8);
    memcpy(&b, from + i, 8);
    a = grow ? a | b : a & b;
    memcpy(to + i, &a, 8);
  }
  for (; i < n; i++) to[i] = grow ? to[i] | from[i] : to[i] & from[i];
}

/* Takes one row of neighbours, displaced by s, into a row of the result. */
static void take_row(const pass *p, int64_t z, int64_t y, const int *s, uint8_t *to) {
  int64_t nx = p->size[2], row = ((z + s[0]) * p->size[1] + y + s[1]) * nx;
  int64_t low = s[2] < 0 ? 1 : 0, high = s[2] > 0 ? nx - 1 : nx;
  if (!within(p->size, z + s[0], y + s[1], 0)) {
    if (!p->grow) memset(to, 0, (size_t)nx);
    return;
  }
  combine(to + low, p->from + row + low + s[2], high - low, p->grow);
  if (!p->grow && low) to[0] = 0;
  if (!p->grow && high < nx) to[nx - 1] = 0;
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
