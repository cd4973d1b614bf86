/* Parts of the phantom: anatomy, vessels, nodules, what readers see. All lengths in mm, vectors (z,
 * y, x); z grows towards the head, y towards the back, x towards the left; x = y = 0 is the middle.
 */
#ifndef HILUM_VOLUME_PHANTOM_H
#define HILUM_VOLUME_PHANTOM_H

#include <hilum/phantom.h>
#include <hilum/rng.h>

#include <math.h>

typedef struct vec {
  double z, y, x;
} vec;

static inline vec vec_add(vec a, vec b, double t) {
  return (vec){a.z + t * b.z, a.y + t * b.y, a.x + t * b.x};
}
static inline double vec_dot(vec a, vec b) {
  return a.z * b.z + a.y * b.y + a.x * b.x;
}
static inline double vec_length(vec a) {
  return sqrt(vec_dot(a, a));
}
static inline vec vec_unit(vec a) {
  double n = vec_length(a);
  return n > 0 ? (vec){a.z / n, a.y / n, a.x / n} : (vec){1, 0, 0};
}
static inline double clamp01(double v) {
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* The image's point spread: an edge at signed distance d covers a voxel by this share. */
static const double EDGE_MM = 1.3;
static inline double coverage(double d_mm) {
  double t = clamp01(0.5 - d_mm / (2 * EDGE_MM));
  return t * t * (3 - 2 * t);
}

static inline double uniform(hl_rng *r, double lo, double hi) {
  return lo + (hi - lo) * hl_rng_uniform(r);
}
vec random_direction(hl_rng *r);

/* ---- anatomy.c ---- */

enum { WARPS = 4 };

typedef struct chest {
  double height_mm;
  double body_y, body_x;   /* half axes of the trunk */
  double fat_mm, wall_mm;  /* thickness of fat and of the wall of muscle and ribs */
  double lung_y, lung_x;   /* half axes of a lung */
  double lung_offset_x;    /* of its middle */
  double heart_z, heart_r; /* middle and size */
  double dome_z[2];        /* height of the diaphragm, right and left */
  double rib_pitch, rib_phase, rib_tilt;
  double lung_hu, lung_slope; /* towards the back, HU for each mm */
  vec warp_wave[WARPS], warp_shift[WARPS];
  double warp_phase[WARPS];
} chest;

chest chest_random(hl_rng *r, double height_mm);
/* Signed distance to the lungs' surface, negative inside; side: -1 right, 1 left of the middle. */
double lung_distance(const chest *c, vec at);
/* Hounsfield units without vessels, nodules and noise. */
double chest_hu(const chest *c, vec at);

/* ---- vessels.c ---- */

enum { MOST_TUBES = 6000 };

/* A piece of a tapering tube. */
typedef struct tube {
  vec from, to;
  double r_from, r_to, hu;
} tube;

typedef struct tubes {
  tube *items;
  int n;
} tubes;

/* Arteries, veins and bronchi of both lungs; items has room for MOST_TUBES. */
void tubes_grow(tubes *t, const chest *c, hl_rng *r);
/* Signed distance to the surface of one piece. */
double tube_distance(const tube *t, vec at);

/* ---- nodules.c ---- */

enum { WAVES = 8, SPICULES = 14 };

/* A star-shaped surface: its radius in a direction is a mean and waves over the sphere. */
typedef struct surface {
  vec centre;
  double radius_mm;
  double stretch[3]; /* of the axes z, y, x */
  vec wave[WAVES];   /* direction times frequency */
  double phase[WAVES], amplitude_mm[WAVES];
} surface;

typedef struct finding {
  surface shape;
  hl_phantom_place place;
  double hu, core_hu, core; /* core: radius of the solid part as a share, 0: none */
  bool subsolid, lobulated, spiculated;
  tube spicules[SPICULES];
  int n_spicules;
} finding;

/* Signed distance to the surface, about, negative inside. */
double surface_distance(const surface *s, vec at);
/* The same made larger by so much in all directions, and by waves of this amplitude. */
surface surface_vary(const surface *s, double larger_mm, double waves_mm, hl_rng *r);
/* Nodule `number` of the whole phantom (which decides its kind), away from those before it; false
 * if there is no place for it. */
bool finding_random(finding *out, const chest *c, const tubes *t, const finding *before,
                    int n_before, int64_t number, hl_rng *r);

/* ---- readers.c ---- */

enum { READERS = 4 };

/* Four sessions of marks on the slices of `scan`, whose geometry and findings are known. */
HL_MUST_CHECK hl_status read_findings(const hl_phantom_scan *scan,
                                      const hl_phantom_options *options, int item, const chest *c,
                                      const finding *findings, int n, hl_rng *r, hl_err *e);

#endif
