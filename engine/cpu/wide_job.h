/* What the parts of wide.c share with its kernels, which are compiled once per set of instructions.
 * Private to engine/cpu. */
#ifndef HILUM_CPU_WIDE_JOB_H
#define HILUM_CPU_WIDE_JOB_H

#include "winograd_job.h"

/* How slices are taken along z: all of an image of one slice, or of two, or four at a time of any
 * with F(4,3). Of two slices without neighbours, y0 = g1·x0 + g2·x1 and y1 = g0·x0 + g1·x1 are
 * g1·(x0 + x1) + (g2 − g1)·x1 and g1·(x0 + x1) + (g0 − g1)·x0: three products instead of four. */
typedef enum hl_wide_way { HL_WIDE_ONE, HL_WIDE_TWO, HL_WIDE_FOUR } hl_wide_way;

enum { HL_WIDE_MOST_VOXELS = 64 /* of the result at once, along x and in rows of tiles */ };

/* A convolution from one image to another, or the products of two images; lanes are channels of the
 * result. A row of tiles is `tile` slices and four rows of voxels of one image; a slab is some of
 * them, numbered from 0 to `rows` over the whole batch.
 *
 * Numbers at the points of z and y, [point][row of the slab][group of lanes][voxel][lanes]; points
 * are `…_step` apart, rows `…_row`. */
typedef struct hl_wide_job {
  hl_wide_way way;
  int64_t tile, points;    /* along z: results of a tile, points */
  int64_t n, in, out;      /* channels, as the images have them */
  int64_t groups, blocks;  /* vectors of channels of the source, of the result */
  int64_t from[3], to[3];  /* sizes */
  int64_t padding[3];      /* zeros before the source */
  int64_t tiles[2], rows;  /* along z and y; rows of tiles in all images */
  int64_t slab;            /* rows at once */
  int64_t voxels, stretch; /* of a row of the result, filled up to whole stretches */
  int64_t point_row, point_step;
  int64_t other_row, other_step;
  int64_t weight_step, weight_block; /* of points, of blocks */
  bool half, back, add;
  const void *source, *other;
  void *result;
  const float *bias;
  const float *plain; /* weights [O][I][27] of the convolution x → y, */
  float *gradient;    /* or theirs */
  float *point, *expanded;
  float *weight; /* [blocks][points][in][3][lanes] */
  float *sums;   /* [tasks of products][units][27][lanes] */
} hl_wide_job;

/* Kernels for one set of instructions. */
typedef struct hl_wide_kernels {
  int64_t lanes, units; /* units: channels of the source in a task of products */
  /* Channels [begin, end) of the source, of a block of weights to their points. */
  void (*weigh)(const hl_wide_job *j, int64_t block, int64_t begin, int64_t end);
  /* One group of channels of a row of tiles, row number `at` of its slab. */
  void (*spread)(const hl_wide_job *j, int64_t row, int64_t at, int64_t group);
  void (*expand)(const hl_wide_job *j, int64_t row, int64_t at, int64_t block);
  /* A block of channels of the result at rows [begin, end) of the slab from row `first` on. */
  void (*convolve)(const hl_wide_job *j, int64_t first, int64_t begin, int64_t end, int64_t block);
  /* Gradients of some weights: the sums of a slab of `rows`. The first slab of a batch begins them,
   * the last one writes them. */
  void (*multiply)(const hl_wide_job *j, int64_t rows, int64_t task, bool begins, bool ends);
} hl_wide_kernels;

extern const hl_wide_kernels hl_wide_portable;
#if defined(__x86_64__)
extern const hl_wide_kernels hl_wide_avx2, hl_wide_avx512;
#endif

#endif
