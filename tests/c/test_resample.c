#define TAP_LEDGER
#include "tap.h"

#include <hilum/volume.h>

/* Valid until the next call. */
static const hl_resample_options *linear(double outside) {
  static hl_resample_options how;
  how = (hl_resample_options){.kind = HL_RESAMPLE_LINEAR, .outside = outside, .type = HL_F32};
  return &how;
}

static hl_tensor *volume(const hl_grid *g, hl_dtype type, double (*at)(const double mm[3])) {
  hl_desc d = {.dtype = type, .layout = HL_PLAIN, .shape = hl_shape_make(3, g->size)};
  hl_tensor *t;
  hl_err e = {0};
  if (hl_tensor_zeros(&t, &d, HL_MEM_DATA, "test", &e) != HL_OK) return NULL;
  int64_t i = 0;
  for (int64_t z = 0; z < g->size[0]; z++)
    for (int64_t y = 0; y < g->size[1]; y++)
      for (int64_t x = 0; x < g->size[2]; x++, i++) {
        const double index[3] = {(double)z, (double)y, (double)x};
        double mm[3];
        hl_grid_position(g, index, mm);
        if (type == HL_I16)
          hl_tensor_i16(t)[i] = (int16_t)at(mm);
        else
          hl_tensor_f32(t)[i] = (float)at(mm);
      }
  return t;
}

static double ramp(const double mm[3]) {
  return 3 * mm[0] - 2 * mm[1] + 0.5 * mm[2] + 7;
}

static double worst(const hl_tensor *t, const hl_grid *g, const hl_grid *from,
                    double (*at)(const double mm[3]), double outside, int64_t *n_outside) {
  double most = 0;
  int64_t i = 0;
  *n_outside = 0;
  for (int64_t z = 0; z < g->size[0]; z++)
    for (int64_t y = 0; y < g->size[1]; y++)
      for (int64_t x = 0; x < g->size[2]; x++, i++) {
        const double out[3] = {(double)z, (double)y, (double)x};
        double mm[3], index[3];
        bool in = true, within = true;
        hl_grid_position(g, out, mm);
        hl_grid_index(from, mm, index);
        for (int a = 0; a < 3; a++) {
          in = in && index[a] >= -0.5 && index[a] <= (double)from->size[a] - 0.5;
          within = within && index[a] >= 0 && index[a] <= (double)from->size[a] - 1;
        }
        double got = (double)hl_tensor_f32(t)[i];
        *n_outside += !in;
        if (!in) most = fmax(most, fabs(got - outside));
        if (within) most = fmax(most, fabs(got - at(mm)));
      }
  return most;
}

static void test_ramp(void) {
  const double uneven[] = {-10, -7.4, -5, -2.6, 0, 2.3};
  hl_err e = {0};
  for (int kind = 0; kind < 2; kind++) {
    hl_grid from = {.size = {6, 9, 8}, .spacing_mm = {2.5, 0.7, 0.8}, .origin_mm = {-10, 3, -2}};
    if (kind) from.z_mm = uneven;
    hl_grid to = {.size = {21, 12, 13}, .spacing_mm = {0.9, 0.9, 0.6}, .origin_mm = {-12, 2, -3}};
    hl_tensor *src = volume(&from, HL_F32, ramp), *out;
    int64_t outside;
    succeeds(hl_volume_resample(&out, src, &from, &to, linear(-5), &e), &e, "resampling a ramp");
    is_near(worst(out, &to, &from, ramp, -5, &outside), 0, 1e-5,
            "a ramp comes out exactly, %s slices", kind ? "uneven" : "even");
    ok(outside > 0, "%lld voxels lie outside and have the given value", (long long)outside);
    hl_tensor *inside;
    succeeds(hl_volume_inside(&inside, &from, &to, &e), &e, "the validity mask");
    int64_t n = 0;
    for (int64_t i = 0; i < hl_tensor_numel(inside); i++) n += hl_tensor_u8(inside)[i] == 0;
    is_int(n, outside, "is 0 at the same voxels");
    hl_tensor_unref(inside);
    hl_tensor_unref(src);
    hl_tensor_unref(out);
  }
}

static double wild(const double mm[3]) {
  return nearbyint(900 * sin(13 * mm[0] + 5 * mm[1]) * cos(7 * mm[2] + mm[0]));
}

static void test_shift(void) {
  hl_err e = {0};
  hl_grid from = {.size = {7, 8, 9}, .spacing_mm = {2.5, 0.75, 0.5}, .origin_mm = {1, 2, 3}};
  hl_grid to = from;
  to.origin_mm[0] += 2 * 2.5;
  to.origin_mm[1] -= 3 * 0.75;
  to.origin_mm[2] += 1 * 0.5;
  hl_tensor *src = volume(&from, HL_I16, wild), *out;
  succeeds(hl_volume_resample(&out, src, &from, &to, linear(0), &e), &e,
           "shifting by whole voxels");
  int64_t wrong = 0;
  for (int64_t z = 0; z < 7; z++)
    for (int64_t y = 0; y < 8; y++)
      for (int64_t x = 0; x < 9; x++) {
        bool in = z + 2 < 7 && y >= 3 && x + 1 < 9;
        float want = in ? (float)hl_tensor_i16(src)[((z + 2) * 8 + y - 3) * 9 + x + 1] : 0;
        wrong += hl_tensor_f32(out)[(z * 8 + y) * 9 + x] != want;
      }
  is_int(wrong, 0, "moves every value and changes none");
  hl_tensor_unref(src);
  hl_tensor_unref(out);
}

static void test_grid(void) {
  const double z[] = {-10, -7.4, -5, 3}, centre[3] = {1, 2, 3}, spacing[3] = {1, 2, 0.5};
  const int64_t size[3] = {4, 5, 6};
  hl_grid g = {.size = {4, 5, 6}, .spacing_mm = {2.5, 1, 2}, .origin_mm = {-10, 0, 1}, .z_mm = z};
  double off = 0;
  for (double i = -1; i <= 4; i += 0.25) {
    const double index[3] = {i, i, -i};
    double mm[3], back[3];
    hl_grid_position(&g, index, mm);
    hl_grid_index(&g, mm, back);
    for (int a = 0; a < 3; a++) off = fmax(off, fabs(back[a] - index[a]));
  }
  is_near(off, 0, 1e-12, "index to millimetre and back, also beyond the ends");
  is_near(hl_grid_thickness_mm(&g, 0), 2.6, 1e-12, "thickness of the first slice");
  is_near(hl_grid_thickness_mm(&g, 2), 5.2, 1e-12, "of one between uneven neighbours");
  hl_grid around = hl_grid_around(centre, size, spacing);
  const double middle[3] = {1.5, 2, 2.5};
  double mm[3];
  hl_grid_position(&around, middle, mm);
  ok(fabs(mm[0] - 1) < 1e-12 && fabs(mm[1] - 2) < 1e-12 && fabs(mm[2] - 3) < 1e-12,
     "the middle of a grid around a point is the point");
  hl_steps s;
  hl_err e = {0};
  const double gap[] = {0, 2.5, 5, 10, 12.5, 15.2};
  succeeds(hl_steps_measure(&s, gap, 6, &e), &e, "measuring steps");
  ok(s.median_mm == 2.5 && s.gaps == 1 && s.first_gap == 2 && s.uneven == 2,
     "median 2.5 mm, one gap, two uneven steps");
}

static void test_refusals(void) {
  hl_err e = {0};
  hl_grid g = {.size = {2, 2, 2}, .spacing_mm = {1, 1, 1}};
  hl_grid bad = g, other = g;
  const double falling[] = {1, 0};
  hl_tensor *src = volume(&g, HL_F32, ramp), *out;
  bad.spacing_mm[1] = 0;
  fails(hl_volume_resample(&out, src, &g, &bad, linear(0), &e), HL_EINVAL, &e,
        "spacing along y is 0", "no spacing");
  ok(!out, "nothing is made");
  bad = g;
  bad.spacing_mm[0] = (double)NAN;
  fails(hl_grid_check(&bad, &e), HL_EINVAL, &e, "spacing along z", "a spacing that is no number");
  bad = g;
  bad.size[2] = 0;
  fails(hl_grid_check(&bad, &e), HL_EINVAL, &e, "size along x is 0", "no voxels");
  bad = g;
  bad.z_mm = falling;
  fails(hl_grid_check(&bad, &e), HL_EINVAL, &e, "does not lie above", "slices out of order");
  other.size[0] = 3;
  fails(hl_volume_resample(&out, src, &other, &g, linear(0), &e), HL_ESHAPE, &e, "3 x 2 x 2",
        "a volume that is not its grid's");
  fails(hl_volume_window(src, 400, -1000, &e), HL_EINVAL, &e, "400", "a window upside down");
  succeeds(hl_volume_window(src, 5, 9, &e), &e, "a window");
  hl_stats st;
  succeeds(hl_tensor_stats(src, &st, &e), &e, "its result");
  ok(st.min == 0 && st.max == 1, "lies between 0 and 1");
  hl_tensor_unref(src);
}

int main(void) {
  test_grid();
  test_ramp();
  test_shift();
  test_refusals();
  return tap_done();
}
