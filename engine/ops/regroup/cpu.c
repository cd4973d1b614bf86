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

/* Narrow numbers move two by two, as if they were f32. */
static bool in_pairs(const hl_call *c) {
  bool even = true;
  for (int i = 0; i < c->n_in; i++)
    even = even && c->in[i].dtype == c->in[0].dtype && c->in[i].shape.dim[AXIS_C] % 2 == 0;
  for (int i = 0; i < c->n_out; i++) even = even && c->out[i].shape.dim[AXIS_C] % 2 == 0;
  return even;
}

static hl_deal pairs_of(hl_tensor *const *t, int n) {
  hl_deal d = hl_deal_of(t, n);
  for (int i = 0; i < n; i++) {
    d.channels[i] /= 2;
    d.first[i] /= 2;
  }
  d.total /= 2;
  return d;
}

static hl_status run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *workspace,
                     hl_err *e) {
  (void)workspace;
  (void)e;
  job j = {hl_deal_of(in, c->n_in), hl_deal_of(out, c->n_out)};
  if (c->in[0].dtype != HL_F32) j = (job){pairs_of(in, c->n_in), pairs_of(out, c->n_out)};
  int64_t voxels = c->in[0].shape.dim[AXIS_N] * hl_image_voxels(&c->in[0]);
  hl_parallel_for(voxels, hl_ceil_div(HL_GRAIN, j.in.total), range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_regroup = {.run = run, .takes_bf16 = in_pairs, .takes_fixed = in_pairs};
