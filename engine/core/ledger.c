#include <hilum/ledger.h>

#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL = 96 };

struct hl_ledger {
  pthread_mutex_t lock;
  bool counting;
  size_t limit;
  size_t live[HL_MEM_CATEGORIES + 1]; /* the last entry is the sum */
  size_t peak[HL_MEM_CATEGORIES + 1];
  size_t at_peak[HL_MEM_CATEGORIES + 1];
  char peak_label[LABEL];
};

static hl_ledger main_ledger = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Fault injection: allocations still allowed; negative: unlimited. */
static atomic_long allowed = -1;
static atomic_long requests;

long hl_test_fail_after(long n) {
  atomic_store(&allowed, n < 0 ? -1 : n);
  return atomic_exchange(&requests, 0);
}

static bool injected_failure(void) {
  atomic_fetch_add(&requests, 1);
  long a = atomic_load(&allowed);
  if (a < 0) return false;
  while (a > 0)
    if (atomic_compare_exchange_weak(&allowed, &a, a - 1)) return false;
  return true;
}

const char *hl_category_name(hl_category c) {
  static const char *const names[] = {"data",  "parameters", "gradients", "optimiser",
                                      "state", "workspace",  "all"};
  return (unsigned)c <= HL_MEM_CATEGORIES ? names[c] : "?";
}

hl_ledger *hl_ledger_main(void) {
  return &main_ledger;
}

hl_status hl_ledger_new_counting(hl_ledger **out, hl_err *e) {
  *out = hl_host_calloc(1, sizeof **out);
  if (*out == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a ledger");
  pthread_mutex_init(&(*out)->lock, NULL);
  (*out)->counting = true;
  return HL_OK;
}

void hl_ledger_free(hl_ledger *l) {
  if (l == NULL || l == &main_ledger) return;
  pthread_mutex_destroy(&l->lock);
  hl_host_free(l);
}

bool hl_ledger_is_counting(const hl_ledger *l) {
  return l->counting;
}

/* Reads one counter under the lock. */
static size_t counter(const hl_ledger *l, const size_t *value) {
  hl_ledger *m = (hl_ledger *)l; /* the lock is not part of the value */
  pthread_mutex_lock(&m->lock);
  size_t v = *value;
  pthread_mutex_unlock(&m->lock);
  return v;
}

size_t hl_ledger_live(const hl_ledger *l, hl_category c) {
  return counter(l, &l->live[c]);
}
size_t hl_ledger_peak(const hl_ledger *l, hl_category c) {
  return counter(l, &l->peak[c]);
}
size_t hl_ledger_at_peak(const hl_ledger *l, hl_category c) {
  return counter(l, &l->at_peak[c]);
}
const char *hl_ledger_peak_label(const hl_ledger *l) {
  return l->peak_label;
}

void hl_ledger_reset_peak(hl_ledger *l) {
  if (!l->counting) hl_block_trim(0);
  pthread_mutex_lock(&l->lock);
  memcpy(l->peak, l->live, sizeof l->peak);
  memcpy(l->at_peak, l->live, sizeof l->at_peak);
  snprintf(l->peak_label, sizeof l->peak_label, "%s", "");
  pthread_mutex_unlock(&l->lock);
}

void hl_ledger_set_limit(hl_ledger *l, size_t bytes) {
  pthread_mutex_lock(&l->lock);
  l->limit = bytes;
  pthread_mutex_unlock(&l->lock);
}

/* Books bytes, or says false if they would pass the limit. */
static bool book(hl_ledger *l, size_t bytes, hl_category c, const char *label) {
  pthread_mutex_lock(&l->lock);
  size_t sum = l->live[HL_MEM_CATEGORIES];
  bool fits = bytes <= SIZE_MAX - sum && (l->limit == 0 || sum + bytes <= l->limit);
  if (fits) {
    l->live[c] += bytes;
    l->live[HL_MEM_CATEGORIES] += bytes;
    if (l->live[c] > l->peak[c]) l->peak[c] = l->live[c];
    if (l->live[HL_MEM_CATEGORIES] > l->peak[HL_MEM_CATEGORIES]) {
      l->peak[HL_MEM_CATEGORIES] = l->live[HL_MEM_CATEGORIES];
      memcpy(l->at_peak, l->live, sizeof l->at_peak);
      snprintf(l->peak_label, sizeof l->peak_label, "%s", label);
    }
  }
  pthread_mutex_unlock(&l->lock);
  return fits;
}

static void unbook(hl_ledger *l, size_t bytes, hl_category c) {
  pthread_mutex_lock(&l->lock);
  l->live[c] -= bytes;
  l->live[HL_MEM_CATEGORIES] -= bytes;
  pthread_mutex_unlock(&l->lock);
}

/* What may be kept beside what is live: together never more than was once live. */
static size_t room_to_keep(const hl_ledger *l) {
  size_t peak = hl_ledger_peak(l, HL_MEM_CATEGORIES), live = hl_ledger_live(l, HL_MEM_CATEGORIES);
  return peak > live ? peak - live : 0;
}

/* What both kinds of memory are booked and refused by. */
static hl_status take(hl_ledger *l, void **out, size_t bytes, hl_category c, const char *label,
                      bool shared, hl_err *e) {
  *out = NULL;
  if (injected_failure())
    return hl_fail(e, HL_ENOMEM, "no memory for %s (%zu bytes, %s)", label, bytes,
                   hl_category_name(c));
  if (!book(l, bytes, c, label))
    return hl_fail(
        e, HL_ENOMEM,
        "%s needs %.1f MiB (%s), but %.1f MiB are in use and the budget is %.1f MiB: use a "
        "smaller crop or batch, fewer channels, or a larger budget",
        label, (double)bytes / 1048576.0, hl_category_name(c),
        (double)hl_ledger_live(l, HL_MEM_CATEGORIES) / 1048576.0, (double)l->limit / 1048576.0);
  if (l->counting) return HL_OK;
  *out = shared ? hl_block_share(bytes) : hl_block_new(bytes, room_to_keep(l));
  if (*out == NULL) {
    unbook(l, bytes, c);
    return hl_fail(
        e, HL_ENOMEM,
        "no memory for %s: %.1f MiB (%s) on top of %.1f MiB in use; use a smaller crop or "
        "batch, or fewer channels",
        label, (double)bytes / 1048576.0, hl_category_name(c),
        (double)hl_ledger_live(l, HL_MEM_CATEGORIES) / 1048576.0);
  }
  return HL_OK;
}

hl_status hl_mem_alloc(hl_ledger *l, void **out, size_t bytes, hl_category c, const char *label,
                       hl_err *e) {
  return take(l, out, bytes, c, label, false, e);
}

void hl_mem_free(hl_ledger *l, void *p, size_t bytes, hl_category c) {
  if (p == NULL && !l->counting) return;
  unbook(l, bytes, c);
  if (l->counting) return;
  hl_block_free(p, bytes, room_to_keep(l));
}

hl_status hl_mem_share(hl_ledger *l, void **out, size_t bytes, hl_category c, const char *label,
                       hl_err *e) {
  return take(l, out, bytes, c, label, true, e);
}

void hl_mem_unshare(hl_ledger *l, void *p, size_t bytes, hl_category c) {
  if (p == NULL && !l->counting) return;
  unbook(l, bytes, c);
  if (!l->counting) hl_block_unshare(p, bytes);
}

void *hl_host_calloc(size_t n, size_t size) {
  if (injected_failure()) return NULL;
  return calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);
}

void *hl_host_realloc(void *p, size_t bytes) {
  if (injected_failure()) return NULL;
  return realloc(p, bytes == 0 ? 1 : bytes);
}

char *hl_host_strdup(const char *s) {
  size_t n = strlen(s) + 1;
  char *copy = hl_host_calloc(n, 1);
  if (copy != NULL) memcpy(copy, s, n);
  return copy;
}

void hl_host_free(void *p) {
  free(p);
}
