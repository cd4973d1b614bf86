/* Tubes and blobs: how far a place is from them, and the boxes they lie in. */
#include "phantom.h"

vec random_direction(hl_rng *r) {
  double z = uniform(r, -1, 1), angle = uniform(r, 0, 2 * 3.14159265358979323846);
  double s = sqrt(1 - z * z);
  return (vec){z, s * sin(angle), s * cos(angle)};
}

/* From the nearest place of the axis to `at`; *share says where on the axis that is. */
static vec from_axis(const tube *t, vec at, double *share) {
  vec axis = vec_add(t->to, t->from, -1), off = vec_add(at, t->from, -1);
  double square = vec_dot(axis, axis);
  *share = square > 0 ? clamp01(vec_dot(off, axis) / square) : 0;
  return vec_add(off, axis, -*share);
}

double tube_distance(const tube *t, vec at) {
  double share;
  vec off = from_axis(t, at, &share);
  return vec_length(off) - mix(t->r_from, t->r_to, share);
}

static double flat_distance(const solid *s, vec at) {
  double share;
  vec off = from_axis(&s->t, at, &share);
  double r = mix(s->t.r_from, s->t.r_to, share), through = vec_dot(off, s->normal) * s->flat;
  vec across = vec_add(off, s->normal, -through / s->flat);
  double f = sqrt(vec_dot(across, across) + through * through);
  /* first order: the value by its gradient, which is steeper through than across */
  double steep =
      f > 0 ? sqrt(vec_dot(across, across) + through * through * s->flat * s->flat) / f : s->flat;
  return (f - r) / steep;
}

static double power_of(double v, int power) {
  double square = v * v;
  return power == 2 ? square : square * square * square;
}

static double blob_distance(const solid *s, vec at) {
  vec off = vec_add(at, s->t.from, -1);
  double y = (s->cosine * off.y + s->sine * off.x) / s->radii.y;
  double x = (s->cosine * off.x - s->sine * off.y) / s->radii.x;
  double z = off.z / s->radii.z, flat = sqrt(y * y + x * x);
  double sum = power_of(flat, s->power) + power_of(z, s->power);
  if (sum < 1e-9) return -least(s->radii.z, least(s->radii.y, s->radii.x));
  double f = s->power == 2 ? sqrt(sum) : pow(sum, 1.0 / 6);
  double gz = power_of(z, s->power) / (z != 0 ? z : 1) / s->radii.z;
  double in_plane = flat > 0 ? power_of(flat, s->power) / (flat * flat) : 0;
  double gy = in_plane * y / s->radii.y, gx = in_plane * x / s->radii.x;
  double slope = sqrt(gz * gz + gy * gy + gx * gx) * f / sum;
  return (f - 1) / most(slope, 1e-6);
}

double solid_distance(const solid *s, vec at) {
  if (s->blob) return blob_distance(s, at);
  return s->flat > 1 ? flat_distance(s, at) : tube_distance(&s->t, at);
}

void solid_box(const solid *s, vec *middle, vec *half) {
  if (s->blob) {
    double wide = most(s->radii.y, s->radii.x);
    *middle = s->t.from;
    *half = (vec){s->radii.z, wide, wide};
    return;
  }
  vec way = vec_add(s->t.to, s->t.from, -1);
  double r = most(s->t.r_from, s->t.r_to);
  *middle = vec_add(s->t.from, way, 0.5);
  *half = (vec){0.5 * fabs(way.z) + r, 0.5 * fabs(way.y) + r, 0.5 * fabs(way.x) + r};
}
