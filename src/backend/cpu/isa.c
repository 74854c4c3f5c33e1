/* isa.c - see isa.h. The compiler's __builtin_cpu_supports asks CPUID and XGETBV: a set whose registers the operating
 * system does not save counts as absent. Sets are bits, not a ladder: each table states what it needs. */
#include "backend/cpu/isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool always(void) {
    return true;
}

#ifdef EFFNET_X86
static bool has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static bool has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && has_avx2();
}
#endif

/* Best first. */
static const struct Choice {
    const CpuKernels *kernels;
    bool (*available)(void);
} choices[] = {
#ifdef EFFNET_X86
    {&cpu_kernels_avx512, has_avx512},
    {&cpu_kernels_avx2, has_avx2},
#endif
    {&cpu_kernels_scalar, always},
};
enum { CHOICES = sizeof choices / sizeof choices[0] };

effnet_status cpu_kernels_choose(const CpuKernels **out, effnet_error *err) {
    const char *forced = getenv("EFFNET_ISA");
    for (int i = 0; i < CHOICES; i++) {
        const struct Choice *choice = &choices[i];
        if (forced && *forced && strcmp(forced, choice->kernels->isa) != 0) continue;
        if (choice->available()) {
            *out = choice->kernels;
            return EFFNET_OK;
        }
        if (forced && *forced)
            return fail(err, EFFNET_ERROR_UNSUPPORTED,
                        "EFFNET_ISA=%s, but this processor or its system lacks it; unset it", forced);
    }
    return fail(err, EFFNET_ERROR_ARGUMENT, "EFFNET_ISA=%.40s is unknown; allowed: scalar, avx2, avx512", forced);
}

void cpu_isa_describe(char *found, size_t found_size, char *used, size_t used_size) {
    size_t length = 0;
    if (found_size) found[0] = 0;
    for (int i = CHOICES - 1; i >= 0 && length < found_size; i--)
        if (choices[i].available())
            length += (size_t)snprintf(found + length, found_size - length, "%s%s", length ? " " : "",
                                       choices[i].kernels->isa);
#ifdef EFFNET_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bf16") && length < found_size)
        snprintf(found + length, found_size - length, " avx512_bf16");
#endif
    const CpuKernels *kernels = NULL;
    effnet_error err;
    if (cpu_kernels_choose(&kernels, &err) == EFFNET_OK)
        snprintf(used, used_size, "%s", kernels->isa);
    else
        snprintf(used, used_size, "none (%s)", err.message);
}
