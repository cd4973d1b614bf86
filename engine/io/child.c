#include "child.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

static void silence(void) {
  int null = open("/dev/null", O_RDWR);
  if (null < 0) return;
  for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
  if (null > 2) close(null);
}

static void dump_no_core(void) {
  struct rlimit l;
  if (getrlimit(RLIMIT_CORE, &l) != 0) return;
  l.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &l);
}

void hl_child_begin(pid_t parent) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  if (getppid() != parent) _exit(0); /* it was gone before the line above */
  static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGXCPU};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
  static const int parents[] = {SIGINT, SIGTERM, SIGPIPE};
  for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) signal(parents[i], SIG_IGN);
  silence();
  dump_no_core();
}

void hl_child_close_all_but(int fd) {
  DIR *dir = opendir("/proc/self/fd");
  if (dir == NULL) return;
  int own = dirfd(dir);
  const struct dirent *entry;
  while ((entry = readdir(dir)) != NULL) {
    int one = atoi(entry->d_name);
    if (one > 2 && one != fd && one != own) close(one);
  }
  closedir(dir);
}

const char *hl_child_end(int status, char buf[HL_CHILD_END_TEXT]) {
  if (WIFSIGNALED(status))
    snprintf(buf, HL_CHILD_END_TEXT, "signal %d (%s)", WTERMSIG(status),
             strsignal(WTERMSIG(status)));
  else
    snprintf(buf, HL_CHILD_END_TEXT, "exit status %d",
             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return buf;
}
