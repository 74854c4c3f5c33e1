/* bench_profile.c - see bench_profile.h. "Of the roof" is the least time that the arithmetic or the memory traffic of
 * a pass would take on this machine, whichever is longer, as a share of the time it took: tensors that stay in the
 * caches can lift it above one. */
#include "bench_profile.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_profile_add(void *context, const effnet_pass_profile *pass) {
    BenchProfile *profile = context;
    if (profile->count == profile->capacity) {
        int capacity = profile->capacity ? 2 * profile->capacity : 256;
        effnet_pass_profile *grown = realloc(profile->passes, (size_t)capacity * sizeof *grown);
        if (!grown) {
            profile->no_memory = true;
            return;
        }
        profile->passes = grown;
        profile->capacity = capacity;
    }
    effnet_pass_profile *to = &profile->passes[profile->count];
    *to = *pass;
    to->pass = strdup(pass->pass);
    to->op = strdup(pass->op);
    profile->count++;
    if (!to->pass || !to->op) profile->no_memory = true;
}

void bench_profile_free(BenchProfile *profile) {
    for (int i = 0; i < profile->count; i++) {
        free((char *)profile->passes[i].pass);
        free((char *)profile->passes[i].op);
    }
    free(profile->passes);
}

double bench_profile_peak(const BenchProfile *profile, const effnet_limits *limits) {
    double dots = limits->amx_gflops > limits->bf16_gflops ? limits->amx_gflops : limits->bf16_gflops;
    if (strcmp(profile->dtype, "int8") == 0) dots = limits->int8_gops;
    return strcmp(profile->dtype, "fp32") != 0 && dots > limits->gflops ? dots : limits->gflops;
}

static double roof_ms(const effnet_pass_profile *pass, double peak, const effnet_limits *limits) {
    double arithmetic = pass->operations / peak / 1e6, traffic = pass->bytes / limits->read_gbps / 1e6;
    return arithmetic > traffic ? arithmetic : traffic;
}

typedef struct Row {
    effnet_pass_profile sum;
    double roof;
    int passes;
} Row;

static int by_time(const void *a, const void *b) {
    double left = ((const Row *)a)->sum.ms, right = ((const Row *)b)->sum.ms;
    return (left < right) - (left > right);
}

static void print_row(const char *pass, const char *op, const Row *row, double total) {
    const effnet_pass_profile *sum = &row->sum;
    printf("%-19s %-31s %9.3f %9.3f %5.1f%%", pass, op, sum->ms, sum->ms_best, 100 * sum->ms / total);
    if (sum->bytes > 0)
        printf(" %9.1f %8.1f %8.0f%%\n", sum->operations / sum->ms / 1e6, sum->bytes / sum->ms / 1e6,
               100 * row->roof / sum->ms);
    else
        putchar('\n');
}

static void print_head(const char *first, const char *second) {
    printf("\n%-19s %-31s %9s %9s %6s %9s %8s %9s\n", first, second, "ms", "best", "share", "GFLOP/s", "GB/s",
           "of roof");
}

enum { MOST_KINDS = 32 };

void bench_profile_print(const BenchProfile *profile, const effnet_limits *limits) {
    Row kinds[MOST_KINDS] = {0}, all = {0};
    int count = 0;
    const double peak = bench_profile_peak(profile, limits);
    for (int i = 0; i < profile->count; i++) {
        const effnet_pass_profile *pass = &profile->passes[i];
        int kind = 0;
        while (kind < count && strcmp(kinds[kind].sum.pass, pass->pass) != 0) kind++;
        if (kind == MOST_KINDS) continue;
        if (kind == count) kinds[count++].sum.pass = pass->pass;
        Row *rows[] = {&kinds[kind], &all};
        for (int r = 0; r < 2; r++) {
            rows[r]->sum.ms += pass->ms;
            rows[r]->sum.ms_best += pass->ms_best;
            rows[r]->sum.operations += pass->operations;
            rows[r]->sum.bytes += pass->bytes;
            rows[r]->roof += roof_ms(pass, peak, limits);
            rows[r]->passes++;
        }
    }
    qsort(kinds, (size_t)count, sizeof *kinds, by_time);
    printf("\nthis machine at most: %.0f GFLOP/s %s, %.1f GB/s read, %.1f GB/s copied (%s, %d threads)\n", peak,
           peak > limits->gflops ? profile->dtype : "fp32", limits->read_gbps, limits->copy_gbps, limits->isa,
           limits->threads);
    print_head("pass", "");
    for (int i = 0; i < count; i++) {
        char passes[32];
        snprintf(passes, sizeof passes, "%d", kinds[i].passes);
        print_row(kinds[i].sum.pass, passes, &kinds[i], all.sum.ms);
    }
    print_row("all", "", &all, all.sum.ms);
    print_head("pass", "op");
    for (int i = 0; i < profile->count; i++) {
        Row row = {.sum = profile->passes[i], .roof = roof_ms(&profile->passes[i], peak, limits), .passes = 1};
        print_row(row.sum.pass, row.sum.op, &row, all.sum.ms);
    }
}

json_t *bench_profile_json(const BenchProfile *profile, const effnet_limits *limits) {
    json_t *array = json_array();
    const double peak = bench_profile_peak(profile, limits);
    for (int i = 0; i < profile->count; i++) {
        const effnet_pass_profile *pass = &profile->passes[i];
        json_t *object = json_object();
        json_object_set_new(object, "pass", json_text(pass->pass));
        json_object_set_new(object, "op", json_text(pass->op));
        json_object_set_new(object, "ms", json_rounded(pass->ms, 5));
        json_object_set_new(object, "ms_best", json_rounded(pass->ms_best, 5));
        if (pass->bytes > 0 && pass->ms > 0) {
            json_object_set_new(object, "gflops", json_rounded(pass->operations / pass->ms / 1e6, 5));
            json_object_set_new(object, "gbps", json_rounded(pass->bytes / pass->ms / 1e6, 5));
            json_object_set_new(object, "of_roof", json_rounded(roof_ms(pass, peak, limits) / pass->ms, 4));
        }
        json_array_append_new(array, object);
    }
    return array;
}
