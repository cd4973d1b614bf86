/* Counter-based random numbers: Philox 4×32-10 (Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3"). A stream is named by (seed, purpose, epoch, item) and is the same whoever
 * draws from it, in whatever order and on whatever thread. */
#ifndef HILUM_RNG_H
#define HILUM_RNG_H

#include <hilum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hl_rng {
  uint32_t key[2];
  uint32_t counter[4]; /* [0] = draw block, [1] = purpose, [2] = epoch, [3] = item */
  uint32_t block[4];
  int used; /* words of `block` already handed out */
} hl_rng;

/* A stream at its beginning. `purpose` is any short name ("init", "augment", "shuffle", …). */
hl_rng hl_rng_stream(uint64_t seed, const char *purpose, uint32_t epoch, uint32_t item);

uint32_t hl_rng_u32(hl_rng *r);
/* Uniform in [0, 1), 53 bits. */
double hl_rng_uniform(hl_rng *r);
/* Standard normal (Box–Muller; two uniforms a draw). */
double hl_rng_normal(hl_rng *r);
/* Uniform in 0 … n-1 without bias; n ≥ 1. */
uint32_t hl_rng_below(hl_rng *r, uint32_t n);

/* One block of the bare generator, for tests against published vectors. */
void hl_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#ifdef __cplusplus
}
#endif
#endif
