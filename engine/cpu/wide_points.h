/* Images and weights to the points of z and y, for wide.c. */
#include "wide_job.h"
#include "winograd_convolve.h"
#include "winograd_products.h"
#include "winograd_weights.h"

/* `way` is a constant where these are inlined. */
INLINE int tile_of(int way) {
  return way == HL_WIDE_FOUR ? HL_TILE : way == HL_WIDE_TWO ? 2 : 1;
}
INLINE int seen_of(int way) {
  return way == HL_WIDE_FOUR ? HL_SEEN : tile_of(way);
}
INLINE int points_of(int way) {
  return way == HL_WIDE_FOUR ? HL_SEEN : way == HL_WIDE_TWO ? 3 : 1;
}

INLINE void spread_slices(int way, const vec *d, vec *v) {
  if (way == HL_WIDE_FOUR) {
    spread_vec(d, v);
  } else if (way == HL_WIDE_TWO) {
    v[0] = d[0] + d[1];
    v[1] = d[1];
    v[2] = d[0];
  } else {
    v[0] = d[0];
  }
}

INLINE void expand_slices(int way, const vec *d, vec *v) {
  if (way == HL_WIDE_FOUR) {
    expand_vec(d, v);
  } else if (way == HL_WIDE_TWO) {
    v[0] = d[0] + d[1];
    v[1] = d[0];
    v[2] = d[1];
  } else {
    v[0] = d[0];
  }
}

INLINE void weigh_slices(int way, const vec g[HL_TAPS], vec *u) {
  if (way == HL_WIDE_FOUR) {
    weigh(g[0], g[1], g[2], u);
  } else {
    u[0] = g[1];
    if (way == HL_WIDE_TWO) u[1] = g[2] - g[1];
    if (way == HL_WIDE_TWO) u[2] = g[0] - g[1];
  }
}

INLINE void gather_slices(int way, const vec *m, vec *y) {
  if (way == HL_WIDE_FOUR) {
    gather_vec(m, y);
  } else if (way == HL_WIDE_TWO) {
    y[0] = m[0] + m[1];
    y[1] = m[0] + m[2];
  } else {
    y[0] = m[0];
  }
}

/* What weigh_slices multiplies a tap with, for each point. */
static const float weighed[][HL_SEEN][HL_TAPS] = {
#define AT(p, q) (1 / (2 * (p) * (p) * ((p) * (p) - (q) * (q))))
#define LINE(p, q)                                                                                 \
  { (float)AT(p, q), (float)((p)*AT(p, q)), (float)((p) * (p)*AT(p, q)) }
    [HL_WIDE_ONE] = {{0, 1, 0}},
    [HL_WIDE_TWO] = {{0, 1, 0}, {0, -1, 1}, {1, -1, 0}},
    [HL_WIDE_FOUR] = {{1, 0, 0},
                      LINE(HL_WINOGRAD_P, HL_WINOGRAD_Q),
                      LINE(-HL_WINOGRAD_P, HL_WINOGRAD_Q),
                      LINE(HL_WINOGRAD_Q, HL_WINOGRAD_P),
                      LINE(-HL_WINOGRAD_Q, HL_WINOGRAD_P),
                      {0, 0, 1}},
#undef LINE
#undef AT
};

/* Where a row of tiles lies in the result. */
typedef struct place {
  int64_t n, z, y;
} place;

static place place_of(const hl_wide_job *j, int64_t row) {
  int64_t y = row % j->tiles[1], z = row / j->tiles[1] % j->tiles[0];
  return (place){row / j->tiles[1] / j->tiles[0], z * j->tile, y * HL_TILE};
}

/* Some channels of an image. */
typedef struct channels {
  const void *image;
  const int64_t *size;
  int64_t all, first, count; /* at most LANES */
  bool half;
} channels;

/* Rows along x, as bytes and how far apart voxels are; zeros beyond the image. */
typedef struct image_row {
  const char *at;
  int64_t gap;
} image_row;

static image_row row_of(const channels *c, place p) {
  static const float nothing[LANES] = {0};
  int64_t number = c->half ? sizeof(uint16_t) : sizeof(float);
  if (p.z < 0 || p.z >= c->size[0] || p.y < 0 || p.y >= c->size[1])
    return (image_row){(const char *)nothing, 0};
  int64_t line = ((p.n * c->size[0] + p.z) * c->size[1] + p.y) * c->size[2];
  return (image_row){(const char *)c->image + (line * c->all + c->first) * number, c->all * number};
}

INLINE vec load_some(const char *at, int64_t count, bool half) {
  float some[LANES] = {0};
  if (count == LANES) return load_image(at, 0, half);
  for (int64_t i = 0; i < count; i++) some[i] = number_of_image(at, i, half);
  return load(some);
}

/* Rows along x to the points; `other` is the image of which products are taken with the source. All
 * but c, p, to and step are constants where this is inlined. */
INLINE void image_to_points(int way, bool other, bool half, const channels *c, place p, float *to,
                            int64_t step) {
  const int slices = other ? tile_of(way) : seen_of(way), seen = other ? HL_TILE : HL_SEEN;
  image_row rows[HL_SEEN][HL_SEEN];
  for (int y = 0; y < seen; y++)
    for (int z = 0; z < slices; z++) rows[y][z] = row_of(c, (place){p.n, p.z + z, p.y + y});
  for (int64_t x = 0; x < c->size[2]; x++, to += LANES) {
    vec along_z[HL_SEEN][HL_SEEN];
    for (int y = 0; y < seen; y++) {
      vec d[HL_SEEN], v[HL_SEEN];
      for (int z = 0; z < slices; z++)
        d[z] = load_some(rows[y][z].at + x * rows[y][z].gap, c->count, half);
      if (other)
        expand_slices(way, d, v);
      else
        spread_slices(way, d, v);
      for (int z = 0; z < points_of(way); z++) along_z[z][y] = v[z];
    }
    float *at = to;
    for (int z = 0; z < points_of(way); z++) {
      vec v[HL_SEEN];
      if (other)
        expand_vec(along_z[z], v);
      else
        spread_vec(along_z[z], v);
      for (int y = 0; y < HL_SEEN; y++, at += step) store(at, v[y]);
    }
  }
}

#define TO_POINTS(NAME, WAY, OTHER, HALF)                                                          \
  static void NAME(const channels *c, place p, float *to, int64_t step) {                          \
    image_to_points(WAY, OTHER, HALF, c, p, to, step);                                             \
  }
#define BOTH_TYPES(NAME, WAY, OTHER)                                                               \
  TO_POINTS(NAME##_f32, WAY, OTHER, false)                                                         \
  TO_POINTS(NAME##_half, WAY, OTHER, true)
BOTH_TYPES(spread_one, HL_WIDE_ONE, false)
BOTH_TYPES(spread_two, HL_WIDE_TWO, false)
BOTH_TYPES(spread_four, HL_WIDE_FOUR, false)
BOTH_TYPES(expand_one, HL_WIDE_ONE, true)
BOTH_TYPES(expand_two, HL_WIDE_TWO, true)
BOTH_TYPES(expand_four, HL_WIDE_FOUR, true)

typedef void to_points(const channels *c, place p, float *to, int64_t step);
static to_points *const spreads[][2] = {{spread_one_f32, spread_one_half},
                                        {spread_two_f32, spread_two_half},
                                        {spread_four_f32, spread_four_half}};
static to_points *const expands[][2] = {{expand_one_f32, expand_one_half},
                                        {expand_two_f32, expand_two_half},
                                        {expand_four_f32, expand_four_half}};

/* Beyond the ends of rows, for convolutions: their sums go from result to result. Products go from
 * voxel to voxel of the source, and there are `other` images. */
static void wide_spread(const hl_wide_job *j, int64_t row, int64_t at, int64_t vector) {
  bool products = j->other != NULL;
  int64_t voxels = j->point_row / j->groups / LANES, before = products ? 0 : j->padding[2];
  place p = place_of(j, row);
  const channels c = {
      j->source, j->from, j->in, vector * LANES, least(LANES, j->in - vector * LANES), j->half};
  float *to = j->point + at * j->point_row + vector * voxels * LANES;
  int64_t last = before + j->from[2];
  for (int64_t f = 0; f < j->points * HL_SEEN && !products; f++) {
    memset(to + f * j->point_step, 0, (size_t)(before * LANES) * sizeof *to);
    memset(to + f * j->point_step + last * LANES, 0,
           (size_t)((voxels - last) * LANES) * sizeof *to);
  }
  /* An image of one slice or two sees none of the zeros around it. */
  p.z = j->way == HL_WIDE_FOUR ? p.z - j->padding[0] : 0;
  p.y -= j->padding[1];
  spreads[j->way][j->half](&c, p, to + before * LANES, j->point_step);
}

static void wide_expand(const hl_wide_job *j, int64_t row, int64_t at, int64_t block) {
  const channels c = {j->other, j->to, j->out, block * LANES, least(LANES, j->out - block * LANES),
                      j->half};
  expands[j->way][j->half](&c, place_of(j, row),
                           j->expanded + at * j->other_row + block * j->to[2] * LANES,
                           j->other_step);
}

/* One channel of the source at one position of the kernel along x. */
INLINE void weigh_taps(int way, const float *taps, int x, bool back, float *to, int64_t step) {
  vec along_z[HL_TAPS][HL_SEEN];
  for (int y = 0; y < HL_TAPS; y++) {
    vec g[HL_TAPS];
    for (int z = 0; z < HL_TAPS; z++) {
      int k = (z * HL_TAPS + y) * HL_TAPS + x;
      g[z] = load(taps + (back ? ALL_TAPS - 1 - k : k) * LANES);
    }
    weigh_slices(way, g, along_z[y]);
  }
  for (int z = 0; z < points_of(way); z++) {
    vec u[HL_SEEN];
    weigh(along_z[0][z], along_z[1][z], along_z[2][z], u);
    for (int y = 0; y < HL_SEEN; y++, to += step) store(to, u[y]);
  }
}

static void wide_weigh(const hl_wide_job *j, int64_t block, int64_t begin, int64_t end) {
  const hl_winograd_weights w = {j->plain, NULL, j->in, j->out, 1, j->in, j->blocks, j->back};
  float taps[UNITS_STAGED * ALL_TAPS * LANES];
  float *to = j->weight + block * j->weight_block + begin * HL_TAPS * LANES;
  for (int64_t first = begin; first < end; first += UNITS_STAGED) {
    int64_t count = least(UNITS_STAGED, end - first);
    stage_taps(&w, block, first, count, taps);
    for (int64_t i = 0; i < count; i++)
      for (int x = 0; x < HL_TAPS; x++, to += LANES) {
        const float *from = taps + i * ALL_TAPS * LANES;
        if (j->way == HL_WIDE_FOUR)
          weigh_taps(HL_WIDE_FOUR, from, x, j->back, to, j->weight_step);
        else if (j->way == HL_WIDE_TWO)
          weigh_taps(HL_WIDE_TWO, from, x, j->back, to, j->weight_step);
        else
          weigh_taps(HL_WIDE_ONE, from, x, j->back, to, j->weight_step);
      }
  }
}
