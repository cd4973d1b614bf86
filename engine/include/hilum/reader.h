/* Reader processes: untrusted files are decoded apart.
 *
 * A list of items (files) is worked on by a few forked processes with limits on memory, processor
 * time and wall-clock time. A process that aborts, crashes, runs out of its limits or hangs costs
 * the item it was working on, which gets one message; another process takes over the rest. Results
 * come back through one block of shared memory. */
#ifndef HILUM_READER_H
#define HILUM_READER_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_reader_limits {
  int processes;       /* at once; 0: two */
  double timeout_s;    /* for one item; 0: 20 s */
  size_t memory_bytes; /* a process may add to what it has at its start; 0: 1 GiB */
} hl_reader_limits;

/* Decodes one item in the reader process. `shared` is the block of shared memory; the function
 * writes only what belongs to `item`. stdout and stderr lead nowhere there. */
typedef hl_status (*hl_reader_job)(void *ctx, int64_t item, void *shared, hl_err *e);
/* Called in the parent when an item is done (status HL_OK) or lost (e says why), in any order. */
typedef void (*hl_reader_done)(void *ctx, int64_t item, void *shared, const hl_err *e);

/* Works on items 0 … n-1. `shared_bytes` of zeroed shared memory are handed to job and done.
 * HL_OK even if items failed: their errors went to `done`. HL_ECANCELLED when the user asked to
 * stop, HL_EIO when no process can be started. All processes have ended on return. An item that
 * ends its process gets HL_EFORMAT, one that outlasts timeout_s HL_ETIMEOUT. */
HL_MUST_CHECK hl_status hl_reader_run(int64_t n, size_t shared_bytes, hl_reader_job job,
                                      hl_reader_done done, void *ctx,
                                      const hl_reader_limits *limits, hl_err *e);

#ifdef __cplusplus
}
#endif
#endif
