/* isa.c - see isa.h. A feature counts where the processor has it (CPUID), the operating system saves its registers
 * (XGETBV, which __builtin_cpu_supports asks too) and, for AMX, the kernel has given this process permission to use
 * them. */
#include "backend/cpu/isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef EFFNET_X86
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_TILE_CONFIG = 17, XFEATURE_TILE_DATA = 18 };

/* Its registers are AVX2's. */
static bool has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

/* Linux (5.16 and later) keeps the 8 kB of tile registers of a process only after it has asked. */
static bool has_amx(void) {
    unsigned a, b, c, d, low, high;
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, amx = bf16 | tile | int8, osxsave = 1u << 27;
    const unsigned saved = 1u << XFEATURE_TILE_CONFIG | 1u << XFEATURE_TILE_DATA;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave)) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & amx) != amx) return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return (low & saved) == saved && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA) == 0;
}
#endif

#ifdef EFFNET_ARM
#include <sys/auxv.h>

/* Bits of AT_HWCAP and AT_HWCAP2 (Linux, arch/arm64/include/uapi/asm/hwcap.h). Compilers take instructions of half
 * precision for constants where they have bf16. */
enum { HWCAP_HAS_ASIMDHP = 1 << 10, HWCAP2_HAS_I8MM = 1 << 13, HWCAP2_HAS_BF16 = 1 << 14 };
#endif

unsigned cpu_features(void) {
    unsigned features = 0;
#ifdef EFFNET_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) features |= CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        features |= CPU_AVX512;
    if (__builtin_cpu_supports("avx512bf16")) features |= CPU_AVX512_BF16;
    if (__builtin_cpu_supports("avx512vnni")) features |= CPU_AVX512_VNNI;
    if ((features & CPU_AVX2) && has_avx_vnni()) features |= CPU_AVX_VNNI;
    if (has_amx()) features |= CPU_AMX;
#endif
#ifdef EFFNET_ARM
    const unsigned long both = HWCAP2_HAS_I8MM | HWCAP2_HAS_BF16;
    features |= CPU_NEON; /* of every 64-bit ARM processor */
    if ((getauxval(AT_HWCAP) & HWCAP_HAS_ASIMDHP) && (getauxval(AT_HWCAP2) & both) == both) features |= CPU_NEON_BF16;
#endif
    return features;
}

/* Best first. */
static const struct Choice {
    CpuIsa isa;
    unsigned needs;
} choices[] = {
#ifdef EFFNET_X86
    {{"amx", &cpu_kernels_avx512, &cpu_kernels_amx_bf16},
     CPU_AVX2 | CPU_AVX512 | CPU_AVX512_BF16 | CPU_AVX512_VNNI | CPU_AMX},
    {{"avx512bf16", &cpu_kernels_avx512, &cpu_kernels_avx512bf16_bf16},
     CPU_AVX2 | CPU_AVX512 | CPU_AVX512_BF16 | CPU_AVX512_VNNI},
    {{"avx512", &cpu_kernels_avx512, &cpu_kernels_avx512_bf16}, CPU_AVX2 | CPU_AVX512},
    {{"avxvnni", &cpu_kernels_avx2, &cpu_kernels_avxvnni_bf16}, CPU_AVX2 | CPU_AVX_VNNI},
    {{"avx2", &cpu_kernels_avx2, &cpu_kernels_avx2_bf16}, CPU_AVX2},
#endif
#ifdef EFFNET_ARM
    {{"neonbf16", &cpu_kernels_neon, &cpu_kernels_neonbf16_bf16}, CPU_NEON | CPU_NEON_BF16},
    {{"neon", &cpu_kernels_neon, &cpu_kernels_neon_bf16}, CPU_NEON},
#endif
    {{"scalar", &cpu_kernels_scalar, &cpu_kernels_scalar_bf16}, 0},
};
enum { CHOICES = sizeof choices / sizeof choices[0] };

const CpuIsa *cpu_isa_at(int i) {
    return i < CHOICES ? &choices[i].isa : NULL;
}

CpuKernels cpu_kernels_with_int8(const CpuKernels *kernels) {
    CpuKernels table = *kernels;
    table.gemm_tile = kernels->gemm_tile_int8;
    table.pack_panel = kernels->pack_panel_int8;
    table.packed_bytes = 1;
    table.depth_unit = 4;
    table.depth_step = kernels->int8_depth_step;
    table.panel_head = (int)INT8_PANEL_HEAD(kernels->gemm_columns);
    return table;
}

effnet_status cpu_isa_choose(const CpuIsa **out, effnet_error *err) {
    const char *forced = getenv("EFFNET_ISA");
    const unsigned features = cpu_features();
    for (int i = 0; i < CHOICES; i++) {
        const struct Choice *choice = &choices[i];
        if (forced && *forced && strcmp(forced, choice->isa.name) != 0) continue;
        if ((choice->needs & ~features) == 0) {
            *out = &choice->isa;
            return EFFNET_OK;
        }
        if (forced && *forced)
            return fail(err, EFFNET_ERROR_UNSUPPORTED,
                        "EFFNET_ISA=%s, but this processor or its system lacks it; unset it", forced);
    }
    char names[100] = "";
    for (int i = CHOICES - 1, length = 0; i >= 0; i--)
        length +=
            snprintf(names + length, sizeof names - (size_t)length, "%s%s", length ? ", " : "", choices[i].isa.name);
    return fail(err, EFFNET_ERROR_ARGUMENT, "EFFNET_ISA=%.40s is unknown; allowed: %s", forced, names);
}

void cpu_isa_describe(char *found, size_t found_size, char *used, size_t used_size) {
    static const struct {
        unsigned feature;
        const char *name;
    } names[] = {{CPU_AVX2, "avx2"},
                 {CPU_AVX512, "avx512"},
                 {CPU_AVX512_BF16, "avx512_bf16"},
                 {CPU_AVX512_VNNI, "avx512_vnni"},
                 {CPU_AVX_VNNI, "avx_vnni"},
                 {CPU_AMX, "amx"},
                 {CPU_NEON, "neon"},
                 {CPU_NEON_BF16, "neon_bf16"}};
    const unsigned features = cpu_features();
    size_t length = (size_t)snprintf(found, found_size, "scalar");
    for (size_t i = 0; i < sizeof names / sizeof *names && length < found_size; i++)
        if (features & names[i].feature)
            length += (size_t)snprintf(found + length, found_size - length, " %s", names[i].name);
    const CpuIsa *isa = NULL;
    effnet_error err;
    if (cpu_isa_choose(&isa, &err) == EFFNET_OK)
        snprintf(used, used_size, "%s", isa->name);
    else
        snprintf(used, used_size, "none (%s)", err.message);
}
