/* Resampling of fixed-point images by lifting. Common windows go through registers (strip.h). Of
 * others, and with matrices that cannot be applied exactly, a row of coarse voxels is walked
 * through HL_LIFT_LANES windows and a group of channels at a time. */
#include "lift.h"
#include "resample.h"
#include "strip.h"

enum { MOST_CHUNKS = 32, GROUP = 8 /* channels, if their windows fit into HL_LIFT_MOST rows */ };

typedef struct job {
  hl_deal fine, coarse;
  const int64_t *stride;
  int64_t size[3]; /* coarse voxels along z, y, x */
  int64_t window, rows, grain;
  const hl_lift *lifts; /* per channel */
  char *blocks;         /* per chunk */
  char *strips;         /* factors of all groups */
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

static int64_t group_of(int64_t window) {
  return hl_max_i64(1, hl_min_i64(GROUP, HL_LIFT_MOST / window));
}

static size_t block_bytes(const hl_call *c, bool down) {
  int64_t window = c->in[c->n_in - 1].shape.dim[1];
  size_t chunks = (size_t)hl_ceil_div(rows_of(coarse_of(c, down)), grain_of(c, down));
  return chunks * hl_lift_block_bytes(window * group_of(window));
}

/* Of windows whose coefficients lie side by side in one image; 0 where there are others. */
static size_t strip_bytes(const hl_call *c, bool down) {
  const hl_desc *coarse = coarse_of(c, down), *fine = down ? c->in : c->out;
  int n_coarse = down ? c->n_out : c->n_in - 1, n_fine = down ? c->n_in - 1 : c->n_out;
  int64_t window = c->in[c->n_in - 1].shape.dim[1], groups = 0;
  bool good = window == 8 || window == 4;
  for (int i = 0; i < n_coarse; i++) good = good && coarse[i].shape.dim[AXIS_C] % window == 0;
  for (int i = 0; i < n_fine; i++) {
    int64_t channels = fine[i].shape.dim[AXIS_C];
    groups += channels / hl_strip_group(channels);
  }
  return good ? (size_t)groups * hl_strip_bytes() : 0;
}

size_t hl_resample_lifted_workspace(const hl_call *c, bool down) {
  return lift_bytes(c) + strip_bytes(c, down) + block_bytes(c, down);
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

/* Neighbouring channels of one fine image, along a stretch of windows of a row. */
typedef struct part {
  int64_t row, x, n;
  int image;
  int64_t channel, channels; /* the first one's number in its image, and how many */
} part;

/* The fine voxels of the part's windows: from image to block, or back. */
static void move_fine(const job *j, const hl_lift_block *b, const part *p) {
  int64_t all = j->fine.channels[p->image], step = all * j->stride[2];
  const hl_lift *l = j->lifts + j->fine.first[p->image] + p->channel;
  int32_t row[GROUP];
  for (int64_t k = 0; k < j->window; k++) {
    int16_t *at =
        hl_deal_fixed(&j->fine, p->image) + fine_voxel(j, p->row, p->x, k) * all + p->channel;
    for (int64_t c = 0; c < p->channels; c++) row[c] = (int32_t)(c * j->window) + l[c].from[k];
    if (j->down)
      hl_lift_load(b, row, at, step, p->channels, p->n);
    else
      hl_lift_store(b, row, at, step, p->channels, p->n);
  }
}

/* Their coefficients, which may lie in several coarse images. */
static void move_coarse(const job *j, const hl_lift_block *b, const part *p) {
  int64_t channel = j->fine.first[p->image] + p->channel, first = channel * j->window;
  int64_t end = first + p->channels * j->window;
  const hl_lift *l = j->lifts + channel;
  int32_t row[HL_LIFT_MOST];
  for (int64_t i = 0; i < end - first; i++)
    row[i] = (int32_t)(i / j->window * j->window) + l[i / j->window].to[i % j->window];
  for (int i = 0; i < j->coarse.n; i++) {
    int64_t begin = j->coarse.first[i], all = j->coarse.channels[i];
    int64_t from = hl_max_i64(first, begin), to = hl_min_i64(end, begin + all);
    if (from >= to) continue;
    int16_t *at = hl_deal_fixed(&j->coarse, i) + (p->row * j->size[2] + p->x) * all + from - begin;
    if (j->down)
      hl_lift_store(b, row + from - first, at, all, to - from, p->n);
    else
      hl_lift_load(b, row + from - first, at, all, to - from, p->n);
  }
}

static void apply(const job *j, const hl_lift_block *b, const part *p) {
  const hl_lift *l = j->lifts + j->fine.first[p->image] + p->channel;
  for (int64_t c = 0; c < p->channels; c++) {
    hl_lift_block one = hl_lift_block_from(b, c * j->window);
    (j->down ? hl_lift_there : hl_lift_back)(l + c, &one);
  }
}

static void stretch(const job *j, hl_lift_block *b, int64_t row, int64_t x) {
  int64_t group = group_of(j->window);
  part p = {.row = row, .x = x, .n = hl_min_i64(HL_LIFT_LANES, j->size[2] - x)};
  hl_lift_block_of(b, p.n);
  for (p.image = 0; p.image < j->fine.n; p.image++)
    for (p.channel = 0; p.channel < j->fine.channels[p.image]; p.channel += group) {
      p.channels = hl_min_i64(group, j->fine.channels[p.image] - p.channel);
      (j->down ? move_fine : move_coarse)(j, b, &p);
      apply(j, b, &p);
      (j->down ? move_coarse : move_fine)(j, b, &p);
    }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t rows = j->window * group_of(j->window);
  hl_lift_block b =
      hl_lift_block_at(j->blocks + (size_t)(begin / j->grain) * hl_lift_block_bytes(rows), rows);
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < j->size[2]; x += HL_LIFT_LANES) stretch(j, &b, row, x);
}

/* ---- through registers ---- */

static bool all_exact(const job *j) {
  bool exact = true;
  for (int64_t c = 0; c < j->fine.total; c++) exact = exact && j->lifts[c].exact;
  return exact;
}

static void make_strips(const job *j) {
  char *at = j->strips;
  for (int i = 0; i < j->fine.n; i++) {
    int64_t group = hl_strip_group(j->fine.channels[i]);
    for (int64_t c = 0; c < j->fine.channels[i]; c += group, at += hl_strip_bytes())
      (void)hl_strip_make(j->lifts + j->fine.first[i] + c, group, j->window, at);
  }
}

static void set_coarse(const job *j, hl_strip *t, int64_t row, int64_t channel, int64_t group) {
  int i = 0;
  for (int64_t c = 0; c < group; c++) {
    int64_t first = (channel + c) * j->window;
    while (first >= j->coarse.first[i] + j->coarse.channels[i]) i++;
    t->coarse_step[c] = j->coarse.channels[i];
    t->coarse[c] = hl_deal_fixed(&j->coarse, i) + row * j->size[2] * t->coarse_step[c] + first -
                   j->coarse.first[i];
  }
}

static int64_t strip_row(const job *j, int64_t row) {
  const char *factors = j->strips;
  int64_t cut = 0;
  hl_strip t = {.n = j->size[2]};
  for (int i = 0; i < j->fine.n; i++) {
    int64_t all = j->fine.channels[i], group = hl_strip_group(all);
    t.fine_step = all * j->stride[2];
    for (int64_t c = 0; c < all; c += group, factors += hl_strip_bytes()) {
      t.factors = (const hl_strip_factors *)(const void *)factors;
      for (int64_t k = 0; k < j->window; k++)
        t.fine[k] = hl_deal_fixed(&j->fine, i) + fine_voxel(j, row, 0, k) * all + c;
      set_coarse(j, &t, row, j->fine.first[i] + c, group);
      cut += hl_strip_run(&t, j->window, group, j->down);
    }
  }
  return cut;
}

static void strip_range(int64_t begin, int64_t end, void *ctx) {
  int64_t cut = 0;
  for (int64_t row = begin; row < end; row++) cut += strip_row(ctx, row);
  hl_fixed_note_clipped(cut);
}

/* ---- calls ---- */

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
  j.strips = (char *)workspace + lift_bytes(c);
  j.blocks = j.strips + strip_bytes(c, down);
  if (strip_bytes(c, down) == 0 || !all_exact(&j)) {
    hl_parallel_for(j.rows, j.grain, range, &j);
    return;
  }
  make_strips(&j);
  hl_parallel_for(j.rows, j.grain, strip_range, &j);
}
