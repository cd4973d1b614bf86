/* What the machine can do at best, as measures for kernels. */
#ifndef HILUM_MACHINE_H
#define HILUM_MACHINE_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes per second of the triad a = b + s·c over f32 arrays far larger than any cache, on all
 * compute threads: 12 bytes an element are counted, as J. McCalpin's STREAM does. Best of a few
 * runs. Arrays are allocated and freed. */
HL_MUST_CHECK hl_status hl_machine_triad(double *bytes_per_s, hl_err *e);

/* f32 operations per second of multiply-adds in registers, on all compute threads: 2 operations
 * each. Best of a few runs. */
double hl_machine_multiply_add(void);

/* Seconds on a clock that only goes forward. */
double hl_machine_clock(void);

#ifdef __cplusplus
}
#endif
#endif
