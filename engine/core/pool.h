/* Large blocks kept after their release for the next request of the same size: a program that runs
 * again and again then touches no fresh pages. Private to the ledger, which says how much may be
 * kept. */
#ifndef HILUM_CORE_POOL_H
#define HILUM_CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* A kept block of exactly this size, or NULL. */
void *hl_pool_take(size_t bytes);
/* Keeps the block if at most `room` bytes are then kept; says whether it did. */
bool hl_pool_keep(void *p, size_t bytes, size_t room);
/* Frees kept blocks, oldest first, until at most `room` bytes are kept. */
void hl_pool_shrink(size_t room);

#endif
