/* Long work: compute threads, progress, cancellation. The only door to OpenMP; partitions are
 * fixed, so bits repeat. */
#ifndef HILUM_PARALLEL_H
#define HILUM_PARALLEL_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls body(begin, end, ctx) over chunks of `grain` indices that cover 0 … n-1, each chunk once,
 * on the compute threads. Chunk boundaries depend on n and grain alone, never on the number of
 * threads; body must not depend on the order of chunks. Chunk number = begin / grain. */
typedef void (*hl_range_body)(int64_t begin, int64_t end, void *ctx);
void hl_parallel_for(int64_t n, int64_t grain, hl_range_body body, void *ctx);

/* Number of compute threads T (≥ 1). Bits of some kernels depend on T: archives record it. */
int hl_compute_threads(void);
/* Clamped to 1 … the number of logical processors allowed to this process. */
void hl_set_compute_threads(int threads);

/* How far long work is: `done` of `total` pieces (files, cases), total 0 while it is not known. */
typedef void (*hl_progress)(void *ctx, int64_t done, int64_t total, const char *what);

/* Cooperative cancellation: set from a signal handler, polled between ops and files. */
void hl_cancel_request(void);
void hl_cancel_clear(void);
bool hl_cancel_requested(void);

#ifdef __cplusplus
}
#endif
#endif
