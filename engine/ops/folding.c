#include "folding.h"

#include "turn.h"
#include "vmath.h"

#include <hilum/narrow.h>

enum { WIDE = 256, LANES = 16, LINE = 64, TURNED = 64, BLOCK = TURNED * TURNED };

/* How one kind of fold goes over contiguous numbers. */
typedef struct folder {
  double start;
  /* All n numbers into one result. */
  double (*row)(const float *x, double shift, int64_t n);
  /* Number i into result i. */
  void (*each)(const float *x, const double *shift, double *result, int64_t n);
  double (*join)(double a, double b);
} folder;

static double add(double a, double b) {
  return a + b;
}
static double multiply(double a, double b) {
  return a * b;
}
static double larger(double a, double b) {
  return b > a || b != b ? b : a;
}
static double smaller(double a, double b) {
  return b < a || b != b ? b : a;
}

/* TERM is made of the number v and the shift s, NEXT of the result so far r and the term t. */
#define FOLDER(NAME, START, SHIFTED, TERM, NEXT)                                                   \
  static double NAME##_row(const float *restrict x, double s, int64_t n) {                         \
    double lane[LANES];                                                                            \
    int64_t i = 0;                                                                                 \
    (void)s;                                                                                       \
    for (int k = 0; k < LANES; k++) lane[k] = START;                                               \
    for (; i + LANES <= n; i += LANES)                                                             \
      for (int k = 0; k < LANES; k++) {                                                            \
        float v = x[i + k];                                                                        \
        double r = lane[k], t = TERM;                                                              \
        lane[k] = NEXT;                                                                            \
      }                                                                                            \
    for (; i < n; i++) {                                                                           \
      float v = x[i];                                                                              \
      double r = lane[0], t = TERM;                                                                \
      lane[0] = NEXT;                                                                              \
    }                                                                                              \
    for (int k = 1; k < LANES && k < n; k++) lane[0] = NAME##_join(lane[0], lane[k]);              \
    return lane[0];                                                                                \
  }                                                                                                \
  static void NAME##_each(const float *restrict x, const double *restrict shift,                   \
                          double *restrict result, int64_t n) {                                    \
    for (int64_t i = 0; i < n; i++) {                                                              \
      float v = x[i];                                                                              \
      double s = SHIFTED ? shift[i] : 0, r = result[i], t = TERM;                                  \
      (void)s;                                                                                     \
      result[i] = NEXT;                                                                            \
    }                                                                                              \
  }

#define sum_join add
#define max_join larger
#define min_join smaller
#define max_abs_join larger
#define product_join multiply
#define sum_abs_join add
#define sum_square_join add
#define spread_join add
#define exp_join add

FOLDER(sum, 0, 0, (double)v, r + t)
FOLDER(product, 1, 0, (double)v, r *t)
FOLDER(sum_abs, 0, 0, (double)fabsf(v), r + t)
FOLDER(sum_square, 0, 0, (double)v *(double)v, r + t)
FOLDER(spread, 0, 1, ((double)v - s) * ((double)v - s), r + t)

/* Extremes need no f64: rows are folded in f32, LINE lanes of them. NaN wins. */
#define EXTREME(NAME, START, TERM, WINS)                                                           \
  static double NAME##_row(const float *restrict x, double s, int64_t n) {                         \
    float lane[LINE];                                                                              \
    int64_t i = 0;                                                                                 \
    (void)s;                                                                                       \
    for (int k = 0; k < LINE; k++) lane[k] = START;                                                \
    for (; i + LINE <= n; i += LINE)                                                               \
      for (int k = 0; k < LINE; k++) {                                                             \
        float v = x[i + k], t = TERM, r = lane[k];                                                 \
        lane[k] = ((t WINS r) | (t != t)) ? t : r;                                                 \
      }                                                                                            \
    for (int k = 0; i < n; i++, k++) {                                                             \
      float v = x[i], t = TERM, r = lane[k];                                                       \
      lane[k] = ((t WINS r) | (t != t)) ? t : r;                                                   \
    }                                                                                              \
    for (int k = 1; k < LINE; k++) lane[0] = (float)NAME##_join((double)lane[0], (double)lane[k]); \
    return (double)lane[0];                                                                        \
  }                                                                                                \
  static void NAME##_each(const float *restrict x, const double *restrict shift,                   \
                          double *restrict result, int64_t n) {                                    \
    (void)shift;                                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                              \
      float v = x[i];                                                                              \
      double r = result[i], t = (double)TERM;                                                      \
      result[i] = ((t WINS r) | (t != t)) ? t : r;                                                 \
    }                                                                                              \
  }
EXTREME(max, -INFINITY, v, >)
EXTREME(min, INFINITY, v, <)
EXTREME(max_abs, 0, fabsf(v), >)

/* Exponentials first, in f32 and by the vector; then they are summed. */
static double exp_row(const float *restrict x, double s, int64_t n) {
  float term[WIDE];
  double sum = 0;
  for (int64_t i = 0; i < n; i += WIDE) {
    int64_t w = hl_min_i64(WIDE, n - i);
    for (int64_t k = 0; k < w; k++) term[k] = hl_exp_f32(x[i + k] - (float)s);
    sum += sum_row(term, 0, w);
  }
  return sum;
}

static void exp_each(const float *restrict x, const double *restrict shift, double *restrict result,
                     int64_t n) {
  float term[WIDE];
  for (int64_t i = 0; i < n; i += WIDE) {
    int64_t w = hl_min_i64(WIDE, n - i);
    for (int64_t k = 0; k < w; k++) term[k] = hl_exp_f32(x[i + k] - (float)shift[i + k]);
    sum_each(term, NULL, result + i, w);
  }
}

#define ENTRY(KIND, NAME, START) [HL_FOLD_##KIND] = {START, NAME##_row, NAME##_each, NAME##_join}
static const folder folders[] = {ENTRY(SUM, sum, 0),
                                 ENTRY(MAX, max, -INFINITY),
                                 ENTRY(MIN, min, INFINITY),
                                 ENTRY(MAX_ABS, max_abs, 0),
                                 ENTRY(PRODUCT, product, 1),
                                 ENTRY(SUM_ABS, sum_abs, 0),
                                 ENTRY(SUM_SQUARE, sum_square, 0),
                                 ENTRY(SPREAD, spread, 0),
                                 ENTRY(EXP, exp, 0)};

typedef struct job {
  const hl_sum *sum;
  const folder *f;
  const void *x;
  const double *shift;
  double *work;
} job;

static const double *moved(const double *shift, int64_t by) {
  return shift == NULL ? NULL : shift + by;
}

/* n numbers from number `at` on in f32: where they lie or, at most BLOCK, in `block`. */
static const float *numbers(const job *j, int64_t at, int64_t n, float *block) {
  hl_dtype type = j->sum->type;
  if (type == HL_F32) return (const float *)j->x + at;
  hl_narrow_widen(type, block, (const uint16_t *)j->x + at, n);
  return block;
}

/* How many of n numbers, in whole rows of `width`, are had at once. */
static int64_t at_once(const job *j, int64_t n, int64_t width) {
  return j->sum->type == HL_F32 ? n : hl_min_i64(n, BLOCK / width * width);
}

/* Rows of n ≤ WIDE numbers, of which number j goes into result j·step: several rows at a time, so
 * that results do not wait for each other. */
static void columns(const job *j, int64_t at, int64_t rows, int64_t n, const double *shift,
                    double *result, int64_t step) {
  double wide[WIDE], wide_shift[WIDE] = {0};
  float block[BLOCK];
  int64_t together = hl_max_i64(1, hl_min_i64(WIDE / n, rows / 16));
  int64_t width = together * n, total = rows * n, most = at_once(j, total, width);
  for (int64_t k = 0; k < width; k++) {
    wide[k] = j->f->start;
    wide_shift[k] = shift == NULL ? 0 : shift[k % n * step];
  }
  for (int64_t first = 0, m; first < total; first += m) {
    m = hl_min_i64(most, total - first);
    const float *x = numbers(j, at + first, m, block);
    for (int64_t i = 0; i < m; i += width)
      j->f->each(x + i, wide_shift, wide, hl_min_i64(width, m - i));
  }
  for (int64_t k = 0; k < width; k += n)
    for (int64_t c = 0; c < n; c++) result[c * step] = j->f->join(result[c * step], wide[k + c]);
}

/* Rows of n ≤ TURNED numbers, each into one result, side by side: turned, so that the results lie
 * in the lanes. */
static void short_rows(const job *j, int64_t at, int64_t rows, int64_t n, const double *shift,
                       double *result) {
  float turned[TURNED * TURNED], block[BLOCK];
  for (int64_t first = 0; first < rows; first += TURNED) {
    int64_t count = hl_min_i64(TURNED, rows - first);
    hl_turn(numbers(j, at + first * n, count * n, block), n, turned, TURNED, count, n);
    for (int64_t i = 0; i < n; i++)
      j->f->each(turned + i * TURNED, moved(shift, first), result + first, count);
  }
}

/* n numbers side by side, all into one result or each into one of its own. */
static void line(const job *j, int64_t at, int64_t n, int64_t step, const double *shift,
                 double *result) {
  float block[BLOCK];
  int64_t most = at_once(j, n, 1);
  for (int64_t first = 0, m; first < n; first += m) {
    m = hl_min_i64(most, n - first);
    const float *x = numbers(j, at + first, m, block);
    const double *s = moved(shift, first * step);
    double *r = result + first * step;
    if (step == 0)
      *r = j->f->join(*r, j->f->row(x, s == NULL ? 0 : *s, m));
    else if (step == 1)
      j->f->each(x, s, r, m);
    else
      for (int64_t i = 0; i < m; i++) j->f->each(x + i, moved(s, i * step), r + i * step, 1);
  }
}

/* Folds the box of axes `axis`… that begins with number `at` into the results that begin at
 * `result`. */
static void box(const job *j, const int64_t *size, const int64_t *stride, int axis, int64_t at,
                const double *shift, double *result) {
  const hl_sum *s = j->sum;
  int last = s->rank - 1;
  int64_t n = size[axis], step = s->step[axis];
  if (axis == last) {
    line(j, at, n, step, shift, result);
  } else if (axis == last - 1 && step == 0 && size[last] <= WIDE && stride[axis] == size[last] &&
             s->step[last] != 0) {
    columns(j, at, n, size[last], shift, result, s->step[last]);
  } else if (axis == last - 1 && step == 1 && s->step[last] == 0 && size[last] <= TURNED) {
    short_rows(j, at, n, size[last], shift, result);
  } else {
    for (int64_t i = 0; i < n; i++)
      box(j, size, stride, axis + 1, at + i * stride[axis], moved(shift, i * step),
          result + i * step);
  }
}

static void start(double *result, int64_t n, double value) {
  for (int64_t i = 0; i < n; i++) result[i] = value;
}

static void start_range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  start(j->work + begin, end - begin, j->f->start);
}

static void chunk(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_sum *s = j->sum;
  int64_t size[HL_MAX_RANK], stride[HL_MAX_RANK], step = 1;
  for (int i = s->rank - 1; i >= 0; i--) {
    stride[i] = step;
    step *= s->size[i];
    size[i] = i == s->split ? end - begin : s->size[i];
  }
  int64_t first = begin * s->step[s->split]; /* 0 where the chunks have results of their own */
  double *result = j->work + first;
  if (s->copies) {
    result = j->work + begin / s->grain * s->out_numel;
    start(result, s->out_numel, j->f->start);
  }
  box(j, size, stride, 0, begin * stride[s->split], moved(j->shift, first), result);
}

/* The chunks' results in the order of the chunks. */
static void finish(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_sum *s = j->sum;
  for (int64_t i = begin; i < end; i++)
    for (int64_t k = 1; k < s->chunks; k++)
      j->work[i] = j->f->join(j->work[i], j->work[k * s->out_numel + i]);
}

void hl_fold_run(const hl_sum *s, hl_fold kind, const void *x, const double *shift, double *work) {
  job j = {s, &folders[kind], x, shift, work};
  if (!s->copies) hl_parallel_for(s->out_numel, HL_GRAIN, start_range, &j);
  if (s->chunks > 0) hl_parallel_for(s->size[s->split], s->grain, chunk, &j);
  if (s->copies) hl_parallel_for(s->out_numel, HL_GRAIN, finish, &j);
}
