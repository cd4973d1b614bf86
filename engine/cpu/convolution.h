/* Convolution by oneDNN: images channels last (n, z, y, x, c), f32 or bf16; weights plain
 * [O,I/groups,z,y,x], f32 always. oneDNN chooses its own order of the weights; they are reordered
 * into the workspace at each call, and rounded to bf16 beside bf16 images. Sums are f32. */
#ifndef HILUM_CPU_CONVOLUTION_H
#define HILUM_CPU_CONVOLUTION_H

#include <hilum/tensor.h>

typedef enum hl_conv_kind {
  HL_CONV_FORWARD,    /* y from x, weight, bias */
  HL_CONV_GRAD_INPUT, /* dx from dy, weight */
  HL_CONV_GRAD_WEIGHT /* dweight from x, dy */
} hl_conv_kind;

/* The convolution x → y whose result or gradient is wanted. Compared by bytes: begin with {0}. */
typedef struct hl_convolution {
  int64_t kind;    /* hl_conv_kind */
  int64_t dtype;   /* of the images: HL_F32 or HL_BF16 */
  int64_t bias;    /* 1: forward adds a bias */
  int64_t add;     /* 1: the result is added to what is there; hl_winograd_run alone can */
  int64_t threads; /* set by the functions below: oneDNN prepares for a number of threads */
  int64_t n, in, out, groups;
  int64_t x[3], y[3], kernel[3], stride[3], dilation[3];
  int64_t padding[3], far[3]; /* zeros before the image and behind it */
} hl_convolution;

/* Does this processor multiply bf16? Otherwise f32 is faster. */
bool hl_convolution_multiplies_bf16(void);

/* Bytes of workspace: reordered weights and oneDNN's scratchpad. HL_EMISSING if oneDNN does not
 * compute this convolution in this type. */
HL_MUST_CHECK hl_status hl_convolution_workspace(const hl_convolution *c, size_t *bytes, hl_err *e);

/* x, weight and y as the kind needs them; the result is written to y, x or weight. `bias` is NULL
 * where c->bias is 0. */
HL_MUST_CHECK hl_status hl_convolution_run(const hl_convolution *c, void *x, float *weight,
                                           float *bias, void *y, void *workspace, hl_err *e);

#endif
