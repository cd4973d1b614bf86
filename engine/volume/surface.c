/* The area of a mask's surface by marching cubes.
 *
 * In a mask every vertex is the middle of a cell's edge (or the cell's middle), so the area of a
 * cell depends on which of its eight corners are inside, and on the spacing. There are 256 cases,
 * of which the triangles below are given for one of each kind; the others follow by turning the
 * cube. Lewiner, Lopes, Vieira, Tavares: "Efficient implementation of marching cubes' cases with
 * topological guarantees", Journal of Graphics Tools 8 (2003). */
#include "lines.h"

#include <hilum/parallel.h>
#include <hilum/shape.h>
#include <math.h>
#include <string.h>

/* Corner i lies at (i/4, i/2 mod 2, i mod 2). Edges a … l join corners 0-1, 0-2, 0-4, 1-3, 1-5,
 * 2-3, 2-6, 3-7, 4-5, 4-6, 5-7, 6-7; '*' is the middle of the cell. */
static const uint8_t edge_corners[12][2] = {{0, 1}, {0, 2}, {0, 4}, {1, 3}, {1, 5}, {2, 3},
                                            {2, 6}, {3, 7}, {4, 5}, {4, 6}, {5, 7}, {6, 7}};

typedef struct kind {
  uint8_t inside; /* bit i: corner i */
  const char *triangles;
} kind;

static const kind kinds[] = {
    {1, "abc"},
    {3, "bcd cde"},
    {6, "abg aeg dfg deg"},
    {7, "dfg deg ceg"},
    {15, "ceh cgh"},
    {22, "cgj cij cei ade abd bdf bfg bcg ace"},
    {23, "gij egi efg def"},
    {24, "dfh cij"},
    {25, "adi dhi hij fhj bfj"},
    {27, "efh efj bfj eij"},
    {29, "dgh dgi adi gij"},
    {30, "abc gij egi egh"},
    {31, "gij egi egh"},
    {60, "hjk ghj cde bcd"},
    {61, "*jk *ej aej agj adg *dg *gh *hk *de"},
    {63, "ghk gjk"},
    {105, "cij bfg ade hkl"},
    {107, "bfg cij hkl"},
    {111, "hkl cij"},
    {126, "abc hkl"},
    {127, "hkl"},
};
enum { KINDS = sizeof kinds / sizeof *kinds, TURNS = 24 };

/* A turn of the cube: new axis k is old axis `from[k]`, run backwards if `flip[k]`. */
typedef struct turn {
  int from[3];
  int flip[3];
} turn;

static void all_turns(turn out[TURNS]) {
  static const int orders[6][3] = {{0, 1, 2}, {1, 2, 0}, {2, 0, 1},
                                   {0, 2, 1}, {2, 1, 0}, {1, 0, 2}};
  int n = 0;
  for (int o = 0; o < 6; o++)
    for (int f = 0; f < 8; f++) {
      int flips = (f & 1) + (f >> 1 & 1) + (f >> 2 & 1);
      if ((flips + (o >= 3)) % 2) continue; /* a mirror image */
      turn t = {.flip = {f & 1, f >> 1 & 1, f >> 2 & 1}};
      memcpy(t.from, orders[o], sizeof t.from);
      out[n++] = t;
    }
}

/* Twice the coordinates of a vertex, 0 … 2. */
static void vertex(char name, int at[3]) {
  for (int k = 0; k < 3; k++) {
    at[k] = 1;
    if (name == '*') continue;
    const uint8_t *e = edge_corners[name - 'a'];
    at[k] = (e[0] >> (2 - k) & 1) + (e[1] >> (2 - k) & 1);
  }
}

static void turned(const turn *t, const int at[3], double mm[3], const double spacing_mm[3]) {
  for (int k = 0; k < 3; k++) {
    int v = at[t->from[k]];
    mm[k] = 0.5 * (t->flip[k] ? 2 - v : v) * spacing_mm[k];
  }
}

static unsigned turned_corners(const turn *t, unsigned inside) {
  unsigned out = 0;
  for (unsigned i = 0; i < 8; i++) {
    if (!(inside >> i & 1)) continue;
    unsigned corner = 0;
    for (int k = 0; k < 3; k++) {
      unsigned bit = i >> (2 - t->from[k]) & 1;
      corner |= (bit ^ (unsigned)t->flip[k]) << (2 - k);
    }
    out |= 1U << corner;
  }
  return out;
}

static double triangle_area(double p[3][3]) {
  double u[3], v[3];
  for (int k = 0; k < 3; k++) {
    u[k] = p[1][k] - p[0][k];
    v[k] = p[2][k] - p[0][k];
  }
  double n[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
  return 0.5 * sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
}

static double cell_area(const kind *c, const turn *t, const double spacing_mm[3]) {
  double sum = 0;
  for (const char *s = c->triangles; *s; s += s[3] ? 4 : 3) {
    double p[3][3];
    for (int i = 0; i < 3; i++) {
      int at[3];
      vertex(s[i], at);
      turned(t, at, p[i], spacing_mm);
    }
    sum += triangle_area(p);
  }
  return sum;
}

static void all_areas(double area[256], const double spacing_mm[3]) {
  turn turns[TURNS];
  all_turns(turns);
  memset(area, 0, 256 * sizeof *area);
  for (int k = 0; k < KINDS; k++)
    for (int t = 0; t < TURNS; t++)
      area[turned_corners(&turns[t], kinds[k].inside)] =
          cell_area(&kinds[k], &turns[t], spacing_mm);
}

static unsigned at(const uint8_t *mask, const int64_t *size, int64_t z, int64_t y, int64_t x) {
  if (z < 0 || y < 0 || x < 0 || z >= size[0] || y >= size[1] || x >= size[2]) return 0;
  return mask[(z * size[1] + y) * size[2] + x] != 0;
}

/* How often each case occurs among the cells of a row, from one before the first voxel on. */
static void count_row(const uint8_t *mask, const int64_t *size, int64_t z, int64_t y,
                      int64_t count[256]) {
  unsigned before = 0; /* corners with x = 0 */
  for (int64_t x = -1; x < size[2]; x++) {
    unsigned after = 0;
    for (int i = 0; i < 4; i++) after |= at(mask, size, z + i / 2, y + i % 2, x + 1) << (2 * i + 1);
    count[before | after]++;
    before = after >> 1;
  }
}

hl_status hl_mask_surface_mm2(double *out, const hl_tensor *mask, const double spacing_mm[3],
                              hl_err *e) {
  *out = 0;
  HL_TRY(image_check(mask, TYPE_BIT(HL_U8), "the mask", e));
  for (int a = 0; a < 3; a++)
    if (!(spacing_mm[a] > 0 && isfinite(spacing_mm[a])))
      return hl_fail(e, HL_EINVAL, "spacing is %g mm, expected more than 0", spacing_mm[a]);
  const int64_t *size = hl_tensor_shape(mask)->dim;
  int64_t count[256] = {0};
  double area[256];
  all_areas(area, spacing_mm);
  for (int64_t z = -1; z < size[0]; z++)
    for (int64_t y = -1; y < size[1]; y++) count_row(hl_tensor_u8(mask), size, z, y, count);
  for (int i = 0; i < 256; i++) *out += (double)count[i] * area[i];
  return HL_OK;
}
