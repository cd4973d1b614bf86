/* A block of voxels of one row at a time: where they come from, then each channel from there. */
#include "lines.h"

#include <hilum/parallel.h>
#include <hilum/warp.h>

#include <math.h>
#include <string.h>

static const char *const rules[HL_WARP_RULES] = {"linear", "cubic", "soft", "mask"};

const char *hl_warp_rule_name(hl_warp_rule r) {
  return r < HL_WARP_RULES ? rules[r] : "unknown";
}

hl_warp_rule hl_warp_rule_by_name(const char *name) {
  int r = 0;
  while (r < HL_WARP_RULES && strcmp(name, rules[r]) != 0) r++;
  return (hl_warp_rule)r;
}

enum { BLOCK = 128, ROWS = 4, MOST_CHANNELS = 64 };

typedef struct channel {
  hl_warp_rule rule;
  size_t item;
  const void *from; /* of a cubic channel the spline's coefficients */
  void *to;
  /* A mask is in nowhere but between these coordinates, exclusive: it is empty for the most part.
   */
  double above[3], below[3];
} channel;

typedef struct work {
  int64_t size[3];
  const hl_warp_step *steps;
  int n_steps, n_channels;
  channel channels[MOST_CHANNELS];
  hl_tensor *splines[MOST_CHANNELS];
} work;

static inline double clamped(double x, double low, double high) {
  x = x > low ? x : low;
  return x < high ? x : high;
}

/* ---- where voxels come from ---- */

/* The displacements of the four columns of control points along x that a coordinate needs: good for
 * all coordinates of one z and y in one cell. */
typedef struct columns {
  double z, y;
  int64_t cell;
  double by[4][3];
  bool known;
} columns;

/* The cell of control points that a coordinate lies in, and where in it, 0 to 1. */
static int64_t cell_of(const hl_bend *b, int a, double p, double *part) {
  double last = (double)(b->size[a] - 2), k = clamped(p / b->step[a] + 1, 1, last);
  int64_t cell = (int64_t)k;
  if (cell > b->size[a] - 3) cell = b->size[a] - 3;
  *part = k - (double)cell;
  return cell;
}

static void gather_columns(columns *c, const hl_bend *b, double z, double y, int64_t cell) {
  double part, wz[4], wy[4];
  int64_t kz = cell_of(b, 0, z, &part) - 1;
  spline_weights(part, wz);
  int64_t ky = cell_of(b, 1, y, &part) - 1;
  spline_weights(part, wy);
  double sum[12] = {0};
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      const double *row = b->by + 3 * (((kz + i) * b->size[1] + ky + j) * b->size[2] + cell - 1);
      double w = wz[i] * wy[j];
      for (int k = 0; k < 12; k++) sum[k] += w * row[k];
    }
  *c = (columns){.z = z, .y = y, .cell = cell, .known = true};
  memcpy(c->by, sum, sizeof sum);
}

static void bend(const hl_bend *b, int64_t n, double at[3][BLOCK]) {
  columns c = {.known = false};
  for (int64_t i = 0; i < n; i++) {
    double part, w[4], z = at[0][i], y = at[1][i];
    int64_t cell = cell_of(b, 2, at[2][i], &part);
    if (!c.known || c.cell != cell || c.z < z || c.z > z || c.y < y || c.y > y)
      gather_columns(&c, b, z, y, cell);
    spline_weights(part, w);
    for (int a = 0; a < 3; a++)
      at[a][i] += w[0] * c.by[0][a] + w[1] * c.by[1][a] + w[2] * c.by[2][a] + w[3] * c.by[3][a];
  }
}

static void affine(const hl_warp_step *s, int64_t n, double at[3][BLOCK]) {
  const double *m = s->matrix;
  for (int64_t i = 0; i < n; i++) {
    double z = at[0][i], y = at[1][i], x = at[2][i];
    for (int a = 0; a < 3; a++)
      at[a][i] = m[3 * a] * z + m[3 * a + 1] * y + m[3 * a + 2] * x + s->offset[a];
  }
}

/* Voxels x0 … x0 + n - 1 of row (z, y). */
static void follow(const work *w, int64_t row, int64_t x0, int64_t n, double at[3][BLOCK]) {
  for (int64_t i = 0; i < n; i++) {
    at[0][i] = (double)(row / w->size[1]);
    at[1][i] = (double)(row % w->size[1]);
    at[2][i] = (double)(x0 + i);
  }
  for (int k = 0; k < w->n_steps; k++) {
    affine(&w->steps[k], n, at);
    if (w->steps[k].bend.size[0]) bend(&w->steps[k].bend, n, at);
  }
}

/* ---- what is there ---- */

/* The eight voxels around a coordinate. */
typedef struct cube {
  int64_t first;  /* -1: nothing is there */
  int64_t dz, dy; /* to the next plane and row, 0 at the end */
  int32_t dx;
  float z, y, x; /* parts of a voxel */
} cube;

static cube cube_at(const int64_t size[3], double z, double y, double x) {
  const double at[3] = {z, y, x};
  int64_t low[3];
  float part[3];
  for (int a = 0; a < 3; a++) {
    double last = (double)(size[a] - 1), p = at[a];
    if (!(p >= -0.5 && p <= last + 0.5)) return (cube){.first = -1};
    p = clamped(p, 0, last);
    low[a] = (int64_t)p;
    part[a] = (float)(p - (double)low[a]);
  }
  return (cube){.first = (low[0] * size[1] + low[1]) * size[2] + low[2],
                .dz = low[0] + 1 < size[0] ? size[1] * size[2] : 0,
                .dy = low[1] + 1 < size[1] ? size[2] : 0,
                .dx = low[2] + 1 < size[2],
                .z = part[0],
                .y = part[1],
                .x = part[2]};
}

static float between(float a, float b, float part) {
  return a + part * (b - a);
}

static float trilinear(const float *v, const cube *c) {
  v += c->first;
  const float *w = v + c->dz;
  float a = between(between(v[0], v[c->dx], c->x), between(v[c->dy], v[c->dy + c->dx], c->x), c->y);
  float b = between(between(w[0], w[c->dx], c->x), between(w[c->dy], w[c->dy + c->dx], c->x), c->y);
  return between(a, b, c->z);
}

static uint8_t majority(const uint8_t *v, const cube *c) {
  v += c->first;
  const uint8_t *w = v + c->dz;
  const int in[8] = {v[0] != 0, v[c->dx] != 0, v[c->dy] != 0, v[c->dy + c->dx] != 0,
                     w[0] != 0, w[c->dx] != 0, w[c->dy] != 0, w[c->dy + c->dx] != 0};
  int all = 0;
  for (int k = 0; k < 8; k++) all += in[k];
  if (all == 0 || all == 8) return all == 8;
  float p[8];
  for (int k = 0; k < 8; k++) p[k] = (float)in[k];
  float a = between(between(p[0], p[1], c->x), between(p[2], p[3], c->x), c->y);
  float b = between(between(p[4], p[5], c->x), between(p[6], p[7], c->x), c->y);
  return between(a, b, c->z) >= 0.5F;
}

/* The end voxel goes on: a coordinate beyond is that of the end. */
static void to_ends(const int64_t size[3], int64_t n, double at[3][BLOCK]) {
  for (int a = 0; a < 3; a++)
    for (int64_t i = 0; i < n; i++) at[a][i] = clamped(at[a][i], 0, (double)(size[a] - 1));
}

static float cubic(const float *v, const int64_t size[3], double z, double y, double x) {
  const double at[3] = {z, y, x};
  double w[3][4], sum = 0;
  int64_t index[3][4];
  for (int a = 0; a < 3; a++) {
    int64_t low = (int64_t)at[a];
    spline_weights(at[a] - (double)low, w[a]);
    for (int k = 0; k < 4; k++) index[a][k] = boundary_index(HL_MIRROR, low - 1 + k, size[a]);
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      const float *row = v + (index[0][i] * size[1] + index[1][j]) * size[2];
      double part = 0;
      for (int k = 0; k < 4; k++) part += w[2][k] * (double)row[index[2][k]];
      sum += w[0][i] * w[1][j] * part;
    }
  return (float)sum;
}

/* A block of voxels: where they come from, and with the ends going on. */
typedef struct block {
  int64_t first, n;
  double at[3][BLOCK];
  cube cubes[BLOCK], ends[BLOCK];
} block;

static void fill_mask(const channel *c, const block *b) {
  uint8_t *to = (uint8_t *)c->to + b->first;
  for (int64_t i = 0; i < b->n; i++) {
    bool near = b->cubes[i].first >= 0;
    for (int a = 0; a < 3; a++)
      near = near && b->at[a][i] > c->above[a] && b->at[a][i] < c->below[a];
    to[i] = near ? majority(c->from, &b->cubes[i]) : 0;
  }
}

static void fill(const work *w, const channel *c, const block *b) {
  if (c->rule == HL_WARP_MASK) {
    fill_mask(c, b);
    return;
  }
  float *to = (float *)c->to + b->first;
  for (int64_t i = 0; i < b->n; i++) {
    if (c->rule == HL_WARP_LINEAR)
      to[i] = trilinear(c->from, &b->ends[i]);
    else if (c->rule == HL_WARP_CUBIC)
      to[i] = cubic(c->from, w->size, b->at[0][i], b->at[1][i], b->at[2][i]);
    else
      to[i] = b->cubes[i].first < 0 ? 0 : trilinear(c->from, &b->cubes[i]);
  }
}

static void look_up(const work *w, block *b) {
  double(*at)[BLOCK] = b->at;
  for (int64_t i = 0; i < b->n; i++) b->cubes[i] = cube_at(w->size, at[0][i], at[1][i], at[2][i]);
  to_ends(w->size, b->n, at);
  for (int64_t i = 0; i < b->n; i++)
    b->ends[i] =
        b->cubes[i].first >= 0 ? b->cubes[i] : cube_at(w->size, at[0][i], at[1][i], at[2][i]);
}

static void rows(int64_t begin, int64_t end, void *ctx) {
  const work *w = ctx;
  block b;
  for (int64_t row = begin; row < end; row++)
    for (int64_t x0 = 0; x0 < w->size[2]; x0 += BLOCK) {
      b.n = w->size[2] - x0 < BLOCK ? w->size[2] - x0 : BLOCK;
      b.first = row * w->size[2] + x0;
      follow(w, row, x0, b.n, b.at);
      look_up(w, &b);
      for (int c = 0; c < w->n_channels; c++) fill(w, &w->channels[c], &b);
    }
}

/* ---- whole voxels ---- */

static bool is_whole(double x) {
  return !(x > floor(x)) && fabs(x) < 1e9;
}

/* True if the map only exchanges and mirrors axes and moves by whole voxels. */
static bool is_exact(const work *w) {
  const hl_warp_step *s = w->steps;
  if (w->n_steps != 1 || s->bend.size[0]) return false;
  for (int a = 0; a < 3; a++) {
    double in_row = 0, in_column = 0;
    for (int b = 0; b < 3; b++) {
      double r = fabs(s->matrix[3 * a + b]), c = fabs(s->matrix[3 * b + a]);
      if (!is_whole(r)) return false;
      in_row += r;
      in_column += c;
    }
    if (in_row < 1 || in_row > 1 || in_column < 1 || in_column > 1 || !is_whole(s->offset[a]))
      return false;
  }
  return true;
}

/* Where a row comes from: voxel x of it is `base` + `stride` · (low + step · x), as long as that
 * factor lies in 0 … last. */
typedef struct line {
  int64_t base, stride, low, step, last;
  bool inside; /* along the other axes */
} line;

static line line_of(const work *w, int64_t row) {
  const double *m = w->steps->matrix, *offset = w->steps->offset;
  const double z = (double)(row / w->size[1]), y = (double)(row % w->size[1]);
  const int64_t strides[3] = {w->size[1] * w->size[2], w->size[2], 1};
  line l = {.inside = true};
  for (int a = 0; a < 3; a++) {
    int64_t p = (int64_t)(m[3 * a] * z + m[3 * a + 1] * y + offset[a]);
    int64_t step = (int64_t)m[3 * a + 2], last = w->size[a] - 1;
    if (step) {
      l.stride = strides[a];
      l.low = p;
      l.step = step;
      l.last = last;
    } else {
      l.inside = l.inside && p >= 0 && p <= last;
      l.base += strides[a] * (p < 0 ? 0 : p > last ? last : p);
    }
  }
  return l;
}

static void copy_line(const channel *c, const line *l, int64_t to, int64_t n) {
  bool image = c->rule == HL_WARP_LINEAR || c->rule == HL_WARP_CUBIC;
  for (int64_t x = 0; x < n; x++) {
    int64_t p = l->low + l->step * x, nearest = p < 0 ? 0 : p > l->last ? l->last : p;
    int64_t from = l->base + l->stride * nearest;
    bool there = image || (l->inside && p == nearest);
    if (c->item == 1)
      ((uint8_t *)c->to)[to + x] = there ? ((const uint8_t *)c->from)[from] : 0;
    else
      ((float *)c->to)[to + x] = there ? ((const float *)c->from)[from] : 0;
  }
}

static void rows_exact(int64_t begin, int64_t end, void *ctx) {
  const work *w = ctx;
  for (int64_t row = begin; row < end; row++) {
    line l = line_of(w, row);
    for (int c = 0; c < w->n_channels; c++)
      copy_line(&w->channels[c], &l, row * w->size[2], w->size[2]);
  }
}

/* ---- checks ---- */

/* The size of a plain [z,y,x] or an image {1,1,z,y,x}; false for anything else. */
static bool size_of(const hl_tensor *t, int64_t size[3]) {
  const hl_shape *s = hl_tensor_shape(t);
  bool image = hl_tensor_layout(t) == HL_IMAGE && s->rank == 5 && s->dim[0] == 1 && s->dim[1] == 1;
  bool plain = hl_tensor_layout(t) == HL_PLAIN && s->rank == 3;
  if (!(image || plain) || !hl_tensor_is_dense(t) || hl_tensor_numel(t) == 0) return false;
  memcpy(size, s->dim + s->rank - 3, 3 * sizeof *size);
  return true;
}

static hl_status check_channel(const work *w, const hl_warp_channel *c, int k, hl_err *e) {
  char text[HL_DESC_TEXT];
  int64_t size[3];
  if (c->rule >= HL_WARP_RULES) return hl_fail(e, HL_EINVAL, "channel %d has no known rule", k + 1);
  hl_dtype type = c->rule == HL_WARP_MASK ? HL_U8 : HL_F32;
  hl_desc_text(hl_tensor_desc(c->src), text);
  if (!size_of(c->src, size))
    return hl_fail(e, HL_ESHAPE, "channel %d is %s, expected a dense image of one channel, z, y, x",
                   k + 1, text);
  if (hl_tensor_dtype(c->src) != type)
    return hl_fail(e, HL_ETYPE, "channel %d is %s, expected %s for the rule '%s'", k + 1, text,
                   hl_dtype_name(type), rules[c->rule]);
  if (memcmp(size, w->size, sizeof size) != 0)
    return hl_fail(e, HL_ESHAPE, "channel %d is %s, the first has %lld × %lld × %lld voxels", k + 1,
                   text, (long long)w->size[0], (long long)w->size[1], (long long)w->size[2]);
  return HL_OK;
}

static bool all_finite(const double *v, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(v[i])) return false;
  return true;
}

static hl_status check_step(const hl_warp_step *s, int k, hl_err *e) {
  if (!all_finite(s->matrix, 9) || !all_finite(s->offset, 3))
    return hl_fail(e, HL_EINVAL, "step %d has a number that is not finite", k + 1);
  const hl_bend *b = &s->bend;
  if (b->size[0] == 0 && b->size[1] == 0 && b->size[2] == 0) return HL_OK;
  for (int a = 0; a < 3; a++) {
    if (b->size[a] < 4 || b->size[a] > 1 << 20)
      return hl_fail(e, HL_EINVAL,
                     "step %d bends by %lld control points along an axis, expected 4 or more",
                     k + 1, (long long)b->size[a]);
    if (!(b->step[a] > 0 && isfinite(b->step[a])))
      return hl_fail(e, HL_EINVAL,
                     "step %d has control points %g voxels apart, expected more than 0", k + 1,
                     b->step[a]);
  }
  if (!b->by || !all_finite(b->by, 3 * b->size[0] * b->size[1] * b->size[2]))
    return hl_fail(e, HL_EINVAL, "step %d bends by a number that is not finite", k + 1);
  return HL_OK;
}

static hl_status check(const work *w, const hl_warp_channel *channels, int n_channels, hl_err *e) {
  if (w->n_steps < 1 || n_channels < 1 || n_channels > MOST_CHANNELS)
    return hl_fail(e, HL_EINVAL,
                   "%d steps and %d channels, expected one or more of each, of channels at most %d",
                   w->n_steps, n_channels, MOST_CHANNELS);
  for (int k = 0; k < w->n_steps; k++) HL_TRY(check_step(&w->steps[k], k, e));
  for (int k = 0; k < n_channels; k++) HL_TRY(check_channel(w, &channels[k], k, e));
  return HL_OK;
}

/* ---- doing it ---- */

/* The coefficients of a channel's spline, on [z,y,x]. */
static hl_status open_spline(hl_tensor **out, hl_tensor *src, const int64_t size[3], hl_err *e) {
  hl_desc d = {.dtype = HL_F32, .layout = HL_PLAIN, .shape = hl_shape_make(3, size)};
  hl_tensor *plain;
  HL_TRY(hl_tensor_recast(&plain, src, &d, e));
  hl_status status = hl_spline_coefficients(out, plain, HL_MIRROR, HL_F32, e);
  hl_tensor_unref(plain);
  return status;
}

/* The box of a mask, one voxel wider than what is in. */
static void find_box(channel *c, const int64_t size[3]) {
  const uint8_t *v = c->from;
  for (int a = 0; a < 3; a++) {
    c->above[a] = (double)size[a];
    c->below[a] = -1;
  }
  for (int64_t z = 0; z < size[0]; z++)
    for (int64_t y = 0; y < size[1]; y++)
      for (int64_t x = 0; x < size[2]; x++) {
        if (!*v++) continue;
        const double at[3] = {(double)z, (double)y, (double)x};
        for (int a = 0; a < 3; a++) {
          c->above[a] = fmin(c->above[a], at[a] - 1);
          c->below[a] = fmax(c->below[a], at[a] + 1);
        }
      }
}

static hl_status open_channel(work *w, hl_tensor **out, const hl_warp_channel *c, bool exact,
                              hl_err *e) {
  int k = w->n_channels;
  HL_TRY(hl_tensor_new(out, hl_tensor_desc(c->src), hl_ledger_main(), HL_MEM_DATA, "a moved image",
                       e));
  bool spline = c->rule == HL_WARP_CUBIC && !exact;
  if (spline) HL_TRY(open_spline(&w->splines[k], c->src, w->size, e));
  w->channels[k] = (channel){.rule = c->rule,
                             .item = hl_dtype_size(hl_tensor_dtype(c->src)),
                             .from = hl_tensor_data(spline ? w->splines[k] : c->src),
                             .to = hl_tensor_data(*out)};
  if (c->rule == HL_WARP_MASK && !exact) find_box(&w->channels[k], w->size);
  w->n_channels++;
  return HL_OK;
}

hl_status hl_warp_apply(hl_tensor **out, const hl_warp_step *steps, int n_steps,
                        const hl_warp_channel *channels, int n_channels, hl_err *e) {
  work w = {.steps = steps, .n_steps = n_steps};
  for (int k = 0; k < n_channels; k++) out[k] = NULL;
  if (n_channels > 0 && !size_of(channels[0].src, w.size))
    HL_TRY(check_channel(&w, channels, 0, e));
  HL_TRY(check(&w, channels, n_channels, e));
  bool exact = is_exact(&w);
  hl_status status = HL_OK;
  for (int k = 0; k < n_channels && status == HL_OK; k++)
    status = open_channel(&w, &out[k], &channels[k], exact, e);
  if (status == HL_OK) hl_parallel_for(w.size[0] * w.size[1], ROWS, exact ? rows_exact : rows, &w);
  for (int k = 0; k < n_channels; k++) {
    hl_tensor_unref(w.splines[k]);
    if (status == HL_OK) continue;
    hl_tensor_unref(out[k]);
    out[k] = NULL;
  }
  return status;
}
