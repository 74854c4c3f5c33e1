/* data_loader.c - images a second that the loader makes of a data set, for bench/data.sh:
 *
 *     bench_data SOURCE WORKERS [KEY=VALUE ...]
 *
 * Training batches of 64 at 224 x 224 with the default recipe's crop, flip and bicubic resizing; cache off. KEY=VALUE
 * changes recipe keys. One pass over the data warms up, three are measured; prints a JSON line. */
#include "base/clock.h"
#include "data/feed/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { BATCH = 64, RESOLUTION = 224, PASSES = 3 };

static double processor_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static effnet_status run_batches(Loader *loader, int64_t count, int64_t *images, effnet_error *err) {
    Batch batch;
    *images = 0;
    for (int64_t i = 0; i < count; i++) {
        TRY(loader_next(loader, &batch, err));
        *images += batch.size;
    }
    return EFFNET_OK;
}

static effnet_status measure(const LoaderOptions *options, effnet_error *err) {
    Loader *loader;
    TRY(loader_create(options, &loader, err));
    int64_t steps = loader_steps_per_epoch(loader), images;
    effnet_status status = run_batches(loader, steps, &images, err);
    double began = clock_seconds(), worked = processor_seconds();
    if (status == EFFNET_OK) status = run_batches(loader, PASSES * steps, &images, err);
    double seconds = clock_seconds() - began;
    worked = processor_seconds() - worked;
    loader_free(loader);
    if (status == EFFNET_OK)
        printf("{\"peer\": \"effnet\", \"workers\": %d, \"images\": %lld, \"img_s\": %.1f, "
               "\"processor_ms_per_image\": %.3f}\n",
               options->workers, (long long)images, (double)images / seconds, 1e3 * worked / (double)images);
    return status;
}

static effnet_status run(int argc, char **argv, effnet_error *err) {
    Recipe recipe;
    Dataset *dataset;
    recipe_defaults(&recipe);
    recipe.batch_size = BATCH;
    recipe.cache = false;
    recipe.workers = atoi(argv[2]);
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) return fail(err, EFFNET_ERROR_ARGUMENT, "'%s' is not KEY=VALUE", argv[i]);
        *value = 0;
        TRY(recipe_set(&recipe, argv[i], value + 1, err));
    }
    TRY(dataset_open(argv[1], SPLIT_TRAIN, NULL, &dataset, err));
    LoaderOptions options;
    effnet_status status =
        loader_options_from_recipe(&recipe, (TensorShape){RESOLUTION, RESOLUTION, 3}, dataset, true, &options, err);
    if (status == EFFNET_OK) status = measure(&options, err);
    dataset_free(dataset);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: bench_data SOURCE WORKERS [KEY=VALUE ...]\n", stderr);
        return 2;
    }
    effnet_error err;
    if (run(argc, argv, &err) == EFFNET_OK) return 0;
    fprintf(stderr, "bench_data: %s\n", err.message);
    return 1;
}
