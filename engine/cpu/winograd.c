#include "winograd.h"

#include "winograd_job.h"

#include "isa.h"
#include "wide.h"

#include <hilum/parallel.h>

#include <stdatomic.h>
#include <string.h>

enum {
  MOST_LANES = 16,
  ALIGNMENT = 64,
  NUMBERS = ALIGNMENT / sizeof(float),
  POINTS = HL_SEEN * HL_SEEN
};

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
 * often enough, and what is in use with few channels fits the first-level cache. Products have
 * more: their sums are as many as weights, read and written for each group. */
static void divide(hl_winograd_job *j, bool products) {
  enum { VOXELS = 32, VOXELS_OF_PRODUCTS = 128, STEP = 8 };
  j->width = round_up(divide_up(j->to[2], divide_up(j->to[2], VOXELS)), STEP);
  int64_t along_y = divide_up(j->to[1], HL_TILE);
  j->tiles = (products ? VOXELS_OF_PRODUCTS : VOXELS) / j->width;
  if (j->tiles < 1) j->tiles = 1;
  if (j->tiles > along_y) j->tiles = along_y;
  j->groups[0] = divide_up(j->to[0], HL_TILE);
  j->groups[1] = divide_up(along_y, j->tiles);
  j->groups[2] = divide_up(j->to[2], j->width);
  /* Never a power of two apart: rows would meet in the same lines of the cache. */
  j->spread_row = round_up((j->width + 2) * j->in_filled, NUMBERS) + NUMBERS;
  j->gathered_row = round_up((j->width + 2) * j->out_filled, NUMBERS) + NUMBERS;
}

/* From x to y, or from dy to dx with the kernel turned around. Products are those of x and y. */
static hl_winograd_job job_of(const hl_convolution *c) {
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  hl_winograd_job j = {.half = c->dtype == HL_BF16,
                       .lanes = kernels()->lanes,
                       .in = back ? c->out : c->in,
                       .out = back ? c->in : c->out};
  memcpy(j.from, back ? c->y : c->x, sizeof j.from);
  memcpy(j.to, back ? c->x : c->y, sizeof j.to);
  for (int i = 0; i < 3; i++) j.padding[i] = back ? HL_TAPS - 1 - c->padding[i] : c->padding[i];
  j.split = 1;
  while (j.split < 4 && j.lanes / j.split >= 8 && j.out * j.split * 2 <= j.lanes) j.split *= 2;
  j.units = divide_up(j.in, j.split);
  j.blocks = divide_up(j.out * j.split, j.lanes);
  j.in_filled = j.units * j.split;
  j.out_filled = j.blocks * j.lanes / j.split;
  divide(&j, c->kind == HL_CONV_GRAD_WEIGHT);
  return j;
}

size_t hl_winograd_scratch(const hl_winograd_job *j) {
  int64_t row = j->spread_row > j->gathered_row ? j->spread_row : j->gathered_row;
  int64_t n = POINTS * j->tiles * (j->spread_row + j->gathered_row);
  return (size_t)(n + (POINTS + 2) * row + NUMBERS);
}

static int64_t weight_numbers(const hl_winograd_job *j) {
  return POINTS * j->blocks * j->units * HL_TAPS * j->lanes;
}

/* All lanes are channels, whatever their number. */
static bool fills(int64_t channels) {
  return channels == 4 || channels == 8 || channels % MOST_LANES == 0;
}

bool hl_winograd_can(const hl_convolution *c) {
  if ((c->dtype != HL_F32 && c->dtype != HL_BF16) || c->groups != 1) return false;
  if (c->dtype == HL_BF16 && !(fills(c->in) && fills(c->out))) return false;
  for (int i = 0; i < 3; i++)
    if (c->kernel[i] != HL_TAPS || c->stride[i] != 1 || c->dilation[i] != 1 || c->padding[i] > 2 ||
        c->far[i] > 2)
      return false;
  return true;
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

/* Are there few enough channels for the voxels? Of bf16, processors multiply twice as many numbers
 * or more: there few channels pay. Products have as many sums as weights at 36 points, which must
 * stay in the caches and be worth adding up. */
static bool pays(const hl_convolution *c, int64_t voxels) {
  enum { HALF_RESULT = 4 * 8, HALF_GRADIENT = 8 * 8 };
  enum { SUMS = 48 * 48, LEAST = 1728, PER_CHANNEL = 256 };
  int64_t pairs = c->in * c->out, wider = c->in > c->out ? c->in : c->out;
  int64_t half = c->kind == HL_CONV_FORWARD ? HALF_RESULT : HALF_GRADIENT;
  if (c->dtype == HL_BF16 && pairs > half) return false;
  if (c->kind != HL_CONV_GRAD_WEIGHT) return true;
  return pairs <= SUMS && voxels >= LEAST && voxels >= PER_CHANNEL * wider;
}

/* Measured beside oneDNN (docs/performance.md): faster from 2 channels of the source and 8×8×8
 * voxels on, unless nearly half of the work is for nothing. */
bool hl_winograd_takes(const hl_convolution *c) {
  enum { SOURCE = 2, VOXELS = 512 };
  static const double wanted = 0.6;
  if (!hl_winograd_can(c) || hl_isa() == HL_ISA_NONE || hl_wide_takes(c)) return false;
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  const int64_t *size = back ? c->x : c->y;
  int64_t source = back ? c->out : c->in, result = back ? c->in : c->out;
  int64_t voxels = size[0] * size[1] * size[2];
  if (source < SOURCE || voxels < VOXELS || useful(size, result) < wanted) return false;
  return pays(c, voxels * c->n);
}

/* Rows of groups along x: each has moments of its own. */
static int64_t row_count(const hl_convolution *c, const hl_winograd_job *j) {
  return c->n * j->groups[0] * j->groups[1];
}

static int64_t group_count(const hl_convolution *c, const hl_winograd_job *j) {
  return row_count(c, j) * j->groups[2];
}

/* Products are summed in parts of neighbouring groups, each in f32, the parts in f64: as many for
 * any number of threads, and not too many for their sums to be worth it. */
static int64_t part_size(const hl_convolution *c, const hl_winograd_job *j) {
  enum { MOST_NUMBERS = 1 << 20, LEAST_PARTS = 4, MOST_PARTS = 32, LEAST_GROUPS = 4 };
  int64_t parts = MOST_NUMBERS / weight_numbers(j), groups = group_count(c, j);
  if (parts > groups / LEAST_GROUPS) parts = groups / LEAST_GROUPS;
  if (parts < LEAST_PARTS) parts = LEAST_PARTS;
  if (parts > MOST_PARTS) parts = MOST_PARTS;
  return divide_up(groups, parts);
}

static int64_t part_count(const hl_convolution *c, const hl_winograd_job *j) {
  return divide_up(group_count(c, j), part_size(c, j));
}

hl_status hl_winograd_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_winograd_job j = job_of(c);
  size_t scratch = hl_winograd_scratch(&j) * (size_t)hl_compute_threads();
  size_t copies = c->kind == HL_CONV_GRAD_WEIGHT ? (size_t)part_count(c, &j) : 1;
  *bytes = (copies * (size_t)weight_numbers(&j) + scratch) * sizeof(float);
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

typedef struct weights_task {
  const hl_winograd_weights *w;
  int64_t chunks; /* of the units of a block */
} weights_task;

enum { UNITS_OF_CHUNK = 8 };

static void spread_weights(int64_t begin, int64_t end, void *ctx) {
  const weights_task *t = ctx;
  int64_t units = t->w->units;
  for (int64_t i = begin; i < end; i++) {
    int64_t first = i % t->chunks * UNITS_OF_CHUNK, last = first + UNITS_OF_CHUNK;
    kernels()->spread_weights(t->w, i / t->chunks, first, last < units ? last : units);
  }
}

/* The way back, for gradients: numbers at the points to taps. */
static void gather_lanes(double at[POINTS][MOST_LANES], double taps[HL_TAPS * HL_TAPS][MOST_LANES],
                         int64_t lanes) {
  double half[HL_SEEN][HL_TAPS][MOST_LANES] = {{{0}}};
  memset(taps, 0, sizeof *taps * HL_TAPS * HL_TAPS);
  for (int f = 0; f < POINTS; f++)
    for (int y = 0; y < HL_TAPS; y++)
      for (int64_t l = 0; l < lanes; l++)
        half[f / HL_SEEN][y][l] += (double)points[f % HL_SEEN][y] * at[f][l];
  for (int zf = 0; zf < HL_SEEN; zf++)
    for (int k = 0; k < HL_TAPS * HL_TAPS; k++)
      for (int64_t l = 0; l < lanes; l++)
        taps[k][l] += (double)points[zf][k / HL_TAPS] * half[zf][k % HL_TAPS][l];
}

typedef struct sums {
  const hl_winograd_job *j;
  const float *parts; /* as spread weights */
  int64_t count;
  float *plain;
} sums;

static void add_parts(const sums *s, int64_t at, double sum[POINTS][MOST_LANES]) {
  int64_t lanes = s->j->lanes, all = weight_numbers(s->j), step = all / POINTS;
  for (int f = 0; f < POINTS; f++) {
    for (int64_t l = 0; l < lanes; l++) sum[f][l] = 0;
    for (int64_t part = 0; part < s->count; part++)
      for (int64_t l = 0; l < lanes; l++)
        sum[f][l] += (double)s->parts[part * all + f * step + at + l];
  }
}

static void gather_weights(int64_t begin, int64_t end, void *ctx) {
  const sums *s = ctx;
  const hl_winograd_job *j = s->j;
  enum { TAPS = HL_TAPS * HL_TAPS };
  for (int64_t i = begin * HL_TAPS; i < end * HL_TAPS; i++) {
    int64_t block = i / HL_TAPS / j->units, unit = i / HL_TAPS % j->units;
    double sum[POINTS][MOST_LANES], taps[TAPS][MOST_LANES];
    add_parts(s, i * j->lanes, sum);
    gather_lanes(sum, taps, j->lanes);
    for (int64_t lane = 0; lane < j->lanes; lane++) {
      int64_t out = (block * j->lanes + lane) / j->split, in = unit * j->split + lane % j->split;
      if (out >= j->out || in >= j->in) continue;
      float *to = s->plain + (out * j->in + in) * TAPS * HL_TAPS + i % HL_TAPS;
      for (int k = 0; k < TAPS; k++) to[k * HL_TAPS] = (float)taps[k][lane];
    }
  }
}

/* ---- running ---- */

enum { GRAIN = 8, LEAST_RUNS = 16, TILES_OF_RUN = 4 /* neighbours along y see the same rows */ };

typedef struct work {
  const hl_winograd_job *j;
  const hl_winograd_kernels *kernels;
  float *scratch, *parts;
  size_t scratch_each;
  int64_t groups, run; /* a run: neighbouring groups, taken together */
  atomic_int_least64_t next;
} work;

static void do_run(const work *w, int64_t run, float *scratch) {
  int64_t first = run * w->run, end = first + w->run < w->groups ? first + w->run : w->groups;
  int64_t numbers = weight_numbers(w->j);
  float *sum = w->parts != NULL ? w->parts + run * numbers : NULL;
  if (sum != NULL) memset(sum, 0, (size_t)numbers * sizeof *sum);
  if (w->j->moments != NULL) {
    int64_t rows[2] = {first / w->j->groups[2], end / w->j->groups[2]}; /* runs are whole rows */
    int64_t each = hl_winograd_moments(w->j);
    memset(w->j->moments + rows[0] * each, 0,
           (size_t)((rows[1] - rows[0]) * each) * sizeof(double));
  }
  for (int64_t i = first; i < end; i++)
    if (sum != NULL)
      w->kernels->multiply(w->j, i, scratch, sum);
    else
      w->kernels->convolve(w->j, i, scratch);
}

/* One of as many workers as threads: takes runs as they come, in scratch of its own. */
static void do_runs(int64_t begin, int64_t end, void *ctx) {
  (void)end;
  work *w = ctx;
  float *scratch = w->scratch + (size_t)begin * w->scratch_each;
  int64_t run;
  while ((run = atomic_fetch_add(&w->next, 1)) * w->run < w->groups) do_run(w, run, scratch);
}

/* Whole rows of groups along x. Small images have few of them: all threads want some. */
static int64_t run_size(const hl_convolution *c, const hl_winograd_job *j) {
  int64_t share = row_count(c, j) / LEAST_RUNS;
  int64_t rows = share < 1 ? 1 : share < TILES_OF_RUN ? share : TILES_OF_RUN;
  return rows * j->groups[2];
}

static void do_all(const hl_convolution *c, const hl_winograd_job *j, float *scratch,
                   float *parts) {
  work w = {.j = j,
            .kernels = kernels(),
            .scratch = scratch,
            .parts = parts,
            .scratch_each = hl_winograd_scratch(j),
            .groups = group_count(c, j),
            .run = parts != NULL ? part_size(c, j) : run_size(c, j)};
  hl_parallel_for(hl_compute_threads(), 1, do_runs, &w);
}

static void convolve(const hl_convolution *c, hl_winograd_job *j, float *weight, float *workspace) {
  const hl_winograd_weights w = {weight,   workspace, j->in,     j->out,
                                 j->split, j->units,  j->blocks, c->kind == HL_CONV_GRAD_INPUT};
  weights_task t = {&w, divide_up(j->units, UNITS_OF_CHUNK)};
  hl_parallel_for(j->blocks * t.chunks, 1, spread_weights, &t);
  j->weight = workspace;
  do_all(c, j, workspace + weight_numbers(j), NULL);
}

static void multiply(const hl_convolution *c, hl_winograd_job *j, float *weight, float *workspace) {
  const sums s = {j, workspace, part_count(c, j), weight};
  do_all(c, j, workspace + s.count * weight_numbers(j), workspace);
  hl_parallel_for(j->blocks * j->units, GRAIN, gather_weights, (void *)&s);
}

static void run(const hl_convolution *c, hl_winograd_job *j, void *x, float *weight, void *y,
                float *workspace) {
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  j->source = back ? y : x;
  j->result = back ? x : y;
  j->other = y;
  j->add = c->add != 0;
  if (c->kind == HL_CONV_GRAD_WEIGHT)
    multiply(c, j, weight, workspace);
  else
    convolve(c, j, weight, workspace);
}

hl_status hl_winograd_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                          void *workspace, hl_err *e) {
  (void)e;
  hl_winograd_job j = job_of(c);
  j.bias = bias;
  run(c, &j, x, weight, y, workspace);
  return HL_OK;
}

/* ---- with more on the way ---- */

bool hl_winograd_takes_way(const hl_convolution *c) {
  return fills(c->in) && fills(c->out) && hl_winograd_takes(c);
}

hl_status hl_winograd_way_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  HL_TRY(hl_winograd_workspace(c, bytes, e));
  hl_winograd_job j = job_of(c);
  if (c->kind == HL_CONV_FORWARD)
    *bytes += (size_t)(row_count(c, &j) * hl_winograd_moments(&j)) * sizeof(double);
  return HL_OK;
}

/* Moments of lanes of rows, in their order, to those of channels of images. */
static void add_moments(const hl_convolution *c, const hl_winograd_job *j, double *moments) {
  int64_t each = hl_winograd_moments(j), rows = row_count(c, j) / c->n;
  memset(moments, 0, (size_t)(c->n * 2 * j->out) * sizeof *moments);
  for (int64_t row = 0; row < c->n * rows; row++) {
    const double *from = j->moments + row * each;
    double *to = moments + row / rows * 2 * j->out;
    for (int64_t i = 0; i < each; i++)
      to[i / (each / 2) * j->out + i % (each / 2) % j->out] += from[i];
  }
}

hl_status hl_winograd_way_run(const hl_convolution *c, const hl_winograd_way *way, void *x,
                              float *weight, void *y, void *workspace, hl_err *e) {
  (void)e;
  hl_winograd_job j = job_of(c);
  j.mean = way->mean;
  j.factor = way->factor;
  j.offset = way->offset;
  j.slope = way->slope;
  size_t own = way->moments == NULL ? 0 : (size_t)(row_count(c, &j) * hl_winograd_moments(&j));
  if (own > 0) j.moments = workspace;
  run(c, &j, x, weight, y, (float *)(void *)((double *)workspace + own));
  if (own > 0) add_moments(c, &j, way->moments);
  return HL_OK;
}
