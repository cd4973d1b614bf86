/* What the kernels of instance, group and batch normalisation share: sums over the voxels of each
 * image and channel, and the maps whose numbers follow from them. Private to the kernels of
 * engine/ops. */
#ifndef HILUM_OPS_NORM_H
#define HILUM_OPS_NORM_H

#include "kernel.h"

/* What each image and channel needs. With g = dy·act'(u), u = (x − MEAN)·FACTOR + OFFSET:
 *   forward  y = act(u), act the leaky ReLU; or y = base ± act(u)
 *   sums     of x and x²; with dy: of g and g·(x − MEAN)·RSTD
 *   backward dx = FACTOR·g + SHIFT + (x − MEAN)·SLANT. */
enum {
  HL_NORM_MEAN,
  HL_NORM_FACTOR,
  HL_NORM_OFFSET,
  HL_NORM_RSTD,
  HL_NORM_SHIFT,
  HL_NORM_SLANT,
  HL_NORM_PARAMETERS
};

typedef struct hl_norm_layout {
  int64_t images, channels, voxels;
  int64_t lanes;  /* numbers in a row */
  int64_t chunk;  /* voxels per task */
  int64_t chunks; /* per image */
} hl_norm_layout;

typedef struct hl_norm {
  hl_norm_layout l;
  const float *x, *dy;              /* dy is NULL on the way forward */
  float *y;                         /* or dx */
  const uint16_t *half_x, *half_dy; /* the same where images are bf16; those above are NULL then */
  uint16_t *half_y;
  const hl_tensor *base; /* what act(u) is added to, or NULL, */
  hl_tensor *sum;        /* and where to */
  float slope, sign;
  double *partial;  /* [image][chunk][2][channel] */
  double *room;     /* [2][channel], for the caller */
  float *parameter; /* [image][HL_NORM_PARAMETERS][lane] */
} hl_norm;

size_t hl_norm_workspace(const hl_desc *x);
hl_norm hl_norm_begin(const hl_desc *x, double slope, void *work);
/* The images, f32 or bf16: x and y, or x and dx; on the way back dy too. */
void hl_norm_images(hl_norm *j, const hl_tensor *x, const hl_tensor *y);
void hl_norm_arriving(hl_norm *j, const hl_tensor *dy);
/* Instead of y: sum = base + sign·y, y rounded to x's type first, as if it had been a result. base
 * may have x's type or, beside bf16, be fixed point; sum may be base. */
void hl_norm_onto(hl_norm *j, const hl_tensor *base, float sign, hl_tensor *sum);

/* Takes the sums; those of one image and channel are then added up in a fixed order. */
void hl_norm_sums(hl_norm *j);
void hl_norm_total(const hl_norm *j, int64_t image, int64_t channel, double sums[2]);

void hl_norm_set(const hl_norm *j, int64_t image, int which, int64_t channel, double value);
/* MEAN, RSTD, FACTOR = rstd·scale and OFFSET; scale and offset are vectors of channels or NULL. */
void hl_norm_set_channel(const hl_norm *j, int64_t image, int64_t channel, double mean, double rstd,
                         const float *scale, const float *offset);

/* The statistics of each image and channel, [n][c]{mean, 1 / sqrt(variance + eps)}: taken, and what
 * follows from them set for the maps. */
void hl_norm_instance_stats(hl_norm *j, double eps, float *stats);
void hl_norm_set_instances(const hl_norm *j, const float *stats, const float *scale,
                           const float *offset);

/* Applies the forward map, or with dy the backward one. */
void hl_norm_map(hl_norm *j);

/* Mean and biased variance from the sums of n numbers and of their squares. */
void hl_norm_moments(const double sums[2], double n, double *mean, double *variance);
/* {mean, 1 / sqrt(variance + eps)} from them. */
void hl_norm_stats(const double sums[2], double n, double eps, float stats[2]);

#endif
