/* Lifting (lift.h) with all numbers in registers; the bits are those of hl_lift_there and
 * hl_lift_back.
 *
 * Neighbouring channels of neighbouring windows fill 16 lanes, so that fine voxels come into their
 * lanes as they lie, and each lane has factors of its own. Two such vectors go side by side, as the
 * steps of each wait for one another. All numbers are whole and far below 2^24, so they are kept in
 * f32 alone; none is NaN, and the compiler is told so (CMakeLists.txt). */
#include "strip.h"

#include "lanes.h"

enum { LANES = HL_STRIP_LANES, WINDOW = HL_STRIP_WINDOW, ABREAST = 2, LARGEST = 32767 };

typedef int16_t shorts8 __attribute__((vector_size(16)));
typedef int16_t shorts16 __attribute__((vector_size(32)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef int32_t ints16 __attribute__((vector_size(64)));
typedef int64_t longs4 __attribute__((vector_size(32)));

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* which take loops apart */
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* ---- factors ---- */

/* Where lanes are set, row `to` of a block has what voxel (fine) number `from` gives, or the other
 * way round. */
typedef struct exchange {
  int row, voxel;
  int16_t lanes[LANES]; /* all bits or none */
} exchange;

struct hl_strip_factors {
  float factor[WINDOW * WINDOW + WINDOW][LANES];
  float sign[LANES]; /* of the last number, between U and L */
  /* The order of coefficients within the vectors of `turn`: from rows, and to rows. */
  int16_t out[WINDOW][LANES], in[WINDOW][LANES];
  int exchanges; /* of voxels that are not the row of their number */
  exchange exchange[WINDOW * WINDOW];
};

int64_t hl_strip_group(int64_t channels) {
  int64_t group = 1;
  while (group < LANES && channels % (2 * group) == 0) group *= 2;
  return group;
}

size_t hl_strip_bytes(void) {
  return (sizeof(hl_strip_factors) + 63) / 64 * 64;
}

/* Which lane number e of vector i of a turned block belongs to (see load_coarse). */
static int lane_of(int64_t window, int i, int e) {
  return window == 8 ? e / 8 * 8 + i : e / 8 * 8 + 2 * i + e / 4 % 2;
}

static void set_orders(hl_strip_factors *f, const hl_lift *lifts, int64_t group, int64_t window) {
  for (int i = 0; i < window; i++)
    for (int e = 0; e < LANES; e++) {
      const int32_t *to = lifts[lane_of(window, i, e) % group].to;
      int64_t first = e / window * window, r = e % window;
      f->out[i][e] = (int16_t)(first + to[r]);
      f->in[i][first + to[r]] = (int16_t)e;
    }
}

static void set_exchanges(hl_strip_factors *f, const hl_lift *lifts, int64_t group,
                          int64_t window) {
  f->exchanges = 0;
  for (int voxel = 0; voxel < window; voxel++)
    for (int row = 0; row < window; row++) {
      exchange *x = &f->exchange[f->exchanges];
      *x = (exchange){.row = row, .voxel = voxel};
      bool any = false;
      for (int l = 0; l < LANES && row != voxel; l++) {
        bool here = lifts[l % group].from[voxel] == row;
        x->lanes[l] = here ? -1 : 0;
        any = any || here;
      }
      f->exchanges += any;
    }
}

const hl_strip_factors *hl_strip_make(const hl_lift *lifts, int64_t group, int64_t window,
                                      void *memory) {
  hl_strip_factors *f = memory;
  for (int l = 0; l < LANES; l++) {
    const hl_lift *one = lifts + l % group;
    for (int64_t i = 0; i < window * window + window - 1; i++) f->factor[i][l] = one->factors[i];
    f->sign[l] = one->negative ? -1 : 1;
  }
  set_orders(f, lifts, group, window);
  set_exchanges(f, lifts, group, window);
  return f;
}

/* ---- steps: `s` rows of two vectors ---- */

/* As in lift.c: what is added to it is rounded to a whole number. */
#define MAGIC 12582912.0F
#define MOST_STEPS 4194303.0F

HL_INLINE lanes16 limited(lanes16 x, float most) {
  for (int l = 0; l < LANES; l++) x[l] = __builtin_fmaxf(x[l], -most);
  for (int l = 0; l < LANES; l++) x[l] = __builtin_fminf(x[l], most);
  return x;
}

HL_INLINE lanes16 whole(lanes16 x) {
  return (limited(x, MOST_STEPS) + MAGIC) - MAGIC;
}

/* Adds to row i, or takes away, the whole number next to a sum over other rows. */
HL_INLINE void add_row(lanes16 x[ABREAST][WINDOW], const int i, const int first, const int last,
                       const float factor[][LANES], const int sign) {
  lanes16 sum[ABREAST] = {{0}};
  UNROLL
  for (int j = first; j < last; j++) {
    lanes16 f = load16(factor[j]);
    UNROLL
    for (int a = 0; a < ABREAST; a++) sum[a] += f * x[a][j];
  }
  UNROLL
  for (int a = 0; a < ABREAST; a++)
    x[a][i] = sign > 0 ? x[a][i] + whole(sum[a]) : x[a][i] - whole(sum[a]);
}

/* i from 0 to s - 2, and the other way round. */
#define UPWARDS(DO)                                                                                \
  DO(0) DO(1) DO(2) if (s == 8) {                                                                  \
    DO(3) DO(4) DO(5) DO(6)                                                                        \
  }
#define DOWNWARDS(DO)                                                                              \
  if (s == 8) {                                                                                    \
    DO(6) DO(5) DO(4) DO(3)                                                                        \
  }                                                                                                \
  DO(2) DO(1) DO(0)

#define ADD_U(i) add_row(x, i, i + 1, s, f->factor + (i)*s, 1);
#define ADD_L(i) add_row(x, i + 1, 0, i + 1, f->factor + (i + 1) * s, 1);
#define TAKE_U(i) add_row(x, i, i + 1, s, f->factor + (i)*s, -1);
#define TAKE_L(i) add_row(x, i + 1, 0, i + 1, f->factor + (i + 1) * s, -1);

HL_INLINE void turn_sign(const int s, lanes16 x[ABREAST][WINDOW], const hl_strip_factors *f) {
  UNROLL
  for (int a = 0; a < ABREAST; a++) x[a][s - 1] *= load16(f->sign);
}

HL_INLINE void there(const int s, lanes16 x[ABREAST][WINDOW], const hl_strip_factors *f) {
  add_row(x, s - 1, 0, s - 1, f->factor + s * s, 1);
  UPWARDS(ADD_U)
  turn_sign(s, x, f);
  DOWNWARDS(ADD_L)
}

HL_INLINE void back(const int s, lanes16 x[ABREAST][WINDOW], const hl_strip_factors *f) {
  UPWARDS(TAKE_L)
  turn_sign(s, x, f);
  DOWNWARDS(TAKE_U)
  add_row(x, s - 1, 0, s - 1, f->factor + s * s, -1);
}

/* ---- between f32 and 16 bits ---- */

HL_INLINE lanes16 widen16(shorts16 x) {
  return __builtin_convertvector(__builtin_convertvector(x, ints16), lanes16);
}

/* `cut` loses 1 in the lanes that leave the range. */
HL_INLINE shorts16 narrow16(lanes16 x, ints16 *cut) {
  lanes16 kept = limited(x, LARGEST);
  *cut += kept != x;
  return __builtin_convertvector(__builtin_convertvector(kept, ints16), shorts16);
}

/* ---- fine voxels: `g` channels of 16 / g windows ---- */

/* Which windows a vector has: `last` is the row's last, which stands in for those behind it. */
typedef struct span {
  int64_t first, last;
} span;

HL_INLINE int64_t window_at(const bool full, const span *p, int w) {
  return full ? p->first + w : hl_min_i64(p->first + w, p->last);
}

HL_INLINE bool is_there(const bool full, const span *p, int w) {
  return full || p->first + w <= p->last;
}

HL_INLINE shorts16 load_fine(const int g, const bool full, const int16_t *at, int64_t step,
                             const span *p) {
  union {
    int16_t one[16];
    int32_t two[8];
    int64_t four[4];
    shorts8 eight[2];
  } part;
  shorts16 all = {0};
  UNROLL
  for (int w = 0; w < LANES / g; w++) {
    const int16_t *from = at + window_at(full, p, w) * step;
    if (g == 1) part.one[w] = *from;
    if (g == 2) memcpy(&part.two[w], from, sizeof part.two[w]);
    if (g == 4) memcpy(&part.four[w], from, sizeof part.four[w]);
    if (g == 8) memcpy(&part.eight[w], from, sizeof part.eight[w]);
    if (g == 16) memcpy(&all, from, sizeof all);
  }
  if (g == 1) UNROLL for (int w = 0; w < 16; w++) all[w] = part.one[w];
  if (g == 2) {
    ints8 x = {part.two[0], part.two[1], part.two[2], part.two[3],
               part.two[4], part.two[5], part.two[6], part.two[7]};
    all = (shorts16)x;
  }
  if (g == 4) all = (shorts16)(longs4){part.four[0], part.four[1], part.four[2], part.four[3]};
  if (g == 8)
    all = PICK(part.eight[0], part.eight[1], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return all;
}

HL_INLINE void store_fine(const int g, const bool full, int16_t *at, int64_t step, const span *p,
                          shorts16 x) {
  int16_t part[LANES];
  memcpy(part, &x, sizeof part);
  UNROLL
  for (int w = 0; w < LANES / g; w++)
    if (is_there(full, p, w))
      memcpy(at + (p->first + w) * step, part + w * g, (size_t)g * sizeof *part);
}

/* Voxels to the rows they belong to, and back. Hardly ever are they not in order. */
static void exchange_rows(const hl_strip_factors *f, shorts16 x[WINDOW], bool to_rows) {
  shorts16 was[WINDOW];
  memcpy(was, x, sizeof was);
  for (int i = 0; i < f->exchanges; i++) {
    const exchange *e = &f->exchange[i];
    int from = to_rows ? e->voxel : e->row, to = to_rows ? e->row : e->voxel;
    shorts16 lanes;
    memcpy(&lanes, e->lanes, sizeof lanes);
    x[to] = (x[to] & ~lanes) | (was[from] & lanes);
  }
}

/* ---- coefficients: each lane's lie together ---- */

/* Within each half of the vectors: numbers, pairs and fours from both in turn. */
#define LOW1(a, b) PICK(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27)
#define HIGH1(a, b) PICK(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW2(a, b) (shorts16) PICK((ints8)(a), (ints8)(b), 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH2(a, b) (shorts16) PICK((ints8)(a), (ints8)(b), 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW4(a, b) (shorts16) PICK((longs4)(a), (longs4)(b), 0, 4, 2, 6)
#define HIGH4(a, b) (shorts16) PICK((longs4)(a), (longs4)(b), 1, 5, 3, 7)

/* Vectors of coefficients of lanes i and 8 + i to rows of one coefficient, or back. */
HL_INLINE void turn8(shorts16 x[WINDOW]) {
  shorts16 y[8], z[8];
  for (int i = 0; i < 8; i += 2) {
    y[i] = LOW1(x[i], x[i + 1]);
    y[i + 1] = HIGH1(x[i], x[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int k = 0; k < 2; k++) {
      z[i + 2 * k] = LOW2(y[i + k], y[i + k + 2]);
      z[i + 2 * k + 1] = HIGH2(y[i + k], y[i + k + 2]);
    }
  for (int i = 0; i < 4; i++) {
    x[2 * i] = LOW4(z[i], z[i + 4]);
    x[2 * i + 1] = HIGH4(z[i], z[i + 4]);
  }
}

/* The same of four coefficients: vector i has lanes 2 i, 2 i + 1, 8 + 2 i and 9 + 2 i. */
HL_INLINE void turn4_to_rows(shorts16 x[WINDOW]) {
  shorts16 y[4], z[4];
  for (int i = 0; i < 4; i += 2) {
    y[i] = LOW1(x[i], x[i + 1]);
    y[i + 1] = HIGH1(x[i], x[i + 1]);
  }
  for (int i = 0; i < 4; i += 2) {
    z[i] = LOW1(y[i], y[i + 1]);
    z[i + 1] = HIGH1(y[i], y[i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    x[2 * i] = LOW4(z[i], z[i + 2]);
    x[2 * i + 1] = HIGH4(z[i], z[i + 2]);
  }
}

HL_INLINE void turn4_from_rows(shorts16 x[WINDOW]) {
  shorts16 low[2], high[2];
  for (int i = 0; i < 2; i++) {
    low[i] = LOW1(x[2 * i], x[2 * i + 1]);
    high[i] = HIGH1(x[2 * i], x[2 * i + 1]);
  }
  x[0] = LOW2(low[0], low[1]);
  x[1] = HIGH2(low[0], low[1]);
  x[2] = LOW2(high[0], high[1]);
  x[3] = HIGH2(high[0], high[1]);
}

HL_INLINE shorts16 ordered(shorts16 x, const int16_t order[LANES]) {
  shorts16 by;
  memcpy(&by, order, sizeof by);
#if defined(__clang__)
  shorts16 y;
  for (int e = 0; e < LANES; e++) y[e] = x[by[e]];
  return y;
#else
  return __builtin_shuffle(x, by);
#endif
}

HL_INLINE int16_t *coefficients(const int g, const bool full, const hl_strip *t, const span *p,
                                const int lane) {
  return t->coarse[lane % g] + window_at(full, p, lane / g) * t->coarse_step[lane % g];
}

HL_INLINE void load_coarse(const int s, const int g, const bool full, const hl_strip *t,
                           const span *p, shorts16 x[WINDOW]) {
  UNROLL
  for (int i = 0; i < s; i++) {
    if (s == 8) {
      shorts8 low, high;
      memcpy(&low, coefficients(g, full, t, p, i), sizeof low);
      memcpy(&high, coefficients(g, full, t, p, 8 + i), sizeof high);
      x[i] = PICK(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    } else {
      int64_t four[4];
      UNROLL
      for (int k = 0; k < 4; k++)
        memcpy(&four[k], coefficients(g, full, t, p, k / 2 * 8 + 2 * i + k % 2), sizeof *four);
      x[i] = (shorts16)(longs4){four[0], four[1], four[2], four[3]};
    }
    x[i] = ordered(x[i], t->factors->in[i]);
  }
  if (s == 8)
    turn8(x);
  else
    turn4_to_rows(x);
}

HL_INLINE void store_coarse(const int s, const int g, const bool full, const hl_strip *t,
                            const span *p, shorts16 x[WINDOW]) {
  if (s == 8)
    turn8(x);
  else
    turn4_from_rows(x);
  UNROLL
  for (int i = 0; i < s; i++) {
    int16_t part[LANES];
    x[i] = ordered(x[i], t->factors->out[i]);
    memcpy(part, &x[i], sizeof part);
    UNROLL
    for (int e = 0; e < LANES; e += s) {
      int lane = s == 8 ? e + i : e / 8 * 8 + 2 * i + e / 4 % 2;
      if (is_there(full, p, lane / g))
        memcpy(coefficients(g, full, t, p, lane), part + e, (size_t)s * sizeof *part);
    }
  }
}

/* ---- strips ---- */

/* Of the lanes that belong to windows of the row. */
HL_INLINE int64_t count_cut(const int g, const bool full, const span *p, ints16 cut) {
  int64_t n = 0;
  for (int l = 0; l < LANES; l++) n -= is_there(full, p, l / g) ? cut[l] : 0;
  return n;
}

HL_INLINE int64_t block(const int s, const int g, const bool down, const bool full,
                        const hl_strip *t, int64_t first) {
  const hl_strip_factors *f = t->factors;
  lanes16 x[ABREAST][WINDOW];
  shorts16 half[WINDOW];
  int64_t n_cut = 0;
  UNROLL
  for (int a = 0; a < ABREAST; a++) {
    span p = {first + a * LANES / g, t->n - 1};
    if (down)
      UNROLL for (int k = 0; k < s; k++) half[k] = load_fine(g, full, t->fine[k], t->fine_step, &p);
    else
      load_coarse(s, g, full, t, &p, half);
    if (down && f->exchanges > 0) exchange_rows(f, half, true);
    UNROLL
    for (int k = 0; k < s; k++) x[a][k] = widen16(half[k]);
  }
  if (down)
    there(s, x, f);
  else
    back(s, x, f);
  UNROLL
  for (int a = 0; a < ABREAST; a++) {
    span p = {first + a * LANES / g, t->n - 1};
    ints16 cut = {0};
    UNROLL
    for (int k = 0; k < s; k++) half[k] = narrow16(x[a][k], &cut);
    if (!down && f->exchanges > 0) exchange_rows(f, half, false);
    if (down)
      store_coarse(s, g, full, t, &p, half);
    else
      UNROLL for (int k = 0; k < s; k++) store_fine(g, full, t->fine[k], t->fine_step, &p, half[k]);
    n_cut += count_cut(g, full, &p, cut);
  }
  return n_cut;
}

#define STRIP(S, G, NAME, DOWN)                                                                    \
  static int64_t NAME##_##S##_##G(const hl_strip *t) {                                             \
    int64_t w = 0, cut = 0, step = ABREAST * LANES / G;                                            \
    for (; w + step <= t->n; w += step) cut += block(S, G, DOWN, true, t, w);                      \
    if (w < t->n) cut += block(S, G, DOWN, false, t, w);                                           \
    return cut;                                                                                    \
  }
#define STRIPS(S, G) STRIP(S, G, down, true) STRIP(S, G, up, false)
STRIPS(8, 1)
STRIPS(8, 2)
STRIPS(8, 4)
STRIPS(8, 8)
STRIPS(8, 16)
STRIPS(4, 1)
STRIPS(4, 2)
STRIPS(4, 4)
STRIPS(4, 8)
STRIPS(4, 16)

#define ENTRY(S, G) [G] = {up_##S##_##G, down_##S##_##G}
#define ENTRIES(S)                                                                                 \
  { ENTRY(S, 1), ENTRY(S, 2), ENTRY(S, 4), ENTRY(S, 8), ENTRY(S, 16) }

int64_t hl_strip_run(const hl_strip *t, int64_t window, int64_t group, bool down) {
  static int64_t (*const runs[2][LANES + 1][2])(const hl_strip *) = {ENTRIES(4), ENTRIES(8)};
  return runs[window == 8][group][down](t);
}
