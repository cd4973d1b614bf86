/* Samples moved as a whole: against the definition, one voxel at a time; the same bits on any
 * number of threads; no memory; bad input. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/intensity.h>
#include <hilum/parallel.h>
#include <hilum/sample.h>
#include <hilum/warp.h>

#include <stdlib.h>

enum { NZ = 9, NY = 13, NX = 150, KZ = 5, KY = 4, KX = 12, POINTS = KZ * KY * KX };

static double by[POINTS * 3];

static uint32_t next(void) {
  static uint32_t seed = 7;
  seed = seed * 1664525U + 1013904223U;
  return seed >> 8;
}

static double uniform(void) {
  return (double)next() / (1 << 24);
}

static hl_tensor *random_image(hl_dtype type, int rank) {
  const int64_t dim[5] = {1, 1, NZ, NY, NX};
  hl_desc d = {.dtype = type,
               .layout = rank == 5 ? HL_IMAGE : HL_PLAIN,
               .shape = hl_shape_make(rank, dim + 5 - rank)};
  hl_tensor *t;
  hl_err e = {0};
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "test", &e) != HL_OK) return NULL;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) {
    /* a mask with empty planes around it */
    int64_t z = i / (NY * NX), x = i % NX;
    if (type == HL_U8)
      hl_tensor_u8(t)[i] = z > 2 && z < 7 && x > 20 && x < 120 ? 3 * (uniform() < 0.6) : 0;
    else
      hl_tensor_f32(t)[i] = (float)uniform();
  }
  return t;
}

static const hl_warp_step affine_step = {
    .matrix = {0.9, 0.1, 0.002, -0.2, 1.1, 0.01, 0.3, -0.4, 0.95}, .offset = {0.3, -0.7, 4.1}};

/* Two bends, so that one sees whole rows and the other what they became. */
static int steps_of(hl_warp_step steps[3]) {
  hl_bend bend = {.size = {KZ, KY, KX}, .step = {4, 13, 18}, .by = by};
  for (int i = 0; i < POINTS * 3; i++) by[i] = 2 * uniform() - 1;
  steps[0] = (hl_warp_step){.matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1}, .bend = bend};
  steps[1] = affine_step;
  steps[1].bend = bend;
  steps[2] = (hl_warp_step){.matrix = {1, 0, 0, 0, -1, 0, 0, 0, 1}, .offset = {0, NY - 1, 0.25}};
  return 3;
}

/* ---- the definition ---- */

static double beta(double t) {
  t = fabs(t);
  if (t < 1) return 2.0 / 3 - t * t + t * t * t / 2;
  return t < 2 ? (2 - t) * (2 - t) * (2 - t) / 6 : 0;
}

static void bend_slowly(const hl_bend *b, const double q[3], double out[3]) {
  double k[3];
  for (int a = 0; a < 3; a++) {
    out[a] = q[a];
    k[a] = fmin(fmax(q[a] / b->step[a] + 1, 1), (double)(b->size[a] - 2));
  }
  for (int64_t z = 0; z < b->size[0]; z++)
    for (int64_t y = 0; y < b->size[1]; y++)
      for (int64_t x = 0; x < b->size[2]; x++)
        for (int a = 0; a < 3; a++)
          out[a] += beta(k[0] - (double)z) * beta(k[1] - (double)y) * beta(k[2] - (double)x) *
                    b->by[((z * b->size[1] + y) * b->size[2] + x) * 3 + a];
}

static void follow_slowly(const hl_warp_step *steps, int n, double p[3]) {
  for (int k = 0; k < n; k++) {
    double q[3];
    for (int a = 0; a < 3; a++) {
      const double *m = steps[k].matrix + (ptrdiff_t)3 * a;
      q[a] = m[0] * p[0] + m[1] * p[1] + m[2] * p[2] + steps[k].offset[a];
    }
    memcpy(p, q, sizeof q);
    if (steps[k].bend.size[0]) bend_slowly(&steps[k].bend, q, p);
  }
}

/* Where each voxel comes from: f64 [3,n]; and how many come from outside. */
static hl_tensor *places(const hl_warp_step *steps, int n) {
  hl_desc d = {.dtype = HL_F64, .shape = {2, {3, NZ * NY * NX}}};
  hl_tensor *t;
  hl_err e = {0};
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "test", &e) != HL_OK) return NULL;
  for (int64_t i = 0; i < d.shape.dim[1]; i++) {
    double p[3] = {(double)(i / (NY * NX)), (double)(i / NX % NY), (double)(i % NX)};
    follow_slowly(steps, n, p);
    for (int a = 0; a < 3; a++) hl_tensor_f64(t)[a * d.shape.dim[1] + i] = p[a];
  }
  return t;
}

static bool is_inside(const double *at, int64_t n, int64_t i) {
  const double size[3] = {NZ, NY, NX};
  for (int a = 0; a < 3; a++)
    if (!(at[a * n + i] >= -0.5 && at[a * n + i] <= size[a] - 0.5)) return false;
  return true;
}

/* The image at the places by hl_sample_points, the end voxel going on. */
static hl_tensor *looked_up(hl_tensor *src, hl_tensor *at, hl_interpolation kind) {
  const int64_t dim[3] = {NZ, NY, NX};
  hl_desc d = {.dtype = hl_tensor_dtype(src), .shape = hl_shape_make(3, dim)};
  hl_sampling how = {.kind = kind, .boundary = HL_MIRROR};
  hl_tensor *plain, *out = NULL;
  hl_err e = {0};
  if (hl_tensor_recast(&plain, src, &d, &e) != HL_OK) return NULL;
  int64_t n = hl_tensor_shape(at)->dim[1];
  for (int a = 0; a < 3; a++)
    for (int64_t i = 0; i < n; i++) {
      double *p = hl_tensor_f64(at) + a * n + i;
      *p = fmin(fmax(*p, 0), (double)(dim[a] - 1));
    }
  if (hl_sample_points(&out, plain, at, &how, &e) != HL_OK) out = NULL;
  hl_tensor_unref(plain);
  return out;
}

static void test_definition(hl_tensor *image, hl_tensor *mask) {
  hl_warp_step steps[3];
  int n_steps = steps_of(steps);
  const hl_warp_channel channels[4] = {
      {image, HL_WARP_LINEAR}, {image, HL_WARP_CUBIC}, {image, HL_WARP_SOFT}, {mask, HL_WARP_MASK}};
  hl_tensor *out[4], *at = places(steps, n_steps), *want[3];
  hl_err e = {0};
  succeeds(hl_warp_apply(out, steps, n_steps, channels, 4, &e), &e, "a chain of three steps");
  int64_t n = NZ * NY * NX, outside = 0, differ = 0, ties = 0;
  bool *inside = calloc((size_t)n, sizeof *inside);
  for (int64_t i = 0; i < n; i++) outside += !(inside[i] = is_inside(hl_tensor_f64(at), n, i));
  want[0] = looked_up(image, at, HL_LINEAR);
  want[1] = looked_up(image, at, HL_CUBIC);
  hl_tensor *ones = random_image(HL_U8, 5);
  for (int64_t i = 0; i < n; i++) hl_tensor_u8(ones)[i] = hl_tensor_u8(mask)[i] != 0;
  want[2] = looked_up(ones, at, HL_LINEAR);
  double worst[3] = {0};
  for (int64_t i = 0; i < n; i++) {
    for (int k = 0; k < 2; k++)
      worst[k] =
          fmax(worst[k], fabs((double)(hl_tensor_f32(out[k])[i] - hl_tensor_f32(want[k])[i])));
    double soft = inside[i] ? (double)hl_tensor_f32(want[0])[i] : 0;
    worst[2] = fmax(worst[2], fabs((double)hl_tensor_f32(out[2])[i] - soft));
    double share = (double)hl_tensor_f32(want[2])[i];
    ties += fabs(share - 0.5) < 1e-5;
    differ += fabs(share - 0.5) >= 1e-5 && hl_tensor_u8(out[3])[i] != (inside[i] && share >= 0.5);
  }
  is_near(worst[0], 0, 2e-5, "linear: each voxel is what the definition says");
  is_near(worst[1], 0, 5e-5, "cubic: too");
  is_near(worst[2], 0, 2e-5, "soft: too, and 0 outside");
  is_int(differ, 0,
         "masks: in where the share is one half or more (%lld too near to it to be compared)",
         (long long)ties);
  ok(outside > 500 && outside < n / 2 && ties < 50, "%lld of %lld voxels come from outside",
     (long long)outside, (long long)n);
  for (int k = 0; k < 4; k++) hl_tensor_unref(out[k]);
  for (int k = 0; k < 3; k++) hl_tensor_unref(want[k]);
  hl_tensor_unref(ones);
  hl_tensor_unref(at);
  free(inside);
}

/* ---- threads, memory, refusals ---- */

static hl_status everything(hl_tensor *out[4], hl_tensor *image, hl_tensor *mask, hl_err *e) {
  hl_warp_step steps[3];
  const hl_warp_channel channels[4] = {
      {image, HL_WARP_LINEAR}, {image, HL_WARP_CUBIC}, {image, HL_WARP_SOFT}, {mask, HL_WARP_MASK}};
  int n = steps_of(steps);
  for (int i = 0; i < POINTS * 3; i++) by[i] = (i * 7 % 11 - 5) / 5.0;
  HL_TRY(hl_warp_apply(out, steps, n, channels, 4, e));
  HL_TRY(hl_intensity_noise(out[0], 0.1, 99, e));
  HL_TRY(hl_intensity_gamma(out[1], 0.8, 0, 1, true, e));
  return hl_intensity_line(out[2], 2, -0.5, 0, 1, e);
}

static void test_threads(hl_tensor *image, hl_tensor *mask) {
  static const char *const names[4] = {"linear and noise", "cubic and gamma", "soft and a line",
                                       "masks"};
  int before = hl_compute_threads();
  hl_tensor *one[4], *two[4];
  hl_err e = {0};
  hl_set_compute_threads(1);
  bool made = everything(one, image, mask, &e) == HL_OK;
  hl_set_compute_threads(2);
  made = made && everything(two, image, mask, &e) == HL_OK;
  hl_set_compute_threads(before);
  for (int k = 0; k < 4; k++) {
    ok(made && memcmp(hl_tensor_data(one[k]), hl_tensor_data(two[k]), hl_tensor_bytes(one[k])) == 0,
       "%s: the same bits by one and by two threads %s", names[k], e.msg);
    hl_tensor_unref(one[k]);
    hl_tensor_unref(two[k]);
  }
}

/* Whichever allocation fails, the work fails cleanly; the ledger's check at the end sees leaks. */
static void test_no_memory(hl_tensor *image, hl_tensor *mask) {
  int failures = 0, wrong = 0;
  for (long n = 0; n < 200; n++) {
    hl_err e = {0};
    hl_tensor *out[4];
    hl_test_fail_after(n);
    hl_status status = everything(out, image, mask, &e);
    hl_test_fail_after(-1);
    if (status == HL_OK) {
      for (int k = 0; k < 4; k++) hl_tensor_unref(out[k]);
      break;
    }
    failures++;
    wrong += status != HL_ENOMEM;
    for (int k = 0; k < 4; k++) wrong += out[k] != NULL;
  }
  ok(failures > 4 && wrong == 0, "%d places where memory ends, %d wrong", failures, wrong);
}

static void refused(hl_warp_step step, const hl_warp_channel *channels, int n, hl_status code,
                    const char *text, const char *name) {
  hl_tensor *out[70];
  hl_err e = {0};
  fails(hl_warp_apply(out, &step, 1, channels, n, &e), code, &e, text, "%s", name);
}

static void test_refusals(hl_tensor *image, hl_tensor *mask, hl_tensor *plain) {
  const hl_warp_channel fine[2] = {{image, HL_WARP_LINEAR}, {mask, HL_WARP_MASK}};
  hl_warp_step s = affine_step;
  hl_tensor *out[2];
  hl_err e = {0};
  fails(hl_warp_apply(out, &s, 0, fine, 2, &e), HL_EINVAL, &e, "0 steps", "no step");
  refused(s, fine, 0, HL_EINVAL, "0 channels", "no channel");
  refused(s, (hl_warp_channel[]){{mask, HL_WARP_LINEAR}}, 1, HL_ETYPE, "expected f32",
          "a mask as an image");
  refused(s, (hl_warp_channel[]){{image, HL_WARP_MASK}}, 1, HL_ETYPE, "expected u8",
          "an image as a mask");
  refused(s, (hl_warp_channel[]){{image, HL_WARP_RULES}}, 1, HL_EINVAL, "no known rule", "no rule");
  hl_tensor *part;
  if (hl_tensor_slice(&part, plain, 0, 0, NZ, 2, &e) != HL_OK) return;
  refused(s, (hl_warp_channel[]){{part, HL_WARP_LINEAR}}, 1, HL_ESHAPE, "dense", "a view");
  hl_tensor_unref(part);
  if (hl_tensor_slice(&part, plain, 0, 0, NZ - 1, 1, &e) != HL_OK) return;
  refused(s, (hl_warp_channel[]){{plain, HL_WARP_LINEAR}, {part, HL_WARP_SOFT}}, 2, HL_ESHAPE,
          "9 × 13 × 150", "channels of two sizes");
  hl_tensor_unref(part);
  s.offset[1] = (double)NAN;
  refused(s, fine, 2, HL_EINVAL, "not finite", "NaN in a map");
  s = affine_step;
  s.bend = (hl_bend){.size = {4, 4, 3}, .step = {1, 1, 1}, .by = by};
  refused(s, fine, 2, HL_EINVAL, "3 control points", "too few control points");
  s.bend = (hl_bend){.size = {4, 4, 4}, .step = {1, 0, 1}, .by = by};
  refused(s, fine, 2, HL_EINVAL, "0 voxels apart", "control points on one spot");
  s.bend = (hl_bend){.size = {4, 4, 4}, .step = {1, 1, 1}};
  refused(s, fine, 2, HL_EINVAL, "not finite", "no displacements");
}

/* However far a map leads, there is nothing there. */
static void test_far(hl_tensor *image, hl_tensor *mask) {
  const hl_warp_channel channels[2] = {{image, HL_WARP_LINEAR}, {mask, HL_WARP_MASK}};
  for (int k = 0; k < 3; k++) {
    static const double far[3] = {1e7 + 0.5, 1e8, 1e300};
    hl_warp_step s = {.matrix = {1, 0, 0, 0, 1, 0, 0, 0, 1}, .offset = {far[k], -far[k], far[k]}};
    hl_tensor *out[2];
    hl_stats stats;
    hl_err e = {0};
    bool made = hl_warp_apply(out, &s, 1, channels, 2, &e) == HL_OK;
    ok(made && hl_tensor_stats(out[1], &stats, &e) == HL_OK && stats.max <= 0,
       "%g voxels away there is nothing", far[k]);
    if (!made) continue;
    double end = (double)hl_tensor_f32(image)[hl_tensor_numel(image) - (NY - 1) * NX - 1];
    is_near((double)hl_tensor_f32(out[0])[0], end, 0, "but the end voxel");
    hl_tensor_unref(out[0]);
    hl_tensor_unref(out[1]);
  }
}

int main(void) {
  hl_tensor *image = random_image(HL_F32, 5), *mask = random_image(HL_U8, 5),
            *plain = random_image(HL_F32, 3);
  for (int r = 0; r < HL_WARP_RULES; r++)
    is_int(hl_warp_rule_by_name(hl_warp_rule_name((hl_warp_rule)r)), r,
           "a rule's name leads back to it");
  is_int(hl_warp_rule_by_name("quadratic"), HL_WARP_RULES, "another name to none");
  test_definition(image, mask);
  test_threads(image, mask);
  test_no_memory(image, mask);
  test_refusals(image, mask, plain);
  test_far(image, mask);
  hl_tensor_unref(image);
  hl_tensor_unref(mask);
  hl_tensor_unref(plain);
  return tap_done();
}
