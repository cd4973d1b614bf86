#include "onednn.h"

#include <hilum/op.h>

#include <dnnl_debug.h>
#include <pthread.h>
#include <stdio.h>

static struct {
  pthread_once_t once;
  dnnl_status_t status;
  dnnl_engine_t engine;
  dnnl_stream_t stream;
} onednn = {.once = PTHREAD_ONCE_INIT};

static void start(void) {
  dnnl_set_primitive_cache_capacity(0);
  dnnl_set_default_fpmath_mode(dnnl_fpmath_mode_strict);
  onednn.status = dnnl_engine_create(&onednn.engine, dnnl_cpu, 0);
  if (onednn.status == dnnl_success)
    onednn.status = dnnl_stream_create(&onednn.stream, onednn.engine, dnnl_stream_default_flags);
}

hl_status hl_onednn_engine(dnnl_engine_t *engine, dnnl_stream_t *stream, hl_err *e) {
  pthread_once(&onednn.once, start);
  HL_TRY(hl_onednn_check(onednn.status, "start its CPU engine", e));
  *engine = onednn.engine;
  *stream = onednn.stream;
  return HL_OK;
}

static hl_status code_of(dnnl_status_t s) {
  switch (s) {
  case dnnl_success:
    return HL_OK;
  case dnnl_out_of_memory:
    return HL_ENOMEM;
  case dnnl_unimplemented:
  case dnnl_iterator_ends:
    return HL_EMISSING;
  case dnnl_invalid_arguments:
  case dnnl_runtime_error:
  case dnnl_not_required:
    break;
  }
  return HL_EINTERNAL;
}

hl_status hl_onednn_check(dnnl_status_t s, const char *what, hl_err *e) {
  if (s == dnnl_success) return HL_OK;
  return hl_fail(e, code_of(s), "oneDNN could not %s: dnnl_%s", what, dnnl_status2str(s));
}

static char library[32];

static void note_version(void) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(library, sizeof library, "%d.%d.%d", v->major, v->minor, v->patch);
}

const char *hl_op_cpu_library(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, note_version);
  return library;
}
