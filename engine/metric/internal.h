/* What the measures share. Private to engine/metric. */
#ifndef HILUM_METRIC_INTERNAL_H
#define HILUM_METRIC_INTERNAL_H

#include <hilum/metric.h>

/* Masks as row-major f32 copies, or the tensors themselves, so that one loop serves every type and
 * layout. */
typedef struct masks {
  hl_tensor *held[3];
  const float *a, *b, *valid; /* valid is NULL where every voxel counts */
  int64_t n;
} masks;

/* `what` names the measure in messages. */
HL_MUST_CHECK hl_status masks_open(masks *m, const char *what, const hl_tensor *a,
                                   const hl_tensor *b, const hl_tensor *valid, hl_err *e);
void masks_close(masks *m);

static inline bool counts(const masks *m, int64_t i) {
  return m->valid == NULL || m->valid[i] > 0.5F;
}

/* Sizes along z, y, x of masks of one sample; HL_ESHAPE if there are several. */
HL_MUST_CHECK hl_status masks_size(const hl_tensor *a, const char *what, int64_t size[3],
                                   hl_err *e);

/* The overlap of a and b; `also`, where it is given, says which voxels count beside valid. */
void overlap_count(const masks *m, float threshold, const uint8_t *also, hl_overlap *out);

#endif
