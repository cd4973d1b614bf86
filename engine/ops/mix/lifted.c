/* Mixing of fixed-point images by lifting, a block of voxels at a time. */
#include "lift.h"
#include "mix.h"

typedef struct job {
  hl_deal in, out;
  const hl_lift *lift;
  char *blocks; /* per chunk */
  int64_t grain;
  bool back;
} job;

bool hl_mix_is_lifted(const hl_call *c) {
  return hl_deal_is_fixed(c, c->n_in - 1) && c->in[c->n_in - 1].shape.dim[0] <= HL_LIFT_MOST;
}

static void apply(const job *j, const hl_lift_block *b, int64_t voxel, int64_t n) {
  const int32_t *before = j->back ? j->lift->to : j->lift->from;
  const int32_t *after = j->back ? j->lift->from : j->lift->to;
  for (int i = 0; i < j->in.n; i++) {
    int64_t channels = j->in.channels[i];
    const int16_t *x = hl_deal_fixed(&j->in, i) + voxel * channels;
    hl_lift_load(b, before + j->in.first[i], x, channels, channels, n);
  }
  (j->back ? hl_lift_back : hl_lift_there)(j->lift, b);
  for (int i = 0; i < j->out.n; i++) {
    int64_t channels = j->out.channels[i];
    int16_t *y = hl_deal_fixed(&j->out, i) + voxel * channels;
    hl_lift_store(b, after + j->out.first[i], y, channels, channels, n);
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t channels = j->in.total;
  hl_lift_block b = hl_lift_block_at(
      j->blocks + (size_t)(begin / j->grain) * hl_lift_block_bytes(channels), channels);
  for (int64_t v = begin; v < end; v += HL_LIFT_LANES) {
    int64_t n = hl_min_i64(HL_LIFT_LANES, end - v);
    hl_lift_block_of(&b, n);
    apply(j, &b, v, n);
  }
}

size_t hl_mix_lifted_workspace(const hl_call *c) {
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], voxels = hl_mix_voxels(c);
  size_t chunks = (size_t)hl_ceil_div(voxels, hl_mix_grain(voxels, HL_LIFT_LANES));
  return hl_lift_bytes(1, channels) + chunks * hl_lift_block_bytes(channels);
}

void hl_mix_lifted_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                       void *workspace) {
  const hl_mix_attrs *a = c->attrs;
  job j = {
      .in = hl_deal_of(in, c->n_in - 1), .out = hl_deal_of(out, c->n_out), .back = a->transpose};
  int64_t channels = j.in.total, voxels = hl_mix_voxels(c);
  j.lift = hl_lift_make(hl_tensor_f32(in[c->n_in - 1]), 1, channels, workspace);
  j.blocks = (char *)workspace + hl_lift_bytes(1, channels);
  j.grain = hl_mix_grain(voxels, HL_LIFT_LANES);
  hl_parallel_for(voxels, j.grain, range, &j);
}
