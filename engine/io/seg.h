/* A segmentation object while it is put together: seg.c. What is segmented comes from others. */
#ifndef HILUM_IO_SEG_H
#define HILUM_IO_SEG_H

#include <hilum/seg.h>

typedef struct seg_segment {
  char label[64], text[160];
  char tracking[64]; /* segments of one nodule share it, and the number */
  int64_t nodule;
  int64_t part;          /* of the nodule; tells segments of one nodule apart */
  const char *type;      /* MANUAL, SEMIAUTOMATIC, AUTOMATIC */
  const char *algorithm; /* its name; NULL for MANUAL. Lent */
} seg_segment;

typedef struct seg_frame {
  int64_t segment, slice;
} seg_frame;

typedef struct seg_object {
  const hl_series *series;
  const char *title;   /* of the series of the object */
  const char *content; /* what is segmented, in words */
  const char *date;    /* "YYYY-MM-DD hh:mm:ss" of the content; the study's where it is none */
  int64_t pixels;      /* of a frame */
  seg_segment *segments;
  int64_t n_segments, most_segments;
  seg_frame *frames;
  int64_t n_frames, most_frames;
  uint8_t *bits;
  int64_t *rank;           /* of each slice among those with a frame, from 1; 0: none */
  char name[HL_HASH_TEXT]; /* what all UIDs are made from */
} seg_object;

/* Room for so many segments, and frames of all of them together. The series, title, content and
 * date are set before. */
HL_MUST_CHECK hl_status seg_begin(seg_object *o, int64_t segments, int64_t frames, hl_err *e);
void seg_release(seg_object *o);

/* Adds a segment with a mask (0: out) on a box of the series' grid; false, and nothing is added,
 * if the mask is empty. */
bool seg_add(seg_object *o, const seg_segment *s, const int64_t first[3], const int64_t size[3],
             const uint8_t *mask);

HL_MUST_CHECK hl_status seg_finish(seg_object *o, const char *path, hl_err *e);

#endif
