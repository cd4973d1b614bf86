#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Smaller ones the C library recycles well by itself. */
enum { SMALLEST = 128 * 1024, MOST = 256 };

static struct {
  pthread_mutex_t lock;
  int n;
  size_t kept;
  void *block[MOST]; /* oldest first */
  size_t bytes[MOST];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Takes entry i out of the list; the lock is held. */
static void *remove_entry(int i) {
  void *p = pool.block[i];
  pool.kept -= pool.bytes[i];
  pool.n--;
  size_t rest = (size_t)(pool.n - i);
  memmove(&pool.block[i], &pool.block[i + 1], rest * sizeof pool.block[0]);
  memmove(&pool.bytes[i], &pool.bytes[i + 1], rest * sizeof pool.bytes[0]);
  return p;
}

void *hl_pool_take(size_t bytes) {
  void *p = NULL;
  pthread_mutex_lock(&pool.lock);
  for (int i = pool.n - 1; i >= 0 && p == NULL; i--) /* the newest is still in the caches */
    if (pool.bytes[i] == bytes) p = remove_entry(i);
  pthread_mutex_unlock(&pool.lock);
  return p;
}

bool hl_pool_keep(void *p, size_t bytes, size_t room) {
#if defined(__SANITIZE_ADDRESS__)
  (void)p, (void)bytes, (void)room;
  return false; /* a kept block would hide its use after release */
#else
  if (bytes < SMALLEST || bytes > room) return false;
  hl_pool_shrink(room - bytes);
  pthread_mutex_lock(&pool.lock);
  bool fits = pool.n < MOST;
  if (fits) {
    pool.block[pool.n] = p;
    pool.bytes[pool.n] = bytes;
    pool.n++;
    pool.kept += bytes;
  }
  pthread_mutex_unlock(&pool.lock);
  return fits;
#endif
}

void hl_pool_shrink(size_t room) {
  pthread_mutex_lock(&pool.lock);
  while (pool.n > 0 && pool.kept > room) free(remove_entry(0));
  pthread_mutex_unlock(&pool.lock);
}
