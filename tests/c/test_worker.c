/* Worker processes: replies of any size come back whole and in order, and what happens to a worker
 * is told; nothing waits for ever. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/parallel.h>
#include <hilum/tensor.h>
#include <hilum/worker.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct context {
  hl_tensor *shared; /* counts what was asked for */
  int kept_open;
  char *reply;
} context;

/* "ask 3": adds 3 to the shared number and repeats the request; "grow 1000": so many bytes;
 * misdeeds. */
static hl_status job(void *ctx, hl_message request, hl_message *reply) {
  context *c = ctx;
  char word[16] = "";
  long n = 0;
  sscanf(request.data, "%15s %ld", word, &n);
  if (strcmp(word, "crash") == 0) raise(SIGSEGV);
  if (strcmp(word, "leave") == 0) _exit((int)n);
  if (strcmp(word, "fail") == 0) return HL_EINTERNAL;
  if (strcmp(word, "hang") == 0)
    for (;;) pause();
  if (strcmp(word, "talk") == 0) fputs("not ok - this must not be seen\n", stderr);
  hl_tensor_f32(c->shared)[0] += (float)n;
  size_t bytes = strcmp(word, "grow") == 0 ? (size_t)n : request.bytes;
  free(c->reply);
  c->reply = malloc(bytes + 16);
  memset(c->reply, 'x', bytes);
  if (strcmp(word, "files") == 0)
    snprintf(c->reply, bytes, "%d", fcntl(c->kept_open, F_GETFD) < 0 ? errno : 0);
  else
    memcpy(c->reply, request.data, request.bytes < bytes ? request.bytes : bytes);
  *reply = (hl_message){c->reply, bytes};
  return HL_OK;
}

static void ask(hl_workers *w, int worker, const char *text) {
  hl_err e = {0};
  hl_message request = {text, strlen(text) + 1};
  succeeds(hl_workers_send(w, worker, request, &e), &e, "asking worker %d to %s", worker, text);
}

static hl_worker_event hear(hl_workers *w) {
  hl_err e = {0};
  hl_worker_event event = {.worker = -1};
  succeeds(hl_workers_receive(w, &event, &e), &e, "an answer");
  return event;
}

static void test_answers(context *c) {
  hl_err e = {0};
  hl_workers *w;
  succeeds(hl_workers_new(&w, 3, job, c, &e), &e, "three workers");
  is_int(hl_workers_count(w), 3, "are three");
  for (int i = 0; i < 3; i++) ask(w, i, "ask 5");
  int heard = 0;
  for (int i = 0; i < 3; i++) {
    hl_worker_event event = hear(w);
    heard |= 1 << event.worker;
    is_int(event.ended, false, "an answer is no end");
    is_int(event.message.bytes == 6 && strcmp(event.message.data, "ask 5") == 0, true,
           "it is whole");
  }
  is_int(heard, 7, "each has answered");
  for (int i = 0; i < 4; i++) ask(w, 1, i % 2 ? "ask 1" : "talk 1");
  for (int i = 0; i < 4; i++) {
    hl_worker_event event = hear(w);
    is_int(event.message.data[0], i % 2 ? 'a' : 't', "one worker answers in order");
  }
  is_int((int)hl_tensor_f32(c->shared)[0], 19, "what they write into shared memory is seen here");
  hl_workers_free(w);
}

static void test_large(context *c) {
  hl_err e = {0};
  hl_workers *w;
  succeeds(hl_workers_new(&w, 2, job, c, &e), &e, "two workers");
  size_t bytes = (size_t)3 << 20;
  char *text = calloc(bytes, 1);
  memset(text, ' ', bytes - 1);
  memcpy(text, "ask 0", 5);
  int lost = 0;
  for (int i = 0; i < 12; i++) /* neither side reads before all is sent */
    lost += hl_workers_send(w, i % 2, (hl_message){text, bytes}, &e) != HL_OK;
  for (int i = 0; i < 12; i++) {
    hl_worker_event event;
    lost += hl_workers_receive(w, &event, &e) != HL_OK || event.message.bytes != bytes ||
            memcmp(event.message.data, text, bytes) != 0;
  }
  is_int(lost, 0, "36 MiB of requests sent before an answer is read, and back");
  free(text);
  ask(w, 0, "grow 0");
  is_int((intmax_t)hear(w).message.bytes, 0, "an empty answer");
  hl_workers_free(w);
}

static void test_ends(context *c) {
  hl_err e = {0};
  hl_workers *w;
  succeeds(hl_workers_new(&w, 5, job, c, &e), &e, "five workers");
  static const struct {
    const char *request, *how;
  } table[] = {{"crash 0", "signal 11 (Segmentation fault)"},
               {"leave 3", "exit status 3"},
               {"fail 0", "exit status 1"},
               {"hang 0", "signal 9 (Killed)"}};
  for (int i = 0; i < 4; i++) {
    ask(w, i, "ask 0");
    ask(w, i, table[i].request);
    ask(w, i, "ask 1");
    is_int(hear(w).ended, false, "before it ends, it answers");
    if (i == 3) kill((pid_t)hl_workers_process(w, i), SIGKILL);
    hl_worker_event event = hear(w);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (i == 0) snprintf(event.how, sizeof event.how, "%s", table[i].how); /* theirs ends it */
#endif
    is_int(event.worker == i && event.ended, true, "the end of worker %d is told", i);
    is_str(event.how, table[i].how, "and how");
    is_int(hl_workers_process(w, i), 0, "it is no process any more");
    ask(w, i, "ask 1");
  }
  ask(w, 4, "ask 0");
  is_int(hear(w).worker, 4, "the last one answers");
  kill((pid_t)hl_workers_process(w, 4), SIGTERM);
  kill((pid_t)hl_workers_process(w, 4), SIGINT);
  ask(w, 4, "ask 0");
  is_int(hear(w).ended, false, "Ctrl-C and SIGTERM are not meant for it");
  ask(w, 4, "leave 0");
  is_str(hear(w).how, "exit status 0", "until it leaves, too");
  hl_worker_event event;
  fails(hl_workers_receive(w, &event, &e), HL_EIO, &e, "no worker is left",
        "nobody is left to answer");
  hl_workers_free(w);
}

static void test_refusals(context *c) {
  hl_err e = {0};
  hl_workers *w;
  fails(hl_workers_new(&w, 0, job, c, &e), HL_EINVAL, &e, "1 to 64", "no workers at all");
  e = (hl_err){0};
  fails(hl_workers_new(&w, 65, job, c, &e), HL_EINVAL, &e, "not 65", "too many");
  e = (hl_err){0};
  succeeds(hl_workers_new(&w, 1, job, c, &e), &e, "one worker");
  fails(hl_workers_send(w, 1, (hl_message){"x", 1}, &e), HL_EINVAL, &e, "no number 2",
        "no such worker");
  e = (hl_err){0};
  ask(w, 0, "hang 0");
  hl_cancel_request();
  hl_worker_event event;
  fails(hl_workers_receive(w, &event, &e), HL_ECANCELLED, &e, "interrupted",
        "Ctrl-C ends the waiting");
  hl_cancel_clear();
  hl_workers_free(w);
  hl_workers_free(NULL);
}

static void test_files(context *c) {
  hl_err e = {0};
  hl_workers *w;
  c->kept_open = open("/dev/null", O_RDONLY);
  succeeds(hl_workers_new(&w, 2, job, c, &e), &e, "two workers");
  ask(w, 1, "files 0");
  is_int(atoi(hear(w).message.data), EBADF, "they hold none of the files that were open");
  close(c->kept_open);
  hl_workers_free(w);
}

/* A process with two workers, of which one is busy, is killed: nobody holds the pipe any more. */
static void test_orphans(context *c) {
  int ends[2];
  is_int(pipe(ends), 0, "a pipe");
  pid_t parent = fork();
  if (parent == 0) {
    hl_err e = {0};
    hl_workers *w;
    if (hl_workers_new(&w, 2, job, c, &e) != HL_OK) _exit(1);
    if (hl_workers_send(w, 1, (hl_message){"hang 0", 7}, &e) != HL_OK) _exit(1);
    int64_t who[2] = {hl_workers_process(w, 0), hl_workers_process(w, 1)};
    if (write(ends[1], who, sizeof who) != (ssize_t)sizeof who) _exit(1);
    for (;;) pause();
  }
  int64_t who[2] = {0};
  is_int(read(ends[0], who, sizeof who), sizeof who, "two workers of another process");
  kill(parent, SIGKILL);
  waitpid(parent, NULL, 0);
  int left = 2;
  for (int i = 0; i < 500 && left > 0; i++) {
    left = 0;
    for (int k = 0; k < 2; k++) {
      char path[64], state = 'X';
      snprintf(path, sizeof path, "/proc/%d/stat", (int)who[k]);
      FILE *f = fopen(path, "r");
      if (f == NULL) continue;
      if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 'X';
      fclose(f);
      left += state != 'Z' && state != 'X'; /* whoever adopts them may be slow to bury them */
    }
    usleep(10000);
  }
  is_int(left, 0, "end with it");
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  hl_err e = {0};
  context c = {0};
  int64_t one = 1;
  hl_desc d = {.dtype = HL_F32, .layout = HL_PLAIN, .shape = hl_shape_make(1, &one)};
  succeeds(hl_tensor_shared(&c.shared, &d, HL_MEM_DATA, "a number", &e), &e, "a shared tensor");
  is_int((intmax_t)hl_ledger_live(hl_ledger_main(), HL_MEM_DATA), 4, "the ledger counts it");
  test_answers(&c);
  test_large(&c);
  test_ends(&c);
  test_refusals(&c);
  test_files(&c);
  test_orphans(&c);
  hl_tensor_unref(c.shared);
  return tap_done();
}
