#include "move.h"

#include "deal.h"

#include <string.h>

/* A tile of a transposition: TALL lines that are contiguous in the target, WIDE numbers of each. */
enum { TALL = 16, WIDE = 256 };

typedef struct job {
  hl_move m; /* axes in the order of the target's memory, merged where both sides allow it */
  bool half; /* numbers of two bytes */
  const char *from;
  char *to;
} job;

static const char *from_at(const job *j, int64_t i) {
  return j->from + i * (j->half ? 2 : 4);
}

static char *to_at(const job *j, int64_t i) {
  return j->to + i * (j->half ? 2 : 4);
}

/* Puts the axis with the longest steps first. */
static void sort_axes(hl_move *m) {
  for (int i = 1; i < m->rank; i++)
    for (int k = i; k > 0 && m->to[k] > m->to[k - 1]; k--) {
      int64_t size = m->size[k], from = m->from[k], to = m->to[k];
      m->size[k] = m->size[k - 1], m->from[k] = m->from[k - 1], m->to[k] = m->to[k - 1];
      m->size[k - 1] = size, m->from[k - 1] = from, m->to[k - 1] = to;
    }
}

static void append(hl_move *m, int64_t size, int64_t from, int64_t to) {
  int last = m->rank - 1;
  bool merges = m->rank > 0 && m->from[last] == from * size && m->to[last] == to * size;
  if (merges)
    m->size[last] *= size;
  else
    m->size[++last] = size;
  m->from[last] = from;
  m->to[last] = to;
  m->rank = last + 1;
}

static void simplify(const hl_move *m, hl_move *simple) {
  hl_move sorted = *m;
  sort_axes(&sorted);
  memset(simple, 0, sizeof *simple);
  for (int i = 0; i < sorted.rank; i++)
    if (sorted.size[i] != 1) append(simple, sorted.size[i], sorted.from[i], sorted.to[i]);
  if (simple->rank == 0) append(simple, 1, 1, 1);
}

/* Whole rows of the two innermost axes, contiguous on both sides; returns how many rows. */
static int64_t move_rows(const job *j, int64_t from, int64_t to, int64_t left, int64_t n) {
  const hl_move *m = &j->m;
  int inner = m->rank - 1;
  int64_t rows = hl_min_i64(left, n / m->size[inner]);
  if (rows > 0)
    hl_copy_rows((float *)(void *)to_at(j, to), m->to[inner - 1],
                 (const float *)(const void *)from_at(j, from), m->from[inner - 1], m->size[inner],
                 rows);
  return rows;
}

/* move_NAME: n numbers. transpose_NAME: `rows` lines of `columns` numbers, contiguous in the
 * target, which are columns of the source. */
#define NUMBERS(NAME, NUMBER)                                                                      \
  static void move_##NAME(const void *source, int64_t from_step, void *target, int64_t to_step,    \
                          int64_t n) {                                                             \
    const NUMBER *restrict from = source;                                                          \
    NUMBER *restrict to = target;                                                                  \
    if (from_step == 1 && to_step == 1)                                                            \
      memcpy(to, from, (size_t)n * sizeof *to);                                                    \
    else if (to_step == 1)                                                                         \
      for (int64_t i = 0; i < n; i++) to[i] = from[i * from_step];                                 \
    else                                                                                           \
      for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];                       \
  }                                                                                                \
  static void transpose_##NAME(const void *source, int64_t from_step, void *target,                \
                               int64_t to_step, int64_t rows, int64_t columns) {                   \
    const NUMBER *from = source;                                                                   \
    NUMBER *to = target;                                                                           \
    for (int64_t r = 0; r < rows; r++)                                                             \
      for (int64_t c = 0; c < columns; c++) to[r * to_step + c] = from[c * from_step + r];         \
  }
NUMBERS(f32, float)
NUMBERS(bf16, uint16_t)

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_move *m = &j->m;
  int inner = m->rank - 1;
  int64_t at[HL_MAX_RANK], rest = begin, from = 0, to = 0;
  for (int i = inner; i >= 0; i--) {
    at[i] = rest % m->size[i];
    rest /= m->size[i];
    from += at[i] * m->from[i];
    to += at[i] * m->to[i];
  }
  bool rows =
      !j->half && inner > 0 && m->from[inner] == 1 && m->to[inner] == 1 && m->size[inner] <= 64;
  for (int64_t n = end - begin; n > 0;) {
    int64_t several =
        rows && at[inner] == 0 ? move_rows(j, from, to, m->size[inner - 1] - at[inner - 1], n) : 0;
    if (several > 0) {
      n -= several * m->size[inner];
      at[inner - 1] += several;
      from += several * m->from[inner - 1];
      to += several * m->to[inner - 1];
    } else {
      int64_t row = hl_min_i64(m->size[inner] - at[inner], n);
      (j->half ? move_bf16 : move_f32)(from_at(j, from), m->from[inner], to_at(j, to), m->to[inner],
                                       row);
      n -= row;
      at[inner] += row;
      from += row * m->from[inner];
      to += row * m->to[inner];
    }
    for (int i = several > 0 ? inner - 1 : inner; i > 0 && at[i] == m->size[i]; i--) {
      at[i] = 0;
      at[i - 1]++;
      from += m->from[i - 1] - m->size[i] * m->from[i];
      to += m->to[i - 1] - m->size[i] * m->to[i];
    }
  }
}

/* ---- transpositions ---- */

/* Puts the axis that is contiguous in the source before the one that is in the target; false if
 * they are one axis or there is none. */
static bool is_transposition(hl_move *m) {
  int inner = m->rank - 1, along = -1;
  for (int i = 0; i < inner; i++)
    if (m->from[i] == 1) along = i;
  if (m->to[inner] != 1 || m->from[inner] == 1 || along < 0) return false;
  for (int i = along; i + 1 < inner; i++) {
    int64_t size = m->size[i], from = m->from[i], to = m->to[i];
    m->size[i] = m->size[i + 1], m->from[i] = m->from[i + 1], m->to[i] = m->to[i + 1];
    m->size[i + 1] = size, m->from[i + 1] = from, m->to[i + 1] = to;
  }
  return true;
}

static int64_t tiles_down(const hl_move *m) {
  return hl_ceil_div(m->size[m->rank - 2], TALL);
}

static int64_t tiles_across(const hl_move *m) {
  return hl_ceil_div(m->size[m->rank - 1], WIDE);
}

static void tile(const job *j, int64_t number) {
  const hl_move *m = &j->m;
  int inner = m->rank - 1;
  int64_t across = tiles_across(m), down = tiles_down(m), rest = number / across / down;
  int64_t x = number % across * WIDE, y = number / across % down * TALL;
  int64_t columns = hl_min_i64(WIDE, m->size[inner] - x);
  int64_t rows = hl_min_i64(TALL, m->size[inner - 1] - y);
  int64_t from = y + x * m->from[inner], to = y * m->to[inner - 1] + x;
  for (int i = inner - 2; i >= 0; i--) {
    from += rest % m->size[i] * m->from[i];
    to += rest % m->size[i] * m->to[i];
    rest /= m->size[i];
  }
  (j->half ? transpose_bf16 : transpose_f32)(from_at(j, from), m->from[inner], to_at(j, to),
                                             m->to[inner - 1], rows, columns);
}

static void tiles(int64_t begin, int64_t end, void *ctx) {
  for (int64_t i = begin; i < end; i++) tile(ctx, i);
}

void hl_move_run(const hl_move *m, const hl_tensor *from, int64_t from_first, const hl_tensor *to,
                 int64_t to_first) {
  job j = {.half = hl_dtype_size(hl_tensor_dtype(from)) == 2,
           .from = hl_tensor_data(from),
           .to = hl_tensor_data(to)};
  j.from = from_at(&j, from_first);
  j.to = to_at(&j, to_first);
  simplify(m, &j.m);
  if (is_transposition(&j.m)) {
    int64_t count = tiles_down(&j.m) * tiles_across(&j.m);
    for (int i = 0; i < j.m.rank - 2; i++) count *= j.m.size[i];
    hl_parallel_for(count, HL_GRAIN / (TALL * WIDE), tiles, &j);
    return;
  }
  int64_t n = 1;
  for (int i = 0; i < j.m.rank; i++) n *= j.m.size[i];
  hl_parallel_for(n, HL_GRAIN, range, &j);
}
