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
static bool has_avx512bf16(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && has_avx512();
}
#endif

static const struct Choice {
    CpuIsa isa;
    bool (*available)(void);
} choices[] = {
/* best first */
#ifdef EFFNET_X86
    {{"avx512bf16", &cpu_kernels_avx512, &cpu_kernels_avx512bf16_bf16}, has_avx512bf16},
    {{"avx512", &cpu_kernels_avx512, &cpu_kernels_avx512_bf16}, has_avx512},
    {{"avx2", &cpu_kernels_avx2, &cpu_kernels_avx2_bf16}, has_avx2},
#endif
    {{"scalar", &cpu_kernels_scalar, &cpu_kernels_scalar_bf16}, always},
};
enum { CHOICES = sizeof choices / sizeof choices[0] };

effnet_status cpu_isa_choose(const CpuIsa **out, effnet_error *err) {
    const char *forced = getenv("EFFNET_ISA");
    for (int i = 0; i < CHOICES; i++) {
        const struct Choice *choice = &choices[i];
        if (forced && *forced && strcmp(forced, choice->isa.name) != 0) continue;
        if (choice->available()) {
            *out = &choice->isa;
            return EFFNET_OK;
        }
        if (forced && *forced)
            return fail(err, EFFNET_ERROR_UNSUPPORTED,
                        "EFFNET_ISA=%s, but this processor or its system lacks it; unset it", forced);
    }
    return fail(err, EFFNET_ERROR_ARGUMENT, "EFFNET_ISA=%.40s is unknown; allowed: scalar, avx2, avx512, avx512bf16",
                forced);
}

void cpu_isa_describe(char *found, size_t found_size, char *used, size_t used_size) {
    size_t length = 0;
    if (found_size) found[0] = 0;
    for (int i = CHOICES - 1; i >= 0 && length < found_size; i--)
        if (choices[i].available())
            length +=
                (size_t)snprintf(found + length, found_size - length, "%s%s", length ? " " : "", choices[i].isa.name);
    const CpuIsa *isa = NULL;
    effnet_error err;
    if (cpu_isa_choose(&isa, &err) == EFFNET_OK)
        snprintf(used, used_size, "%s", isa->name);
    else
        snprintf(used, used_size, "none (%s)", err.message);
}
