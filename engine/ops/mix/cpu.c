/* Small dense products per voxel. A tile of voxels is multiplied by panels, a register's width of
 * columns of the matrix each, whose rows lie beside each other; all sums of a tile stay in
 * registers, so that a tile is read before it is written and the call may work in place. */
#include "mix.h"

#include "lanes.h"

enum {
  BLOCK = 96,      /* voxels that are converted together: whole tiles of any size */
  MOST_PANELS = 4, /* side by side in registers */
  QUADS = HL_LANES / 4,
  MOST_SUMS = HL_LANES == 16 ? 24 : 12
};

/* Voxels of a tile: as many as there are registers for. */
HL_INLINE int tile_of(const int panels) {
  return panels == 1 ? 12 : MOST_SUMS / panels;
}

static int64_t panels_of(int64_t channels) {
  return hl_ceil_div(channels, HL_LANES);
}

/* Panels that are taken in one pass over a block, and with which the next pass begins. */
static int64_t panels_at(int64_t channels, int64_t first) {
  return hl_min_i64(MOST_PANELS, panels_of(channels) - first);
}

/* Rows of one image. */
typedef struct rows {
  float *at;
  int64_t channels;
} rows;

/* Where four numbers each of a panel go, or NULL: neighbours that go to one image are stored
 * together. */
typedef struct place {
  float *at[QUADS];
  int64_t step[QUADS];
  int together; /* 4, 8 or 16 numbers */
} place;

#define LOWER8(x) __builtin_shufflevector(x, x, 0, 1, 2, 3)
#define UPPER8(x) __builtin_shufflevector(x, x, 4, 5, 6, 7)
#define LOWER16(x) __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7)
#define UPPER16(x) __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)

#if HL_LANES >= 8
HL_INLINE void put_fours(const place *to, int k, int64_t v, lanes8 x) {
  if (to->at[k]) store4(to->at[k] + v * to->step[k], LOWER8(x));
  if (to->at[k + 1]) store4(to->at[k + 1] + v * to->step[k + 1], UPPER8(x));
}
#endif

/* One panel of a tile. */
HL_INLINE void put(const int voxels, const int panels, const place *to, int64_t v,
                   const lanes_full *sum) {
  if (to->together == HL_LANES) {
    float *at = to->at[0] + v * to->step[0];
    HL_UNROLL for (int i = 0; i < voxels; i++) store_full(at + i * to->step[0], sum[i * panels]);
    return;
  }
#if HL_LANES == 16
  if (to->together == 8) {
    float *low = to->at[0] + v * to->step[0], *high = to->at[2] + v * to->step[2];
    HL_UNROLL for (int i = 0; i < voxels; i++) {
      store8(low + i * to->step[0], LOWER16(sum[i * panels]));
      store8(high + i * to->step[2], UPPER16(sum[i * panels]));
    }
    return;
  }
  HL_UNROLL for (int i = 0; i < voxels; i++) {
    put_fours(to, 0, v + i, LOWER16(sum[i * panels]));
    put_fours(to, 2, v + i, UPPER16(sum[i * panels]));
  }
#elif HL_LANES == 8
  HL_UNROLL for (int i = 0; i < voxels; i++) put_fours(to, 0, v + i, sum[i * panels]);
#endif
}

/* y[v][o] = sum of x[v][i] q[i][o] over i, for one tile. */
HL_INLINE void tile(const int voxels, const int panels, const rows *x, int parts, int64_t v,
                    const float *q, const place *to) {
  lanes_full sum[MOST_SUMS];
  HL_UNROLL for (int i = 0; i < voxels * panels; i++) sum[i] = (lanes_full){0};
  for (int k = 0; k < parts; k++) {
    int64_t step = x[k].channels;
    const float *at = x[k].at + v * step;
    for (const float *end = at + step; at < end; at++, q += panels * HL_LANES)
      HL_UNROLL for (int i = 0; i < voxels; i++) HL_UNROLL for (int p = 0; p < panels; p++)
          sum[i * panels + p] += at[i * step] * load_full(q + p * HL_LANES);
  }
  HL_UNROLL for (int p = 0; p < panels; p++) put(voxels, panels, to + p, v, sum + p);
}

#define PANELS(N)                                                                                  \
  static void panels_##N(const rows *x, int parts, const float *q, const place *to, int64_t n) {   \
    int64_t v = 0;                                                                                 \
    for (; v + tile_of(N) <= n; v += tile_of(N)) tile(tile_of(N), N, x, parts, v, q, to);          \
    for (; v < n; v++) tile(1, N, x, parts, v, q, to);                                             \
  }
PANELS(1)
PANELS(2)
PANELS(3)
PANELS(4)

/* The matrix as panels: those of one pass beside each other, the last one filled up. */
static void pack(const float *matrix, bool transpose, int64_t channels, float *q) {
  for (int64_t first = 0; first < panels_of(channels); first += MOST_PANELS) {
    int64_t begin = first * HL_LANES, end = begin + panels_at(channels, first) * HL_LANES;
    for (int64_t i = 0; i < channels; i++)
      for (int64_t o = begin; o < end; o++)
        *q++ = o >= channels ? 0 : transpose ? matrix[i * channels + o] : matrix[o * channels + i];
  }
}

typedef struct job {
  hl_deal in, out;
  const float *q;
  float *buffers; /* per chunk: a block of inputs, then a block of outputs */
  int64_t grain, block;
  bool copies; /* inputs are copied before outputs overwrite them */
  bool joined; /* outputs are dealt out after a block */
} job;

/* Are all images cut between fours of channels? */
static bool in_fours(const hl_desc *d, int n) {
  bool all = true;
  for (int i = 0; i < n; i++) all = all && d[i].shape.dim[AXIS_C] % 4 == 0;
  return all;
}

static int64_t wide(int64_t channels) {
  return hl_ceil_div(channels, 16) * 16;
}

static int64_t buffer_floats(int64_t channels) {
  return BLOCK * (channels + wide(channels));
}

/* Rows of the inputs: the images' own, or widened or copied. */
static void take(const job *j, int64_t voxel, int64_t n, float *buffer, rows x[DEAL_MOST]) {
  const hl_deal *d = &j->in;
  for (int i = 0; i < d->n; i++) {
    int64_t channels = d->channels[i], first = voxel * channels;
    x[i] = (rows){buffer + BLOCK * d->first[i], channels};
    if (hl_dtype_is_narrow(d->type[i]))
      hl_deal_gather_narrow(d, i, voxel, n, x[i].at, channels);
    else if (j->copies)
      memcpy(x[i].at, d->data[i] + first, (size_t)(n * channels) * sizeof(float));
    else
      x[i].at = d->data[i] + first;
  }
}

/* Rows for the outputs: the images' own, or those that are rounded afterwards. */
static void reserve(const job *j, int64_t voxel, float *buffer, rows y[DEAL_MOST]) {
  const hl_deal *d = &j->out;
  for (int i = 0; i < d->n; i++) {
    y[i] = (rows){buffer + BLOCK * d->first[i], d->channels[i]};
    if (!hl_dtype_is_narrow(d->type[i])) y[i].at = d->data[i] + voxel * d->channels[i];
  }
}

static void give(const job *j, int64_t voxel, int64_t n, const rows y[DEAL_MOST]) {
  for (int i = 0; i < j->out.n; i++)
    if (hl_dtype_is_narrow(j->out.type[i]))
      hl_deal_scatter_narrow(&j->out, i, voxel, n, y[i].at, y[i].channels);
}

/* Channels `first` … of the outputs, one panel. */
static place place_of(const rows *y, int n, int64_t first) {
  place p = {.together = 4};
  int of[QUADS], i = 0;
  for (int k = 0; k < QUADS; k++, first += 4) {
    while (i < n && first >= y[i].channels) first -= y[i++].channels;
    of[k] = i;
    if (i == n) continue;
    p.at[k] = y[i].at + first;
    p.step[k] = y[i].channels;
  }
  if (HL_LANES == 16 && of[0] == of[1] && of[QUADS / 2] == of[QUADS - 1] && p.at[QUADS / 2])
    p.together = 8;
  if (of[0] == of[QUADS - 1]) p.together = HL_LANES;
  return p;
}

static void multiply(const job *j, const rows *x, const rows *y, int n_y, int64_t n) {
  int64_t channels = j->in.total;
  const float *q = j->q;
  for (int64_t first = 0; first < panels_of(channels); first += MOST_PANELS) {
    int64_t panels = panels_at(channels, first);
    place to[MOST_PANELS];
    for (int p = 0; p < panels; p++) to[p] = place_of(y, n_y, (first + p) * HL_LANES);
    (panels == 1   ? panels_1
     : panels == 2 ? panels_2
     : panels == 3 ? panels_3
                   : panels_4)(x, j->in.n, q, to, n);
    q += channels * panels * HL_LANES;
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t channels = j->in.total;
  float *taken = j->buffers + begin / j->grain * buffer_floats(channels);
  float *made = taken + BLOCK * channels;
  rows x[DEAL_MOST], y[DEAL_MOST], all = {made, wide(channels)};
  for (int64_t v = begin; v < end; v += j->block) {
    int64_t n = hl_min_i64(j->block, end - v);
    take(j, v, n, taken, x);
    if (j->joined) {
      multiply(j, x, &all, 1, n);
      hl_deal_scatter(&j->out, v, n, made, wide(channels));
    } else {
      reserve(j, v, made, y);
      multiply(j, x, y, j->out.n, n);
      give(j, v, n, y);
    }
  }
}

/* ---- calls ---- */

/* Are all tiles read and written where they are, in one pass? */
static bool is_direct(const hl_call *c) {
  bool all = panels_of(c->in[c->n_in - 1].shape.dim[0]) <= MOST_PANELS;
  for (int i = 0; i < c->n_in; i++) all = all && !hl_dtype_is_narrow(c->in[i].dtype);
  return all && in_fours(c->out, c->n_out);
}

static hl_status mix_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t channels = c->in[c->n_in - 1].shape.dim[0], voxels = hl_mix_voxels(c);
  int64_t chunks = is_direct(c) ? 0 : hl_ceil_div(voxels, hl_mix_grain(voxels, BLOCK));
  int64_t floats = channels * wide(channels) + chunks * buffer_floats(channels);
  *bytes = hl_mix_is_lifted(c) ? hl_mix_lifted_workspace(c) : (size_t)floats * sizeof(float);
  return HL_OK;
}

static bool in_place(const job *j) {
  bool any = false;
  for (int o = 0; o < j->out.n; o++)
    for (int i = 0; i < j->in.n; i++) any = any || j->out.data[o] == j->in.data[i];
  return any;
}

static hl_status mix_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                         void *workspace, hl_err *e) {
  (void)e;
  if (hl_mix_is_lifted(c)) {
    hl_mix_lifted_run(c, in, out, workspace);
    return HL_OK;
  }
  const hl_mix_attrs *a = c->attrs;
  job j = {.in = hl_deal_of(in, c->n_in - 1), .out = hl_deal_of(out, c->n_out)};
  int64_t channels = j.in.total, voxels = hl_mix_voxels(c);
  float *q = workspace;
  pack(hl_tensor_f32(in[c->n_in - 1]), a->transpose, channels, q);
  j.q = q;
  j.buffers = q + channels * wide(channels);
  j.grain = hl_mix_grain(voxels, BLOCK);
  j.block = is_direct(c) ? j.grain : BLOCK;
  j.copies = panels_of(channels) > MOST_PANELS && in_place(&j);
  j.joined = !in_fours(c->out, c->n_out);
  hl_parallel_for(voxels, j.grain, range, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_mix = {.workspace = mix_workspace,
                              .run = mix_run,
                              .takes_bf16 = hl_always_bf16,
                              .takes_fixed = hl_mix_is_lifted};

/* ---- gradient of the matrix ---- */

enum { GRAD_BLOCK = 128, GRAD_CHUNKS = 32 };

static int64_t padded(int64_t channels) {
  return hl_ceil_div(channels, 4) * 4;
}

#define JOINED4(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7)
#define JOINED8(a, b)                                                                              \
  __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* One panel of voxel v. */
HL_INLINE lanes_full get(const int together, const place *from, int64_t v) {
  if (together == HL_LANES) return load_full(from->at[0] + v * from->step[0]);
#if HL_LANES == 16
  if (together == 8)
    return JOINED8(load8(from->at[0] + v * from->step[0]), load8(from->at[2] + v * from->step[2]));
#endif
  lanes4 x[4] = {{0}};
  HL_UNROLL for (int k = 0; k < QUADS; k++) x[k] = load4(from->at[k] + v * from->step[k]);
#if HL_LANES == 16
  return JOINED8(JOINED4(x[0], x[1]), JOINED4(x[2], x[3]));
#elif HL_LANES == 8
  return JOINED4(x[0], x[1]);
#else
  return x[0];
#endif
}

/* sum[o][i] += Σ_v dy[v][o] x[v][i] for a panel of x and `height` numbers of dy: f32 within a block
 * of voxels, f64 across blocks. */
HL_INLINE void outer(const int height, const int together, const place *dy, const place *x,
                     int64_t n, double *sum, int64_t step) {
  lanes_full part[HL_LANES];
  const float *d[QUADS];
  HL_UNROLL for (int o = 0; o < height; o++) part[o] = (lanes_full){0};
  HL_UNROLL for (int k = 0; k < height / 4; k++) d[k] = dy->at[k];
  for (int64_t v = 0; v < n; v++) {
    lanes_full row = get(together, x, v);
    HL_UNROLL for (int o = 0; o < height; o++) part[o] += row * d[o / 4][o % 4];
    HL_UNROLL for (int k = 0; k < height / 4; k++) d[k] += dy->step[k];
  }
  HL_UNROLL for (int o = 0; o < height; o++) add_full(sum + o * step, part[o]);
}

HL_INLINE void outer_of(const int height, const place *dy, const place *x, int64_t n, double *sum,
                        int64_t step) {
  if (x->together == HL_LANES)
    outer(height, HL_LANES, dy, x, n, sum, step);
  else if (x->together == 8)
    outer(height, 8, dy, x, n, sum, step);
  else
    outer(height, 4, dy, x, n, sum, step);
}

typedef struct grad_job {
  hl_deal x, dy;
  double *sums;   /* per chunk, wide(channels)² */
  float *buffers; /* per chunk, if images are not read where they are: blocks of x and of dy */
  float *out;
  int64_t floats, grain, chunks;
} grad_job;

/* Numbers of a chunk's buffers. */
static int64_t grad_floats(const hl_call *c) {
  bool direct = in_fours(c->in, c->n_in);
  for (int i = 0; i < c->n_in; i++) direct = direct && !hl_dtype_is_narrow(c->in[i].dtype);
  return direct ? 0 : 2 * GRAD_BLOCK * padded(c->out[0].shape.dim[0]);
}

/* Few enough chunks that their sums stay below 4 MiB, whatever the number of threads. */
static int64_t grad_grain(int64_t voxels, int64_t channels) {
  int64_t square = padded(channels) * padded(channels) * 8;
  int64_t chunks = hl_min_i64(GRAD_CHUNKS, hl_max_i64(2, ((int64_t)4 << 20) / square));
  return hl_ceil_div(hl_ceil_div(voxels, chunks), GRAD_BLOCK) * GRAD_BLOCK;
}

/* Rows of a block: the images' own, widened, or, where images are not cut between fours of
 * channels, joined. Returns how many images they are. */
static int grad_take(const hl_deal *d, int64_t voxel, int64_t n, float *buffer, rows x[DEAL_MOST]) {
  bool fours = true;
  for (int i = 0; i < d->n; i++) fours = fours && d->channels[i] % 4 == 0;
  if (!fours) {
    x[0] = (rows){buffer, padded(d->total)};
    memset(buffer, 0, (size_t)(n * padded(d->total)) * sizeof *buffer);
    hl_deal_gather(d, voxel, n, buffer, padded(d->total));
    return 1;
  }
  for (int i = 0; i < d->n; i++) {
    int64_t channels = d->channels[i];
    x[i] = (rows){buffer + GRAD_BLOCK * d->first[i], channels};
    if (hl_dtype_is_narrow(d->type[i]))
      hl_deal_gather_narrow(d, i, voxel, n, x[i].at, channels);
    else
      x[i].at = d->data[i] + voxel * channels;
  }
  return d->n;
}

/* One panel of a block; what the last one lacks is read from `none`. */
static place grad_place(const rows *x, int n, int64_t panel, float *none) {
  place p = place_of(x, n, panel * HL_LANES);
  for (int k = 0; k < QUADS; k++)
    if (p.at[k] == NULL) p.at[k] = none;
  return p;
}

static void grad_range(int64_t begin, int64_t end, void *ctx) {
  const grad_job *j = ctx;
  int64_t step = wide(j->x.total), panels = panels_of(j->x.total), chunk = begin / j->grain;
  double *sum = j->sums + chunk * step * step;
  float *xs = j->buffers + chunk * j->floats, *ys = xs + j->floats / 2, none[4] = {0};
  rows x[DEAL_MOST], dy[DEAL_MOST];
  memset(sum, 0, (size_t)(step * step) * sizeof *sum);
  for (int64_t v = begin; v < end; v += GRAD_BLOCK) {
    int64_t n = hl_min_i64(GRAD_BLOCK, end - v);
    int n_x = grad_take(&j->x, v, n, xs, x), n_dy = grad_take(&j->dy, v, n, ys, dy);
    for (int64_t i = 0; i < panels; i++) {
      place from = grad_place(x, n_x, i, none);
      for (int64_t o = 0; o < panels; o++) {
        place factors = grad_place(dy, n_dy, o, none);
        double *at = sum + (o * step + i) * HL_LANES;
        if (HL_LANES == 16 && factors.at[QUADS / 2] == none)
          outer_of(HL_LANES / 2, &factors, &from, n, at, step);
        else
          outer_of(HL_LANES, &factors, &from, n, at, step);
      }
    }
  }
}

/* The chunks' sums in the order of the chunks. */
static void grad_finish(int64_t begin, int64_t end, void *ctx) {
  const grad_job *j = ctx;
  int64_t channels = j->x.total, step = wide(channels);
  for (int64_t o = begin; o < end; o++)
    for (int64_t i = 0; i < channels; i++) {
      double sum = 0;
      for (int64_t k = 0; k < j->chunks; k++) sum += j->sums[(k * step + o) * step + i];
      j->out[o * channels + i] = (float)sum;
    }
}

static hl_status grad_workspace(const hl_call *c, size_t *bytes, hl_err *e) {
  (void)e;
  int64_t channels = c->out[0].shape.dim[0], step = wide(channels), voxels = hl_mix_voxels(c);
  int64_t chunks = hl_ceil_div(voxels, grad_grain(voxels, channels));
  *bytes = (size_t)chunks *
           ((size_t)(step * step) * sizeof(double) + (size_t)grad_floats(c) * sizeof(float));
  return HL_OK;
}

static hl_status grad_run(const hl_call *c, hl_tensor *const *in, hl_tensor *const *out,
                          void *workspace, hl_err *e) {
  (void)e;
  const hl_mix_grad_attrs *a = c->attrs;
  int parts = (int)a->parts;
  grad_job j = {.x = hl_deal_of(in, parts), .dy = hl_deal_of(in + parts, c->n_in - parts)};
  int64_t channels = j.x.total, step = wide(channels), voxels = hl_mix_voxels(c);
  j.grain = grad_grain(voxels, channels);
  j.chunks = hl_ceil_div(voxels, j.grain);
  j.sums = workspace;
  j.buffers = (float *)(j.sums + j.chunks * step * step);
  j.floats = grad_floats(c);
  j.out = hl_tensor_f32(out[0]);
  hl_parallel_for(voxels, j.grain, grad_range, &j);
  hl_parallel_for(channels, hl_ceil_div(4096, channels), grad_finish, &j);
  return HL_OK;
}

const hl_kernel hl_cpu_mix_grad_matrix = {.workspace = grad_workspace,
                                          .run = grad_run,
                                          .takes_bf16 = hl_always_bf16,
                                          .takes_fixed = hl_always_bf16};
