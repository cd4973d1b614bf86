/* The scanner: how scans are made, correlated noise, the circle beyond which it sees nothing. */
#include "phantom.h"

#include <string.h>

enum { LOWEST_HU = -1024, HIGHEST_HU = 3071 };

typedef struct kernel {
  double edge_mm, noise_hu[2], taps[TAPS];
} kernel;

/* Soft, standard, lung: a sharper kernel has more noise, of shorter reach, with a dip beside it. */
static const kernel kernels[] = {
    {1.35, {8, 14}, {1, 0.75, 0.32, 0.08}},
    {1.1, {12, 20}, {1, 0.5, 0.1, 0}},
    {0.9, {22, 34}, {1, 0.16, -0.2, -0.05}},
};

typedef struct size {
  int pixels[2], planes;
  double steps_mm[3], field[2], tall_mm; /* field: of view, as a share of the body's width */
} size;

static const size sizes[] = {
    [HL_PHANTOM_SMALL] = {{176, 192}, 2, {1.5, 2, 2.5}, {1.06, 1.2}, 82},
    [HL_PHANTOM_FULL] = {{512, 512}, 2, {1.25, 2, 2.5}, {1.04, 1.2}, 300},
};

static double thousandth(double v) {
  return nearbyint(v * 1000) / 1000;
}

void protocol_random(protocol *p, const chest *c, hl_phantom_size which, hl_rng *r) {
  const size *s = &sizes[which];
  const kernel *k = &kernels[hl_rng_below(r, 3)];
  *p = (protocol){.pixels = s->pixels[hl_rng_below(r, 2)]};
  double body = 2 * (c->wide + 19 + 0.8 * c->fat) * c->scale;
  double pixel = thousandth(body * uniform(r, s->field[0], s->field[1]) / p->pixels);
  double step = s->steps_mm[hl_rng_below(r, 3)];
  bool overlap = hl_rng_uniform(r) < 0.25;
  p->spacing_mm[0] = step;
  p->spacing_mm[1] = p->spacing_mm[2] = pixel;
  p->thickness_mm = overlap ? step * 1.25 : step;
  p->planes = p->thickness_mm < 1.7 ? 1 : s->planes;
  p->slices = (int)(s->tall_mm / step);
  double lowest = -160 * c->scale, highest = (cage_top(c) + 12) * c->scale;
  double half = 0.5 * s->tall_mm;
  double room = highest - lowest - s->tall_mm;
  p->top_mm =
      (room > 0 ? uniform(r, lowest, lowest + room) : 0.5 * (lowest + highest) - half) + s->tall_mm;
  p->edge_mm = most(k->edge_mm * most(c->scale, 0.8), 0.75 * pixel);
  p->noise_hu = uniform(r, k->noise_hu[0], k->noise_hu[1]);
  memcpy(p->taps, k->taps, sizeof p->taps);
  static const int paddings[] = {-3024, -2000, 0};
  p->padding_hu = paddings[hl_rng_below(r, 3)];
  p->couch_mm = (c->deep + 40 + 0.6 * c->fat) * c->scale;
}

/* ---- Noise ---- */

/* Nearly normal, of deviation 1: four 16-bit uniforms. The kernel mixes many of them. */
static float draw_one(hl_rng *r) {
  uint32_t a = hl_rng_u32(r), b = hl_rng_u32(r);
  int32_t sum = (int32_t)((a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16)) - 2 * 0xFFFF;
  return (float)sum * (float)(1.7320508075688772 / 65536);
}

/* Rows of white noise, filtered along them; v->plane is free by now. */
static void make_noise(const canvas *v) {
  int64_t n = v->p->pixels;
  float w[TAPS];
  for (int i = 0; i < TAPS; i++) w[i] = (float)v->p->taps[i];
  for (int64_t y = 0; y < n; y++) {
    hl_rng r = hl_rng_stream(v->seed, "phantom noise", (uint32_t)v->item, (uint32_t)(v->k * n + y));
    float *row = v->plane + y * n, *out = v->noise + y * n;
    for (int64_t x = 0; x < n; x++) row[x] = draw_one(&r);
    for (int64_t x = 0; x < n; x++) {
      bool inner = x >= TAPS && x < n - TAPS;
      float sum = w[0] * row[x];
      for (int i = 1; inner && i < TAPS; i++) sum += w[i] * (row[x - i] + row[x + i]);
      out[x] = sum;
    }
  }
}

/* The middle of a body weakens the beam more than its rim; air outside is quieter. */
static double strength(const canvas *v, double y_mm, double x_mm) {
  double s = v->c->scale;
  double far = y_mm * y_mm / (120 * 120 * s * s) + x_mm * x_mm / (165 * 165 * s * s);
  return 0.45 + 0.55 / (1 + far * far);
}

static float noise_at(const canvas *v, int64_t y, int64_t x) {
  int64_t n = v->p->pixels;
  float sum = (float)v->p->taps[0] * v->noise[y * n + x];
  if (y < TAPS || y >= n - TAPS) return sum;
  for (int64_t i = 1; i < TAPS; i++)
    sum += (float)v->p->taps[i] * (v->noise[(y - i) * n + x] + v->noise[(y + i) * n + x]);
  return sum;
}

static bool beyond_circle(const canvas *v, int64_t y, int64_t x) {
  double half = 0.5 * (double)(v->p->pixels - 1), dy = (double)y - half, dx = (double)x - half;
  return v->p->padding_hu != 0 && dy * dy + dx * dx > (half + 0.5) * (half + 0.5);
}

void scanner_store(const canvas *v) {
  int64_t n = v->p->pixels;
  const double *o = v->scan->origin_mm, *s = v->scan->spacing_mm;
  int16_t *out = hl_tensor_i16(v->scan->voxels) + v->k * n * n;
  double sum = v->p->taps[0] * v->p->taps[0];
  for (int i = 1; i < TAPS; i++) sum += 2 * v->p->taps[i] * v->p->taps[i];
  double scale = v->p->noise_hu / sum;
  make_noise(v);
  for (int64_t y = 0; y < n; y++)
    for (int64_t x = 0; x < n; x++) {
      double y_mm = o[1] + (double)y * s[1], x_mm = o[2] + (double)x * s[2];
      double hu =
          (double)v->sum[y * n + x] + scale * strength(v, y_mm, x_mm) * (double)noise_at(v, y, x);
      hu = hu < LOWEST_HU ? LOWEST_HU : hu > HIGHEST_HU ? HIGHEST_HU : nearbyint(hu);
      out[y * n + x] = (int16_t)(beyond_circle(v, y, x) ? v->p->padding_hu : hu);
    }
}
