#ifndef HILUM_IO_LIDC_FILE_H
#define HILUM_IO_LIDC_FILE_H

#include <hilum/status.h>

/* The bytes of an XML file, with a zero behind them; *out is released by hl_host_free. Refuses what
 * is no regular file or larger than any reading. */
HL_MUST_CHECK hl_status lidc_read_file(const char *path, char **out, size_t *n, hl_err *e);

#endif
