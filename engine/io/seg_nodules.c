/* What readers outlined, as segments: nodule by nodule. */
#include "seg.h"

#include <stdio.h>

static int drawings_of(const hl_seg_options *options, const hl_nodule *n) {
  return options->readers ? n->readers : 1;
}

static hl_status begin(seg_object *o, const hl_nodules *ns, const hl_seg_options *options,
                       hl_err *e) {
  int64_t segments = 0, frames = 0;
  for (int64_t i = 0; i < hl_nodules_count(ns); i++) {
    const hl_nodule *n = hl_nodules_at(ns, i);
    segments += drawings_of(options, n);
    frames += drawings_of(options, n) * n->size[0];
  }
  return seg_begin(o, segments, frames, e);
}

/* session: -1 for the consensus. */
static seg_segment segment_of(const hl_nodule *n, int64_t nodule, int session, int sessions) {
  seg_segment s = {.nodule = nodule, .part = session};
  snprintf(s.tracking, sizeof s.tracking, "Nodule %lld", (long long)nodule + 1);
  snprintf(s.label, sizeof s.label, "%.40s", s.tracking);
  if (session >= 0) snprintf(s.label, sizeof s.label, "%.40s, reader %d", s.tracking, session + 1);
  snprintf(s.text, sizeof s.text, "outlined by %d of %d readers, mean diameter %.1f mm", n->readers,
           sessions, n->diameter_mm);
  s.type = session < 0 ? "SEMIAUTOMATIC" : "MANUAL";
  s.algorithm = session < 0 ? "consensus of readers' outlines" : NULL;
  return s;
}

/* *any: whether there was a voxel. */
static hl_status add(seg_object *o, const hl_nodules *ns, const hl_marks *m, int64_t nodule,
                     const hl_drawing *what, bool *any, hl_err *e) {
  const hl_nodule *n = hl_nodules_at(ns, nodule);
  seg_segment s = segment_of(n, nodule, what->session, hl_marks_sessions(m));
  hl_tensor *mask;
  HL_TRY(hl_nodule_draw(&mask, ns, nodule, what, e));
  *any = seg_add(o, &s, n->first, n->size, hl_tensor_u8(mask));
  hl_tensor_unref(mask);
  return HL_OK;
}

static hl_status draw(seg_object *o, const hl_nodules *ns, const hl_marks *m,
                      const hl_seg_options *options, int64_t *without_consensus, hl_err *e) {
  hl_drawing what = {.session = -1, .level = options->level, .of = options->of};
  bool any;
  for (int64_t i = 0; i < hl_nodules_count(ns); i++) {
    const hl_nodule *n = hl_nodules_at(ns, i);
    for (int r = 0; r < drawings_of(options, n); r++) {
      if (options->readers) what.session = n->sessions[r];
      HL_TRY(add(o, ns, m, i, &what, &any, e));
      *without_consensus += !any && !options->readers;
    }
  }
  return HL_OK;
}

static hl_status build(const char *path, seg_object *o, const hl_nodules *ns, const hl_marks *m,
                       const hl_seg_options *options, hl_seg_result *result, hl_err *e) {
  int64_t without = 0;
  HL_TRY(begin(o, ns, options, e));
  HL_TRY(draw(o, ns, m, options, &without, e));
  if (o->n_segments == 0)
    return hl_fail(e, HL_EFORMAT, "%s: series %s has no nodule to write (%lld without a consensus)",
                   path, hl_series_uid(o->series), (long long)without);
  HL_TRY(seg_finish(o, path, e));
  *result = (hl_seg_result){
      .segments = o->n_segments, .frames = o->n_frames, .without_consensus = without};
  return HL_OK;
}

hl_status hl_seg_write(const char *path, const hl_series *s, const hl_nodules *ns,
                       const hl_marks *m, const hl_seg_options *options, hl_seg_result *result,
                       hl_err *e) {
  seg_object o = {.series = s,
                  .title =
                      options->readers ? "Nodules, each reader" : "Nodules, consensus of readers",
                  .content = "Lung nodules outlined by readers",
                  .date = hl_marks_date(m)};
  *result = (hl_seg_result){0};
  hl_status status = build(path, &o, ns, m, options, result, e);
  seg_release(&o);
  return status;
}
