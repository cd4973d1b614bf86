#include "move.h"

#include <string.h>

typedef struct job {
  hl_move m; /* axes in the order of the target's memory, merged where both sides allow it */
  const float *from;
  float *to;
} job;

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

static void move_row(const float *restrict from, int64_t from_step, float *restrict to,
                     int64_t to_step, int64_t n) {
  if (from_step == 1 && to_step == 1)
    memcpy(to, from, (size_t)n * sizeof *to);
  else if (to_step == 1)
    for (int64_t i = 0; i < n; i++) to[i] = from[i * from_step];
  else
    for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];
}

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
  for (int64_t n = end - begin; n > 0;) {
    int64_t row = hl_min_i64(m->size[inner] - at[inner], n);
    move_row(j->from + from, m->from[inner], j->to + to, m->to[inner], row);
    n -= row;
    at[inner] += row;
    from += row * m->from[inner];
    to += row * m->to[inner];
    for (int i = inner; i > 0 && at[i] == m->size[i]; i--) {
      at[i] = 0;
      at[i - 1]++;
      from += m->from[i - 1] - m->size[i] * m->from[i];
      to += m->to[i - 1] - m->size[i] * m->to[i];
    }
  }
}

void hl_move_run(const hl_move *m, const float *from, float *to) {
  job j = {.from = from, .to = to};
  simplify(m, &j.m);
  int64_t n = 1;
  for (int i = 0; i < j.m.rank; i++) n *= j.m.size[i];
  hl_parallel_for(n, HL_GRAIN, range, &j);
}
