#include <hilum/rng.h>

#include <math.h>
#include <string.h>

void hl_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53U * c0;
    uint64_t p1 = (uint64_t)0xCD9E8D57U * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* FNV-1a, 32 bits: names of purposes become counter words. */
static uint32_t name_word(const char *s) {
  uint32_t h = 2166136261U;
  for (; *s != '\0'; s++) h = (h ^ (uint8_t)*s) * 16777619U;
  return h;
}

hl_rng hl_rng_stream(uint64_t seed, const char *purpose, uint32_t epoch, uint32_t item) {
  hl_rng r;
  memset(&r, 0, sizeof r);
  r.key[0] = (uint32_t)seed;
  r.key[1] = (uint32_t)(seed >> 32);
  r.counter[1] = name_word(purpose);
  r.counter[2] = epoch;
  r.counter[3] = item;
  r.used = 4;
  return r;
}

uint32_t hl_rng_u32(hl_rng *r) {
  if (r->used == 4) {
    hl_philox4x32(r->counter, r->key, r->block);
    r->counter[0]++;
    r->used = 0;
  }
  return r->block[r->used++];
}

double hl_rng_uniform(hl_rng *r) {
  uint64_t high = hl_rng_u32(r) >> 5, low = hl_rng_u32(r) >> 6;
  return (double)(high * 67108864U + low) / 9007199254740992.0;
}

double hl_rng_normal(hl_rng *r) {
  const double two_pi = 6.283185307179586476925286766559;
  double radius = sqrt(-2.0 * log(1.0 - hl_rng_uniform(r)));
  return radius * cos(two_pi * hl_rng_uniform(r));
}

uint32_t hl_rng_below(hl_rng *r, uint32_t n) {
  /* Rejects the incomplete last interval, so every value is equally likely. */
  uint32_t reject = (uint32_t)(-(int64_t)n) % n;
  for (;;) {
    uint32_t v = hl_rng_u32(r);
    if (v >= reject) return v % n;
  }
}
