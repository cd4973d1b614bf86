/* Image maths: the same bits on any number of threads, no memory, bad input; what Lua does not
 * reach. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/filter.h>
#include <hilum/morphology.h>
#include <hilum/parallel.h>
#include <hilum/shape.h>
#include <hilum/volume.h>

enum { NZ = 9, NY = 70, NX = 65 };

static hl_tensor *noise(hl_dtype type, uint32_t seed) {
  const int64_t size[3] = {NZ, NY, NX};
  hl_desc d = {.dtype = type, .layout = HL_PLAIN, .shape = hl_shape_make(3, size)};
  hl_tensor *t;
  hl_err e = {0};
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "test", &e) != HL_OK) return NULL;
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) {
    seed = seed * 1664525U + 1013904223U;
    double v = (double)(seed >> 8) / (1 << 24);
    if (type == HL_U8)
      hl_tensor_u8(t)[i] = v < 0.7;
    else if (type == HL_I16)
      hl_tensor_i16(t)[i] = (int16_t)(2000 * v - 1000);
    else
      hl_tensor_f32(t)[i] = (float)v;
  }
  return t;
}

/* One of the operations; out is NULL when it fails. */
static hl_status work(int what, hl_tensor **out, const hl_tensor *image, const hl_tensor *hu,
                      const hl_tensor *mask, hl_err *e) {
  static const int64_t size[3] = {12, 50, 60};
  static const double matrix[9] = {0.7, 0.1, 0, -0.1, 1.3, 0.2, 0, 0.1, 1.1},
                      offset[3] = {1, -3, 2};
  static const double spacing_mm[3] = {2.5, 0.7, 0.8};
  hl_sampling how = {.kind = what == 0 ? HL_LINEAR : HL_CUBIC, .boundary = HL_MIRROR};
  hl_gaussian g = {.sigma = {0.5, 2, 1}, .truncate = 4, .boundary = HL_REFLECT};
  hl_grid from = {.size = {NZ, NY, NX}, .spacing_mm = {2.5, 0.7, 0.8}};
  hl_grid to = {.size = {40, 160, 170}, .spacing_mm = {0.5, 0.3, 0.3}};
  hl_resample_options options = {.kind = (hl_resampling)(what - 8), .type = HL_F32};
  hl_part *parts = NULL;
  int64_t n;
  hl_status status;
  switch (what) {
  case 0:
  case 1:
    return hl_sample_affine(out, image, size, matrix, offset, &how, e);
  case 2:
    how.boundary = HL_EDGE;
    return hl_sample_affine(out, hu, size, matrix, offset, &how, e);
  case 3:
    return hl_filter_gaussian(out, image, &g, e);
  case 4:
    return hl_mask_morph(out, mask, HL_OPEN, 18, 1, e);
  case 5:
    return hl_mask_fill_holes(out, mask, 6, e);
  case 6:
    status = hl_mask_parts(out, &parts, &n, mask, 6, e);
    hl_host_free(parts);
    return status;
  case 7:
    return hl_mask_distance(out, mask, spacing_mm, HL_F32, e);
  default:
    return hl_volume_resample(out, hu, &from, &to, &options, e);
  }
}

enum { WORKS = 12 };
static const char *const names[WORKS] = {"affine, linear",
                                         "affine, cubic",
                                         "affine of an edge",
                                         "Gaussian",
                                         "opening",
                                         "filling holes",
                                         "parts",
                                         "distances",
                                         "resampling, linear",
                                         "resampling, nearest",
                                         "resampling, cubic",
                                         "resampling, area"};

static void test_threads(const hl_tensor *image, const hl_tensor *hu, const hl_tensor *mask) {
  int before = hl_compute_threads();
  hl_err e = {0};
  for (int w = 0; w < WORKS; w++) {
    hl_tensor *one = NULL, *two = NULL;
    hl_set_compute_threads(1);
    bool made = work(w, &one, image, hu, mask, &e) == HL_OK;
    hl_set_compute_threads(2);
    made = made && work(w, &two, image, hu, mask, &e) == HL_OK;
    ok(made && memcmp(hl_tensor_data(one), hl_tensor_data(two), hl_tensor_bytes(one)) == 0,
       "%s: the same bits by one and by two threads %s", names[w], e.msg);
    hl_tensor_unref(one);
    hl_tensor_unref(two);
  }
  hl_set_compute_threads(before);
}

/* Whichever allocation fails, the work fails cleanly; the ledger's check at the end sees leaks. */
static void test_no_memory(const hl_tensor *image, const hl_tensor *hu, const hl_tensor *mask) {
  for (int w = 0; w < WORKS; w++) {
    int failures = 0, wrong = 0;
    for (long n = 0; n < 200; n++) {
      hl_err e = {0};
      hl_tensor *out = NULL;
      hl_test_fail_after(n);
      hl_status status = work(w, &out, image, hu, mask, &e);
      hl_test_fail_after(-1);
      if (status == HL_OK) {
        hl_tensor_unref(out);
        break;
      }
      failures++;
      wrong += status != HL_ENOMEM || out != NULL;
    }
    ok(failures > 0 && wrong == 0, "%s: %d places where memory ends, %d wrong", names[w], failures,
       wrong);
  }
}

static void test_refusals(const hl_tensor *image, const hl_tensor *mask) {
  hl_tensor *out;
  hl_err e = {0};
  const double spacing_mm[3] = {1, 1, 0}, fine_mm[3] = {1, 1, 1};
  hl_sampling how = {.kind = HL_INTERPOLATIONS};
  fails(hl_sample_points(&out, image, image, &how, &e), HL_ESHAPE, &e, "f64[3,n]", "no points");
  fails(hl_spline_coefficients(&out, image, HL_EDGE, HL_F64, &e), HL_EINVAL, &e, "mirror",
        "a spline of an edge");
  fails(hl_spline_coefficients(&out, image, HL_MIRROR, HL_U8, &e), HL_EINVAL, &e, "u8",
        "coefficients of 8 bits");
  fails(hl_mask_distance(&out, mask, spacing_mm, HL_F32, &e), HL_EINVAL, &e, "spacing is 0",
        "no spacing");
  fails(hl_mask_distance(&out, mask, fine_mm, HL_I16, &e), HL_EINVAL, &e, "i16", "short distances");
  double area;
  fails(hl_mask_surface_mm2(&area, mask, spacing_mm, &e), HL_EINVAL, &e, "spacing is 0",
        "a surface without spacing");
  fails(hl_mask_surface_mm2(&area, image, fine_mm, &e), HL_ETYPE, &e, "u8",
        "a surface of an image");
}

int main(void) {
  hl_tensor *image = noise(HL_F32, 1), *hu = noise(HL_I16, 2), *mask = noise(HL_U8, 3);
  test_threads(image, hu, mask);
  test_no_memory(image, hu, mask);
  test_refusals(image, mask);
  hl_tensor_unref(image);
  hl_tensor_unref(hu);
  hl_tensor_unref(mask);
  return tap_done();
}
