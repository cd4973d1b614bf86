/* Whole files on disk, and scratch folders.
 *
 * A file is replaced as a whole or not at all: bytes go to a hidden sibling ".NAME.PID-N.part" in
 * the same folder, fsync, rename over the name, fsync of the folder. A kill, a full disk or a
 * pulled plug at any moment leaves the old file or the new one, both complete. */
#ifndef HILUM_DISK_H
#define HILUM_DISK_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes n bytes under `path`. On failure (HL_EIO; the message names path, number of bytes and the
 * system's reason) the sibling is removed and an existing file is untouched, with one exception
 * that the message names: the last step, fsync of the folder, failed, so the new file is in place
 * and complete but a power cut now may bring the old one back. A symbolic link is followed; an
 * existing file's permissions are kept. Siblings that a killed process left behind are removed on
 * success. */
HL_MUST_CHECK hl_status hl_disk_replace(const char *path, const void *bytes, size_t n, hl_err *e);

/* True if there is something of any kind at `path`, a dangling link included. */
bool hl_disk_exists(const char *path);

/* HL_EIO unless `path` is an ordinary file that can be read; its size in *bytes. */
HL_MUST_CHECK hl_status hl_disk_readable(const char *path, int64_t *bytes, hl_err *e);

#define HL_DISK_PATH 4096

/* A new folder, readable by this user alone, in $TMPDIR or /tmp. */
HL_MUST_CHECK hl_status hl_disk_scratch(char out[HL_DISK_PATH], hl_err *e);
/* Removes the folder and the plain files in it (not deeper). */
void hl_disk_scratch_remove(const char *folder);

/* The system calls that hl_disk_replace makes, in this order: open, write (until all is written),
 * fsync, rename, close, open (the folder), fsync, close. Each as in POSIX, errno included. */
typedef struct hl_disk_calls {
  int (*open)(const char *path, int flags, unsigned mode);
  int64_t (*write)(int fd, const void *bytes, size_t n);
  int (*fsync)(int fd);
  int (*close)(int fd);
  int (*rename)(const char *from, const char *to);
} hl_disk_calls;

/* Tests only: other calls from now on; NULL restores the system's. */
void hl_test_disk_calls(const hl_disk_calls *calls);

#ifdef __cplusplus
}
#endif
#endif
