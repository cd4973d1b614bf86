/* Outlines drawn on one slice, and the masks they mean.
 *
 * A point is (x, y) = (column, row), whole pixels, 0-based, origin top left, as LIDC's XML has
 * them. The polygon is closed by an edge from the last point to the first. Inside is even-odd. */
#ifndef HILUM_CONTOUR_H
#define HILUM_CONTOUR_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_point {
  int32_t x, y;
} hl_point;

typedef enum hl_semantics {
  /* The outline is the first pixel outside (what LIDC's readers were told): pixels strictly inside.
   * Several outlines of one slice: the union of their insides. */
  HL_INTERIOR,
  /* The outline belongs to the mask: inside and every pixel whose centre lies on an edge. */
  HL_CLOSED,
  /* What pylidc 0.2.3 computes, bit for bit: even-odd with its rule for pixels on an edge, then the
   * outline's own points are cleared, outline after outline. Differs from HL_INTERIOR only where
   * points are more than a pixel apart or where outlines of one slice overlap. */
  HL_PYLIDC,
  HL_SEMANTICS
} hl_semantics;

const char *hl_semantics_name(hl_semantics s); /* "interior", "closed", "pylidc" */
/* HL_SEMANTICS if there is no such name. */
hl_semantics hl_semantics_by_name(const char *name);

typedef struct hl_outline {
  const hl_point *points;
  int64_t n;
  bool inclusion; /* false: cuts a hole; its own outline is not mask either */
} hl_outline;

/* A window of one slice: pixel (row, column) of the slice is mask[(row-y0)·width + column-x0]. */
typedef struct hl_mask_window {
  uint8_t *mask;
  int32_t x0, y0, width, height;
} hl_mask_window;

/* Smallest window (pixels inclusive) that holds all points; width 0 if there are none. */
hl_mask_window hl_outline_window(const hl_outline *outlines, int64_t n);

/* Draws the outlines of one slice into the zeroed window: 1 inside, 0 outside. Inclusions first, in
 * their order, then exclusions. Parts beyond the window are left out. Fails for lack of memory
 * only. */
HL_MUST_CHECK hl_status hl_outline_fill(hl_mask_window *w, const hl_outline *outlines, int64_t n,
                                        hl_semantics semantics, hl_err *e);

/* The outline whose strict inside holds one connected part of a mask: the border of the part grown
 * by one pixel to its four sides, 8-connected, closed (last = first), by Moore's tracing. Looks for
 * the first part in row order that has a pixel with mask value 1, and sets all of its pixels to 2.
 * Holes are not traced. *points is NULL and *n is 0 when no part is left. Release with
 * hl_host_free. Points have the window's x0, y0 added. */
HL_MUST_CHECK hl_status hl_outline_trace(hl_point **points, int64_t *n, hl_mask_window *w,
                                         hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
