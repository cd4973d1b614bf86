/* Forked processes take items from a common counter; the parent watches their pipes and clocks.
 *
 * Everything a process says comes through shared memory that a damaged decoder may have scribbled
 * on, so the parent checks what it reads there: item numbers, codes, the end of messages. */
#include "child.h"

#include <hilum/parallel.h>
#include <hilum/reader.h>

#include <errno.h>
#include <fcntl.h>
#include <hilum/ledger.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROCESSES = 16, POLL_MS = 50 };
static const double DEFAULT_TIMEOUT_S = 20;
static const size_t DEFAULT_MEMORY = (size_t)1 << 30;

/* What a process is doing. */
typedef struct slot {
  _Atomic int64_t item; /* -1: between items */
  _Atomic int64_t started_ms;
} slot;

typedef struct board {
  _Atomic int64_t next;
  slot slots[MOST_PROCESSES];
  hl_err err[]; /* of every item */
} board;

typedef struct child {
  pid_t pid; /* 0: none */
  int pipe;  /* numbers of finished items; its end is the process's end */
} child;

typedef struct run {
  int64_t n, finished;
  bool *settled; /* items that `done` was told of */
  board *board;
  size_t board_bytes;
  void *shared;
  size_t shared_bytes;
  hl_reader_job job;
  hl_reader_done done;
  void *ctx;
  hl_reader_limits limits;
  child children[MOST_PROCESSES];
} run;

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- In the reader process ---- */

static void limit(__rlimit_resource_t what, rlim_t value) {
  struct rlimit l;
  if (getrlimit(what, &l) != 0) return;
  if (l.rlim_max != RLIM_INFINITY && value > l.rlim_max) value = l.rlim_max;
  l.rlim_cur = value;
  setrlimit(what, &l);
}

/* The limit counts address space, of which sanitizers and the parent may hold much already. */
static void limit_memory(size_t more) {
  unsigned long long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f) return;
  if (fscanf(f, "%llu", &pages) == 1)
    limit(RLIMIT_AS, (rlim_t)(pages * (unsigned long long)sysconf(_SC_PAGESIZE) + more));
  fclose(f);
}

static void limit_cpu(double timeout_s) {
  struct rusage u;
  if (getrusage(RUSAGE_SELF, &u) != 0) return;
  double used_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
  limit(RLIMIT_CPU, (rlim_t)(used_s + timeout_s + 2));
}

static void work(const run *r, slot *mine, int pipe) {
  for (;;) {
    int64_t item = atomic_fetch_add(&r->board->next, 1);
    if (item >= r->n) return;
    atomic_store(&mine->started_ms, now_ms());
    atomic_store(&mine->item, item);
    limit_cpu(r->limits.timeout_s);
    hl_err e = {0};
    hl_status status = r->job(r->ctx, item, r->shared, &e);
    e.code = status;
    r->board->err[item] = e;
    atomic_store(&mine->item, -1);
    if (write(pipe, &item, sizeof item) != (ssize_t)sizeof item) return;
  }
}

/* ---- In the parent ---- */

static hl_status start(run *r, int p, hl_err *e) {
  int ends[2];
  if (pipe(ends) != 0)
    return hl_fail(e, HL_EIO, "no pipe to a reader process: %s", strerror(errno));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  atomic_store(&r->board->slots[p].item, -1);
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    for (int i = 0; i < MOST_PROCESSES; i++)
      if (r->children[i].pid) close(r->children[i].pipe);
    close(ends[0]);
    hl_child_begin(parent);
    limit_memory(r->limits.memory_bytes);
    work(r, &r->board->slots[p], ends[1]);
    _exit(0);
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return hl_fail(e, HL_EIO, "cannot start a reader process: %s", strerror(errno));
  }
  r->children[p] = (child){.pid = pid, .pipe = ends[0]};
  return HL_OK;
}

static void settle(run *r, int64_t item, const hl_err *e) {
  if (item < 0 || item >= r->n || r->settled[item]) return;
  r->settled[item] = true;
  r->finished++;
  r->done(r->ctx, item, r->shared, e);
}

static void settle_finished(run *r, int64_t item) {
  if (item < 0 || item >= r->n) return;
  hl_err e = r->board->err[item];
  e.msg[sizeof e.msg - 1] = '\0';
  e.file = __FILE__;
  if (e.code < HL_OK || e.code > HL_EINTERNAL) e.code = HL_EFORMAT;
  settle(r, item, &e);
}

static void drain(run *r, int p) {
  int64_t item;
  while (read(r->children[p].pipe, &item, sizeof item) == (ssize_t)sizeof item) {
    settle_finished(r, item);
    struct pollfd more = {.fd = r->children[p].pipe, .events = POLLIN};
    if (poll(&more, 1, 0) != 1 || !(more.revents & POLLIN)) return;
  }
}

static void describe_end(hl_err *e, int status, bool late, double timeout_s) {
  *e = (hl_err){0};
  char end[HL_CHILD_END_TEXT];
  if (late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
    e->code = hl_fail(e, HL_ETIMEOUT, "decoding did not end within %g s", timeout_s);
  else
    e->code =
        hl_fail(e, HL_EFORMAT, "decoding ended its process with %s", hl_child_end(status, end));
}

/* The process has ended or is told to: what it was working on is lost. */
static void finish(run *r, int p, bool late) {
  child *c = &r->children[p];
  int status = 0;
  if (late) kill(c->pid, SIGKILL);
  while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
  }
  drain(r, p);
  close(c->pipe);
  *c = (child){0};
  hl_err e;
  describe_end(&e, status, late, r->limits.timeout_s);
  settle(r, atomic_load(&r->board->slots[p].item), &e);
}

static bool is_late(const run *r, int p) {
  const slot *s = &r->board->slots[p];
  if (!r->children[p].pid || atomic_load(&s->item) < 0) return false;
  return (double)(now_ms() - atomic_load(&s->started_ms)) > 1000 * r->limits.timeout_s;
}

static int watch(run *r) {
  struct pollfd fds[MOST_PROCESSES];
  int who[MOST_PROCESSES], n = 0;
  for (int p = 0; p < MOST_PROCESSES; p++) {
    if (!r->children[p].pid) continue;
    who[n] = p;
    fds[n++] = (struct pollfd){.fd = r->children[p].pipe, .events = POLLIN};
  }
  if (n == 0 || poll(fds, (nfds_t)n, POLL_MS) < 0) return n;
  for (int i = 0; i < n; i++) {
    if (fds[i].revents & POLLIN)
      drain(r, who[i]);
    else if (fds[i].revents)
      finish(r, who[i], false);
  }
  for (int p = 0; p < MOST_PROCESSES; p++)
    if (is_late(r, p)) finish(r, p, true);
  return n;
}

static hl_status start_missing(run *r, hl_err *e) {
  int alive = 0;
  for (int p = 0; p < r->limits.processes; p++) alive += r->children[p].pid != 0;
  for (int p = 0; p < r->limits.processes; p++) {
    if (r->children[p].pid || atomic_load(&r->board->next) >= r->n) continue;
    hl_err why = {0};
    if (start(r, p, &why) == HL_OK)
      alive++;
    else if (alive == 0)
      return hl_fail(e, why.code, "%s", why.msg);
  }
  return HL_OK;
}

/* An item can be taken by a process that dies before it says which. */
static void settle_orphans(run *r) {
  for (int64_t i = 0; i < r->n; i++) {
    if (r->settled[i]) continue;
    hl_err e = {0};
    e.code = hl_fail(&e, HL_EFORMAT, "the reader process ended before this file was read");
    settle(r, i, &e);
  }
}

static void stop_all(run *r) {
  for (int p = 0; p < MOST_PROCESSES; p++) {
    child *c = &r->children[p];
    if (!c->pid) continue;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(c->pipe);
    *c = (child){0};
  }
}

static hl_status supervise(run *r, hl_err *e) {
  while (r->finished < r->n) {
    if (hl_cancel_requested()) return hl_fail(e, HL_ECANCELLED, "stopped while reading files");
    HL_TRY(start_missing(r, e));
    if (watch(r) == 0 && atomic_load(&r->board->next) >= r->n) settle_orphans(r);
  }
  return HL_OK;
}

static void *map_shared(size_t bytes) {
  void *p =
      mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

static void release(run *r) {
  stop_all(r);
  if (r->board) munmap(r->board, r->board_bytes);
  if (r->shared) munmap(r->shared, r->shared_bytes ? r->shared_bytes : 1);
  hl_host_free(r->settled);
}

static hl_reader_limits with_defaults(const hl_reader_limits *given, int64_t n) {
  hl_reader_limits l = given ? *given : (hl_reader_limits){0};
  if (l.processes <= 0) l.processes = 2;
  if (l.processes > MOST_PROCESSES) l.processes = MOST_PROCESSES;
  if (l.processes > n) l.processes = (int)n;
  if (!(l.timeout_s > 0)) l.timeout_s = DEFAULT_TIMEOUT_S;
  if (l.memory_bytes == 0) l.memory_bytes = DEFAULT_MEMORY;
  return l;
}

hl_status hl_reader_run(int64_t n, size_t shared_bytes, hl_reader_job job, hl_reader_done done,
                        void *ctx, const hl_reader_limits *limits, hl_err *e) {
  if (n <= 0) return HL_OK;
  run r = {.n = n, .job = job, .done = done, .ctx = ctx, .shared_bytes = shared_bytes};
  r.limits = with_defaults(limits, n);
  r.board_bytes = sizeof *r.board + (size_t)n * sizeof(hl_err);
  r.board = map_shared(r.board_bytes);
  r.shared = map_shared(shared_bytes);
  r.settled = hl_host_calloc((size_t)n, sizeof *r.settled);
  hl_status status = HL_OK;
  if (!r.board || !r.shared || !r.settled)
    status = hl_fail(e, HL_ENOMEM, "no memory to read %lld files (%zu bytes)", (long long)n,
                     shared_bytes);
  if (status == HL_OK) status = supervise(&r, e);
  release(&r);
  return status;
}
