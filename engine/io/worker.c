/* One stream socket for each worker; a message is its length and its bytes.
 *
 * This process never blocks in sending: while a worker's socket is full, its replies are read into
 * its inbox, so that the two cannot wait for each other. */
#include "child.h"

#include <hilum/ledger.h>
#include <hilum/parallel.h>
#include <hilum/worker.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_WORKERS = 64, POLL_MS = 100, CHUNK = 65536 };
static const uint64_t LONGEST = (uint64_t)1 << 30; /* of a message: more is damage */

_Static_assert(HL_WORKER_END_TEXT >= HL_CHILD_END_TEXT, "an end fits into an event");

typedef struct worker {
  pid_t pid; /* 0: none, or it has ended and that was told */
  int socket;
  bool hung_up; /* nothing more comes from it */
  char *inbox;
  size_t used, room, taken; /* bytes in the inbox, how many fit, how many the last event lent out */
} worker;

struct hl_workers {
  int n, next; /* next: who is looked at first, so that all get their turn */
  worker list[];
};

/* ---- In the worker ---- */

static bool read_all(int fd, char *to, size_t n) {
  while (n > 0) {
    ssize_t got = read(fd, to, n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    n -= (size_t)got;
  }
  return true;
}

static bool write_all(int fd, const char *from, size_t n) {
  while (n > 0) {
    ssize_t put = write(fd, from, n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    from += put;
    n -= (size_t)put;
  }
  return true;
}

/* Reads a request into *buffer, which grows. */
static bool read_request(int fd, char **buffer, size_t *room, uint64_t *bytes) {
  if (!read_all(fd, (char *)bytes, sizeof *bytes) || *bytes > LONGEST) return false;
  if (*bytes > *room) {
    char *larger = hl_host_realloc(*buffer, *bytes);
    if (larger == NULL) return false;
    *buffer = larger;
    *room = *bytes;
  }
  return read_all(fd, *buffer, *bytes);
}

/* Until the other end of the socket is closed. Returns the exit status. */
static int answer(int fd, hl_worker_job job, void *ctx) {
  char *request = NULL;
  size_t room = 0;
  uint64_t bytes;
  while (read_request(fd, &request, &room, &bytes)) {
    hl_message reply = {0};
    if (job(ctx, (hl_message){request, bytes}, &reply) != HL_OK) return 1;
    uint64_t length = reply.bytes;
    if (!write_all(fd, (const char *)&length, sizeof length)) return 0;
    if (!write_all(fd, reply.data, reply.bytes)) return 0;
  }
  return 0;
}

/* ---- In this process ---- */

static hl_status start(worker *k, hl_worker_job job, void *ctx, hl_err *e) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
    return hl_fail(e, HL_EIO, "no socket for a worker process: %s", strerror(errno));
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  pid_t parent = getpid(), pid = fork();
  if (pid == 0) {
    hl_child_begin(parent);
    hl_child_close_all_but(ends[1]);
    _exit(answer(ends[1], job, ctx));
  }
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return hl_fail(e, HL_EIO, "cannot start a worker process: %s", strerror(errno));
  }
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  k->pid = pid;
  k->socket = ends[0];
  return HL_OK;
}

hl_status hl_workers_new(hl_workers **out, int n, hl_worker_job job, void *ctx, hl_err *e) {
  *out = NULL;
  if (n < 1 || n > MOST_WORKERS)
    return hl_fail(e, HL_EINVAL, "1 to %d workers can be started, not %d", MOST_WORKERS, n);
  hl_workers *w = hl_host_calloc(1, sizeof *w + (size_t)n * sizeof w->list[0]);
  if (w == NULL) return hl_fail(e, HL_ENOMEM, "no memory for the list of workers");
  w->n = n;
  for (int i = 0; i < n; i++) {
    hl_status status = start(&w->list[i], job, ctx, e);
    if (status == HL_OK) continue;
    hl_workers_free(w);
    return status;
  }
  *out = w;
  return HL_OK;
}

/* Returns its wait status. */
static int bury(worker *k) {
  int status = 0;
  while (waitpid(k->pid, &status, 0) < 0 && errno == EINTR) {
  }
  close(k->socket);
  k->pid = 0;
  return status;
}

void hl_workers_free(hl_workers *w) {
  if (w == NULL) return;
  for (int i = 0; i < w->n; i++) {
    worker *k = &w->list[i];
    if (k->pid != 0) {
      kill(k->pid, SIGKILL);
      bury(k);
    }
    hl_host_free(k->inbox);
  }
  hl_host_free(w);
}

int hl_workers_count(const hl_workers *w) {
  return w->n;
}

int64_t hl_workers_process(const hl_workers *w, int i) {
  return i >= 0 && i < w->n ? (int64_t)w->list[i].pid : 0;
}

static hl_status grow(worker *k, hl_err *e) {
  if (k->room - k->used >= CHUNK) return HL_OK;
  char *larger = hl_host_realloc(k->inbox, k->room + k->room / 2 + CHUNK);
  if (larger == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a worker's reply");
  k->inbox = larger;
  k->room += k->room / 2 + CHUNK;
  return HL_OK;
}

/* Takes in what has come, without waiting. */
static hl_status take_in(worker *k, hl_err *e) {
  for (;;) {
    HL_TRY(grow(k, e));
    ssize_t got = read(k->socket, k->inbox + k->used, k->room - k->used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return HL_OK;
    if (got <= 0) {
      k->hung_up = true;
      return HL_OK;
    }
    k->used += (size_t)got;
  }
}

/* Sends as much as goes, then waits until more does or a reply has come. */
static hl_status push(worker *k, const char **from, size_t *n, hl_err *e) {
  ssize_t put = send(k->socket, *from, *n, MSG_NOSIGNAL);
  if (put >= 0) {
    *from += put;
    *n -= (size_t)put;
    return HL_OK;
  }
  if (errno == EINTR) return HL_OK;
  if (errno != EAGAIN && errno != EWOULDBLOCK) {
    *n = 0; /* it has ended, as its hanging up will tell */
    return HL_OK;
  }
  if (hl_cancel_requested()) return hl_fail(e, HL_ECANCELLED, "interrupted");
  struct pollfd fd = {.fd = k->socket, .events = POLLIN | POLLOUT};
  if (poll(&fd, 1, POLL_MS) > 0 && (fd.revents & POLLIN)) return take_in(k, e);
  return HL_OK;
}

static hl_status push_all(worker *k, const char *from, size_t n, hl_err *e) {
  while (n > 0 && !k->hung_up) HL_TRY(push(k, &from, &n, e));
  return HL_OK;
}

hl_status hl_workers_send(hl_workers *w, int i, hl_message request, hl_err *e) {
  if (i < 0 || i >= w->n)
    return hl_fail(e, HL_EINVAL, "there are %d workers, no number %d", w->n, i + 1);
  worker *k = &w->list[i];
  if (k->pid == 0) return HL_OK;
  uint64_t length = request.bytes;
  if (length > LONGEST) return hl_fail(e, HL_EINVAL, "a request of %zu bytes", request.bytes);
  HL_TRY(push_all(k, (const char *)&length, sizeof length, e));
  return push_all(k, request.data, request.bytes, e);
}

/* Drops the message that the last event lent out. */
static void forget(worker *k) {
  if (k->taken == 0) return;
  memmove(k->inbox, k->inbox + k->taken, k->used - k->taken);
  k->used -= k->taken;
  k->taken = 0;
}

/* True if a whole message lies in the inbox: it becomes the event's. */
static bool next_message(worker *k, hl_message *out) {
  uint64_t length;
  if (k->used < sizeof length) return false;
  memcpy(&length, k->inbox, sizeof length);
  if (length > LONGEST) { /* its memory is damaged */
    kill(k->pid, SIGKILL);
    k->hung_up = true;
    k->used = 0;
    return false;
  }
  if (k->used - sizeof length < length) return false;
  *out = (hl_message){k->inbox + sizeof length, length};
  k->taken = sizeof length + length;
  return true;
}

/* True if worker i has something to tell. */
static bool has_event(hl_workers *w, int i, hl_worker_event *out) {
  worker *k = &w->list[i];
  if (k->pid == 0) return false;
  *out = (hl_worker_event){.worker = i};
  if (next_message(k, &out->message)) return true;
  if (!k->hung_up) return false;
  out->ended = true;
  hl_child_end(bury(k), out->how);
  return true;
}

/* Waits until some worker's socket has something, or a moment. Returns how many still run. */
static int wait_a_moment(hl_workers *w, hl_err *e, hl_status *status) {
  struct pollfd fds[MOST_WORKERS];
  int who[MOST_WORKERS], n = 0;
  for (int i = 0; i < w->n; i++) {
    if (w->list[i].pid == 0) continue;
    who[n] = i;
    fds[n++] = (struct pollfd){.fd = w->list[i].socket, .events = POLLIN};
  }
  if (n == 0 || poll(fds, (nfds_t)n, POLL_MS) <= 0) return n;
  for (int i = 0; i < n && *status == HL_OK; i++)
    if (fds[i].revents != 0) *status = take_in(&w->list[who[i]], e);
  return n;
}

hl_status hl_workers_receive(hl_workers *w, hl_worker_event *out, hl_err *e) {
  for (int i = 0; i < w->n; i++) forget(&w->list[i]);
  for (;;) {
    for (int turn = 0; turn < w->n; turn++) {
      int i = (w->next + turn) % w->n;
      if (!has_event(w, i, out)) continue;
      w->next = (i + 1) % w->n;
      return HL_OK;
    }
    if (hl_cancel_requested()) return hl_fail(e, HL_ECANCELLED, "interrupted");
    hl_status status = HL_OK;
    if (wait_a_moment(w, e, &status) == 0) return hl_fail(e, HL_EIO, "no worker is left");
    HL_TRY(status);
  }
}
