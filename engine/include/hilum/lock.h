/* Saying that a file is being worked on, to every other process that asks. */
#ifndef HILUM_LOCK_H
#define HILUM_LOCK_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_lock hl_lock;

/* Takes the lock of `path`, which need not exist: a hidden sibling .NAME.lock that names its
 * holder. HL_EIO if another process holds it; the message says which, on which host and since when.
 * The lock ends with hl_lock_free or with the process, however that ends. */
HL_MUST_CHECK hl_status hl_lock_new(hl_lock **out, const char *path, hl_err *e);
void hl_lock_free(hl_lock *l); /* NULL is allowed; removes the sibling */

#ifdef __cplusplus
}
#endif
#endif
