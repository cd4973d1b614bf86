#include "deal.h"

typedef struct job {
  hl_deal in, out;
} job;

/* Copies the channels that input i and output o have in common. */
static void move(const hl_deal *in, int i, const hl_deal *out, int o, int64_t begin, int64_t n) {
  int64_t from = hl_max_i64(in->first[i], out->first[o]);
  int64_t to = hl_min_i64(in->first[i] + in->channels[i], out->first[o] + out->channels[o]);
  if (from >= to) return;
  hl_copy_rows(out->data[o] + begin * out->channels[o] + from - out->first[o], out->channels[o],
               in->data[i] + begin * in->channels[i] + from - in->first[i], in->channels[i],
               to - from, n);
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  for (int i = 0; i < j->in.n; i++)
    for (int o = 0; o < j->out.n; o++) move(&j->in, i, &j->out, o, begin, end - begin);
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  job j = {hl_deal_of(in, c->n_in), hl_deal_of(out, c->n_out)};
  int64_t voxels = c->in[0].shape.dim[AXIS_N] * hl_image_voxels(&c->in[0]);
  hl_parallel_for(voxels, hl_ceil_div(HL_GRAIN, j.in.total), range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_regroup = {.run = run};
