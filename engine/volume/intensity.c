#include <hilum/intensity.h>

#include <hilum/parallel.h>
#include <hilum/rng.h>

#include <math.h>

enum { GRAIN = 4096 };

static hl_status check(const hl_tensor *t, hl_err *e) {
  char text[HL_DESC_TEXT];
  if (hl_tensor_f32(t) && hl_tensor_is_dense(t)) return HL_OK;
  return hl_fail(e, HL_ETYPE, "the image is %s, expected a dense tensor of f32",
                 hl_desc_text(hl_tensor_desc(t), text));
}

static hl_status check_where(const hl_tensor *t, const hl_tensor *where, hl_err *e) {
  char a[HL_DESC_TEXT], b[HL_DESC_TEXT];
  hl_desc like = *hl_tensor_desc(t);
  like.dtype = HL_U8;
  if (!where || (hl_tensor_is_dense(where) && hl_desc_equal(hl_tensor_desc(where), &like)))
    return HL_OK;
  return hl_fail(e, HL_ESHAPE, "the mask is %s, expected a dense %s",
                 hl_desc_text(hl_tensor_desc(where), a), hl_desc_text(&like, b));
}

hl_status hl_intensity_measure(hl_intensity *out, const hl_tensor *t, const hl_tensor *where,
                               hl_err *e) {
  *out = (hl_intensity){.min = (double)INFINITY, .max = -(double)INFINITY};
  HL_TRY(check(t, e));
  HL_TRY(check_where(t, where, e));
  const float *v = hl_tensor_f32(t);
  const uint8_t *in = where ? hl_tensor_u8(where) : NULL;
  int64_t n = hl_tensor_numel(t);
  double sum = 0, square = 0;
  for (int64_t i = 0; i < n; i++) {
    if (in && !in[i]) continue;
    double x = (double)v[i];
    out->voxels++;
    sum += x;
    if (x < out->min) out->min = x;
    if (x > out->max) out->max = x;
  }
  if (out->voxels == 0) return HL_OK;
  out->mean = sum / (double)out->voxels;
  for (int64_t i = 0; i < n; i++) {
    if (in && !in[i]) continue;
    double off = (double)v[i] - out->mean;
    square += off * off;
  }
  out->sd = sqrt(square / (double)out->voxels);
  return HL_OK;
}

typedef struct job {
  float *v;
  float scale, shift, low, high; /* gamma: shift is the exponent */
  bool inverted;
  double sd;
  uint64_t seed;
} job;

static void line(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int64_t i = begin; i < end; i++) {
    float x = j->scale * j->v[i] + j->shift;
    x = x < j->low ? j->low : x;
    j->v[i] = x > j->high ? j->high : x;
  }
}

hl_status hl_intensity_line(hl_tensor *t, double scale, double shift, double low, double high,
                            hl_err *e) {
  HL_TRY(check(t, e));
  if (!isfinite(scale) || !isfinite(shift) || !(low <= high))
    return hl_fail(e, HL_EINVAL,
                   "a line of %g x + %g between %g and %g, expected finite numbers in order", scale,
                   shift, low, high);
  job j = {.v = hl_tensor_f32(t),
           .scale = (float)scale,
           .shift = (float)shift,
           .low = (float)low,
           .high = (float)high};
  hl_parallel_for(hl_tensor_numel(t), GRAIN, line, &j);
  hl_tensor_touch(t);
  return HL_OK;
}

static void curve(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  float range = j->high - j->low;
  for (int64_t i = begin; i < end; i++) {
    float s = (j->v[i] - j->low) / range;
    s = s < 0 ? 0 : s > 1 ? 1 : s;
    if (j->inverted)
      j->v[i] = j->high - range * powf(1 - s, j->shift);
    else
      j->v[i] = j->low + range * powf(s, j->shift);
  }
}

hl_status hl_intensity_gamma(hl_tensor *t, double gamma, double low, double high, bool inverted,
                             hl_err *e) {
  HL_TRY(check(t, e));
  if (!(gamma > 0 && isfinite(gamma) && low < high && isfinite(low) && isfinite(high)))
    return hl_fail(e, HL_EINVAL,
                   "a gamma of %g between %g and %g, expected one above 0 and a range", gamma, low,
                   high);
  job j = {.v = hl_tensor_f32(t),
           .shift = (float)gamma,
           .low = (float)low,
           .high = (float)high,
           .inverted = inverted};
  hl_parallel_for(hl_tensor_numel(t), GRAIN, curve, &j);
  hl_tensor_touch(t);
  return HL_OK;
}

/* Each chunk has a stream of its own, and each pair of voxels one draw of two. */
static void noise(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const float turn = 6.2831853071795864769F, share = 1.0F / 4294967296.0F;
  hl_rng r = hl_rng_stream(j->seed, "noise", 0, (uint32_t)(begin / GRAIN));
  for (int64_t i = begin; i < end; i += 2) {
    float u = (float)(((double)hl_rng_u32(&r) + 0.5) / 4294967296.0);
    float radius = (float)j->sd * sqrtf(-2 * logf(u));
    float angle = turn * share * (float)hl_rng_u32(&r);
    j->v[i] += radius * cosf(angle);
    if (i + 1 < end) j->v[i + 1] += radius * sinf(angle);
  }
}

hl_status hl_intensity_noise(hl_tensor *t, double sd, uint64_t seed, hl_err *e) {
  HL_TRY(check(t, e));
  if (!(sd >= 0 && isfinite(sd)))
    return hl_fail(e, HL_EINVAL, "noise of the standard deviation %g, expected 0 or more", sd);
  job j = {.v = hl_tensor_f32(t), .sd = sd, .seed = seed};
  hl_parallel_for(hl_tensor_numel(t), GRAIN, noise, &j);
  hl_tensor_touch(t);
  return HL_OK;
}
