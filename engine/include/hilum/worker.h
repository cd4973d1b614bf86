/* Worker processes: forked copies of this one that answer requests while it goes on.
 *
 * A worker shares the state of this process as it was when the worker began; what it changes stays
 * with it, but for memory that is shared (hl_tensor_shared). Requests and replies are bytes: each
 * worker answers its own, one after the other. A worker that crashes or is killed costs what it was
 * asked for, never this process; when this process ends, however it does, so do they. They leave
 * Ctrl-C and SIGTERM to it, and what they print leads nowhere. */
#ifndef HILUM_WORKER_H
#define HILUM_WORKER_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_workers hl_workers;

typedef struct hl_message {
  const char *data;
  size_t bytes;
} hl_message;

/* Answers a request in the worker; the reply's bytes stay valid until the next call. A failure ends
 * the worker. */
typedef hl_status (*hl_worker_job)(void *ctx, hl_message request, hl_message *reply);

#define HL_WORKER_END_TEXT 96

typedef struct hl_worker_event {
  int worker;                   /* from 0 */
  bool ended;                   /* it will not answer any more; said once, after its last reply */
  hl_message message;           /* its reply; valid until the next call for these workers */
  char how[HL_WORKER_END_TEXT]; /* it ended: "signal 9 (Killed)" */
} hl_worker_event;

/* Starts n workers (1 … 64). HL_EIO if the system gives no processes. */
HL_MUST_CHECK hl_status hl_workers_new(hl_workers **out, int n, hl_worker_job job, void *ctx,
                                       hl_err *e);
/* Ends them; NULL is allowed. */
void hl_workers_free(hl_workers *w);

int hl_workers_count(const hl_workers *w);
/* The process number of a worker, 0 once it has ended. */
int64_t hl_workers_process(const hl_workers *w, int worker);

/* Sends a request. Never waits for a reply to be taken: those that come meanwhile are kept. To a
 * worker that has ended it is lost, and hl_workers_receive tells of the end. */
HL_MUST_CHECK hl_status hl_workers_send(hl_workers *w, int worker, hl_message request, hl_err *e);

/* Waits for the next reply of any worker, or for the end of one. HL_ECANCELLED when the user asks
 * to stop, HL_EIO when no worker is left. */
HL_MUST_CHECK hl_status hl_workers_receive(hl_workers *w, hl_worker_event *out, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
