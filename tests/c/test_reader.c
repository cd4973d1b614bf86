/* Reader processes: what a job may do to its process, the run survives. */
#include "scratch.h"
#include "tap.h"

#include <hilum/parallel.h>
#include <hilum/reader.h>

#include <signal.h>
#include <sys/mman.h>

typedef enum misdeed { BEHAVES, FAILS, ABORTS, CRASHES, HANGS, LEAVES, EATS_MEMORY, TALKS } misdeed;

typedef struct plan {
  misdeed of[64];
  hl_err got[64];
  int told[64];
  int wrong_values;
} plan;

static volatile int forever = 1;

static hl_status job(void *ctx, int64_t item, void *shared, hl_err *e) {
  const plan *p = ctx;
  switch (p->of[item]) {
  case FAILS:
    return hl_fail(e, HL_EFORMAT, "item %d is bad", (int)item);
  case ABORTS:
    abort();
  case CRASHES:
    raise(SIGSEGV);
    break;
  case HANGS:
    while (forever) {
    }
    break;
  case LEAVES:
    _exit(3);
  case EATS_MEMORY: {
    void *block = malloc((size_t)8 << 30);
    if (!block) return hl_fail(e, HL_ENOMEM, "no memory");
    memset(block, 1, 1 << 20);
    free(block);
    break;
  }
  case TALKS:
    for (int i = 0; i < 10000; i++) {
      fputs("not ok - this must not be seen\n", stdout);
      fputs("nor this\n", stderr);
    }
    fflush(stdout);
    break;
  case BEHAVES:
    break;
  }
  ((int64_t *)shared)[item] = item * item + 1;
  return HL_OK;
}

static void done(void *ctx, int64_t item, void *shared, const hl_err *e) {
  plan *p = ctx;
  p->told[item]++;
  p->got[item] = *e;
  if (e->code == HL_OK) p->wrong_values += ((const int64_t *)shared)[item] != item * item + 1;
}

static hl_status run(plan *p, int64_t n, int processes, hl_err *e) {
  const hl_reader_limits limits = {
      .processes = processes, .timeout_s = 2, .memory_bytes = (size_t)256 << 20};
  return hl_reader_run(n, 64 * sizeof(int64_t), job, done, p, &limits, e);
}

static void test_misdeeds(void) {
  static plan p;
  static const struct {
    misdeed what;
    hl_status code;
    const char *message;
  } table[] = {{FAILS, HL_EFORMAT, "item 20 is bad"},
               {ABORTS, HL_EFORMAT, "signal 6"},
               {CRASHES, HL_EFORMAT, "signal 11"},
               {HANGS, HL_ETIMEOUT, "within 2 s"},
               {LEAVES, HL_EFORMAT, "exit status 3"},
               {TALKS, HL_OK, ""},
               {BEHAVES, HL_OK, ""}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    hl_err e = {0};
    memset(&p, 0, sizeof p);
    p.of[20] = table[i].what;
    succeeds(run(&p, 40, 2, &e), &e, "a run of 40 items");
    fails(p.got[20].code, table[i].code, &p.got[20], table[i].message, "misdeed %d is told",
          (int)table[i].what);
    int lost = 0;
    for (int k = 0; k < 40; k++) lost += p.told[k] != 1 || (k != 20 && p.got[k].code != HL_OK);
    is_int(lost, 0, "every item is told of once, the others are well");
    is_int(p.wrong_values, 0, "values come back");
  }
}

static void test_all_bad(void) {
  static plan p;
  hl_err e = {0};
  for (int i = 0; i < 30; i++) p.of[i] = i % 2 ? ABORTS : LEAVES;
  succeeds(run(&p, 30, 3, &e), &e, "a run in which every process dies");
  int told = 0;
  for (int i = 0; i < 30; i++) told += p.told[i] == 1 && p.got[i].code == HL_EFORMAT;
  is_int(told, 30, "costs each item its message");
}

static void test_memory(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  tap_skip(1, "sanitizers end the process themselves");
#else
  static plan p;
  hl_err e = {0};
  p.of[1] = EATS_MEMORY;
  succeeds(run(&p, 2, 1, &e), &e, "a job that asks for 8 GiB");
  fails(p.got[1].code, HL_ENOMEM, &p.got[1], "no memory", "does not get them");
#endif
}

static void test_cancel(void) {
  static plan p;
  hl_err e = {0};
  hl_cancel_request();
  fails(run(&p, 10, 2, &e), HL_ECANCELLED, &e, "stopped", "a run that is cancelled");
  hl_cancel_clear();
  succeeds(run(&p, 0, 2, &e), &e, "no items, no work");
  succeeds(run(&p, 1, 8, &e), &e, "more processes than items");
  is_int(p.told[0], 1, "do the one");
}

int main(void) {
  test_misdeeds();
  test_all_bad();
  test_memory();
  test_cancel();
  return tap_done();
}
