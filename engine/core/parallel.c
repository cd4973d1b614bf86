#include <hilum/parallel.h>

#include <omp.h>
#include <stdatomic.h>

/* ThreadSanitizer cannot see how libgomp starts and joins its threads: it is told, and kept from
 * what the compiler itself hands to them. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char forked, joined;
#define UNWATCHED __attribute__((no_sanitize("thread")))
#define PUBLISH(mark) __tsan_release(&(mark))
#define OBSERVE(mark) __tsan_acquire(&(mark))
#else
#define UNWATCHED
#define PUBLISH(mark) ((void)0)
#define OBSERVE(mark) ((void)0)
#endif

UNWATCHED void hl_parallel_for(int64_t n, int64_t grain, hl_range_body body, void *ctx) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  int64_t chunks = n / grain + (n % grain != 0);
  if (chunks == 1) {
    body(0, n, ctx);
    return;
  }
  PUBLISH(forked);
#pragma omp parallel
  {
    OBSERVE(forked);
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t i = 0; i < chunks; i++) {
      int64_t begin = i * grain;
      body(begin, n - begin < grain ? n : begin + grain, ctx);
    }
    PUBLISH(joined);
  }
  OBSERVE(joined);
}

int hl_compute_threads(void) {
  return omp_get_max_threads();
}

void hl_set_compute_threads(int threads) {
  int most = omp_get_num_procs();
  omp_set_num_threads(threads < 1 ? 1 : threads > most ? most : threads);
}

static atomic_bool cancelled;

void hl_cancel_request(void) {
  atomic_store(&cancelled, true);
}
void hl_cancel_clear(void) {
  atomic_store(&cancelled, false);
}
bool hl_cancel_requested(void) {
  return atomic_load(&cancelled);
}
