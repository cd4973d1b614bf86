/* Polygons on the pixel lattice, in integers throughout: no tolerance, no rounding. */
#include <hilum/contour.h>
#include <hilum/ledger.h>
#include <string.h>

static const char *const semantics_names[HL_SEMANTICS] = {"interior", "closed", "pylidc"};

const char *hl_semantics_name(hl_semantics s) {
  return s < HL_SEMANTICS ? semantics_names[s] : "unknown";
}

hl_semantics hl_semantics_by_name(const char *name) {
  int s = 0;
  while (s < HL_SEMANTICS && strcmp(name, semantics_names[s]) != 0) s++;
  return (hl_semantics)s;
}

hl_mask_window hl_outline_window(const hl_outline *outlines, int64_t n) {
  int32_t x0 = INT32_MAX, y0 = INT32_MAX, x1 = INT32_MIN, y1 = INT32_MIN;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < outlines[i].n; k++) {
      hl_point p = outlines[i].points[k];
      if (p.x < x0) x0 = p.x;
      if (p.x > x1) x1 = p.x;
      if (p.y < y0) y0 = p.y;
      if (p.y > y1) y1 = p.y;
    }
  if (x1 < x0) return (hl_mask_window){0};
  return (hl_mask_window){.x0 = x0, .y0 = y0, .width = x1 - x0 + 1, .height = y1 - y0 + 1};
}

static int64_t floor_div(int64_t a, int64_t b) {
  int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static int64_t ceil_div(int64_t a, int64_t b) {
  return -floor_div(-a, b);
}

static int64_t clamp64(int64_t v, int64_t lo, int64_t hi) {
  return v < lo ? lo : v > hi ? hi : v;
}

/* Last row that is on the counting side of the edge p0 → p1 at column c, where c lies between the
 * edge's columns. Even-odd rule as pylidc applies it: the edge counts for pixel (r, c) if exactly
 * one of c0 ≥ c, c1 ≥ c holds and ((c1-c)(r0-r1) ≥ (r1-r)(c0-c1)) = (c1 ≥ c). Solved for r, both
 * cases give all rows up to the one returned. Off the edges every even-odd rule agrees with it. */
static int64_t last_counting_row(hl_point p0, hl_point p1, int64_t c) {
  int64_t d = (int64_t)p0.x - p1.x;
  int64_t k = p1.y * d - (p1.x - c) * ((int64_t)p0.y - p1.y);
  return d < 0 ? floor_div(k, d) : ceil_div(k, d) - 1;
}

/* Parities: a 1 at row t of a column flips all rows of the window above row t. */
static void toggle_edge(const hl_mask_window *w, uint8_t *toggles, hl_point p0, hl_point p1) {
  int32_t lo = p0.x < p1.x ? p0.x : p1.x, hi = p0.x < p1.x ? p1.x : p0.x;
  int64_t begin = clamp64((int64_t)lo + 1, w->x0, (int64_t)w->x0 + w->width);
  int64_t end = clamp64((int64_t)hi + 1, w->x0, (int64_t)w->x0 + w->width);
  for (int64_t c = begin; c < end; c++) {
    int64_t t = clamp64(last_counting_row(p0, p1, c) - w->y0 + 1, 0, w->height);
    toggles[t * w->width + (c - w->x0)] ^= 1;
  }
}

/* Even-odd inside of one outline: `inside` has height + 1 rows, row r of the window is row r + 1.
 */
static void fill_inside(const hl_mask_window *w, uint8_t *inside, const hl_outline *o) {
  memset(inside, 0, (size_t)w->width * (size_t)(w->height + 1));
  for (int64_t i = 0; i < o->n; i++)
    toggle_edge(w, inside, o->points[i], o->points[i + 1 < o->n ? i + 1 : 0]);
  for (int64_t i = (int64_t)w->height * w->width - 1; i >= w->width; i--)
    inside[i] ^= inside[i + w->width];
}

static void put(const hl_mask_window *w, uint8_t *row1, int64_t x, int64_t y, uint8_t value) {
  int64_t c = x - w->x0, r = y - w->y0;
  if (c >= 0 && c < w->width && r >= 0 && r < w->height) row1[r * w->width + c] = value;
}

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t t = a % b;
    a = b;
    b = t;
  }
  return a < 0 ? -a : a;
}

/* Sets every pixel whose centre lies on the outline, or only its own points. */
static void put_outline(const hl_mask_window *w, uint8_t *row1, const hl_outline *o, bool edges,
                        uint8_t value) {
  for (int64_t i = 0; i < o->n; i++) {
    hl_point p = o->points[i], q = o->points[i + 1 < o->n ? i + 1 : 0];
    put(w, row1, p.x, p.y, value);
    if (!edges) continue;
    int64_t dx = (int64_t)q.x - p.x, dy = (int64_t)q.y - p.y, steps = gcd(dx, dy);
    for (int64_t s = 1; s < steps; s++)
      put(w, row1, p.x + dx / steps * s, p.y + dy / steps * s, value);
  }
}

static void add_pixels(const hl_mask_window *w, const uint8_t *from, uint8_t value) {
  int64_t n = (int64_t)w->width * w->height;
  for (int64_t i = 0; i < n; i++)
    if (from[i]) w->mask[i] = value;
}

/* pylidc works on the mask itself, outline after outline: a later one may clear an earlier one's.
 */
static void draw_pylidc(const hl_mask_window *w, uint8_t *inside, const hl_outline *o) {
  fill_inside(w, inside, o);
  add_pixels(w, inside + w->width, o->inclusion);
  put_outline(w, w->mask, o, false, 0);
}

static void draw(const hl_mask_window *w, uint8_t *inside, const hl_outline *o,
                 hl_semantics semantics) {
  if (semantics == HL_PYLIDC) {
    draw_pylidc(w, inside, o);
    return;
  }
  bool outline_counts = semantics == HL_CLOSED || !o->inclusion;
  fill_inside(w, inside, o);
  put_outline(w, inside + w->width, o, true, outline_counts);
  add_pixels(w, inside + w->width, o->inclusion);
}

hl_status hl_outline_fill(hl_mask_window *w, const hl_outline *outlines, int64_t n,
                          hl_semantics semantics, hl_err *e) {
  if (w->width < 1 || w->height < 1) return HL_OK;
  uint8_t *inside = hl_host_calloc((size_t)w->height + 1, (size_t)w->width);
  if (!inside)
    return hl_fail(e, HL_ENOMEM, "no memory for an outline on %d x %d pixels", w->width, w->height);
  for (int inclusion = 1; inclusion >= 0; inclusion--)
    for (int64_t i = 0; i < n; i++)
      if (outlines[i].inclusion == inclusion) draw(w, inside, &outlines[i], semantics);
  hl_host_free(inside);
  return HL_OK;
}

/* ---- From a mask to an outline ---- */

typedef struct tracer {
  uint8_t *grown; /* the part and its four-neighbours, with a frame of two empty pixels */
  int32_t width, height;
  hl_point *points;
  int64_t n, room;
} tracer;

static bool seed_of(const hl_mask_window *w, int64_t *seed) {
  int64_t n = (int64_t)w->width * w->height;
  for (*seed = 0; *seed < n; ++*seed)
    if (w->mask[*seed] == 1) return true;
  return false;
}

static void grow(tracer *t, const hl_mask_window *w, int64_t i) {
  uint8_t *g = t->grown + (i / w->width + 2) * t->width + i % w->width + 2;
  g[0] = g[-1] = g[1] = g[-t->width] = g[t->width] = 1;
}

/* Marks the 4-connected part around `seed` with 2; `stack` has room for every pixel. */
static void take_part(tracer *t, hl_mask_window *w, int64_t seed, int64_t *stack) {
  static const int dx[4] = {1, -1, 0, 0}, dy[4] = {0, 0, 1, -1};
  int64_t top = 0;
  stack[top++] = seed;
  w->mask[seed] = 2;
  while (top) {
    int64_t i = stack[--top], y = i / w->width, x = i % w->width;
    grow(t, w, i);
    for (int k = 0; k < 4; k++) {
      int64_t nx = x + dx[k], ny = y + dy[k];
      if (nx < 0 || nx >= w->width || ny < 0 || ny >= w->height) continue;
      int64_t j = ny * w->width + nx;
      if (w->mask[j] != 1) continue;
      w->mask[j] = 2;
      stack[top++] = j;
    }
  }
}

static hl_status add_point(tracer *t, const hl_mask_window *w, int64_t at, hl_err *e) {
  if (t->n == t->room) {
    int64_t room = t->room ? 2 * t->room : 64;
    hl_point *points = hl_host_realloc(t->points, (size_t)room * sizeof *points);
    if (!points)
      return hl_fail(e, HL_ENOMEM, "no memory for an outline of %lld points", (long long)room);
    t->points = points;
    t->room = room;
  }
  t->points[t->n++] = (hl_point){.x = (int32_t)(at % t->width) - 2 + w->x0,
                                 .y = (int32_t)(at / t->width) - 2 + w->y0};
  return HL_OK;
}

/* Moore's tracing, clockwise, until the first step is taken a second time (Jacob's criterion). */
static hl_status trace(tracer *t, const hl_mask_window *w, hl_err *e) {
  const int64_t step[8] = {1,  1 + t->width,  t->width,  t->width - 1,
                           -1, -1 - t->width, -t->width, 1 - t->width};
  int64_t start = 0;
  while (!t->grown[start]) start++;
  int64_t at = start;
  int first = -1, from = 4; /* the first pixel in row order is entered from its left */
  for (;;) {
    int k = 1;
    while (k <= 8 && !t->grown[at + step[(from + k) % 8]]) k++;
    int out = (from + k) % 8;
    if (at == start && out == first) return add_point(t, w, at, e);
    if (first < 0) first = out;
    HL_TRY(add_point(t, w, at, e));
    at += step[out];
    /* the background pixel looked at last, seen from the new pixel */
    from = out % 2 ? (out + 5) % 8 : (out + 6) % 8;
  }
}

hl_status hl_outline_trace(hl_point **points, int64_t *n, hl_mask_window *w, hl_err *e) {
  *points = NULL;
  *n = 0;
  int64_t seed;
  if (w->width < 1 || w->height < 1 || !seed_of(w, &seed)) return HL_OK;
  tracer t = {.width = w->width + 4, .height = w->height + 4};
  t.grown = hl_host_calloc((size_t)t.width, (size_t)t.height);
  int64_t *stack = hl_host_calloc((size_t)w->width * (size_t)w->height, sizeof *stack);
  hl_status status = HL_OK;
  if (!t.grown || !stack) {
    status = hl_fail(e, HL_ENOMEM, "no memory to trace a mask of %d x %d", w->width, w->height);
  } else {
    take_part(&t, w, seed, stack);
    status = trace(&t, w, e);
  }
  hl_host_free(stack);
  hl_host_free(t.grown);
  if (status != HL_OK) {
    hl_host_free(t.points);
    return status;
  }
  *points = t.points;
  *n = t.n;
  return HL_OK;
}
