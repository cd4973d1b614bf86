/* The byte ledger: every tensor byte and every scratch byte is allocated here, by category.
 *
 * A ledger counts live and peak bytes. The *main* ledger hands out memory; a *counting* ledger
 * hands out none and counts all the same, which is how a plan is made by the code that later runs
 * it. */
#ifndef HILUM_LEDGER_H
#define HILUM_LEDGER_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hl_category {
  HL_MEM_DATA,       /* images, masks, inputs of a program */
  HL_MEM_PARAMETERS, /* weights */
  HL_MEM_GRADIENTS,  /* gradients of weights */
  HL_MEM_OPTIMISER,  /* moments, averages */
  HL_MEM_STATE,      /* activations and their gradients */
  HL_MEM_WORKSPACE,  /* scratch of kernels */
  HL_MEM_CATEGORIES
} hl_category;

const char *hl_category_name(hl_category c);

typedef struct hl_ledger hl_ledger;

/* The ledger of real memory; one per process, never freed. Thread-safe. */
hl_ledger *hl_ledger_main(void);

/* A ledger that counts without allocating. Owned by the caller. Used by one thread at a time. */
HL_MUST_CHECK hl_status hl_ledger_new_counting(hl_ledger **out, hl_err *e);
void hl_ledger_free(hl_ledger *l);
bool hl_ledger_is_counting(const hl_ledger *l);

/* Bytes now live, and the most that were live at once since the last reset.
 * HL_MEM_CATEGORIES stands for the sum of all categories (its peak is the peak of the sum). */
size_t hl_ledger_live(const hl_ledger *l, hl_category c);
size_t hl_ledger_peak(const hl_ledger *l, hl_category c);
/* Bytes of category c that were live at the moment of the overall peak. */
size_t hl_ledger_at_peak(const hl_ledger *l, hl_category c);
/* What was being allocated when the overall peak was reached; valid until the next allocation. */
const char *hl_ledger_peak_label(const hl_ledger *l);
/* The peak starts anew from what is live. On the main ledger, blocks kept for reuse go back to the
 * system; otherwise at most peak − live bytes of them are kept, so that the process never holds
 * more than its peak. */
void hl_ledger_reset_peak(hl_ledger *l);

/* An upper bound for live bytes, 0 for none. Reaching it fails with HL_ENOMEM as if memory had
 * ended. */
void hl_ledger_set_limit(hl_ledger *l, size_t bytes);

/* 64-byte aligned memory, not initialised. `label` names the tensor or scratch in error messages.
 * On a counting ledger *out is NULL and HL_OK is returned. bytes may be 0. */
HL_MUST_CHECK hl_status hl_mem_alloc(hl_ledger *l, void **out, size_t bytes, hl_category c,
                                     const char *label, hl_err *e);
void hl_mem_free(hl_ledger *l, void *p, size_t bytes, hl_category c);

/* The same for memory that is shared with processes forked from now on: what one of them writes,
 * all see. Zeroed. In the forked process it is not freed but ends with it. */
HL_MUST_CHECK hl_status hl_mem_share(hl_ledger *l, void **out, size_t bytes, hl_category c,
                                     const char *label, hl_err *e);
void hl_mem_unshare(hl_ledger *l, void *p, size_t bytes, hl_category c);

/* Zeroed host memory for small structures (handles, lists); not in the ledger. NULL when memory
 * ends. Release with hl_host_free. */
void *hl_host_calloc(size_t n, size_t size);
void *hl_host_realloc(void *p, size_t bytes);
char *hl_host_strdup(const char *s);
void hl_host_free(void *p);

/* Tests only: the n-th allocation from now on (0 = the next one) and all that follow fail; a
 * negative n switches this off. Returns how many allocations there were since the last call. */
long hl_test_fail_after(long n);

#ifdef __cplusplus
}
#endif
#endif
