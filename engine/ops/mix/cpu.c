/* Small dense products per voxel. Blocks of voxels are multiplied by panels of 16, 8 or 4 columns
 * of the matrix, which is packed so that a panel's row is contiguous; sums stay in registers. */
#include "mix.h"

#include "deal.h"
#include "lanes.h"
#include "lift.h"

enum { BLOCK = 64, MOST_CHUNKS = 64 };

/* ---- panels: channels in pieces of 16, 8 and 4, the last one filled up ---- */

static int64_t padded(int64_t channels) {
  return hl_ceil_div(channels, 4) * 4;
}

static int64_t panel_lanes(int64_t left) {
  return left >= 16 ? 16 : left >= 8 ? 8 : 4;
}

/* y[v][l] = Σ_i x[v][i] q[i][l], eight voxels at a time. */
#define PANEL(LANES)                                                                               \
  HL_INLINE void tile_##LANES(const int voxels, const float *x, int64_t x_step, const float *q,    \
                              int64_t channels, float *y, int64_t y_step) {                        \
    lanes##LANES sum[8];                                                                           \
    for (int v = 0; v < voxels; v++) sum[v] = (lanes##LANES){0};                                   \
    for (int64_t i = 0; i < channels; i++) {                                                       \
      lanes##LANES row = load##LANES(q + i * LANES);                                               \
      for (int v = 0; v < voxels; v++) sum[v] += row * x[v * x_step + i];                          \
    }                                                                                              \
    for (int v = 0; v < voxels; v++) store##LANES(y + v * y_step, sum[v]);                         \
  }                                                                                                \
  static void panel_##LANES(const float *x, int64_t x_step, const float *q, int64_t channels,      \
                            float *y, int64_t y_step, int64_t n) {                                 \
    int64_t v = 0;                                                                                 \
    for (; v + 8 <= n; v += 8)                                                                     \
      tile_##LANES(8, x + v * x_step, x_step, q, channels, y + v * y_step, y_step);                \
    for (; v < n; v++)                                                                             \
      tile_##LANES(1, x + v * x_step, x_step, q, channels, y + v * y_step, y_step);                \
  }
PANEL(16)
PANEL(8)
PANEL(4)

/* Row by row of a block: y = Q x for n voxels. The packed matrix has padded(channels) columns. */
static void multiply(const float *x, int64_t x_step, const float *q, int64_t channels, float *y,
                     int64_t y_step, int64_t n) {
  int64_t all = padded(channels);
  for (int64_t o = 0; o < all;) {
    int64_t lanes = panel_lanes(all - o);
    const float *at = q + o * channels;
    if (lanes == 16)
      panel_16(x, x_step, at, channels, y + o, y_step, n);
    else if (lanes == 8)
      panel_8(x, x_step, at, channels, y + o, y_step, n);
    else
      panel_4(x, x_step, at, channels, y + o, y_step, n);
    o += lanes;
  }
}

static void pack(const float *matrix, bool transpose, int64_t channels, float *q) {
  int64_t all = padded(channels);
  for (int64_t o = 0; o < all;) {
    int64_t lanes = panel_lanes(all - o);
    for (int64_t i = 0; i < channels; i++)
      for (int64_t l = 0; l < lanes; l++) {
        int64_t row = o + l;
        *q++ = row >= channels ? 0
               : transpose     ? matrix[i * channels + row]
                               : matrix[row * channels + i];
      }
    o += lanes;
  }
}

typedef struct job {
  hl_deal in, out;
  const float *q;
  float *buffers; /* per chunk: a block of inputs, then a block of outputs */
  int64_t grain;
  bool gather, scatter;
} job;

static int64_t voxels_of(const hl_call *c) {
  return c->in[0].shape.dim[AXIS_N] * hl_image_voxels(&c->in[0]);
}

static int64_t grain_of(int64_t voxels) {
  return hl_ceil_div(hl_ceil_div(voxels, MOST_CHUNKS), BLOCK) * BLOCK;
}

static int64_t buffer_floats(int64_t channels) {
  return BLOCK * (channels + padded(channels));
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t channels = j->in.total, wide = padded(channels);
  float *xs = j->buffers + begin / j->grain * buffer_floats(channels);
  float *ys = xs + BLOCK * channels;
  for (int64_t v = begin; v < end; v += BLOCK) {
    int64_t n = hl_min_i64(BLOCK, end - v);
    const float *x = j->in.data[0] + v * channels;
    float *y = j->out.data[0] + v * channels;
    if (j->gather) hl_deal_gather(&j->in, v, n, xs, channels);
    multiply(j->gather ? xs : x, channels, j->q, channels, j->scatter ? ys : y,
             j->scatter ? wide : channels, n);
    if (j->scatter) hl_deal_scatter(&j->out, v, n, ys, wide);
  }
}

/* ---- fixed-point images, so that the transpose gives back the very bits ---- */

typedef struct lifting {
  hl_deal in, out;
  const hl_lift *lift;
  char *blocks; /* per chunk */
  int64_t grain;
  bool back;
} lifting;

static bool takes_fixed(const hl_call *c) {
  return hl_deal_is_fixed(c, c->n_in - 1) && c->in[c->n_in - 1].shape.dim[0] <= HL_LIFT_MOST;
}

static void lift_block(const lifting *j, const hl_lift_block *b, int64_t voxel, int64_t n) {
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

static void lift_range(int64_t begin, int64_t end, void *ctx) {
  const lifting *j = ctx;
  int64_t channels = j->in.total;
  hl_lift_block b = hl_lift_block_at(
      j->blocks + (size_t)(begin / j->grain) * hl_lift_block_bytes(channels), channels);
  for (int64_t v = begin; v < end; v += HL_LIFT_LANES) {
    int64_t n = hl_min_i64(HL_LIFT_LANES, end - v);
    hl_lift_block_of(&b, n);
    lift_block(j, &b, v, n);
  }
}

static size_t lift_workspace(const hl_call *c) {
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], voxels = voxels_of(c);
  size_t chunks = (size_t)hl_ceil_div(voxels, grain_of(voxels));
  return hl_lift_bytes(1, channels) + chunks * hl_lift_block_bytes(channels);
}

static void lift_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out, void *work) {
  const hl_mix_attrs *a = c->attrs;
  lifting j = {
      .in = hl_deal_of(in, c->n_in - 1), .out = hl_deal_of(out, c->n_out), .back = a->transpose};
  int64_t channels = j.in.total, voxels = voxels_of(c);
  j.lift = hl_lift_make(hl_tensor_f32(in[c->n_in - 1]), 1, channels, work);
  j.blocks = (char *)work + hl_lift_bytes(1, channels);
  j.grain = grain_of(voxels);
  hl_parallel_for(voxels, j.grain, lift_range, &j);
}

/* ---- calls ---- */

static hl_status mix_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], voxels = voxels_of(c);
  if (takes_fixed(c)) {
    *bytes = lift_workspace(c);
    return HL_OK;
  }
  int64_t chunks = hl_ceil_div(voxels, grain_of(voxels));
  int64_t floats = channels * padded(channels) + chunks * buffer_floats(channels);
  *bytes = (size_t)floats * sizeof(float);
  return HL_OK;
}

static hl_status mix_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)e;
  if (takes_fixed(c)) {
    lift_run(c, in, out, workspace);
    return HL_OK;
  }
  const hl_mix_attrs *a = c->attrs;
  job j = {.in = hl_deal_of(in, c->n_in - 1), .out = hl_deal_of(out, c->n_out)};
  int64_t channels = j.in.total, voxels = voxels_of(c);
  float *q = workspace;
  pack(hl_tensor_f32(in[c->n_in - 1]), a->transpose, channels, q);
  j.q = q;
  j.buffers = q + channels * padded(channels);
  j.grain = grain_of(voxels);
  /* In place, a panel would overwrite what the next one reads. */
  bool one_panel = padded(channels) == panel_lanes(padded(channels));
  j.gather =
      j.in.n > 1 || hl_deal_any_narrow(&j.in) || (!one_panel && j.in.data[0] == j.out.data[0]);
  j.scatter = j.out.n > 1 || hl_deal_any_narrow(&j.out) || padded(channels) != channels;
  hl_parallel_for(voxels, j.grain, range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_mix = {.workspace = mix_workspace,
                              .run = mix_run,
                              .takes_bf16 = hl_always_bf16,
                              .takes_fixed = takes_fixed};

/* ---- gradient of the matrix ---- */

enum { GRAD_BLOCK = 128, GRAD_CHUNKS = 32 };

/* sum[o][l] += Σ_v dy[v][o] x[v][l]: f32 within a block of voxels, f64 across blocks. */
#define OUTER(LANES)                                                                               \
  HL_INLINE void outer_rows_##LANES(const int rows, const float *dy, const float *x, int64_t step, \
                                    int64_t n, double *sum) {                                      \
    lanes##LANES part[8];                                                                          \
    for (int o = 0; o < rows; o++) part[o] = (lanes##LANES){0};                                    \
    for (int64_t v = 0; v < n; v++) {                                                              \
      lanes##LANES row = load##LANES(x + v * step);                                                \
      for (int o = 0; o < rows; o++) part[o] += row * dy[v * step + o];                            \
    }                                                                                              \
    for (int o = 0; o < rows; o++) add##LANES(sum + o * step, part[o]);                            \
  }                                                                                                \
  static void outer_##LANES(const float *dy, const float *x, int64_t step, int64_t n,              \
                            double *sum) {                                                         \
    int64_t o = 0;                                                                                 \
    for (; o + 8 <= step; o += 8) outer_rows_##LANES(8, dy + o, x, step, n, sum + o * step);       \
    if (o < step) outer_rows_##LANES(4, dy + o, x, step, n, sum + o * step);                       \
  }
OUTER(16)
OUTER(8)
OUTER(4)

typedef struct grad_job {
  hl_deal x, dy;
  double *sums;   /* per chunk, padded(channels)² */
  float *buffers; /* per chunk: a block of x, then a block of dy, rows of padded(channels) */
  float *out;
  int64_t grain, chunks;
  bool gather_x, gather_dy;
} grad_job;

/* Few enough chunks that their sums stay below 4 MiB, whatever the number of threads. */
static int64_t grad_grain(int64_t voxels, int64_t channels) {
  int64_t square = padded(channels) * padded(channels) * 8;
  int64_t chunks = hl_min_i64(GRAD_CHUNKS, hl_max_i64(2, ((int64_t)4 << 20) / square));
  return hl_ceil_div(hl_ceil_div(voxels, chunks), GRAD_BLOCK) * GRAD_BLOCK;
}

static void grad_range(int64_t begin, int64_t end, void *ctx) {
  const grad_job *j = ctx;
  int64_t step = padded(j->x.total), at = begin / j->grain;
  double *sum = j->sums + at * step * step;
  float *xs = j->buffers + at * 2 * GRAD_BLOCK * step, *ys = xs + GRAD_BLOCK * step;
  memset(sum, 0, (size_t)(step * step) * sizeof *sum);
  if (step != j->x.total) memset(xs, 0, (size_t)(2 * GRAD_BLOCK * step) * sizeof *xs);
  for (int64_t v = begin; v < end; v += GRAD_BLOCK) {
    int64_t n = hl_min_i64(GRAD_BLOCK, end - v);
    if (j->gather_x) hl_deal_gather(&j->x, v, n, xs, step);
    if (j->gather_dy) hl_deal_gather(&j->dy, v, n, ys, step);
    const float *x = j->gather_x ? xs : j->x.data[0] + v * step;
    const float *dy = j->gather_dy ? ys : j->dy.data[0] + v * step;
    for (int64_t i = 0; i < step;) {
      int64_t lanes = panel_lanes(step - i);
      if (lanes == 16)
        outer_16(dy, x + i, step, n, sum + i);
      else if (lanes == 8)
        outer_8(dy, x + i, step, n, sum + i);
      else
        outer_4(dy, x + i, step, n, sum + i);
      i += lanes;
    }
  }
}

/* The chunks' sums in the order of the chunks. */
static void grad_finish(int64_t begin, int64_t end, void *ctx) {
  const grad_job *j = ctx;
  int64_t channels = j->x.total, step = padded(channels);
  for (int64_t o = begin; o < end; o++)
    for (int64_t i = 0; i < channels; i++) {
      double sum = 0;
      for (int64_t k = 0; k < j->chunks; k++) sum += j->sums[(k * step + o) * step + i];
      j->out[o * channels + i] = (float)sum;
    }
}

static hl_status grad_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t channels = c->out[0].shape.dim[0], step = padded(channels), voxels = voxels_of(c);
  int64_t chunks = hl_ceil_div(voxels, grad_grain(voxels, channels));
  *bytes = (size_t)chunks * ((size_t)(step * step) * sizeof(double) +
                             (size_t)(2 * GRAD_BLOCK * step) * sizeof(float));
  return HL_OK;
}

static hl_status grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)e;
  const hl_mix_grad_attrs *a = c->attrs;
  int parts = (int)a->parts;
  grad_job j = {.x = hl_deal_of(in, parts), .dy = hl_deal_of(in + parts, c->n_in - parts)};
  int64_t channels = j.x.total, step = padded(channels), voxels = voxels_of(c);
  j.grain = grad_grain(voxels, channels);
  j.chunks = hl_ceil_div(voxels, j.grain);
  j.sums = workspace;
  j.buffers = (float *)(j.sums + j.chunks * step * step);
  j.out = hl_tensor_f32(out[0]);
  j.gather_x = j.x.n > 1 || hl_deal_any_narrow(&j.x) || step != channels;
  j.gather_dy = j.dy.n > 1 || hl_deal_any_narrow(&j.dy) || step != channels;
  hl_parallel_for(voxels, j.grain, grad_range, &j);
  hl_parallel_for(channels, hl_ceil_div(4096, channels), grad_finish, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_mix_grad_matrix = {.workspace = grad_workspace,
                                          .run = grad_run,
                                          .takes_bf16 = hl_always_bf16,
                                          .takes_fixed = hl_always_bf16};
