#include <hilum/ledger.h>
#include <hilum/machine.h>
#include <hilum/parallel.h>

#include <time.h>

enum { RUNS = 30 };

double hl_machine_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- memory ---- */

enum { ELEMENTS = 1 << 24, CHUNK = 1 << 16 };

typedef struct triad {
  float *a;
  const float *b, *c;
  float s;
} triad;

static void fill(int64_t begin, int64_t end, void *ctx) {
  float *all = ctx;
  for (int64_t i = begin; i < end; i++) all[i] = (float)(i % 7);
}

static void triad_chunk(int64_t begin, int64_t end, void *ctx) {
  const triad *t = ctx;
  float *restrict a = t->a;
  const float *restrict b = t->b, *restrict c = t->c;
  float s = t->s;
  for (int64_t i = begin; i < end; i++) a[i] = b[i] + s * c[i];
}

hl_status hl_machine_triad(double *bytes_per_s, hl_err *e) {
  const size_t bytes = sizeof(float) * 3 * ELEMENTS;
  void *all = NULL;
  *bytes_per_s = 0;
  HL_TRY(hl_mem_alloc(hl_ledger_main(), &all, bytes, HL_MEM_WORKSPACE, "a triad", e));
  float *x = all;
  hl_parallel_for(3 * (int64_t)ELEMENTS, CHUNK, fill, x);
  triad t = {x, x + ELEMENTS, x + 2 * ELEMENTS, 3};
  for (int run = 0; run < RUNS; run++) {
    double start = hl_machine_clock();
    hl_parallel_for(ELEMENTS, CHUNK, triad_chunk, &t);
    double rate = (double)bytes / (hl_machine_clock() - start);
    if (rate > *bytes_per_s) *bytes_per_s = rate;
  }
  hl_mem_free(hl_ledger_main(), all, bytes, HL_MEM_WORKSPACE);
  return HL_OK;
}

/* ---- arithmetic ---- */

enum { LANES = 16, SUMS = 12, STEPS = 1 << 20, TASKS_PER_THREAD = 4 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* Twelve independent chains hide the latency; written out so that each has a register. They begin
 * at different numbers: the compiler makes one of equal ones. */
static void multiply_add(int64_t begin, int64_t end, void *ctx) {
  float *sink = ctx;
  lanes x = {0}, y = x + 0.999F, z = x + 1e-3F;
  lanes s0 = x, s1 = x + 1, s2 = x + 2, s3 = x + 3, s4 = x + 4, s5 = x + 5, s6 = x + 6, s7 = x + 7;
  lanes s8 = x + 8, s9 = x + 9, sa = x + 10, sb = x + 11;
  for (int64_t i = 0; i < STEPS; i++) {
    s0 = s0 * y + z;
    s1 = s1 * y + z;
    s2 = s2 * y + z;
    s3 = s3 * y + z;
    s4 = s4 * y + z;
    s5 = s5 * y + z;
    s6 = s6 * y + z;
    s7 = s7 * y + z;
    s8 = s8 * y + z;
    s9 = s9 * y + z;
    sa = sa * y + z;
    sb = sb * y + z;
  }
  lanes all = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + sa + sb;
  for (int64_t i = begin; i < end; i++) sink[i] = all[i % LANES];
}

double hl_machine_multiply_add(void) {
  enum { MOST = 1024 };
  static float sink[MOST];
  int64_t tasks = (int64_t)hl_compute_threads() * TASKS_PER_THREAD;
  double best = 0;
  if (tasks > MOST) tasks = MOST;
  for (int run = 0; run < RUNS; run++) {
    double start = hl_machine_clock();
    hl_parallel_for(tasks, 1, multiply_add, sink);
    double operations = 2.0 * LANES * SUMS * STEPS * (double)tasks;
    double rate = operations / (hl_machine_clock() - start);
    if (rate > best) best = rate;
  }
  return best;
}
