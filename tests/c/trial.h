/* A sample of an op read and filled with random values; for tests that go through the op table.
 * Header only, after tap.h. */
#ifndef HILUM_TESTS_TRIAL_H
#define HILUM_TESTS_TRIAL_H

#include <hilum/bf16.h>
#include <hilum/narrow.h>
#include <hilum/op.h>
#include <hilum/rng.h>

#include <stdlib.h>

enum { INPUTS = 8, ATTR_BYTES = 1024 };

static uint64_t seed = 2020;

/* ---- samples ---- */

/* An input of a sample: "2x3x4x6x8 image positive". */
typedef struct spec {
  hl_desc desc; /* f32, or f64 where the sample says so for all element types; then the trial's */
  char domain[16];
  bool constant; /* not differentiated */
} spec;

/* Room for any op's attributes. */
typedef union attr_space {
  max_align_t align;
  unsigned char bytes[ATTR_BYTES];
} attr_space;

typedef struct trial {
  const hl_op *op;
  const hl_sample *sample;
  attr_space attrs;
  hl_dtype type; /* f32, bf16 or fixed point */
  int n;
  spec in[INPUTS];
  hl_tensor *wide[INPUTS], *narrow[INPUTS]; /* the same values in f64 and in the trial's type */
  char name[128];                           /* "conv/kernel 3" */
} trial;

static inline bool read_word(const char *word, spec *s) {
  if (strcmp(word, "image") == 0) {
    s->desc.layout = HL_IMAGE;
  } else if (strcmp(word, "f64") == 0) {
    s->desc.dtype = HL_F64;
  } else if (strcmp(word, "bf16") == 0 || strcmp(word, "q9") == 0) {
    s->desc.dtype = hl_dtype_by_name(word);
  } else if (strspn(word, "0123456789x") == strlen(word)) {
    for (char *end = NULL; *word != '\0' && s->desc.shape.rank < HL_MAX_RANK;
         word = *end == 'x' ? end + 1 : end)
      s->desc.shape.dim[s->desc.shape.rank++] = strtoll(word, &end, 10);
  } else {
    static const char *const known[] = {"positive", "unit", "binary", "constant", "distinct"};
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
      found = found || strcmp(word, known[i]) == 0;
    if (!found) return false;
    snprintf(s->domain, sizeof s->domain, "%s", word);
    s->constant = strcmp(word, "binary") == 0 || strcmp(word, "constant") == 0;
  }
  return true;
}

static inline bool read_spec(const char *text, spec *s) {
  memset(s, 0, sizeof *s);
  char copy[128], *rest = NULL;
  snprintf(copy, sizeof copy, "%s", text);
  for (char *w = strtok_r(copy, " ", &rest); w != NULL; w = strtok_r(NULL, " ", &rest))
    if (!read_word(w, s)) return false;
  return true;
}

static inline double drawn(hl_rng *r, const char *domain) {
  if (strcmp(domain, "positive") == 0) return 0.5 + 1.5 * hl_rng_uniform(r);
  if (strcmp(domain, "unit") == 0) return 0.05 + 0.9 * hl_rng_uniform(r);
  if (strcmp(domain, "binary") == 0) return hl_rng_below(r, 2);
  return hl_rng_normal(r);
}

/* Number k of neighbours on both sides of 0, from 1/16 on: those of bf16, or 0.01 apart. */
static inline double neighbour(int64_t k, hl_dtype type) {
  if (type != HL_BF16) return 0.01 * (double)k;
  double size = k == 0 ? 0 : (double)hl_bf16_widen((uint16_t)(0x3D80 + llabs(k)));
  return k < 0 ? -size : size;
}

/* Distinct values in random order. */
static inline void fill_distinct(double *x, int64_t n, hl_dtype type, hl_rng *r) {
  for (int64_t i = 0; i < n; i++) {
    int64_t j = hl_rng_below(r, (uint32_t)i + 1);
    x[i] = x[j];
    x[j] = neighbour(i - n / 2, type);
  }
}

/* Fills an f64 tensor with numbers that the type can hold, f32 at most. */
static inline void fill(hl_tensor *t, const char *domain, hl_dtype type, hl_rng *r) {
  double *x = hl_tensor_f64(t);
  int64_t n = hl_tensor_numel(t);
  if (strcmp(domain, "distinct") == 0)
    fill_distinct(x, n, type, r);
  else
    for (int64_t i = 0; i < n; i++) x[i] = drawn(r, domain);
  for (int64_t i = 0; i < n; i++) x[i] = (double)(float)x[i];
  for (int64_t i = 0; i < n && hl_dtype_is_narrow(type); i++) {
    float wide = (float)x[i];
    uint16_t half;
    hl_narrow_round(type, &half, &wide, 1);
    hl_narrow_widen(type, &wide, &half, 1);
    x[i] = (double)wide;
  }
}

static inline hl_status random_tensor(hl_tensor **out, const hl_desc *like, const char *domain,
                                      hl_rng *r, hl_err *e) {
  hl_desc d = *like;
  d.dtype = HL_F64;
  HL_TRY(hl_tensor_new(out, &d, hl_ledger_main(), HL_MEM_DATA, "test values", e));
  fill(*out, domain, like->dtype, r);
  return HL_OK;
}

static inline hl_status clone(hl_tensor **out, const hl_tensor *t, hl_err *e) {
  HL_TRY(hl_tensor_new(out, hl_tensor_desc(t), hl_ledger_main(), HL_MEM_DATA, "a copy", e));
  hl_status s = hl_tensor_copy(*out, t, e);
  if (s != HL_OK) hl_tensor_unref(*out);
  return s;
}

static inline void unref_all(int n, hl_tensor **t) {
  for (int i = 0; i < n; i++) {
    hl_tensor_unref(t[i]);
    t[i] = NULL;
  }
}

static inline hl_rng stream(const trial *t, const char *purpose, int item) {
  char name[192];
  snprintf(name, sizeof name, "%s %s", t->name, purpose);
  return hl_rng_stream(seed, name, 0, (uint32_t)item);
}

/* Reads a sample and draws its inputs, for a run in f32 or a narrow type. */
static inline bool trial_begin_in(trial *t, const hl_op *op, const hl_sample *sample,
                                  hl_dtype type) {
  memset(t, 0, sizeof *t);
  t->op = op;
  t->sample = sample;
  t->type = type;
  snprintf(t->name, sizeof t->name, "%s/%s%s%s", op->name, sample->name,
           hl_dtype_is_narrow(type) ? ", " : "",
           hl_dtype_is_narrow(type) ? hl_dtype_name(type) : "");
  hl_err e = {0};
  bool good = op->attr_size <= sizeof t->attrs;
  if (good && op->attr_size > 0) good = hl_attrs_parse(op, sample->attrs, &t->attrs, &e) == HL_OK;
  while (good && t->n < INPUTS && sample->in[t->n] != NULL) {
    good = read_spec(sample->in[t->n], &t->in[t->n]);
    t->n++;
  }
  for (int i = 0; i < t->n && good; i++) {
    hl_rng r = stream(t, "input", i);
    hl_desc *d = &t->in[i].desc;
    if (d->dtype != HL_F64) d->dtype = hl_op_dtype(op, i, t->n, type);
    good = random_tensor(&t->wide[i], d, t->in[i].domain, &r, &e) == HL_OK &&
           hl_tensor_dense(&t->narrow[i], t->wide[i], d->dtype, d->layout, &e) == HL_OK;
  }
  if (!good) ok(false, "%s: the sample can be read (%s)", t->name, e.msg);
  return good;
}

static inline bool trial_begin(trial *t, const hl_op *op, const hl_sample *sample) {
  return trial_begin_in(t, op, sample, HL_F32);
}

static inline void trial_end(trial *t) {
  unref_all(t->n, t->wide);
  unref_all(t->n, t->narrow);
}

static inline hl_call call_of(const trial *t, hl_tensor *const *in) {
  hl_call c = {.op = t->op, .attrs = &t->attrs, .n_in = t->n};
  for (int i = 0; i < t->n; i++) c.in[i] = *hl_tensor_desc(in[i]);
  return c;
}

/* ---- refusals ---- */

/* A call that its op must refuse, with `text` in the message. */
typedef struct refusal {
  const char *op, *in[4], *attrs, *text;
  hl_status code;
} refusal;

static inline void check_refusals(const refusal *r, size_t n) {
  for (; n > 0; n--, r++) {
    hl_err e = {0};
    attr_space attrs;
    hl_call c = {.op = hl_op_find(r->op), .attrs = &attrs};
    hl_status s = hl_attrs_parse(c.op, r->attrs, &attrs, &e);
    for (; c.n_in < 4 && r->in[c.n_in] != NULL; c.n_in++) {
      spec in;
      if (!read_spec(r->in[c.n_in], &in)) ok(false, "the input '%s' can be read", r->in[c.n_in]);
      c.in[c.n_in] = in.desc;
    }
    if (s == HL_OK) s = hl_call_shape(&c, &e);
    fails(s, r->code, &e, r->text, "%s refuses: %.60s", r->op, r->text);
  }
}

#endif
