/* One case of the phantom on disk. */
#ifndef HILUM_IO_PHANTOM_CASE_H
#define HILUM_IO_PHANTOM_CASE_H

#include <hilum/phantom.h>

/* Writes the slices and the reading of a scan into a folder that is there, varied as the options
 * say. */
HL_MUST_CHECK hl_status phantom_write_case(const char *folder, const hl_phantom_scan *s,
                                           const hl_phantom_options *o, int item,
                                           const char *patient, hl_err *e);

/* The scan's marks, varied as the options say, on slices that are moved by shift_mm(k). */
typedef double (*phantom_shift)(int64_t k);
HL_MUST_CHECK hl_status phantom_vary_marks(hl_marks **out, const hl_phantom_scan *s,
                                           hl_phantom_variant variant, phantom_shift shift_mm,
                                           hl_err *e);

#endif
