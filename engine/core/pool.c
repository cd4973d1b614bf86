#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Below this size the C library recycles well by itself. */
enum { LARGE = 128 * 1024, MOST_KEPT = 256, ALIGNMENT = 64 };

#if defined(__SANITIZE_ADDRESS__)
static bool is_large(size_t bytes) {
  (void)bytes;
  return false; /* a kept block would hide its use after release */
}
#else
static bool is_large(size_t bytes) {
  return bytes >= LARGE;
}
#endif

static struct {
  pthread_mutex_t lock;
  int n;
  size_t kept;
  void *block[MOST_KEPT]; /* oldest first */
  size_t bytes[MOST_KEPT];
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

static void *take_kept(size_t bytes) {
  void *p = NULL;
  pthread_mutex_lock(&pool.lock);
  for (int i = pool.n - 1; i >= 0 && p == NULL; i--) /* the newest is still in the caches */
    if (pool.bytes[i] == bytes) p = remove_entry(i);
  pthread_mutex_unlock(&pool.lock);
  return p;
}

void hl_block_trim(size_t room) {
  pthread_mutex_lock(&pool.lock);
  while (pool.n > 0 && pool.kept > room) {
    size_t bytes = pool.bytes[0];
    munmap(remove_entry(0), bytes);
  }
  pthread_mutex_unlock(&pool.lock);
}

/* Large blocks lie on huge pages where the system has them: fresh memory then costs a
 * five-hundredth of the page faults. */
enum { HUGE_PAGE = 2 * 1024 * 1024 };

static void *map_huge(size_t bytes) {
  if (bytes > SIZE_MAX - HUGE_PAGE) return NULL;
  char *p =
      mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
  size_t page = (size_t)sysconf(_SC_PAGESIZE), end = (bytes + page - 1) / page * page;
  if (before > 0) munmap(p, before);
  if (HUGE_PAGE - before > 0) munmap(p + before + end, HUGE_PAGE - before + bytes - end);
  madvise(p + before, bytes, MADV_HUGEPAGE); /* a hint: without effect where there are none */
  return p + before;
}

static void *map_pages(size_t bytes) {
  if (bytes >= 2 * (size_t)HUGE_PAGE) return map_huge(bytes);
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

static size_t rounded(size_t bytes) {
  return bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void *hl_block_new(size_t bytes, size_t room) {
  size_t size = rounded(bytes);
  if (size < bytes) return NULL;
  if (!is_large(size)) return aligned_alloc(ALIGNMENT, size);
  void *p = take_kept(size);
  if (p != NULL) return p;
  hl_block_trim(room);
  p = map_pages(size);
  if (p != NULL) return p;
  hl_block_trim(0);
  return map_pages(size);
}

void *hl_block_share(size_t bytes) {
  void *p = mmap(NULL, rounded(bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

void hl_block_unshare(void *p, size_t bytes) {
  munmap(p, rounded(bytes));
}

/* Gives up smaller blocks than this one until it fits; larger ones cost more to map anew. The lock
 * is held. */
static void make_room(size_t bytes, size_t room) {
  for (int i = 0; i < pool.n && pool.kept + bytes > room;) {
    size_t size = pool.bytes[i];
    if (size < bytes)
      munmap(remove_entry(i), size);
    else
      i++;
  }
}

static bool keep(void *p, size_t bytes, size_t room) {
  pthread_mutex_lock(&pool.lock);
  make_room(bytes, room);
  bool fits = pool.n < MOST_KEPT && pool.kept + bytes <= room;
  if (fits) {
    pool.block[pool.n] = p;
    pool.bytes[pool.n] = bytes;
    pool.n++;
    pool.kept += bytes;
  }
  pthread_mutex_unlock(&pool.lock);
  return fits;
}

void hl_block_free(void *p, size_t bytes, size_t room) {
  size_t size = rounded(bytes);
  if (!is_large(size))
    free(p);
  else if (!keep(p, size, room))
    munmap(p, size);
}
