/* Chains of elementwise ops: the numbers of the single ops bit for bit, in less memory. */
#define TAP_LEDGER
#include "tap.h"

#include "trial.h"

#include <hilum/program.h>

#include <string.h>

enum { POOL = 64, OPS = 40, RESULTS = 8 };

/* More than a grain of elements, in blocks that do not divide evenly. */
static const hl_desc whole = {HL_F32, HL_IMAGE, {5, {2, 5, 13, 17, 19}}};
static const hl_desc channel = {HL_F32, HL_IMAGE, {5, {1, 5, 1, 1, 1}}};
static const hl_desc row = {HL_F32, HL_IMAGE, {5, {1, 1, 1, 1, 19}}};
static const hl_desc plane = {HL_F32, HL_IMAGE, {5, {2, 1, 1, 17, 19}}};
static const hl_desc scalar = {HL_F32, HL_PLAIN, {0, {0}}};

static hl_tensor *numbers(const hl_desc *d, uint32_t item) {
  hl_err e = {0};
  hl_tensor *t;
  if (hl_tensor_zeros(&t, d, HL_MEM_DATA, "test", &e) != HL_OK) exit(1);
  hl_rng r = hl_rng_stream(11, "chains", 0, item);
  for (int64_t i = 0; i < hl_tensor_numel(t); i++) hl_tensor_f32(t)[i] = (float)hl_rng_normal(&r);
  return t;
}

static hl_status emit(hl_program *p, const char *name, const char *attrs, int n, const hl_var *in,
                      hl_var *out, hl_err *e) {
  const hl_op *op = hl_op_find(name);
  char buffer[512];
  HL_TRY(hl_attrs_parse(op, attrs, buffer, e));
  return hl_emit(p, op, op->attr_size > 0 ? buffer : NULL, n, in, 1, out, e);
}

/* Results stay of moderate size, so that no chain ends in infinities. */
static const struct {
  const char *name, *attrs;
  int n_in;
} choices[] = {{"sigmoid", NULL, 1},
               {"tanh", NULL, 1},
               {"gelu", NULL, 1},
               {"silu", NULL, 1},
               {"elu", "alpha=0.7", 1},
               {"softplus", NULL, 1},
               {"logsigmoid", NULL, 1},
               {"leaky_relu", "slope=0.1", 1},
               {"abs", NULL, 1},
               {"neg", NULL, 1},
               {"clamp", "low=-1.5 high=1.25", 1},
               {"affine", "scale=0.5 shift=-0.25", 1},
               {"affine", "scale=0 shift=0.5", 1},
               {"add", NULL, 2},
               {"sub", NULL, 2},
               {"mul", NULL, 2},
               {"maximum", NULL, 2},
               {"less", NULL, 2},
               {"bce", "pos_weight=2", 2},
               {"where", NULL, 3}};

typedef struct example {
  hl_program *p;
  hl_tensor *input[5];
  int n_out;
  hl_tensor *out[RESULTS];
  hl_plan plan;
} example;

static int pick(hl_rng *r, int n) {
  int i = (int)(hl_rng_uniform(r) * n);
  return i < n ? i : n - 1;
}

/* A random value so far; the youngest are likely. */
static hl_var some(hl_rng *r, const hl_var *pool, int n) {
  return pool[pick(r, 3) == 0 ? pick(r, n) : n - 1 - pick(r, n < 3 ? n : 3)];
}

/* One more value; bce takes values of one shape only and is left out where they differ. */
static hl_status add_op(hl_program *p, hl_rng *r, hl_var *pool, int *n, hl_err *e) {
  int c = pick(r, (int)(sizeof choices / sizeof *choices));
  hl_var in[3] = {0};
  for (int k = 0; k < choices[c].n_in; k++) in[k] = some(r, pool, *n);
  bool equal = hl_desc_equal(hl_program_desc(p, in[0]), hl_program_desc(p, in[1]));
  if (strcmp(choices[c].name, "bce") == 0 && !equal) return HL_OK;
  HL_TRY(emit(p, choices[c].name, choices[c].attrs, choices[c].n_in, in, &pool[*n], e));
  (*n)++;
  return HL_OK;
}

/* Random ops on an image, a number for each channel, one for each x, a plane and a single number;
 * results: a loss, some values on the way, gradients. */
static hl_status build(example *t, uint32_t number, bool apart, hl_err *e) {
  const hl_desc *const descs[] = {&whole, &channel, &row, &plane, &scalar};
  hl_var pool[POOL], loss, grad[5];
  int n = 5;
  memset(t, 0, sizeof *t);
  for (uint32_t i = 0; i < 5; i++) t->input[i] = numbers(descs[i], 10 * number + i);
  HL_TRY(hl_program_new(&t->p, false, e));
  if (apart) hl_program_keep_apart(t->p);
  for (int i = 0; i < 5; i++) HL_TRY(hl_program_input(t->p, "x", descs[i], &pool[i], e));
  hl_rng r = hl_rng_stream(12, "ops", 0, number);
  for (int i = 0; i < 5; i++) { /* everything takes part */
    HL_TRY(emit(t->p, "add", NULL, 2, (hl_var[]){pool[n == 5 ? 0 : n - 1], pool[i]}, &pool[n], e));
    n++;
  }
  for (int i = 0; i < OPS; i++) HL_TRY(add_op(t->p, &r, pool, &n, e));
  HL_TRY(emit(t->p, "mul", NULL, 2, (hl_var[]){pool[n - 1], pool[9]}, &pool[n], e));
  HL_TRY(emit(t->p, "mean", NULL, 1, &pool[n], &loss, e));
  HL_TRY(hl_program_gradient(t->p, loss, 5, pool, grad, e));
  const hl_var wanted[RESULTS] = {loss,    some(&r, pool, n), some(&r, pool, n), grad[0],
                                  grad[1], grad[2],           grad[3],           grad[4]};
  for (int i = 0; i < RESULTS; i++) HL_TRY(hl_program_output(t->p, wanted[i], HL_MEM_STATE, e));
  HL_TRY(hl_program_finish(t->p, e));
  return hl_program_plan(t->p, &t->plan, e);
}

static hl_status run(example *t, hl_err *e) {
  return hl_program_run(t->p, 5, t->input, RESULTS, t->out, e);
}

static void forget(example *t) {
  for (int i = 0; i < RESULTS; i++) hl_tensor_unref(t->out[i]);
  memset(t->out, 0, sizeof t->out);
}

static void example_free(example *t) {
  forget(t);
  hl_program_free(t->p);
  for (int i = 0; i < 5; i++) hl_tensor_unref(t->input[i]);
}

static bool same_bits(const hl_tensor *a, const hl_tensor *b) {
  return hl_tensor_bytes(a) == hl_tensor_bytes(b) &&
         memcmp(hl_tensor_data(a), hl_tensor_data(b), hl_tensor_bytes(a)) == 0;
}

static int chained(hl_program *p) {
  int n = 0;
  for (int i = 0; i < hl_program_op_count(p); i++)
    n += strstr(hl_program_op_text(p, i), "(chained)") != NULL;
  return n;
}

static size_t state(const example *t) {
  return t->plan.peak[HL_MEM_CATEGORIES];
}

static void random_programs(void) {
  enum { TRIALS = 40 };
  int equal = 0, links = 0, apart_links = 0, larger = 0;
  size_t bytes = 0, apart_bytes = 0;
  for (uint32_t number = 0; number < TRIALS; number++) {
    example joined, apart;
    hl_err e = {0};
    hl_status s = build(&joined, number, false, &e);
    if (s == HL_OK) s = build(&apart, number, true, &e);
    if (s == HL_OK) s = run(&joined, &e);
    if (s == HL_OK) s = run(&apart, &e);
    if (s != HL_OK && !succeeds(s, &e, "program %u", number)) exit(1);
    bool same = true;
    for (int i = 0; i < RESULTS; i++) same = same && same_bits(joined.out[i], apart.out[i]);
    if (!same) tap_diag("program %u gives other bits when joined", number);
    equal += same;
    links += chained(joined.p);
    apart_links += chained(apart.p);
    larger += state(&joined) > state(&apart) + 1024; /* single numbers may live longer */
    bytes += state(&joined);
    apart_bytes += state(&apart);
    example_free(&joined);
    example_free(&apart);
  }
  is_int(equal, TRIALS, "equal bits, joined and apart, gradients included");
  ok(links > 20 * TRIALS && apart_links == 0, "%d ops in chains, %d when apart", links,
     apart_links);
  ok(bytes < apart_bytes && larger == 0, "%.1f MiB joined, %.1f apart; larger in %d programs",
     (double)bytes / 1048576, (double)apart_bytes / 1048576, larger);
}

/* sigmoid(x)·x² + tanh(x): three images on the way, none of which is kept. */
static size_t composed(bool apart, hl_tensor *x, hl_tensor **y) {
  hl_err e = {0};
  hl_program *p;
  hl_var in, a, b, c, d;
  hl_plan plan;
  hl_status s = hl_program_new(&p, false, &e);
  if (apart) hl_program_keep_apart(p);
  if (s == HL_OK) s = hl_program_input(p, "x", &whole, &in, &e);
  if (s == HL_OK) s = emit(p, "sigmoid", NULL, 1, &in, &a, &e);
  if (s == HL_OK) s = emit(p, "square", NULL, 1, &in, &b, &e);
  if (s == HL_OK) s = emit(p, "tanh", NULL, 1, &in, &c, &e);
  if (s == HL_OK) s = emit(p, "mul", NULL, 2, (hl_var[]){a, b}, &d, &e);
  if (s == HL_OK) s = emit(p, "add", NULL, 2, (hl_var[]){c, d}, &d, &e);
  if (s == HL_OK) s = hl_program_output(p, d, HL_MEM_STATE, &e);
  if (s == HL_OK) s = hl_program_finish(p, &e);
  if (s == HL_OK) s = hl_program_plan(p, &plan, &e);
  if (s == HL_OK) s = hl_program_run(p, 1, &x, 1, y, &e);
  succeeds(s, &e, "a composed function, %s", apart ? "apart" : "joined");
  hl_program_free(p);
  return plan.peak[HL_MEM_CATEGORIES];
}

static void composed_functions_need_no_images(void) {
  hl_tensor *x = numbers(&whole, 1), *joined, *apart;
  size_t one = hl_desc_bytes(&whole), less = composed(false, x, &joined);
  size_t more = composed(true, x, &apart);
  ok(less <= 2 * one + 64 && more > 4 * one,
     "the argument and the result alone are held: %zu bytes, not %zu", less, more);
  ok(same_bits(joined, apart), "with the same bits");
  hl_tensor_unref(joined);
  hl_tensor_unref(apart);
  hl_tensor_unref(x);
}

/* y = tanh(y / 2 + x) over and over: longer than a chain can be. */
static void thousand_ops(void) {
  hl_tensor *x = numbers(&whole, 1), *out[2];
  hl_err e = {0};
  for (int apart = 0; apart < 2; apart++) {
    hl_program *p;
    hl_var in, y, t;
    hl_status s = hl_program_new(&p, false, &e);
    if (apart == 1) hl_program_keep_apart(p);
    if (s == HL_OK) s = hl_program_input(p, "x", &whole, &in, &e);
    y = in;
    for (int i = 0; i < 1000 && s == HL_OK; i += 4) {
      s = emit(p, "affine", "scale=0.5", 1, &y, &t, &e);
      if (s == HL_OK) s = emit(p, "add", NULL, 2, (hl_var[]){t, in}, &y, &e);
      if (s == HL_OK) s = emit(p, "leaky_relu", NULL, 1, &y, &t, &e);
      if (s == HL_OK) s = emit(p, "clamp", "low=-2 high=2", 1, &t, &y, &e);
    }
    if (s == HL_OK) s = hl_program_output(p, y, HL_MEM_STATE, &e);
    if (s == HL_OK) s = hl_program_finish(p, &e);
    if (s == HL_OK) s = hl_program_run(p, 1, &x, 1, &out[apart], &e);
    succeeds(s, &e, "a thousand ops, %s", apart == 1 ? "apart" : "joined");
    is_int(chained(p), apart == 1 ? 0 : 1000, "ops in chains");
    hl_program_free(p);
  }
  ok(same_bits(out[0], out[1]), "equal bits");
  for (int i = 0; i < 2; i++) hl_tensor_unref(out[i]);
  hl_tensor_unref(x);
}

/* ---- every op that can be a link, on its samples ---- */

/* The op and its negative, which makes a chain of it. */
static hl_status with_negative(const trial *t, bool apart, hl_tensor **out, int *links, hl_err *e) {
  hl_program *p;
  hl_var in[INPUTS], y, minus;
  HL_TRY(hl_program_new(&p, false, e));
  if (apart) hl_program_keep_apart(p);
  hl_status s = HL_OK;
  for (int i = 0; i < t->n && s == HL_OK; i++)
    s = hl_program_input(p, "x", hl_tensor_desc(t->narrow[i]), &in[i], e);
  if (s == HL_OK)
    s = hl_emit(p, t->op, t->op->attr_size > 0 ? &t->attrs : NULL, t->n, in, 1, &y, e);
  if (s == HL_OK) s = emit(p, "neg", NULL, 1, &y, &minus, e);
  if (s == HL_OK) s = hl_program_output(p, minus, HL_MEM_STATE, e);
  if (s == HL_OK) s = hl_program_finish(p, e);
  if (s == HL_OK) s = hl_program_run(p, t->n, t->narrow, 1, out, e);
  *links = s == HL_OK ? chained(p) : 0;
  hl_program_free(p);
  return s;
}

static bool can_be_link(const trial *t) {
  hl_err e = {0};
  hl_call c = call_of(t, t->narrow);
  return hl_call_shape(&c, &e) == HL_OK && hl_call_stretch(&c) != NULL;
}

/* Counts the sample if its op can be a link and the bits are those of the op alone. */
static int links_on(const hl_op *op, const hl_sample *sample, int *tried) {
  trial t;
  int same = 0, links[2];
  hl_err e = {0};
  hl_tensor *out[2] = {0};
  if (trial_begin(&t, op, sample) && can_be_link(&t)) {
    (*tried)++;
    bool ran = with_negative(&t, false, &out[0], &links[0], &e) == HL_OK &&
               with_negative(&t, true, &out[1], &links[1], &e) == HL_OK;
    same = ran && links[0] == 2 && links[1] == 0 && same_bits(out[0], out[1]);
    if (!same) tap_diag("%s: %d links, %s", t.name, ran ? links[0] : 0, e.msg);
  }
  unref_all(2, out);
  trial_end(&t);
  return same;
}

static void every_op(void) {
  int tried = 0, same = 0;
  for (int i = 0; i < hl_op_count(); i++) {
    const hl_op *op = hl_op_at(i);
    for (const hl_sample *s = op->samples; s != NULL && s->name != NULL; s++)
      same += links_on(op, s, &tried);
  }
  ok(tried > 100, "%d samples of ops that can be links", tried);
  is_int(same, tried, "each gives the same bits in a chain");
}

int main(void) {
  every_op();
  random_programs();
  composed_functions_need_no_images();
  thousand_ops();
  return tap_done();
}
