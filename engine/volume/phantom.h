/* Parts of the phantom: shapes, anatomy, organs, vessels, nodules, rendering, scanner, readers.
 *
 * Vectors are (z, y, x); z grows towards the head, y towards the back, x towards the left; x = 0 is
 * the middle, z = 0 where the windpipe divides. Anatomy is written down in an adult's millimetres
 * ("adult mm"); a chest has a scale, and everything that leaves anatomy, organs and vessels is in
 * true millimetres. */
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
static inline vec vec_cross(vec a, vec b) {
  return (vec){a.y * b.x - a.x * b.y, a.x * b.z - a.z * b.x, a.z * b.y - a.y * b.z};
}
static inline double vec_length(vec a) {
  return sqrt(vec_dot(a, a));
}
static inline vec vec_scaled(vec a, double t) {
  return (vec){a.z * t, a.y * t, a.x * t};
}
static inline vec vec_unit(vec a) {
  double n = vec_length(a);
  return n > 0 ? vec_scaled(a, 1 / n) : (vec){1, 0, 0};
}
static inline double least(double a, double b) {
  return a < b ? a : b;
}
static inline double most(double a, double b) {
  return a > b ? a : b;
}
static inline double clamp01(double v) {
  return v < 0 ? 0 : v > 1 ? 1 : v;
}
static inline double mix(double a, double b, double t) {
  return a + t * (b - a);
}
/* From 0 to 1 without corners, while t goes from 0 to 1. */
static inline double smooth(double t) {
  t = clamp01(t);
  return t * t * (3 - 2 * t);
}
/* An edge at signed distance d, seen through a point spread of half width `edge`, covers a voxel by
 * this share. */
static inline double coverage(double d_mm, double edge_mm) {
  return smooth(0.5 - d_mm / (2 * edge_mm));
}

static inline double uniform(hl_rng *r, double lo, double hi) {
  return lo + (hi - lo) * hl_rng_uniform(r);
}
vec random_direction(hl_rng *r);

/* ---- shapes.c ---- */

/* A piece of a tapering tube. */
typedef struct tube {
  vec from, to;
  double r_from, r_to, hu;
} tube;
/* Signed distance to its surface, negative inside. */
double tube_distance(const tube *t, vec at);

typedef enum paint {
  PAINT_OVER, /* whatever was there */
  PAINT_BONE  /* a rim of cortex around marrow of its HU */
} paint;

/* A tube, flattened along a normal, or a blob: an ellipsoid turned about z, with ends that are
 * round (power 2) or flat (6). */
typedef struct solid {
  paint how;
  bool blob;
  tube t; /* of a blob: from is its centre */
  vec normal;
  double flat; /* how many times thinner along the normal than across */
  vec radii;
  double cosine, sine;
  int power;
} solid;
double solid_distance(const solid *s, vec at);
/* Half the size of a box around it, and the box's middle. */
void solid_box(const solid *s, vec *middle, vec *half);

/* ---- anatomy.c ---- */

enum { LUMPS = 5, CORE_TUBES = 48, MOST_ORGANS = 1400 };

/* What the anatomy knows of a place. */
enum field {
  FIELD_SKIN,   /* signed distances in true mm, negative inside: to the skin, */
  FIELD_CAGE,   /* to the inner face of the ribs, */
  FIELD_MUSCLE, /* to the outer face of the muscles on them, */
  FIELD_LUNG,   /* to the lungs, */
  FIELD_LIVER,  /* to the liver; */
  FIELD_DOME,   /* height above the diaphragm; */
  FIELD_MAJOR,  /* distance to the oblique fissure; */
  FIELD_MINOR,  /* to the horizontal one, far where there is none */
  FIELDS
};

typedef struct chest {
  double scale;            /* 1: an adult */
  double wide, deep, tall; /* the rib cage: half axes, and height above its widest place */
  double fat, breast;      /* thickness under the skin; size, 0: none */
  double dome[2];          /* the diaphragm's tops, right and left */
  double heart, strength;  /* sizes of the heart and of the muscles */
  double fissure[2];       /* height of the oblique fissures */
  double lung_hu, gravity; /* in the middle; HU more for each mm towards the back */
  double blood_hu, liver_hu, muscle_hu;
  vec lump_wave[LUMPS]; /* slow waves, so that no surface is perfect */
  double lump_phase[LUMPS], lump_mm[LUMPS];
  tube core[CORE_TUBES];     /* great vessels, airways and gullet, in adult mm */
  int n_core, n_airways;     /* the airways come first */
  solid organs[MOST_ORGANS]; /* in true mm, in the order in which they are painted */
  int n_organs;
} chest;

void chest_random(chest *c, double scale, hl_rng *r);
/* In true mm. */
double lung_distance(const chest *c, vec at);
void chest_fields(const chest *c, vec at, float out[FIELDS]);
/* In adult mm. */
double adult_lung(const chest *c, vec p);
vec cage_point(const chest *c, double z, double angle, double outside);
double cage_top(const chest *c);
double spine_y(double z);
/* Which of its side's lobes: 0 upper, 1 lower, 2 middle (right only). */
int lobe_at(const chest *c, vec p);

/* ---- organs.c ---- */

void organs_place(chest *c, hl_rng *r);

/* ---- vessels.c ---- */

enum { MOST_TUBES = 40000 };

typedef struct tubes {
  tube *items;
  int n;
} tubes;

/* Arteries, veins and bronchi of both lungs; items has room for MOST_TUBES. HL_ENOMEM. */
HL_MUST_CHECK hl_status tubes_grow(tubes *t, const chest *c, int twigs, hl_rng *r, hl_err *e);

/* ---- nodules.c ---- */

enum { WAVES = 8, SPICULES = 18 };

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
  double hu, mottle_hu, core_hu;
  double core; /* radius of the solid or calcified part as a share, 0: none */
  bool subsolid, lobulated, spiculated, calcified;
  tube spicules[SPICULES];
  int n_spicules;
} finding;

/* Its Hounsfield units at a place, without the core. */
double finding_hu(const finding *f, vec at);
/* Signed distance to the surface, about, negative inside. */
double surface_distance(const surface *s, vec at);
/* The same made larger by so much in all directions, and by waves of this amplitude. */
surface surface_vary(const surface *s, double larger_mm, double waves_mm, hl_rng *r);
/* Nodule `number` of the whole phantom (which decides its kind) between two heights, away from
 * those before it; false if there is no place for it. */
bool finding_random(finding *out, const chest *c, const tubes *t, const double z_mm[2],
                    const finding *before, int n_before, int64_t number, hl_rng *r);

/* ---- scanner.c ---- */

enum { TAPS = 4 };

/* How a scan is made. */
typedef struct protocol {
  int slices, pixels, planes; /* planes: a slice is the mean of so many */
  double spacing_mm[3], thickness_mm, top_mm;
  double edge_mm;    /* half width of the point spread */
  double noise_hu;   /* standard deviation in the middle of the body */
  double taps[TAPS]; /* the noise's kernel: its middle and one side */
  int padding_hu;    /* outside the scanner's circle; 0: there is no circle */
  double couch_mm;   /* where the couch lies, y */
} protocol;

void protocol_random(protocol *p, const chest *c, hl_phantom_size size, hl_rng *r);

typedef struct canvas {
  const hl_phantom_scan *scan;
  const protocol *p;
  const chest *c;
  const tubes *t;
  const finding *findings;
  int n_findings;
  uint64_t seed;
  int item;
  float *plane, *slice, *sum, *noise; /* pixels × pixels each; each chunk of slices has its own */
  float *nodes;                       /* coarse fields, see render.c */
  int64_t nodes_size[3];
  double nodes_origin[3], node_mm;
  int *active; /* organs that reach the slice, then tubes that reach the plane; its own, too */
  int n_active;
  int64_t k;   /* the slice that is made, */
  double z_mm; /* and the height of its plane */
} canvas;

/* From the slice's mean to the tensor: noise, circle, rounding. */
void scanner_store(const canvas *v);

/* ---- render.c ---- */

/* Fills scan->voxels. */
HL_MUST_CHECK hl_status render(canvas *v, hl_err *e);

/* ---- readers.c ---- */

enum { READERS = 4 };

/* Four sessions of marks on the slices of `scan`, whose geometry and findings are known. */
HL_MUST_CHECK hl_status read_findings(const hl_phantom_scan *scan,
                                      const hl_phantom_options *options, int item, const chest *c,
                                      const finding *findings, int n, hl_rng *r, hl_err *e);

#endif
