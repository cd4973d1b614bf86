#include <hilum/volume.h>

#include <math.h>
#include <stdlib.h>

static const double MISSING_STEPS = 1.5;
static const double UNEVEN_SHARE = 0.02;

static const char *const axis_names[3] = {"z", "y", "x"};

static hl_status check_axis(const hl_grid *g, int a, hl_err *e) {
  if (g->size[a] < 1)
    return hl_fail(e, HL_EINVAL, "size along %s is %lld, expected at least 1", axis_names[a],
                   (long long)g->size[a]);
  if (!isfinite(g->spacing_mm[a]) || g->spacing_mm[a] <= 0)
    return hl_fail(e, HL_EINVAL, "spacing along %s is %g mm, expected more than 0", axis_names[a],
                   g->spacing_mm[a]);
  if (!isfinite(g->origin_mm[a]))
    return hl_fail(e, HL_EINVAL, "origin along %s is not a number", axis_names[a]);
  return HL_OK;
}

hl_status hl_grid_check(const hl_grid *g, hl_err *e) {
  for (int a = 0; a < 3; a++) HL_TRY(check_axis(g, a, e));
  if (!g->z_mm) return HL_OK;
  for (int64_t k = 1; k < g->size[0]; k++)
    if (!(g->z_mm[k] > g->z_mm[k - 1]))
      return hl_fail(e, HL_EINVAL, "slice %lld at %g mm does not lie above slice %lld at %g mm",
                     (long long)k, g->z_mm[k], (long long)k - 1, g->z_mm[k - 1]);
  return HL_OK;
}

hl_grid hl_grid_around(const double centre_mm[3], const int64_t size[3],
                       const double spacing_mm[3]) {
  hl_grid g = {0};
  for (int a = 0; a < 3; a++) {
    g.size[a] = size[a];
    g.spacing_mm[a] = spacing_mm[a];
    g.origin_mm[a] = centre_mm[a] - 0.5 * (double)(size[a] - 1) * spacing_mm[a];
  }
  return g;
}

double hl_grid_slice_mm(const hl_grid *g, int64_t k) {
  return g->z_mm ? g->z_mm[k] : g->origin_mm[0] + (double)k * g->spacing_mm[0];
}

/* The slice k, 0 … n-2, whose step to k+1 a position belongs to. */
static int64_t step_at(const hl_grid *g, double z_mm) {
  int64_t lo = 0, hi = g->size[0] - 1;
  while (hi - lo > 1) {
    int64_t mid = lo + (hi - lo) / 2;
    if (g->z_mm[mid] <= z_mm)
      lo = mid;
    else
      hi = mid;
  }
  return lo;
}

static double z_index(const hl_grid *g, double z_mm) {
  if (!g->z_mm || g->size[0] < 2) return (z_mm - hl_grid_slice_mm(g, 0)) / g->spacing_mm[0];
  int64_t k = step_at(g, z_mm);
  return (double)k + (z_mm - g->z_mm[k]) / (g->z_mm[k + 1] - g->z_mm[k]);
}

static double z_position(const hl_grid *g, double index) {
  if (!g->z_mm || g->size[0] < 2) return hl_grid_slice_mm(g, 0) + index * g->spacing_mm[0];
  double top = (double)(g->size[0] - 2), k = floor(index);
  k = k < 0 ? 0 : k > top ? top : k;
  const double *z = g->z_mm + (int64_t)k;
  return z[0] + (index - k) * (z[1] - z[0]);
}

void hl_grid_index(const hl_grid *g, const double at_mm[3], double index[3]) {
  index[0] = z_index(g, at_mm[0]);
  for (int a = 1; a < 3; a++) index[a] = (at_mm[a] - g->origin_mm[a]) / g->spacing_mm[a];
}

void hl_grid_position(const hl_grid *g, const double index[3], double at_mm[3]) {
  at_mm[0] = z_position(g, index[0]);
  for (int a = 1; a < 3; a++) at_mm[a] = g->origin_mm[a] + index[a] * g->spacing_mm[a];
}

double hl_grid_thickness_mm(const hl_grid *g, int64_t k) {
  if (!g->z_mm || g->size[0] < 2) return g->spacing_mm[0];
  int64_t lo = k > 0 ? k - 1 : k, hi = k < g->size[0] - 1 ? k + 1 : k;
  return (g->z_mm[hi] - g->z_mm[lo]) / (double)(hi - lo);
}

static int compare_double(const void *a, const void *b) {
  double p = *(const double *)a, q = *(const double *)b;
  return p < q ? -1 : p > q;
}

static hl_status median_step(double *out, const double *z_mm, int64_t n, hl_err *e) {
  double *steps = hl_host_calloc((size_t)n - 1, sizeof *steps);
  if (!steps) return hl_fail(e, HL_ENOMEM, "no memory for %lld slices", (long long)n);
  for (int64_t k = 0; k + 1 < n; k++) steps[k] = z_mm[k + 1] - z_mm[k];
  qsort(steps, (size_t)n - 1, sizeof *steps, compare_double);
  *out = steps[(n - 2) / 2];
  hl_host_free(steps);
  return HL_OK;
}

hl_status hl_steps_measure(hl_steps *out, const double *z_mm, int64_t n, hl_err *e) {
  *out = (hl_steps){0};
  HL_TRY(median_step(&out->median_mm, z_mm, n, e));
  for (int64_t k = 0; k + 1 < n; k++) {
    double step = z_mm[k + 1] - z_mm[k], off = fabs(step - out->median_mm);
    if (step >= MISSING_STEPS * out->median_mm && out->gaps++ == 0) out->first_gap = k;
    if (off > UNEVEN_SHARE * out->median_mm) out->uneven++;
    if (off > out->worst_mm) out->worst_mm = off;
  }
  return HL_OK;
}
