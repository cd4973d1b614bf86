/* A bounded cache of things that are costly to prepare and cheap to run again: oneDNN primitives.
 * One per process, thread-safe; what has not been used longest leaves first. Not in the byte
 * ledger: generated code and handles, no tensor data. */
#ifndef HILUM_CPU_CACHE_H
#define HILUM_CPU_CACHE_H

#include <hilum/status.h>

enum { HL_CACHE_KEY = 256, HL_CACHE_ENTRIES = 256 };

/* First member of what is cached. `release` frees the whole when its last user has let go. */
typedef struct hl_cached hl_cached;
struct hl_cached {
  void (*release)(hl_cached *c);
  long users; /* the cache's own hold included */
  uint64_t used, hash;
  size_t key_size;
  unsigned char key[HL_CACHE_KEY];
};

/* Prepares what `key` describes: sets *out with `release`, the rest of the header stays zero. */
typedef hl_status (*hl_cache_make)(const void *key, hl_cached **out, hl_err *e);

/* The entry for a key (compared by bytes), prepared now if there is none. Kept alive until the
 * caller gives it to hl_cache_put. */
HL_MUST_CHECK hl_status hl_cache_get(const void *key, size_t key_size, hl_cache_make make,
                                     hl_cached **out, hl_err *e);
void hl_cache_put(hl_cached *c);

#endif
