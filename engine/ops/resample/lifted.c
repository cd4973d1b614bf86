/* Resampling of fixed-point images by lifting. A row of coarse voxels is walked through window by
 * window, HL_LIFT_LANES at a time, channel by channel. */
#include "lift.h"
#include "resample.h"

enum { MOST_CHUNKS = 32 };

typedef struct job {
  hl_deal fine, coarse;
  const int64_t *stride;
  int64_t size[3]; /* coarse voxels along z, y, x */
  int64_t window, rows, grain;
  const hl_lift *lifts; /* per channel */
  char *blocks;         /* per chunk */
  bool down;
} job;

bool hl_resample_is_lifted(const hl_call *c) {
  return hl_deal_is_fixed(c, c->n_in - 1) && c->in[c->n_in - 1].shape.dim[1] <= HL_LIFT_MOST;
}

static int64_t rows_of(const hl_desc *coarse) {
  const int64_t *dim = coarse->shape.dim;
  return dim[AXIS_N] * dim[AXIS_Z] * dim[AXIS_Y];
}

static const hl_desc *coarse_of(const hl_call *c, bool down) {
  return down ? &c->out[0] : &c->in[0];
}

static int64_t grain_of(const hl_call *c, bool down) {
  return hl_ceil_div(rows_of(coarse_of(c, down)), MOST_CHUNKS);
}

static size_t lift_bytes(const hl_call *c) {
  const int64_t *matrix = c->in[c->n_in - 1].shape.dim;
  return hl_lift_bytes(matrix[0], matrix[1]);
}

size_t hl_resample_lifted_workspace(const hl_call *c, bool down) {
  int64_t window = c->in[c->n_in - 1].shape.dim[1];
  size_t chunks = (size_t)hl_ceil_div(rows_of(coarse_of(c, down)), grain_of(c, down));
  return lift_bytes(c) + chunks * hl_lift_block_bytes(window);
}

/* Voxel k of the first of n windows that begin with window x of a row. Rows of all samples are
 * numbered through, and so are their planes in memory. */
static int64_t fine_voxel(const job *j, int64_t row, int64_t x, int64_t k) {
  int64_t at[3], fine_x = j->size[2] * j->stride[2], fine_y = j->size[1] * j->stride[1];
  hl_resample_place(j->stride, k, at);
  at[0] += row / j->size[1] * j->stride[0];
  at[1] += row % j->size[1] * j->stride[1];
  return (at[0] * fine_y + at[1]) * fine_x + x * j->stride[2] + at[2];
}

static void down_channel(const job *j, const hl_lift_block *b, int64_t row, int64_t x,
                         int64_t channel, int64_t n) {
  const hl_lift *l = j->lifts + channel;
  int64_t step;
  for (int64_t k = 0; k < j->window; k++) {
    const int16_t *from =
        hl_deal_fixed_at(&j->fine, fine_voxel(j, row, x, l->from[k]), channel, &step);
    hl_lift_load(b, k, from, step * j->stride[2], n);
  }
  hl_lift_there(l, b);
  for (int64_t i = 0; i < j->window; i++) {
    int16_t *to =
        hl_deal_fixed_at(&j->coarse, row * j->size[2] + x, channel * j->window + l->to[i], &step);
    hl_lift_store(b, i, to, step, n);
  }
}

static void up_channel(const job *j, const hl_lift_block *b, int64_t row, int64_t x,
                       int64_t channel, int64_t n) {
  const hl_lift *l = j->lifts + channel;
  int64_t step;
  for (int64_t i = 0; i < j->window; i++) {
    const int16_t *from =
        hl_deal_fixed_at(&j->coarse, row * j->size[2] + x, channel * j->window + l->to[i], &step);
    hl_lift_load(b, i, from, step, n);
  }
  hl_lift_back(l, b);
  for (int64_t k = 0; k < j->window; k++) {
    int16_t *to = hl_deal_fixed_at(&j->fine, fine_voxel(j, row, x, l->from[k]), channel, &step);
    hl_lift_store(b, k, to, step * j->stride[2], n);
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  hl_lift_block b = hl_lift_block_at(
      j->blocks + (size_t)(begin / j->grain) * hl_lift_block_bytes(j->window), j->window);
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < j->size[2]; x += HL_LIFT_LANES)
      for (int64_t channel = 0; channel < j->fine.total; channel++)
        (j->down ? down_channel : up_channel)(j, &b, row, x, channel,
                                              hl_min_i64(HL_LIFT_LANES, j->size[2] - x));
}

void hl_resample_lifted_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                            void *workspace, bool down) {
  const hl_resample_attrs *a = c->attrs;
  hl_deal given = hl_deal_of(in, c->n_in - 1), made = hl_deal_of(out, c->n_out);
  job j = {.fine = down ? given : made,
           .coarse = down ? made : given,
           .stride = a->stride,
           .window = hl_resample_window(a->stride),
           .down = down};
  memcpy(j.size, coarse_of(c, down)->shape.dim + AXIS_Z, sizeof j.size);
  j.rows = rows_of(coarse_of(c, down));
  j.grain = grain_of(c, down);
  j.lifts = hl_lift_make(hl_tensor_f32(in[c->n_in - 1]), j.fine.total, j.window, workspace);
  j.blocks = (char *)workspace + lift_bytes(c);
  hl_parallel_for(j.rows, j.grain, range, &j);
}
