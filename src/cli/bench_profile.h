/* bench_profile.h - the passes of a step, gathered from effnet_bench and shown as a table or as JSON, each beside what
 * the machine could do. */
#ifndef EFFNET_CLI_BENCH_PROFILE_H
#define EFFNET_CLI_BENCH_PROFILE_H

#include "effnet.h"

#include <jansson.h>

typedef struct BenchProfile {
    effnet_pass_profile *passes;
    int count, capacity;
    bool no_memory;
    const char *dtype; /* of the matrix products: its peak is the roof, where the processor has such products */
} BenchProfile;

/* effnet_bench_options.on_pass; context is a BenchProfile, zeroed at first. The names are kept, not copied text of the
 * engine: they are duplicated. */
void bench_profile_add(void *context, const effnet_pass_profile *pass);
void bench_profile_free(BenchProfile *profile);
/* Kinds of passes first, by time; then every pass in its order. */
void bench_profile_print(const BenchProfile *profile, const effnet_limits *limits);
/* The arithmetic that the roof is made of, in GFLOP/s. */
double bench_profile_peak(const BenchProfile *profile, const effnet_limits *limits);
/* An array of every pass. */
json_t *bench_profile_json(const BenchProfile *profile, const effnet_limits *limits);

#endif
