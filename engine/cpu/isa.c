#include "isa.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static hl_cpu_isa chosen;

static hl_cpu_isa best(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return HL_ISA_PORTABLE;
  bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return wide ? HL_ISA_AVX512 : HL_ISA_AVX2;
#else
  return HL_ISA_PORTABLE;
#endif
}

static void choose(void) {
  static const char *const names[] = {"none", "portable", "avx2", "avx512"};
  const char *wanted = getenv("HILUM_ISA");
  chosen = best();
  for (int i = 0; wanted != NULL && i < (int)chosen; i++)
    if (strcmp(wanted, names[i]) == 0) chosen = (hl_cpu_isa)i;
}

hl_cpu_isa hl_isa(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, choose);
  return chosen;
}
