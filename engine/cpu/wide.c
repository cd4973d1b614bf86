#include "wide.h"

#include "wide_job.h"

#include "isa.h"

#include <hilum/parallel.h>

#include <string.h>

enum { ALL_TAPS = HL_TAPS * HL_TAPS * HL_TAPS, NUMBERS = 64 / sizeof(float) };

static int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
static int64_t round_up(int64_t a, int64_t b) {
  return divide_up(a, b) * b;
}

static const hl_wide_kernels *kernels(void) {
#if defined(__x86_64__)
  if (hl_isa() == HL_ISA_AVX512) return &hl_wide_avx512;
  if (hl_isa() == HL_ISA_AVX2) return &hl_wide_avx2;
#endif
  return &hl_wide_portable;
}

/* ---- the plan of a convolution ---- */

static void choose_way(hl_wide_job *j) {
  bool alone = j->from[0] == j->to[0] && j->padding[0] == 1;
  j->way = alone && j->to[0] == 1   ? HL_WIDE_ONE
           : alone && j->to[0] == 2 ? HL_WIDE_TWO
                                    : HL_WIDE_FOUR;
  j->tile = j->way == HL_WIDE_FOUR ? HL_TILE : j->to[0];
  j->points = j->way == HL_WIDE_FOUR ? HL_SEEN : j->way == HL_WIDE_TWO ? 3 : 1;
}

/* Both images of a slab at the points stay in a core's second-level cache; but weights and sums,
 * which are read for each slab, should meet some voxels. */
static void choose_slab(hl_wide_job *j) {
  enum { MOST_NUMBERS = 5 << 16, LEAST_VOXELS = 48 };
  int64_t most = MOST_NUMBERS / (j->points * HL_SEEN * (j->point_row + j->other_row));
  int64_t least = divide_up(LEAST_VOXELS, j->to[2]);
  j->slab = most > least ? most : least;
  if (j->slab > j->rows) j->slab = j->rows;
  j->slab = divide_up(j->rows, divide_up(j->rows, j->slab));
}

static void lay_out(hl_wide_job *j, bool products) {
  int64_t lanes = kernels()->lanes;
  j->stretch = j->to[2] % 8 == 0 || j->to[2] > 16 ? 8 : 4;
  j->voxels = round_up(j->to[2], j->stretch);
  j->point_row = j->groups * (products ? j->from[2] : j->voxels + HL_TAPS - 1) * lanes;
  j->other_row = products ? j->blocks * j->to[2] * lanes : 0;
  choose_slab(j);
  /* Never a power of two apart: points would meet in the same lines of the cache. */
  j->point_step = j->slab * j->point_row + HL_TAPS * NUMBERS;
  j->other_step = j->slab * j->other_row + HL_TAPS * NUMBERS;
  j->weight_step = j->in * HL_TAPS * lanes + HL_TAPS * NUMBERS;
  j->weight_block = j->points * HL_SEEN * j->weight_step;
}

/* From x to y, or from dy to dx with the kernel turned around. Products are those of x and y. */
static hl_wide_job job_of(const hl_convolution *c) {
  bool back = c->kind == HL_CONV_GRAD_INPUT;
  hl_wide_job j = {.half = c->dtype == HL_BF16,
                   .back = back,
                   .add = c->add != 0,
                   .n = c->n,
                   .in = back ? c->out : c->in,
                   .out = back ? c->in : c->out};
  memcpy(j.from, back ? c->y : c->x, sizeof j.from);
  memcpy(j.to, back ? c->x : c->y, sizeof j.to);
  for (int i = 0; i < 3; i++) j.padding[i] = back ? HL_TAPS - 1 - c->padding[i] : c->padding[i];
  j.groups = divide_up(j.in, kernels()->lanes);
  j.blocks = divide_up(j.out, kernels()->lanes);
  choose_way(&j);
  j.tiles[0] = divide_up(j.to[0], j.tile);
  j.tiles[1] = divide_up(j.to[1], HL_TILE);
  j.rows = j.n * j.tiles[0] * j.tiles[1];
  lay_out(&j, c->kind == HL_CONV_GRAD_WEIGHT);
  return j;
}

static int64_t tasks_of_products(const hl_wide_job *j) {
  return j->blocks * divide_up(j->in, kernels()->units);
}

bool hl_wide_can(const hl_convolution *c) {
  int64_t along_x = c->kind == HL_CONV_GRAD_INPUT ? c->x[2] : c->y[2];
  if ((c->dtype != HL_F32 && c->dtype != HL_BF16) || c->groups != 1) return false;
  if (c->kind != HL_CONV_GRAD_WEIGHT && along_x > HL_WIDE_MOST_VOXELS) return false;
  for (int i = 0; i < 3; i++)
    if (c->kernel[i] != HL_TAPS || c->stride[i] != 1 || c->dilation[i] != 1 || c->padding[i] > 2 ||
        c->far[i] > 2)
      return false;
  return true;
}

/* Gradients of weights: what winograd.h sums up once for each group of voxels is large then. Of
 * bf16, processors multiply twice as many numbers or more, which pays from some thousand voxels on.
 */
static bool sums_pay(const hl_convolution *c, int64_t voxels) {
  enum { LEAST_PAIRS = 32 * 32, WIDE_PAIRS = 48 * 48, LEAST = 32, BELOW = 1 << 13 };
  int64_t pairs = c->in * c->out;
  if (pairs < LEAST_PAIRS || voxels < LEAST) return false;
  return voxels < BELOW || (c->dtype == HL_F32 && pairs > WIDE_PAIRS);
}

/* Few voxels, but enough to be worth taking weights to the points, which are fewer for one slice or
 * two. */
static bool result_pays(const hl_convolution *c, const hl_wide_job *j, int64_t voxels) {
  enum { LEAST_CHANNELS = 32, LEAST_VOXELS = 4, BELOW = 1 << 11, MOST_HALF = 1 << 8 };
  if (j->in < LEAST_CHANNELS || j->out < LEAST_CHANNELS) return false;
  if (voxels < LEAST_VOXELS * j->points * HL_SEEN) return false;
  if (c->dtype == HL_BF16) return voxels <= MOST_HALF && j->way != HL_WIDE_FOUR;
  return voxels < BELOW;
}

/* Measured beside oneDNN and winograd.h (docs/performance.md). */
bool hl_wide_takes(const hl_convolution *c) {
  static const double wanted = 0.6;
  if (!hl_wide_can(c) || hl_isa() == HL_ISA_NONE) return false;
  hl_wide_job j = job_of(c);
  int64_t tiles = j.tiles[0] * j.tile * j.tiles[1] * HL_TILE;
  if ((double)(j.to[0] * j.to[1]) < wanted * (double)tiles) return false;
  int64_t voxels = j.n * j.to[0] * j.to[1] * j.to[2];
  return c->kind == HL_CONV_GRAD_WEIGHT ? sums_pay(c, voxels) : result_pays(c, &j, voxels);
}

/* ---- running ---- */

/* Where the parts of the workspace begin, in numbers: weights or sums of all, then images at the
 * points for each worker. */
typedef struct layout {
  int64_t shared, point, expanded; /* how many */
} layout;

static layout layout_of(const hl_wide_job *j, bool products) {
  int64_t points = j->points * HL_SEEN;
  int64_t sums = tasks_of_products(j) * kernels()->units * ALL_TAPS * kernels()->lanes;
  return (layout){products ? sums : j->blocks * j->weight_block,
                  round_up(points * j->point_step, NUMBERS),
                  products ? round_up(points * j->other_step, NUMBERS) : 0};
}

hl_status hl_wide_workspace(const hl_convolution *c, size_t *bytes, hl_err *e) {
  (void)e;
  hl_wide_job j = job_of(c);
  layout l = layout_of(&j, c->kind == HL_CONV_GRAD_WEIGHT);
  int64_t n = l.shared + hl_compute_threads() * (l.point + l.expanded);
  *bytes = (size_t)n * sizeof(float);
  return HL_OK;
}

/* All that the workers share. What one core has written takes longer to read for another than to
 * compute once more: each has its own channels of the result, with their weights, and takes the
 * whole source to the points for itself. */
typedef struct work {
  const hl_wide_job *j;
  layout l;
  int64_t workers;
} work;

/* Of `n` things, worker number k's are [first, end). */
typedef struct share {
  int64_t first, end;
} share;

static share share_of(const work *w, int64_t k, int64_t n) {
  return (share){k * n / w->workers, (k + 1) * n / w->workers};
}

static void spread(const hl_wide_job *j, int64_t first, int64_t rows) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t g = 0; g < j->groups; g++) kernels()->spread(j, first + r, r, g);
}

static void convolve(const hl_wide_job *j, share blocks) {
  int64_t at_once = HL_WIDE_MOST_VOXELS / j->voxels;
  for (int64_t b = blocks.first; b < blocks.end; b++) kernels()->weigh(j, b, 0, j->in);
  for (int64_t first = 0; first < j->rows; first += j->slab) {
    int64_t rows = first + j->slab < j->rows ? j->slab : j->rows - first;
    spread(j, first, rows);
    for (int64_t b = blocks.first; b < blocks.end; b++)
      for (int64_t r = 0; r < rows; r += at_once)
        kernels()->convolve(j, first, r, r + at_once < rows ? r + at_once : rows, b);
  }
}

static void multiply(const hl_wide_job *j, share tasks) {
  int64_t each = tasks_of_products(j) / j->blocks;
  for (int64_t first = 0; first < j->rows; first += j->slab) {
    int64_t rows = first + j->slab < j->rows ? j->slab : j->rows - first;
    spread(j, first, rows);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t b = tasks.first / each; b * each < tasks.end; b++)
        kernels()->expand(j, first + r, r, b);
    for (int64_t t = tasks.first; t < tasks.end; t++)
      kernels()->multiply(j, rows, t, first == 0, first + rows == j->rows);
  }
}

static void do_share(int64_t begin, int64_t end, void *ctx) {
  const work *w = ctx;
  for (int64_t k = begin; k < end; k++) {
    hl_wide_job j = *w->j;
    j.point += k * (w->l.point + w->l.expanded);
    j.expanded = j.point + w->l.point;
    share blocks = share_of(w, k, j.blocks), tasks = share_of(w, k, tasks_of_products(&j));
    if (j.other == NULL && blocks.first < blocks.end) convolve(&j, blocks);
    if (j.other != NULL && tasks.first < tasks.end) multiply(&j, tasks);
  }
}

hl_status hl_wide_run(const hl_convolution *c, void *x, float *weight, float *bias, void *y,
                      void *workspace, hl_err *e) {
  (void)e;
  hl_wide_job j = job_of(c);
  bool products = c->kind == HL_CONV_GRAD_WEIGHT;
  work w = {&j, layout_of(&j, products), hl_compute_threads()};
  j.source = j.back ? y : x;
  j.other = products ? y : NULL;
  j.result = j.back ? x : y;
  j.bias = bias;
  j.plain = weight;
  j.gradient = weight;
  j.weight = j.sums = workspace;
  j.point = j.weight + w.l.shared;
  hl_parallel_for(w.workers, 1, do_share, &w);
  return HL_OK;
}
