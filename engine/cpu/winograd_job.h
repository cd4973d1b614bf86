/* What the parts of winograd.c share with its kernels, which are compiled once per set of
 * instructions. Private to engine/cpu. */
#ifndef HILUM_CPU_WINOGRAD_JOB_H
#define HILUM_CPU_WINOGRAD_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  HL_TILE = 4, /* results of F(4,3) along an axis, */
  HL_SEEN = 6, /* numbers it sees, and products it takes */
  HL_TAPS = 3  /* of the kernel, along each axis */
};

/* F(4,3) at the points 0, ±p, ±q, ∞ (A. Lavin, S. Gray 2016, "Fast algorithms for convolutional
 * neural networks"; the points after B. Barabasz et al. 2020, "Error analysis and improving the
 * accuracy of Winograd convolution": rounding errors are about half of those of ±1, ±2). */
#define HL_WINOGRAD_P 0.70710678118654752440
#define HL_WINOGRAD_Q 1.41421356237309504880

/* A convolution from one image to another, or the products of two images.
 *
 * Lanes of a vector are channels of the result. Where these are fewer than lanes, a lane is
 * (channel of the result, one of `split` neighbouring channels of the source): `split` numbers are
 * broadcast at a time, and neighbouring lanes are added at the end. Channels of the source are
 * taken in `units` of `split`; both sides are filled up with zeros. */
typedef struct hl_winograd_job {
  int64_t lanes, split, units, blocks; /* blocks: vectors of channels of the result */
  int64_t in, out;                     /* channels, as the images have them */
  int64_t in_filled, out_filled;
  int64_t from[3], to[3], padding[3]; /* sizes; zeros before the source */
  int64_t width, tiles;               /* a group: voxels along x, tiles along y, one tile along z */
  int64_t groups[3];                  /* along each axis; times images: all of them */
  int64_t spread_row, gathered_row;   /* distances of rows in scratch */
  bool half;                          /* images are bf16, not f32; then all channels are filled */
  const void *source;                 /* [n][z][y][x][in] */
  const void *other;                  /* of products: [n][z][y][x][out] */
  void *result;                       /* [n][z][y][x][out] */
  const float *weight;                /* [36][blocks][units][3][lanes] */
  const float *bias;                  /* [out], or NULL */
  bool add;                           /* to what the result holds */
  /* The source is read as leaky_relu((x − mean)·factor + offset), each [n][in]; NULL: as it is. */
  const float *mean, *factor, *offset;
  float slope;
  /* [groups along z and y of all images][2][out, or as many as lanes if that is more]: what the
   * results and their squares add up to; NULL: not wanted. */
  double *moments;
} hl_winograd_job;

/* Numbers of moments that neighbouring groups along x share. */
static inline int64_t hl_winograd_moments(const hl_winograd_job *j) {
  return 2 * (j->out > j->lanes ? j->out : j->lanes);
}

/* Weights and where they go. */
typedef struct hl_winograd_weights {
  const float *plain; /* [O][I][z][y][x] of the convolution x → y */
  float *spread;      /* as the job's */
  int64_t in, out, split, units, blocks;
  bool back; /* from dy to dx */
} hl_winograd_weights;

/* Kernels for one set of instructions. */
typedef struct hl_winograd_kernels {
  const char *name;
  int64_t lanes;
  /* Units [begin, end) of a block of weights to their points. */
  void (*spread_weights)(const hl_winograd_weights *w, int64_t block, int64_t begin, int64_t end);
  /* Group number `group` of the result; scratch of hl_winograd_scratch(j) numbers. */
  void (*convolve)(const hl_winograd_job *j, int64_t group, float *scratch);
  /* sum [36][blocks][units][3][lanes] += products of the group's two images. */
  void (*multiply)(const hl_winograd_job *j, int64_t group, float *scratch, float *sum);
} hl_winograd_kernels;

extern const hl_winograd_kernels hl_winograd_portable;
#if defined(__x86_64__)
extern const hl_winograd_kernels hl_winograd_avx2, hl_winograd_avx512;
#endif

/* Numbers in the scratch of one group. */
size_t hl_winograd_scratch(const hl_winograd_job *j);

#endif
