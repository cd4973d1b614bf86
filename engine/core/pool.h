/* Blocks of memory for the ledger, which says how much may be kept of what was released. Large ones
 * come straight from the system, so that what is given back is given back, and are kept for the
 * next request of the same size: a program that runs again and again then touches no fresh pages.
 */
#ifndef HILUM_CORE_POOL_H
#define HILUM_CORE_POOL_H

#include <stddef.h>

/* 64-byte aligned, not initialised; NULL when memory ends. Before a fresh large block is fetched,
 * kept ones are freed until at most `room` bytes of them are left. */
void *hl_block_new(size_t bytes, size_t room);
/* Releases a block of this size; it may be kept if at most `room` bytes are then kept. */
void hl_block_free(void *p, size_t bytes, size_t room);
/* Zeroed memory that stays the same memory in processes forked from now on; whole pages. */
void *hl_block_share(size_t bytes);
void hl_block_unshare(void *p, size_t bytes);
/* Gives kept blocks back to the system, oldest first, until at most `room` bytes are kept. */
void hl_block_trim(size_t room);

#endif
