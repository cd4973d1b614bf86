#define TAP_LEDGER
#include "tap.h"

#include <hilum/contour.h>
#include <hilum/rng.h>

#include <stdlib.h>

enum { SIDE = 64 };

static uint8_t pixels[SIDE * SIDE];

static hl_mask_window blank(void) {
  memset(pixels, 0, sizeof pixels);
  return (hl_mask_window){.mask = pixels, .x0 = 0, .y0 = 0, .width = SIDE, .height = SIDE};
}

static int64_t count(void) {
  int64_t n = 0;
  for (int i = 0; i < SIDE * SIDE; i++) n += pixels[i] != 0;
  return n;
}

static int64_t drawn(const hl_outline *o, int64_t n, hl_semantics s) {
  hl_mask_window w = blank();
  hl_err e = {0};
  return hl_outline_fill(&w, o, n, s, &e) == HL_OK ? count() : -1;
}

#define OUTLINE(list, included)                                                                    \
  { (list), sizeof(list) / sizeof *(list), (included) }

static void test_names(void) {
  for (int s = 0; s < HL_SEMANTICS; s++)
    is_int(hl_semantics_by_name(hl_semantics_name((hl_semantics)s)), s, "%s has its name",
           hl_semantics_name((hl_semantics)s));
  is_int(hl_semantics_by_name("filled"), HL_SEMANTICS, "an unknown name is told");
}

/* A square of 7 × 7 by its corners: interior 5 × 5, closed 7 × 7. pylidc's inside is 30 or 42
 * pixels by direction, of which it clears those of the four points that are in it. */
static void test_square(void) {
  const hl_point corners[] = {{10, 20}, {16, 20}, {16, 26}, {10, 26}};
  const hl_point turned[] = {{10, 20}, {10, 26}, {16, 26}, {16, 20}};
  const hl_outline a = OUTLINE(corners, true), b = OUTLINE(turned, true);
  is_int(drawn(&a, 1, HL_INTERIOR), 25, "interior of a square by its corners");
  is_int(drawn(&b, 1, HL_INTERIOR), 25, "the other way round");
  is_int(drawn(&a, 1, HL_CLOSED), 49, "closed square");
  int64_t first = drawn(&a, 1, HL_PYLIDC), second = drawn(&b, 1, HL_PYLIDC);
  is_int(first, 30, "pylidc's rule, one way round");
  is_int(second, 40, "and the other");
}

static hl_point *ring(int cx, int cy, int half, int64_t *n) {
  hl_point *p = malloc(sizeof *p * (size_t)(8 * half + 1));
  int64_t k = 0;
  for (int i = -half; i < half; i++) p[k++] = (hl_point){cx + i, cy - half};
  for (int i = -half; i < half; i++) p[k++] = (hl_point){cx + half, cy + i};
  for (int i = half; i > -half; i--) p[k++] = (hl_point){cx + i, cy + half};
  for (int i = half; i > -half; i--) p[k++] = (hl_point){cx - half, cy + i};
  p[k++] = (hl_point){cx - half, cy - half};
  *n = k;
  return p;
}

static void test_connected_outlines(void) {
  int64_t n, m, k;
  hl_point *big = ring(30, 30, 10, &n), *hole = ring(30, 30, 4, &m), *beside = ring(38, 30, 6, &k);
  hl_outline o[] = {{big, n, true}, {hole, m, false}};
  is_int(drawn(o, 1, HL_INTERIOR), 19 * 19, "interior of an 8-connected square");
  is_int(drawn(o, 1, HL_PYLIDC), 19 * 19, "pylidc agrees where the outline is 8-connected");
  is_int(drawn(o, 2, HL_INTERIOR), 19 * 19 - 9 * 9, "an exclusion cuts, its own outline included");
  is_int(drawn(o, 2, HL_PYLIDC), 19 * 19 - 9 * 9, "pylidc's exclusion does too");
  hl_outline swapped[] = {o[1], o[0]};
  is_int(drawn(swapped, 2, HL_INTERIOR), 19 * 19 - 9 * 9, "exclusions come last in any order");
  /* columns 21…39 and 33…43 of rows 21…39 and 25…35: a union, no pixel of it cleared */
  hl_outline two[] = {{big, n, true}, {beside, k, true}};
  int64_t united = 19 * 19 + 11 * 11 - 7 * 11;
  is_int(drawn(two, 2, HL_INTERIOR), united, "two outlines of one slice: the union");
  ok(drawn(two, 2, HL_PYLIDC) < united, "pylidc's later outline clears pixels of the earlier one");
  free(big);
  free(hole);
  free(beside);
}

static void test_disc(void) {
  const double r = 20;
  hl_point circle[720];
  for (int i = 0; i < 720; i++)
    circle[i] = (hl_point){32 + (int)nearbyint(r * cos(i * 3.14159265 / 360)),
                           32 + (int)nearbyint(r * sin(i * 3.14159265 / 360))};
  const hl_outline o = OUTLINE(circle, true);
  double area = (double)drawn(&o, 1, HL_INTERIOR), want = 3.14159265 * (r - 0.5) * (r - 0.5);
  is_near(area / want, 1, 0.01, "a disc drawn pixel by pixel has the area inside");
}

static void test_clipping(void) {
  const hl_point wide[] = {{-1000, -1000}, {1000, -1000}, {1000, 1000}, {-1000, 1000}};
  const hl_point far[] = {{100, 100}, {120, 100}, {120, 120}};
  const hl_point one[] = {{5, 5}}, line[] = {{3, 3}, {20, 3}, {3, 3}};
  const hl_outline a = OUTLINE(wide, true), b = OUTLINE(far, true), c = OUTLINE(one, true),
                   d = OUTLINE(line, true), none = {NULL, 0, true};
  is_int(drawn(&a, 1, HL_INTERIOR), SIDE * SIDE, "an outline around the window fills it");
  is_int(drawn(&b, 1, HL_INTERIOR), 0, "one outside draws nothing");
  is_int(drawn(&c, 1, HL_INTERIOR), 0, "a single point has no inside");
  is_int(drawn(&c, 1, HL_CLOSED), 1, "but is itself, closed");
  is_int(drawn(&d, 1, HL_INTERIOR), 0, "a line has no inside");
  is_int(drawn(&d, 1, HL_CLOSED), 18, "closed, it is its pixels");
  is_int(drawn(&none, 1, HL_INTERIOR), 0, "no points, no mask");
  hl_mask_window w = hl_outline_window(&d, 1);
  ok(w.x0 == 3 && w.y0 == 3 && w.width == 18 && w.height == 1, "the window holds all points");
  is_int(hl_outline_window(&none, 1).width, 0, "no points, no window");
}

/* Trace, fill: the parts come back, with their notches and holes closed at most. */
static void test_trace(void) {
  hl_rng r = hl_rng_stream(1, "contour", 0, 0);
  hl_err e = {0};
  int wrong = 0, broken = 0;
  for (int round = 0; round < 40; round++) {
    hl_mask_window w = blank();
    double cx = 20 + 20 * hl_rng_uniform(&r), cy = 20 + 20 * hl_rng_uniform(&r);
    double a = 1 + 14 * hl_rng_uniform(&r), b = 1 + 14 * hl_rng_uniform(&r);
    for (int y = 0; y < SIDE; y++)
      for (int x = 0; x < SIDE; x++)
        pixels[y * SIDE + x] = pow((x - cx) / a, 2) + pow((y - cy) / b, 2) < 1;
    uint8_t before[SIDE * SIDE];
    memcpy(before, pixels, sizeof before);
    hl_outline outlines[8];
    int n = 0;
    for (;;) {
      hl_point *points;
      int64_t k;
      if (hl_outline_trace(&points, &k, &w, &e) != HL_OK || !points || n == 8) break;
      for (int64_t i = 0; i + 1 < k; i++)
        broken += abs(points[i].x - points[i + 1].x) > 1 || abs(points[i].y - points[i + 1].y) > 1;
      broken += points[0].x != points[k - 1].x || points[0].y != points[k - 1].y;
      outlines[n++] = (hl_outline){points, k, true};
    }
    w = blank();
    if (hl_outline_fill(&w, outlines, n, HL_INTERIOR, &e) != HL_OK) wrong++;
    wrong += memcmp(before, pixels, sizeof before) != 0;
    for (int i = 0; i < n; i++) hl_host_free((hl_point *)(uintptr_t)outlines[i].points);
  }
  is_int(wrong, 0, "ellipses traced and filled again are the same");
  is_int(broken, 0, "traced outlines are closed and 8-connected");
  hl_mask_window w = blank();
  hl_point *points;
  int64_t n;
  succeeds(hl_outline_trace(&points, &n, &w, &e), &e, "tracing an empty mask");
  ok(!points && n == 0, "finds nothing");
}

int main(void) {
  test_names();
  test_square();
  test_connected_outlines();
  test_disc();
  test_clipping();
  test_trace();
  return tap_done();
}
