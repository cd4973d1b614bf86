/* Four columns of 4, 8 or 16 rows at a time. A vector holds a quarter of rows r, r + 4, …: turning
 * each group of four vectors by fours then leaves every column in one piece. */
#include "turn.h"

#include "lanes.h"

#define QUAD(at) load4(from + (at)*step)

HL_INLINE lanes4 gather4(const float *from, int64_t step) {
  return QUAD(0);
}
HL_INLINE lanes8 gather8(const float *from, int64_t step) {
  return __builtin_shufflevector(QUAD(0), QUAD(4), 0, 1, 2, 3, 4, 5, 6, 7);
}
HL_INLINE lanes16 gather16(const float *from, int64_t step) {
  return __builtin_shufflevector(gather8(from, step), gather8(from + 8 * step, step), 0, 1, 2, 3, 4,
                                 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* Pairs (0, 1) and (2, 3) of each four numbers, interleaved; halves of each four, joined. */
#define LOW4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define FIRST4(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define SECOND4(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#define LOW8(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH8(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FIRST8(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define SECOND8(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#define LOW16(a, b)                                                                                \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH16(a, b)                                                                               \
  __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define FIRST16(a, b)                                                                              \
  __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define SECOND16(a, b)                                                                             \
  __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)

#define TURN(N)                                                                                    \
  static inline void turn##N(const float *restrict from, int64_t from_step, float *restrict to,    \
                             int64_t to_step) {                                                    \
    lanes##N a = gather##N(from, from_step), b = gather##N(from + from_step, from_step);           \
    lanes##N c = gather##N(from + 2 * from_step, from_step);                                       \
    lanes##N d = gather##N(from + 3 * from_step, from_step);                                       \
    lanes##N low_ab = LOW##N(a, b), low_cd = LOW##N(c, d);                                         \
    lanes##N high_ab = HIGH##N(a, b), high_cd = HIGH##N(c, d);                                     \
    store##N(to, FIRST##N(low_ab, low_cd));                                                        \
    store##N(to + to_step, SECOND##N(low_ab, low_cd));                                             \
    store##N(to + 2 * to_step, FIRST##N(high_ab, high_cd));                                        \
    store##N(to + 3 * to_step, SECOND##N(high_ab, high_cd));                                       \
  }
TURN(16)
TURN(8)
TURN(4)

/* HL_LANES rows of four columns. */
HL_INLINE void turn_most(const float *restrict from, int64_t from_step, float *restrict to,
                         int64_t to_step) {
  if (HL_LANES == 16)
    turn16(from, from_step, to, to_step);
  else if (HL_LANES == 8)
    turn8(from, from_step, to, to_step);
  else
    turn4(from, from_step, to, to_step);
}

/* Few columns, and few rows; their number is known to the compiler. */
HL_INLINE void turn_columns(const float *restrict from, int64_t from_step, float *restrict to,
                            int64_t to_step, int64_t rows, int columns) {
  for (int64_t r = 0; r < rows; r++)
    for (int c = 0; c < columns; c++) to[c * to_step + r] = from[r * from_step + c];
}

HL_INLINE void turn_rows(const float *restrict from, int64_t from_step, float *restrict to,
                         int64_t to_step, int rows, int64_t columns) {
  for (int64_t c = 0; c < columns; c++)
    for (int r = 0; r < rows; r++) to[c * to_step + r] = from[r * from_step + c];
}

/* Without gaps the distance is known as well, and the compiler interleaves. */
#define COLUMNS(N)                                                                                 \
  case N:                                                                                          \
    if (from_step == (N))                                                                          \
      turn_columns(from, N, to, to_step, rows, N);                                                 \
    else                                                                                           \
      turn_columns(from, from_step, to, to_step, rows, N);                                         \
    break;
#define ROWS_OF(N)                                                                                 \
  case N:                                                                                          \
    if (to_step == (N))                                                                            \
      turn_rows(from, from_step, to, N, N, columns);                                               \
    else                                                                                           \
      turn_rows(from, from_step, to, to_step, N, columns);                                         \
    break;

static void last_columns(const float *restrict from, int64_t from_step, float *restrict to,
                         int64_t to_step, int64_t rows, int64_t columns) {
  switch (columns) {
    COLUMNS(1)
    COLUMNS(2)
    COLUMNS(3)
  default:
    break;
  }
}

static void last_rows(const float *restrict from, int64_t from_step, float *restrict to,
                      int64_t to_step, int64_t rows, int64_t columns) {
  switch (rows) {
    ROWS_OF(1)
    ROWS_OF(2)
    ROWS_OF(3)
  default:
    break;
  }
}

void hl_turn(const float *restrict from, int64_t from_step, float *restrict to, int64_t to_step,
             int64_t rows, int64_t columns) {
  int64_t quads = columns / 4 * 4, whole = rows / 4 * 4;
  for (int64_t c = 0; c < quads; c += 4) {
    const float *x = from + c;
    float *y = to + c * to_step;
    int64_t r = 0;
    for (; r + HL_LANES <= rows; r += HL_LANES)
      turn_most(x + r * from_step, from_step, y + r, to_step);
    for (; r < whole; r += 4) turn4(x + r * from_step, from_step, y + r, to_step);
  }
  last_columns(from + quads, from_step, to + quads * to_step, to_step, whole, columns - quads);
  last_rows(from + whole * from_step, from_step, to + whole, to_step, rows - whole, columns);
}
