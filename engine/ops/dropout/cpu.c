#include "dropout.h"

#include "kernel.h"
#include "opkit.h"

typedef struct job {
  const hl_dropout_attrs *a;
  const float *x;
  float *y;
  double step;
  float kept;
  int64_t n, channels, voxels; /* numbers; of an image whose channels are dropped */
} job;

/* Blocks [begin, end) of draws, one draw for each number. */
static void numbers(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  uint32_t limit = hl_dropout_limit(j->a);
  for (int64_t block = begin; block < end; block++) {
    uint32_t draws[HL_DROPOUT_DRAWS];
    int64_t first = block * HL_DROPOUT_DRAWS;
    hl_dropout_draw(j->a, j->step, block, draws);
    for (int64_t k = 0; k < hl_min_i64(HL_DROPOUT_DRAWS, j->n - first); k++)
      j->y[first + k] = draws[k] < limit ? 0 : j->x[first + k] * j->kept;
  }
}

static float factor(const job *j, int64_t channel) {
  uint32_t draws[HL_DROPOUT_DRAWS];
  hl_dropout_draw(j->a, j->step, channel / HL_DROPOUT_DRAWS, draws);
  return draws[channel % HL_DROPOUT_DRAWS] < hl_dropout_limit(j->a) ? 0 : j->kept;
}

/* Voxels [begin, end), one draw for each channel of each image. */
static void whole_channels(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  enum { AT_ONCE = 64 };
  float by[AT_ONCE];
  while (begin < end) {
    int64_t image = begin / j->voxels, last = hl_min_i64(end, (image + 1) * j->voxels);
    for (int64_t c = 0; c < j->channels; c += AT_ONCE) {
      int64_t n = hl_min_i64(AT_ONCE, j->channels - c);
      for (int64_t k = 0; k < n; k++) by[k] = factor(j, image * j->channels + c + k);
      for (int64_t v = begin; v < last; v++) {
        const float *x = j->x + v * j->channels + c;
        float *y = j->y + v * j->channels + c;
        HL_INDEPENDENT
        for (int64_t k = 0; k < n; k++) y[k] = by[k] == 0 ? 0 : x[k] * by[k];
      }
    }
    begin = last;
  }
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  const hl_dropout_attrs *a = c->attrs;
  job j = {.a = a, .x = hl_tensor_f32(in[0]), .y = hl_tensor_f32(out[0])};
  j.step = hl_tensor_f64(in[1])[0];
  j.kept = (float)(1 / (1 - a->rate));
  j.n = hl_tensor_numel(in[0]);
  if (!a->channels) {
    hl_parallel_for(hl_ceil_div(j.n, HL_DROPOUT_DRAWS), HL_GRAIN / HL_DROPOUT_DRAWS, numbers, &j);
    return HL_OK;
  }
  j.channels = c->in[0].shape.dim[AXIS_C];
  j.voxels = hl_image_voxels(&c->in[0]);
  hl_parallel_for(c->in[0].shape.dim[0] * j.voxels, HL_GRAIN / j.channels + 1, whole_channels, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_dropout = {.run = run};
