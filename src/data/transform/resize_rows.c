/* resize_rows.c - the instances of resize_rows_body.h and which of them a machine can run. Without -ffast-math, and
 * with -ffp-contract=off, none of them reorders or fuses. */
#include "data/transform/resize_rows.h"

#include <string.h>

#define LANES 4
#define ISA   plain
#define TARGET
#include "data/transform/resize_rows_body.h"

#if defined(__x86_64__)
#define LANES  8
#define ISA    avx2
#define TARGET __attribute__((target("avx2")))
#include "data/transform/resize_rows_body.h"

#define LANES  16
#define ISA    avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include "data/transform/resize_rows_body.h"
#endif

const ResizeRows *resize_rows(int which) {
#if defined(__x86_64__)
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx512 && which-- == 0) return &rows_avx512;
    if (__builtin_cpu_supports("avx2") && which-- == 0) return &rows_avx2;
#endif
    return which == 0 ? &rows_plain : NULL;
}
