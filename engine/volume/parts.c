/* Connected parts of masks, by runs of voxels along x that a forest joins. */
#include "lines.h"

#include <hilum/morphology.h>
#include <string.h>

typedef struct run {
  int64_t row; /* z · ny + y */
  int64_t begin, end;
  int64_t root; /* an earlier run of the same part, or itself */
} run;

typedef struct runs {
  run *items;
  int64_t n, room;
  int64_t *first; /* of each row; one more at the end */
  const int64_t *size;
} runs;

static void runs_free(runs *r) {
  hl_host_free(r->items);
  hl_host_free(r->first);
}

static hl_status add_run(runs *r, int64_t row, int64_t begin, int64_t end, hl_err *e) {
  if (r->n == r->room) {
    int64_t room = 2 * r->room + 1024;
    run *items = hl_host_realloc(r->items, (size_t)room * sizeof *items);
    if (!items) return hl_fail(e, HL_ENOMEM, "no memory for %lld runs of voxels", (long long)room);
    r->items = items;
    r->room = room;
  }
  r->items[r->n] = (run){row, begin, end, r->n};
  r->n++;
  return HL_OK;
}

/* Runs of voxels that are in the mask, or out of it, in the order of memory. */
static hl_status find_runs(runs *r, const uint8_t *mask, bool in, hl_err *e) {
  int64_t rows = r->size[0] * r->size[1], nx = r->size[2];
  r->first = hl_host_calloc((size_t)rows + 1, sizeof *r->first);
  if (!r->first) return hl_fail(e, HL_ENOMEM, "no memory for %lld rows", (long long)rows);
  for (int64_t row = 0; row < rows; row++, mask += nx) {
    r->first[row] = r->n;
    for (int64_t x = 0; x < nx;) {
      while (x < nx && (mask[x] != 0) != in) x++;
      int64_t begin = x;
      while (x < nx && (mask[x] != 0) == in) x++;
      if (x > begin) HL_TRY(add_run(r, row, begin, x, e));
    }
  }
  r->first[rows] = r->n;
  return HL_OK;
}

static int64_t root_of(run *items, int64_t i) {
  while (items[i].root != i) {
    items[i].root = items[items[i].root].root;
    i = items[i].root;
  }
  return i;
}

/* The first run in memory becomes the root. */
static void join(run *items, int64_t i, int64_t k) {
  int64_t a = root_of(items, i), b = root_of(items, k);
  if (a < b) items[b].root = a;
  if (b < a) items[a].root = b;
}

/* Joins the runs of two rows that touch, or lie at most `reach` off along x. */
static void join_rows(runs *r, int64_t row, int64_t other, int64_t reach) {
  int64_t i = r->first[row], k = r->first[other];
  while (i < r->first[row + 1] && k < r->first[other + 1]) {
    const run *a = &r->items[i], *b = &r->items[k];
    if (a->begin < b->end + reach && b->begin < a->end + reach) join(r->items, i, k);
    if (a->end < b->end)
      i++;
    else
      k++;
  }
}

/* The rows before a row, in memory, that hold neighbours of its voxels. */
static void join_all(runs *r, int connectivity) {
  static const int dz[4] = {0, -1, -1, -1}, dy[4] = {-1, 0, -1, 1};
  int64_t ny = r->size[1], rows = r->size[0] * ny;
  for (int64_t row = 0; row < rows; row++)
    for (int k = 0; k < 4; k++) {
      bool diagonal = dz[k] && dy[k];
      if (diagonal && connectivity == 6) continue;
      int64_t z = row / ny + dz[k], y = row % ny + dy[k];
      if (z < 0 || y < 0 || y >= ny) continue;
      join_rows(r, row, z * ny + y, connectivity == 26 || (connectivity == 18 && !diagonal));
    }
}

static hl_status open_runs(runs *r, const hl_tensor *mask, bool in, int connectivity, hl_err *e) {
  *r = (runs){.size = hl_tensor_shape(mask)->dim};
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  if (connectivity != 6 && connectivity != 18 && connectivity != 26)
    return hl_fail(e, HL_EINVAL, "connectivity is %d, expected 6, 18 or 26", connectivity);
  HL_TRY(find_runs(r, hl_tensor_u8(mask), in, e));
  join_all(r, connectivity);
  return HL_OK;
}

/* ---- holes ---- */

static bool on_border(const runs *r, const run *a) {
  int64_t z = a->row / r->size[1], y = a->row % r->size[1];
  return z == 0 || y == 0 || z == r->size[0] - 1 || y == r->size[1] - 1 || a->begin == 0 ||
         a->end == r->size[2];
}

/* Everything becomes 1 but runs whose part reaches the border. */
static hl_status fill(const hl_tensor *out, runs *r, hl_err *e) {
  bool *open = hl_host_calloc((size_t)(r->n ? r->n : 1), sizeof *open);
  if (!open) return hl_fail(e, HL_ENOMEM, "no memory for %lld runs of voxels", (long long)r->n);
  for (int64_t i = 0; i < r->n; i++)
    if (on_border(r, &r->items[i])) open[root_of(r->items, i)] = true;
  memset(hl_tensor_u8(out), 1, hl_tensor_bytes(out));
  for (int64_t i = 0; i < r->n; i++) {
    const run *a = &r->items[i];
    if (open[root_of(r->items, i)])
      memset(hl_tensor_u8(out) + a->row * r->size[2] + a->begin, 0, (size_t)(a->end - a->begin));
  }
  hl_host_free(open);
  return HL_OK;
}

hl_status hl_mask_fill_holes(hl_tensor **out, const hl_tensor *mask, int connectivity, hl_err *e) {
  *out = NULL;
  runs r;
  hl_tensor *t = NULL;
  hl_status status = open_runs(&r, mask, false, connectivity, e);
  if (status == HL_OK) status = image_new(&t, HL_U8, r.size, "a mask", e);
  if (status == HL_OK) status = fill(t, &r, e);
  runs_free(&r);
  if (status != HL_OK) {
    hl_tensor_unref(t);
    return status;
  }
  *out = t;
  return HL_OK;
}

/* ---- parts ---- */

static void count_run(hl_part *p, const runs *r, const run *a) {
  int64_t at[3] = {a->row / r->size[1], a->row % r->size[1], a->begin}, n = a->end - a->begin;
  const int64_t ends[3] = {at[0] + 1, at[1] + 1, a->end};
  p->centre[0] += (double)(n * at[0]);
  p->centre[1] += (double)(n * at[1]);
  p->centre[2] += 0.5 * (double)(n * (a->begin + a->end - 1));
  for (int k = 0; k < 3; k++) {
    int64_t end = p->first[k] + p->size[k];
    if (p->voxels == 0 || at[k] < p->first[k]) p->first[k] = at[k];
    p->size[k] = (p->voxels == 0 || ends[k] > end ? ends[k] : end) - p->first[k];
  }
  p->voxels += n;
}

/* Numbers the parts; `number` of each root. */
static hl_status count_parts(hl_part **parts, int64_t *n, int32_t *number, runs *r, hl_err *e) {
  for (int64_t i = 0; i < r->n; i++)
    if (root_of(r->items, i) == i) number[i] = (int32_t)++ * n;
  if (*n == 0) return HL_OK;
  *parts = hl_host_calloc((size_t)*n, sizeof **parts);
  if (!*parts) return hl_fail(e, HL_ENOMEM, "no memory for %lld parts", (long long)*n);
  for (int64_t i = 0; i < r->n; i++)
    count_run(&(*parts)[number[root_of(r->items, i)] - 1], r, &r->items[i]);
  for (int64_t i = 0; i < *n; i++)
    for (int k = 0; k < 3; k++) (*parts)[i].centre[k] /= (double)(*parts)[i].voxels;
  return HL_OK;
}

static void write_labels(int32_t *to, const int32_t *number, runs *r) {
  for (int64_t i = 0; i < r->n; i++) {
    const run *a = &r->items[i];
    int32_t label = number[root_of(r->items, i)];
    for (int64_t x = a->begin; x < a->end; x++) to[a->row * r->size[2] + x] = label;
  }
}

static hl_status find_parts(hl_tensor **labels, hl_part **parts, int64_t *n, int32_t *number,
                            runs *r, hl_err *e) {
  HL_TRY(count_parts(parts, n, number, r, e));
  HL_TRY(image_new(labels, HL_I32, r->size, "labels", e));
  memset(hl_tensor_data(*labels), 0, hl_tensor_bytes(*labels));
  write_labels(hl_tensor_i32(*labels), number, r);
  return HL_OK;
}

hl_status hl_mask_parts(hl_tensor **labels, hl_part **parts, int64_t *n, const hl_tensor *mask,
                        int connectivity, hl_err *e) {
  *labels = NULL;
  *parts = NULL;
  *n = 0;
  runs r;
  int32_t *number = NULL;
  hl_status status = open_runs(&r, mask, true, connectivity, e);
  if (status == HL_OK) {
    number = hl_host_calloc((size_t)(r.n ? r.n : 1), sizeof *number);
    status = number ? find_parts(labels, parts, n, number, &r, e)
                    : hl_fail(e, HL_ENOMEM, "no memory for %lld runs of voxels", (long long)r.n);
  }
  hl_host_free(number);
  runs_free(&r);
  if (status == HL_OK) return HL_OK;
  hl_tensor_unref(*labels);
  hl_host_free(*parts);
  *labels = NULL;
  *parts = NULL;
  *n = 0;
  return status;
}
