#include "lidc_file.h"
#include <hilum/ledger.h>
#include <hilum/lidc.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_MIB = 64, SNIFF = 4096 };

static hl_status refuse_file(const char *path, hl_err *e) {
  return hl_fail(e, HL_EIO, "%s: cannot be read: %s", path, strerror(errno));
}

static hl_status check_size(const char *path, int fd, size_t *n, hl_err *e) {
  struct stat st;
  if (fstat(fd, &st) != 0) return refuse_file(path, e);
  if (!S_ISREG(st.st_mode)) return hl_fail(e, HL_EIO, "%s: is no regular file", path);
  if (st.st_size > (off_t)MOST_MIB << 20)
    return hl_fail(e, HL_EFORMAT, "%s: XML of %lld MiB, expected at most %d MiB", path,
                   (long long)(st.st_size >> 20), MOST_MIB);
  *n = (size_t)st.st_size;
  return HL_OK;
}

/* Reads up to *n bytes; *n becomes what came. */
static hl_status read_bytes(const char *path, int fd, char *to, size_t *n, hl_err *e) {
  size_t done = 0;
  while (done < *n) {
    ssize_t got = read(fd, to + done, *n - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse_file(path, e);
    if (got == 0) break;
    done += (size_t)got;
  }
  *n = done;
  return HL_OK;
}

hl_status lidc_read_file(const char *path, char **out, size_t *n, hl_err *e) {
  *out = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return refuse_file(path, e);
  hl_status status = check_size(path, fd, n, e);
  if (status == HL_OK) {
    *out = hl_host_calloc(*n + 1, 1);
    status = *out ? read_bytes(path, fd, *out, n, e)
                  : hl_fail(e, HL_ENOMEM, "%s: no memory for %zu bytes", path, *n);
  }
  close(fd);
  if (status != HL_OK) {
    hl_host_free(*out);
    *out = NULL;
  }
  return status;
}

static const char *skip_past(const char *s, const char *end) {
  const char *found = strstr(s, end);
  return found ? found + strlen(end) : NULL;
}

/* The first tag's name, after declaration, comments and document type. */
static const char *first_tag(const char *s) {
  if (strncmp(s, "\xEF\xBB\xBF", 3) == 0) s += 3;
  while (s) {
    s += strspn(s, " \t\r\n");
    if (*s != '<') return NULL;
    if (strncmp(s, "<?", 2) == 0)
      s = skip_past(s, "?>");
    else if (strncmp(s, "<!--", 4) == 0)
      s = skip_past(s, "-->");
    else if (strncmp(s, "<!", 2) == 0)
      s = skip_past(s, strchr(s, '[') ? "]>" : ">");
    else
      return s + 1;
  }
  return NULL;
}

hl_status hl_lidc_recognise(const char *path, hl_xml_kind *out, hl_err *e) {
  char head[SNIFF + 1];
  size_t n = SNIFF;
  *out = HL_XML_NONE;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return refuse_file(path, e);
  hl_status status = read_bytes(path, fd, head, &n, e);
  close(fd);
  HL_TRY(status);
  head[n] = '\0';
  const char *tag = first_tag(head);
  if (!tag) return HL_OK;
  const char *colon = strpbrk(tag, ": />\t\r\n");
  if (colon && *colon == ':') tag = colon + 1;
  if (strncasecmp(tag, "LidcReadMessage", 15) == 0) *out = HL_XML_CT;
  if (strncasecmp(tag, "IdriReadMessage", 15) == 0) *out = HL_XML_RADIOGRAPH;
  return HL_OK;
}
