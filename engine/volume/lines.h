/* Filters along one axis of an image, and what files about images share. */
#ifndef HILUM_VOLUME_LINES_H
#define HILUM_VOLUME_LINES_H

#include <hilum/sample.h>

enum { LANES = 16 };

/* Changes LANES lines of n values in place; value i of line l is v[i · LANES + l]. */
typedef void (*lines_filter)(double *v, int64_t n, double *scratch, const void *ctx);

/* Runs the filter on every line along `axis` of t (plain [z,y,x], f32 or f64), threaded. `scratch`
 * doubles are lent to each call. */
HL_MUST_CHECK hl_status lines_apply(hl_tensor *t, int axis, lines_filter filter, const void *ctx,
                                    int64_t scratch, hl_err *e);

/* Sample `i` of an axis of n, or -1 where `outside` stands for it. */
int64_t boundary_index(hl_boundary b, int64_t i, int64_t n);

/* Rank 3, plain, dense, one of the types whose bits are set in `types`, no axis empty. */
HL_MUST_CHECK hl_status image_check(const hl_tensor *t, unsigned types, const char *what,
                                    hl_err *e);
#define TYPE_BIT(t) (1U << (t))

HL_MUST_CHECK hl_status image_new(hl_tensor **out, hl_dtype type, const int64_t size[3],
                                  const char *label, hl_err *e);

/* Filters to the coefficients of the cubic B-spline, in place. */
HL_MUST_CHECK hl_status spline_prefilter(hl_tensor *t, hl_boundary boundary, hl_err *e);
/* Weights of samples floor(x) - 1 … floor(x) + 2; `t` is x - floor(x). */
void spline_weights(double t, double w[4]);

#endif
