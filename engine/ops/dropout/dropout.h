#ifndef HILUM_OPS_DROPOUT_H
#define HILUM_OPS_DROPOUT_H

#include <hilum/op.h>
#include <hilum/rng.h>

typedef struct hl_dropout_attrs {
  double rate;
  int64_t seed, stream;
  bool channels;
} hl_dropout_attrs;

enum { HL_DROPOUT_DRAWS = 4 }; /* numbers of one block of the generator */

/* Draws 4·block … 4·block + 3 of a step: those below hl_dropout_limit are dropped. */
static inline void hl_dropout_draw(const hl_dropout_attrs *a, double step, int64_t block,
                                   uint32_t draws[HL_DROPOUT_DRAWS]) {
  const uint32_t key[2] = {(uint32_t)a->seed, (uint32_t)((uint64_t)a->seed >> 32)};
  uint64_t at = (uint64_t)step;
  const uint32_t counter[4] = {(uint32_t)block, (uint32_t)a->stream, (uint32_t)at,
                               (uint32_t)((uint64_t)block >> 32 | at >> 32 << 8)};
  hl_philox4x32(counter, key, draws);
}

static inline uint32_t hl_dropout_limit(const hl_dropout_attrs *a) {
  return (uint32_t)(a->rate * 4294967296.0);
}

#endif
