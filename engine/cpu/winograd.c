#include "winograd.h"

#include "winograd_job.h"

#include "isa.h"

#include <hilum/parallel.h>

#include <stdatomic.h>
#include <string.h>

enum { ALIGNMENT = 64, NUMBERS = ALIGNMENT / sizeof(float), POINTS = HL_SEEN * HL_SEEN };

/* ---- the plan of a convolution ---- */

static int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
static int64_t round_up(int64_t a, int64_t b) {
  return divide_up(a, b) * b;
}

static const hl_winograd_kernels *kernels(void) {
#if defined(__x86_64__)
  if (hl_isa() == HL_ISA_AVX512) return &hl_winograd_avx512;
  if (hl_isa() == HL_ISA_AVX2) return &hl_winograd_avx2;
#endif
  return &hl_winograd_portable;
}

/* A group has at least VOXELS at each point of z and y: the multiplications then use each weight
 * often enough, and what is in use with few channels fits the first-level cache. */
static void divide(hl_winograd_job *j) {
  enum { VOXELS = 32, STEP = 8 };
  j->width = round_up(divide_up(j->to[2], divide_up(j->to[2], VOXELS)), STEP);
  int64_t along_y = divide_up(j->to[1], HL_TILE);
  j->tiles = VOXELS / j->width > 1 ? VOXELS / j->width : 1;
  if (j->tiles > along_y) j->tiles = along_y;
  j->groups[0] = divide_up(j->to[0], HL_TILE);
  j->groups[1] = divide_up(along_y, j->tiles);
  j->groups[2] = divide_up(j->to[2], j->width);
  /* Never a power of two apart: rows would meet in the same lines of the cache. */
  j->spread_row = round_up((j->width + 2) * j->in_filled, NUMBERS) + NUMBERS;
  j->gathered_row = round_up((j->width + 2) * j->out_filled, NUMBERS) + NUMBERS;
}

/* From x to y, or from dy to dx with the kernel turned around. */
static hl_winograd_job job_of(const hl_convolution *c) {
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  hl_winograd_job j = {
      .lanes = kernels()->lanes, .in = back ? c->out : c->in, .out = back ? c->in : c->out};
  memcpy(j.from, back ? c->y : c->x, sizeof j.from);
  memcpy(j.to, back ? c->x : c->y, sizeof j.to);
  for (int i = 0; i < 3; i++) j.padding[i] = back ? HL_TAPS - 1 - c->padding[i] : c->padding[i];
  j.split = 1;
  while (j.split < 4 && j.lanes / j.split >= 8 && j.out * j.split * 2 <= j.lanes) j.split *= 2;
  j.units = divide_up(j.in, j.split);
  j.blocks = divide_up(j.out * j.split, j.lanes);
  j.in_filled = j.units * j.split;
  j.out_filled = j.blocks * j.lanes / j.split;
  divide(&j);
  return j;
}

size_t hl_winograd_scratch(const hl_winograd_job *j) {
  int64_t row = j->spread_row > j->gathered_row ? j->spread_row : j->gathered_row;
  int64_t n = POINTS * j->tiles * j->spread_row + HL_SEEN * j->tiles * j->gathered_row;
  n += HL_SEEN * j->tiles * HL_TILE * j->gathered_row;
  return (size_t)(n + (POINTS + 2) * row + NUMBERS);
}

static int64_t weight_numbers(const hl_winograd_job *j) {
  return POINTS * j->blocks * j->units * HL_TAPS * j->lanes;
}

bool hl_winograd_can(const hl_convolution *c) {
  if (c->dtype != HL_F32 || c->groups != 1) return false;
  for (int i = 0; i < 3; i++)
    if (c->kernel[i] != HL_TAPS || c->stride[i] != 1 || c->dilation[i] != 1 || c->padding[i] > 2 ||
        c->far[i] > 2)
      return false;
  return c->kind != HL_CONV_GRAD_WEIGHT;
}

/* The share of what is computed that is wanted: tiles reach over the end of an image, vectors over
 * the channels. The same for all sets of instructions. */
static double useful(const int64_t size[3], int64_t channels) {
  enum { LEAST = 4, HALF = 8, WHOLE = 16 };
  if (channels < LEAST) channels = LEAST; /* no method fills its vectors with fewer */
  int64_t filled = channels <= LEAST ? LEAST : channels <= HALF ? HALF : round_up(channels, WHOLE);
  double tiles = (double)(round_up(size[0], HL_TILE) * round_up(size[1], HL_TILE));
  return (double)(size[0] * size[1]) / tiles * (double)channels / (double)filled;
}

/* Measured beside oneDNN (docs/performance.md): faster from 2 channels of the source and 8×8×8
 * voxels on, unless nearly half of the work is for nothing. */
bool hl_winograd_takes(const hl_convolution *c) {
  enum { SOURCE = 2, VOXELS = 512 };
  static const double wanted = 0.6;
  if (!hl_winograd_can(c)) return false;
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  const int64_t *size = back ? c->x : c->y;
  if ((back ? c->out : c->in) < SOURCE || size[0] * size[1] * size[2] < VOXELS) return false;
  return useful(size, back ? c->in : c->out) >= wanted;
}

hl_status hl_winograd_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_winograd_job j = job_of(c);
  size_t scratch = hl_winograd_scratch(&j) * (size_t)hl_compute_threads();
  *bytes = ((size_t)weight_numbers(&j) + scratch) * sizeof(float);
  return HL_OK;
}

/* ---- weights ---- */

/* G: three taps to the six points. */
static const float points[HL_SEEN][HL_TAPS] = {
#define SQUARE(a) ((a) * (a))
#define AT(p, q)                                                                                   \
  {                                                                                                \
    (float)(1 / (2 * SQUARE(p) * (SQUARE(p) - SQUARE(q)))),                                        \
        (float)((p) / (2 * SQUARE(p) * (SQUARE(p) - SQUARE(q)))),                                  \
        (float)(SQUARE(p) / (2 * SQUARE(p) * (SQUARE(p) - SQUARE(q))))                             \
  }
    {1, 0, 0},
    AT(HL_WINOGRAD_P, HL_WINOGRAD_Q),
    AT(-HL_WINOGRAD_P, HL_WINOGRAD_Q),
    AT(HL_WINOGRAD_Q, HL_WINOGRAD_P),
    AT(-HL_WINOGRAD_Q, HL_WINOGRAD_P),
    {0, 0, 1},
#undef AT
#undef SQUARE
};

enum { MOST_LANES = 16 };

typedef struct weights {
  const hl_winograd_job *j;
  const float *plain; /* [O][I][z][y][x] of the convolution x → y */
  float *spread;
  bool back;
} weights;

/* Where the taps from a source channel to a channel of the result are, and how far apart. */
static const float *taps_of(const weights *w, int64_t out, int64_t in) {
  enum { TAPS = HL_TAPS * HL_TAPS * HL_TAPS };
  return w->back ? w->plain + (in * w->j->out + out) * TAPS
                 : w->plain + (out * w->j->in + in) * TAPS;
}

/* Taps [z][y] at position x of the kernel, for the lanes of one block and unit. */
static void taps_of_lanes(const weights *w, int64_t block, int64_t unit, int x,
                          float taps[HL_TAPS * HL_TAPS][MOST_LANES]) {
  const hl_winograd_job *j = w->j;
  enum { LAST = HL_TAPS * HL_TAPS * HL_TAPS - 1 };
  for (int64_t lane = 0; lane < j->lanes; lane++) {
    int64_t out = (block * j->lanes + lane) / j->split, in = unit * j->split + lane % j->split;
    bool there = out < j->out && in < j->in;
    const float *from = there ? taps_of(w, out, in) : NULL;
    for (int k = 0; k < HL_TAPS * HL_TAPS; k++) {
      int at = k * HL_TAPS + x;
      taps[k][lane] = there ? from[w->back ? LAST - at : at] : 0;
    }
  }
}

static void spread_lanes(float taps[HL_TAPS * HL_TAPS][MOST_LANES], float *to, int64_t step,
                         int64_t lanes) {
  float half[HL_SEEN][HL_TAPS][MOST_LANES];
  for (int zf = 0; zf < HL_SEEN; zf++)
    for (int y = 0; y < HL_TAPS; y++)
      for (int64_t l = 0; l < lanes; l++)
        half[zf][y][l] = points[zf][0] * taps[y][l] + points[zf][1] * taps[HL_TAPS + y][l] +
                         points[zf][2] * taps[2 * HL_TAPS + y][l];
  for (int f = 0; f < POINTS; f++) {
    const float *g = points[f % HL_SEEN];
    float(*from)[MOST_LANES] = half[f / HL_SEEN];
    for (int64_t l = 0; l < lanes; l++)
      to[f * step + l] = g[0] * from[0][l] + g[1] * from[1][l] + g[2] * from[2][l];
  }
}

static void spread_weights(int64_t begin, int64_t end, void *ctx) {
  const weights *w = ctx;
  const hl_winograd_job *j = w->j;
  int64_t step = j->blocks * j->units * HL_TAPS * j->lanes;
  for (int64_t i = begin; i < end; i++)
    for (int x = 0; x < HL_TAPS; x++) {
      float taps[HL_TAPS * HL_TAPS][MOST_LANES];
      taps_of_lanes(w, i / j->units, i % j->units, x, taps);
      spread_lanes(taps, w->spread + (i * HL_TAPS + x) * j->lanes, step, j->lanes);
    }
}

/* ---- running ---- */

typedef struct work {
  const hl_winograd_job *j;
  const hl_winograd_kernels *kernels;
  float *scratch;
  size_t scratch_each;
  int64_t groups, run; /* a run: neighbouring groups, taken together */
  atomic_int_least64_t next;
} work;

/* One of as many workers as threads: takes runs of groups as they come, in scratch of its own. */
static void convolve_groups(int64_t begin, int64_t end, void *ctx) {
  (void)end;
  work *w = ctx;
  float *scratch = w->scratch + (size_t)begin * w->scratch_each;
  int64_t first;
  while ((first = atomic_fetch_add(&w->next, w->run)) < w->groups)
    for (int64_t i = first; i < first + w->run && i < w->groups; i++)
      w->kernels->convolve(w->j, i, scratch);
}

hl_status hl_winograd_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                          void *workspace, hl_err *e) {
  (void)e;
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  hl_winograd_job j = job_of(c);
  weights spread = {.j = &j, .plain = weight, .spread = workspace, .back = back};
  enum { GRAIN = 8, TILES_OF_RUN = 4 /* neighbours along y see the same rows */ };
  hl_parallel_for(j.blocks * j.units, GRAIN, spread_weights, &spread);
  j.source = back ? y : x;
  j.result = back ? x : y;
  j.weight = workspace;
  j.bias = bias;
  j.add = c->add != 0;
  work w = {.j = &j,
            .kernels = kernels(),
            .scratch = spread.spread + weight_numbers(&j),
            .scratch_each = hl_winograd_scratch(&j),
            .groups = c->n * j.groups[0] * j.groups[1] * j.groups[2],
            .run = j.groups[2] * TILES_OF_RUN};
  hl_parallel_for(hl_compute_threads(), 1, convolve_groups, &w);
  return HL_OK;
}
