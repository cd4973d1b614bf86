/* Channels-last rows: a row of the result is first gathered along z and y, whole source rows at a
 * time, into a buffer of one source row; then its voxels are gathered along x. Every sum is in the
 * order of the taps, whoever computes it. */
#include "separable.h"

#include "kernel.h"

#include <string.h>

enum { TASKS = 64 /* at most: each has a row of its own */ };

/* The taps of all positions of one axis as tables. */
typedef struct table {
  int32_t *start;  /* [to + 1] */
  int32_t *source; /* [start[to]] */
  float *weight;
  int32_t *run; /* [to]: from here on so many positions are neighbouring sources, unchanged */
} table;

typedef struct job {
  int64_t images, channels, grain;
  int64_t in[3], out[3];
  table axis[3];
  const float *from;
  float *to, *rows, fill;
} job;

static int64_t tap_count(const hl_taps *t, int axis) {
  int64_t n = 0;
  hl_tap tap;
  for (int64_t o = 0; o < t->to[axis]; o++) n += hl_taps_at(t, axis, o, 0, &tap);
  return n;
}

static const int64_t *result_size(const hl_taps *t) {
  return t->transpose ? t->from : t->to;
}
static const int64_t *source_size(const hl_taps *t) {
  return t->transpose ? t->to : t->from;
}

static int64_t grain_of(const hl_taps *t) {
  const int64_t *out = result_size(t);
  return hl_ceil_div(t->images * out[0] * out[1], TASKS);
}

static size_t rows_bytes(const hl_taps *t) {
  const int64_t *out = result_size(t);
  int64_t tasks = hl_ceil_div(t->images * out[0] * out[1], grain_of(t));
  return (size_t)(tasks * source_size(t)[2] * t->channels) * sizeof(float);
}

size_t hl_separable_workspace(const hl_taps *t) {
  int64_t words = 0;
  for (int axis = 0; axis < 3; axis++)
    words += 2 * tap_count(t, axis) + 2 * (result_size(t)[axis] + 1);
  return rows_bytes(t) + (size_t)words * sizeof(int32_t);
}

/* ---- tables ---- */

static void fill_forward(const hl_taps *t, int axis, table *b) {
  int32_t n = 0;
  for (int64_t o = 0; o < t->to[axis]; o++) {
    hl_tap tap;
    int64_t count = hl_taps_at(t, axis, o, 0, &tap);
    b->start[o] = n;
    for (int64_t k = 0; k < count; k++) {
      hl_taps_at(t, axis, o, k, &tap);
      b->source[n] = (int32_t)tap.source;
      b->weight[n++] = (float)tap.weight;
    }
  }
  b->start[t->to[axis]] = n;
}

/* Sorted by source, stable: start[i + 1] first counts, then is the place to write to next. */
static void fill_transposed(const hl_taps *t, int axis, table *b) {
  int64_t size = t->from[axis];
  memset(b->start, 0, (size_t)(size + 1) * sizeof *b->start);
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t o = 0; o < t->to[axis]; o++) {
      hl_tap tap;
      int64_t count = hl_taps_at(t, axis, o, 0, &tap);
      for (int64_t k = 0; k < count; k++) {
        hl_taps_at(t, axis, o, k, &tap);
        int32_t at = b->start[tap.source + pass]++;
        if (pass == 0) continue;
        b->source[at] = (int32_t)o;
        b->weight[at] = (float)tap.weight;
      }
    }
    if (pass > 0) break;
    int32_t before = 0;
    for (int64_t i = 0; i <= size; i++) { /* counts to places, one to the right */
      int32_t count = b->start[i];
      b->start[i] = before;
      before += count;
    }
    memmove(b->start + 1, b->start, (size_t)size * sizeof *b->start);
    b->start[0] = 0;
  }
}

static bool copies(const table *b, int64_t o) {
  return b->start[o + 1] - b->start[o] == 1 && b->weight[b->start[o]] == 1;
}

static void fill_runs(table *b, int64_t size) {
  for (int64_t o = size - 1; o >= 0; o--) {
    bool goes_on = o + 1 < size && copies(b, o) && copies(b, o + 1) &&
                   b->source[b->start[o + 1]] == b->source[b->start[o]] + 1;
    b->run[o] = copies(b, o) ? 1 + (goes_on ? b->run[o + 1] : 0) : 0;
  }
}

static job job_of(const hl_taps *t, void *workspace) {
  job j = {.images = t->images,
           .channels = t->channels,
           .grain = grain_of(t),
           .rows = workspace,
           .fill = (float)t->fill};
  memcpy(j.in, source_size(t), sizeof j.in);
  memcpy(j.out, result_size(t), sizeof j.out);
  char *at = (char *)workspace + rows_bytes(t);
  for (int axis = 0; axis < 3; axis++) {
    table *b = &j.axis[axis];
    int64_t count = tap_count(t, axis);
    b->start = (int32_t *)(void *)at;
    b->run = b->start + j.out[axis] + 1;
    b->source = b->run + j.out[axis] + 1;
    b->weight = (float *)(void *)(b->source + count);
    at = (char *)(void *)(b->weight + count);
    if (t->transpose)
      fill_transposed(t, axis, b);
    else
      fill_forward(t, axis, b);
    fill_runs(b, j.out[axis]);
  }
  return j;
}

/* ---- rows ---- */

static void scale_row(float *restrict sum, const float *restrict x, float weight, int64_t n) {
  for (int64_t i = 0; i < n; i++) sum[i] = weight * x[i];
}
static void add_row(float *restrict sum, const float *restrict x, float weight, int64_t n) {
  for (int64_t i = 0; i < n; i++) sum[i] = hl_madd(weight, x[i], sum[i]);
}

/* The source rows of result row (z, y) as one row: a source row itself, or their sum in `buffer`.
 * NULL if there is none. */
static const float *gather_rows(const job *j, int64_t image, int64_t z, int64_t y, float *buffer) {
  const table *bz = &j->axis[0], *by = &j->axis[1];
  int64_t n = j->in[2] * j->channels;
  bool first = true;
  for (int32_t a = bz->start[z]; a < bz->start[z + 1]; a++)
    for (int32_t b = by->start[y]; b < by->start[y + 1]; b++) {
      const float *row =
          j->from + ((image * j->in[0] + bz->source[a]) * j->in[1] + by->source[b]) * n;
      float weight = bz->weight[a] * by->weight[b];
      if (copies(bz, z) && copies(by, y)) return row;
      if (first)
        scale_row(buffer, row, weight, n);
      else
        add_row(buffer, row, weight, n);
      first = false;
    }
  return first ? NULL : buffer;
}

/* Position o of a row from its taps. */
HL_INLINE void gather_voxel(const table *b, int64_t o, const float *restrict row,
                            float *restrict out, int64_t channels) {
  int32_t first = b->start[o], last = b->start[o + 1];
  const float *x = row + b->source[first] * channels;
  float weight = b->weight[first];
  for (int64_t c = 0; c < channels; c++) out[c] = weight * x[c];
  for (int32_t k = first + 1; k < last; k++) {
    x = row + b->source[k] * channels;
    weight = b->weight[k];
    for (int64_t c = 0; c < channels; c++) out[c] = hl_madd(weight, x[c], out[c]);
  }
}

HL_INLINE void gather_row_of(const job *j, const float *row, float *out, int64_t channels) {
  const table *b = &j->axis[2];
  for (int64_t o = 0; o < j->out[2];) {
    int64_t run = b->run[o];
    if (run > 0) {
      memcpy(out + o * channels, row + b->source[b->start[o]] * channels,
             (size_t)(run * channels) * sizeof *out);
      o += run;
      continue;
    }
    if (b->start[o] < b->start[o + 1])
      gather_voxel(b, o, row, out + o * channels, channels);
    else
      for (int64_t c = 0; c < channels; c++) out[o * channels + c] = j->fill;
    o++;
  }
}

/* The usual numbers of channels as constants. */
static void gather_row(const job *j, const float *row, float *out) {
  switch (j->channels) {
  case 1:
    gather_row_of(j, row, out, 1);
    return;
  case 4:
    gather_row_of(j, row, out, 4);
    return;
  case 8:
    gather_row_of(j, row, out, 8);
    return;
  case 16:
    gather_row_of(j, row, out, 16);
    return;
  case 32:
    gather_row_of(j, row, out, 32);
    return;
  default:
    gather_row_of(j, row, out, j->channels);
  }
}

static void rows(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  int64_t n = j->out[2] * j->channels;
  float *buffer = j->rows + begin / j->grain * j->in[2] * j->channels;
  for (int64_t r = begin; r < end; r++) {
    int64_t y = r % j->out[1], z = r / j->out[1] % j->out[0], image = r / j->out[1] / j->out[0];
    const float *row = gather_rows(j, image, z, y, buffer);
    float *out = j->to + r * n;
    if (row != NULL)
      gather_row(j, row, out);
    else
      for (int64_t i = 0; i < n; i++) out[i] = j->fill;
  }
}

void hl_separable_run(const hl_taps *t, const float *in, float *out, void *workspace) {
  job j = job_of(t, workspace);
  j.from = in;
  j.to = out;
  hl_parallel_for(j.images * j.out[0] * j.out[1], j.grain, rows, &j);
}
