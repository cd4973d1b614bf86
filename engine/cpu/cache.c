#include "cache.h"

#include <pthread.h>
#include <string.h>

static struct {
  pthread_mutex_t lock;
  uint64_t clock;
  int n;
  hl_cached *entry[HL_CACHE_ENTRIES];
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* FNV-1a: only spares comparisons, keys are compared in full. */
static uint64_t hash_of(const unsigned char *key, size_t n) {
  uint64_t h = 14695981039346656037U;
  for (size_t i = 0; i < n; i++) h = (h ^ key[i]) * 1099511628211U;
  return h;
}

static hl_cached *find(const void *key, size_t size, uint64_t hash) {
  for (int i = 0; i < cache.n; i++) {
    hl_cached *c = cache.entry[i];
    if (c->hash == hash && c->key_size == size && memcmp(c->key, key, size) == 0) return c;
  }
  return NULL;
}

static void let_go(hl_cached *c) {
  if (--c->users == 0) c->release(c);
}

/* A free place; the entry used longest ago makes room if all are taken. */
static int place(void) {
  if (cache.n < HL_CACHE_ENTRIES) return cache.n++;
  int oldest = 0;
  for (int i = 1; i < cache.n; i++)
    if (cache.entry[i]->used < cache.entry[oldest]->used) oldest = i;
  let_go(cache.entry[oldest]);
  return oldest;
}

static hl_status get(const void *key, size_t size, hl_cache_make make, hl_cached **out, hl_err *e) {
  uint64_t hash = hash_of(key, size);
  hl_cached *c = find(key, size, hash);
  if (c == NULL) {
    HL_TRY(make(key, &c, e));
    c->hash = hash;
    c->key_size = size;
    memcpy(c->key, key, size);
    c->users = 1;
    cache.entry[place()] = c;
  }
  c->used = ++cache.clock;
  c->users++;
  *out = c;
  return HL_OK;
}

hl_status hl_cache_get(const void *key, size_t key_size, hl_cache_make make, hl_cached **out,
                       hl_err *e) {
  *out = NULL;
  if (key_size > HL_CACHE_KEY)
    return hl_fail(e, HL_EINTERNAL, "a cache key of %zu bytes", key_size);
  /* Prepared under the lock: two threads that want the same primitive make it once. */
  pthread_mutex_lock(&cache.lock);
  hl_status s = get(key, key_size, make, out, e);
  pthread_mutex_unlock(&cache.lock);
  return s;
}

void hl_cache_put(hl_cached *c) {
  if (c == NULL) return;
  pthread_mutex_lock(&cache.lock);
  let_go(c);
  pthread_mutex_unlock(&cache.lock);
}
