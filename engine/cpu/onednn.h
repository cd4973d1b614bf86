/* oneDNN's engine and its status codes. The only header of hilum that shows oneDNN; included inside
 * engine/cpu alone. */
#ifndef HILUM_CPU_ONEDNN_H
#define HILUM_CPU_ONEDNN_H

#include <hilum/status.h>

#include <dnnl.h>

/* The CPU engine and its stream, made at the first call and never freed. oneDNN's own primitive
 * cache is off (cache.h is the only one), arithmetic is strict f32, threads are OpenMP's. */
HL_MUST_CHECK hl_status hl_onednn_engine(dnnl_engine_t *engine, dnnl_stream_t *stream, hl_err *e);

/* HL_OK for dnnl_success; otherwise an error that says what was tried and names oneDNN's status. */
HL_MUST_CHECK hl_status hl_onednn_check(dnnl_status_t s, const char *what, hl_err *e);

#endif
