/* What forked processes have in common. */
#ifndef HILUM_IO_CHILD_H
#define HILUM_IO_CHILD_H

#include <sys/types.h>

/* First thing in the child: it ends with its parent, leaves Ctrl-C and SIGTERM to it, dies of what
 * kills, dumps no core; stdout and stderr lead nowhere. */
void hl_child_begin(pid_t parent);
/* Closes all files but one: with a copy of a lock's file, for example, the child would hold it. */
void hl_child_close_all_but(int fd);

#define HL_CHILD_END_TEXT 96
/* How a process ended, by its wait status: "signal 9 (Killed)", "exit status 3". Returns buf. */
const char *hl_child_end(int status, char buf[HL_CHILD_END_TEXT]);

#endif
