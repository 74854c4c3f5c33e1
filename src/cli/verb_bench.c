/* verb_bench.c - effnet bench: images a second of a training step or of inference, on random pictures. */
#include "bench_profile.h"
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static json_t *json_limit(double gflops) {
    return gflops > 0 ? json_rounded(gflops, 5) : json_null();
}

static void print_limit(const char *what, double gflops) {
    if (gflops > 0)
        printf("  %-19s %.0f GFLOP/s\n", what, gflops);
    else
        printf("  %-19s not on this processor\n", what);
}

static int print_limits(const effnet_limits *limits, bool json) {
    if (json) {
        json_t *object = json_object();
        json_object_set_new(object, "isa", json_text(limits->isa));
        json_object_set_new(object, "threads", json_integer(limits->threads));
        json_object_set_new(object, "gflops", json_rounded(limits->gflops, 5));
        json_object_set_new(object, "bf16_gflops", json_limit(limits->bf16_gflops));
        json_object_set_new(object, "int8_gops", json_limit(limits->int8_gops));
        json_object_set_new(object, "amx_gflops", json_limit(limits->amx_gflops));
        json_object_set_new(object, "read_gbps", json_rounded(limits->read_gbps, 4));
        json_object_set_new(object, "copy_gbps", json_rounded(limits->copy_gbps, 4));
        return json_print("bench", object);
    }
    printf("%s, %d threads\n", limits->isa, limits->threads);
    printf("  fp32 multiply-adds  %.0f GFLOP/s\n", limits->gflops);
    print_limit("bf16 dot products", limits->bf16_gflops);
    print_limit("int8 dot products", limits->int8_gops);
    print_limit("AMX bf16 tiles", limits->amx_gflops);
    printf("  memory              %.1f GB/s read, %.1f GB/s copied\n", limits->read_gbps, limits->copy_gbps);
    return EXIT_OK;
}

static int print_json(const char *mode, const effnet_bench_result *result, const BenchProfile *profile,
                      const effnet_limits *limits) {
    json_t *object = json_object();
    json_object_set_new(object, "mode", json_text(mode));
    json_object_set_new(object, "model", json_text(result->model));
    json_object_set_new(object, "res", json_integer(result->resolution));
    json_object_set_new(object, "res_width", json_integer(result->resolution_width));
    json_object_set_new(object, "batch", json_integer(result->batch));
    json_object_set_new(object, "dtype", json_text(result->dtype));
    json_object_set_new(object, "threads", json_integer(result->threads));
    json_object_set_new(object, "steps", json_integer(result->steps));
    json_object_set_new(object, "isa", json_text(result->isa));
    json_object_set_new(object, "images_per_s", json_rounded(result->images_per_s, 5));
    json_object_set_new(object, "images_per_s_best", json_rounded(result->images_per_s_best, 5));
    json_object_set_new(object, "ms_per_step", json_rounded(result->ms_per_step, 6));
    json_object_set_new(object, "peak_rss_mb", json_rounded(result->peak_rss_mb, 5));
    json_object_set_new(object, "activation_mb", json_rounded(result->activation_mb, 5));
    if (result->compile_seconds > 0)
        json_object_set_new(object, "compile_seconds", json_rounded(result->compile_seconds, 4));
    if (result->upload_bytes > 0) json_object_set_new(object, "upload_bytes", json_integer(result->upload_bytes));
    if (result->workers > 1) {
        json_object_set_new(object, "workers", json_integer(result->workers));
        json_object_set_new(object, "exchange_share", json_rounded(result->exchange_share, 4));
        json_object_set_new(object, "bytes_per_step", json_integer(result->bytes_per_step));
    }
    if (profile->count) {
        json_object_set_new(object, "peak_gflops", json_rounded(bench_profile_peak(profile, limits), 5));
        json_object_set_new(object, "peak_read_gbps", json_rounded(limits->read_gbps, 4));
        json_object_set_new(object, "passes", bench_profile_json(profile, limits));
    }
    return json_print("bench", object);
}

static void print_text(const char *mode, const effnet_bench_result *result) {
    printf("%s, %s at %dx%d, batch %d, %s, %s, %d threads, %d steps\n", mode, result->model, result->resolution,
           result->resolution_width, result->batch, result->dtype, result->isa, result->threads, result->steps);
    printf("  images/s     %.1f median, %.1f best\n", result->images_per_s, result->images_per_s_best);
    printf("  ms per step  %.1f\n", result->ms_per_step);
    if (result->workers > 1)
        printf("  exchange     %.1f %% of the time, %.2f MB a step sent by each of %d workers\n",
               100 * result->exchange_share, (double)result->bytes_per_step / 1e6, result->workers);
    if (result->upload_bytes > 0)
        printf("  upload       %.2f MB a step, pictures as bytes\n", (double)result->upload_bytes / 1e6);
    if (result->compile_seconds > 0)
        printf("  memory       %.0f MB peak on the device; compiled in %.1f s\n", result->activation_mb,
               result->compile_seconds);
    else
        printf("  memory       %.0f MB peak, %.0f MB of it activations\n", result->peak_rss_mb, result->activation_mb);
}

static void print_all(const effnet_bench_options *bench, const char *mode, const effnet_bench_result *result,
                      const effnet_limits *limits) {
    effnet_model *opened = NULL;
    const effnet_model_options one_thread = {.struct_size = sizeof one_thread, .threads = 1};
    if (bench->model && effnet_model_open(bench->model, &one_thread, &opened, NULL) == EFFNET_OK)
        text_print_card(opened, stdout);
    effnet_model_free(opened);
    print_text(mode, result);
    if (bench->on_pass) bench_profile_print(bench->context, limits);
}

/* bench->context: the BenchProfile that on_pass, where it is set, fills. */
static int run(const effnet_bench_options *bench, const char *mode, bool only_limits, bool json) {
    effnet_bench_result result = {.struct_size = sizeof result};
    effnet_limits limits = {.struct_size = sizeof limits};
    effnet_error error;
    effnet_status failed = EFFNET_OK;
    if (!only_limits) failed = effnet_bench(bench, &result, &error);
    if (failed == EFFNET_OK && (only_limits || bench->on_pass))
        failed = effnet_measure_limits(bench->threads, &limits, &error);
    if (failed != EFFNET_OK) {
        const int status = result.told_elsewhere ? EXIT_FAILED : report("bench", &error);
        return failed == EFFNET_ERROR_ARGUMENT ? EXIT_USAGE : status; /* every argument came from the command line */
    }
    if (result.worker > 0) return EXIT_OK; /* worker 0 tells */
    if (only_limits) return print_limits(&limits, json);
    if (json) return print_json(mode, &result, bench->context, &limits);
    print_all(bench, mode, &result, &limits);
    return EXIT_OK;
}

static const VerbHelp help = {
    .verb = "bench",
    .text = "train: forward, backward and optimizer; infer: forward alone. The pictures are random numbers that\n"
            "lie in memory. The first steps warm up and do not count; figures are medians over the others.\n"
            "limits: what the processor can do at most, arithmetic and memory.\n"
            "train --dist mpi, started by mpirun or srun: every worker has its part of the batch; threads and memory\n"
            "are one worker's, images/s are all workers', and the share of the time in exchange is told.\n",
    .examples = "  effnet bench train --model efficientnet_b0 --res 224 --batch 32\n"
                "  effnet bench infer --batch 1 --threads 1 --json\n"
                "  effnet bench train --res 32 --batch 256 --profile\n"
                "  effnet bench infer --res 224x320\n"
                "  mpirun -n 2 effnet bench train --batch 64 --threads 1 --dist mpi\n"
                "  effnet bench limits\n",
};

int verb_bench(int argc, char **argv) {
    const char *model = NULL, *dtype = NULL, *engine = NULL, *fuse = "auto", *device = NULL, *dist = NULL;
    bool json = false, profile = false;
    OptionSize resolution = {0};
    int64_t batch = 0, threads = 0, steps = 0, dist_timeout = 0;
    const Option options[] = {
        OPTION_ROW_TEXT("model", "NAME", &model, "default efficientnet_b0; or a .safetensors file or checkpoint"),
        OPTION_ROW_RESOLUTION(&resolution, "size of the input; 0, the default: the model's own"),
        OPTION_ROW_INTEGER("batch", "B", &batch, 1, 65536, "images a step, of all workers together; default 32"),
        OPTION_ROW_CHOICE(
            "dtype", "fp32|bf16|int8", &dtype,
            "numbers that activations are kept in; default fp32; int8, for infer: bf16, and 1x1 convolutions in "
            "bytes"),
        OPTION_ROW_THREADS(&threads, ONE_EACH_PROCESSOR),
        OPTION_ROW_INTEGER("steps", "N", &steps, 1, 1000000, "steps measured; default 10"),
        OPTION_ROW_ENGINE(&engine),
        OPTION_ROW_DEVICE(&device),
        OPTION_ROW_DIST(&dist, "with an equal part of the batch; train alone"),
        OPTION_ROW_DIST_TIMEOUT(&dist_timeout),
        OPTION_ROW_CHOICE("fuse", "auto|all|none", &fuse,
                          "recompute expand convolutions instead of storing them: where it pays, all, none"),
        OPTION_ROW_FLAG("profile", &profile, "the time of each pass, beside what the machine could do"),
        OPTION_ROW_JSON(&json, "one JSON object"),
        {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("bench", "say what to measure: train or infer, or limits");
    if (line.count > 1) return usage_error("bench", "unexpected argument '%.60s'", line.arguments[1]);
    const char *mode = line.arguments[0];
    bool only_limits = strcmp(mode, "limits") == 0;
    if (strcmp(mode, "train") != 0 && strcmp(mode, "infer") != 0 && !only_limits)
        return usage_error("bench", "cannot measure '%.60s'; allowed: train, infer, limits", mode);
    BenchProfile passes = {.dtype = dtype ? dtype : "fp32"};
    const effnet_bench_options bench = {
        .struct_size = sizeof bench,
        .infer = strcmp(mode, "infer") == 0,
        .model = model,
        .resolution = resolution.height,
        .resolution_width = resolution.width,
        .batch = (int)batch,
        .threads = (int)threads,
        .steps = (int)steps,
        .dtype = dtype,
        .engine = engine,
        .device = device,
        .dist = dist,
        .dist_timeout = (double)dist_timeout,
        .on_pass = profile ? bench_profile_add : NULL,
        .context = &passes,
        .fuse = strcmp(fuse, "all") == 0    ? 1
                : strcmp(fuse, "none") == 0 ? 2
                                            : 0,
    };
    status = run(&bench, mode, only_limits, json);
    bench_profile_free(&passes);
    return status;
}
