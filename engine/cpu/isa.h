/* The set of instructions that our own kernels use. */
#ifndef HILUM_CPU_ISA_H
#define HILUM_CPU_ISA_H

typedef enum hl_cpu_isa { HL_ISA_NONE, HL_ISA_PORTABLE, HL_ISA_AVX2, HL_ISA_AVX512 } hl_cpu_isa;

/* The best that this processor has, or, if that is less, what the environment variable HILUM_ISA
 * names: portable, avx2, avx512, or none, for oneDNN's kernels wherever it has some. Chosen at the
 * first call. */
hl_cpu_isa hl_isa(void);

#endif
