/* forecast.c - see forecast.h.
 *
 * Time: steps on the run's own pictures, from the loader on, after a first one that is not counted where steps are
 * quick; an evaluation's by one of its batches. Memory: the largest so far of this process after those steps and
 * batches, plus what the caches of decoded pictures will still grow by. Disk: the blocks of the state, counted. */
#include "train/forecast.h"

#include "base/clock.h"
#include "base/machine.h"
#include "base/memory.h"
#include "train/evaluate.h"
#include "train/from_recipe.h"
#include "train/initial_state.h"
#include "train/run_classes.h"
#include "train/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Enough steps to have every batch of the loader's ring touched; fewer where they are slow. */
enum { STEPS_WANTED = 8, STEPS_OF_SLOW = 2 };
static const double seconds_enough = 3, seconds_slow = 20;

/* The largest resident set so far; ru_maxrss would begin with that of the program that started this one. */
static int64_t peak_memory(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long long kilobytes = 0;
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lld kB", &kilobytes) == 1) break;
    if (status) fclose(status);
    return kilobytes * 1024;
}

/* ---- without data ---- */

static effnet_status open_without_data(Run *run, int64_t pictures, effnet_error *err) {
    Recipe *recipe = run->recipe;
    ModelConfig config;
    TRY(recipe_check(recipe, err));
    TRY(recipe_need_batch(recipe, "a plan without data", err));
    if (run->options->threads > 0) recipe->threads = run->options->threads;
    if (pictures < recipe->batch_size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%lld pictures are fewer than one batch_size of %lld",
                    (long long)pictures, (long long)recipe->batch_size);
    if (recipe->num_classes == 0) recipe->num_classes = 1000;
    TRY(model_config_from_recipe(recipe, 0, &config, err));
    recipe->resolution = (PictureSize){config.input.height, config.input.width};
    TRY(network_from_recipe(recipe, &config, &run->network, err));
    run->steps_per_epoch = recipe_steps_per_epoch(recipe, pictures);
    run->last_step = run->steps_per_epoch * recipe->epochs;
    if (run->options->steps > 0 && run->options->steps < run->last_step) run->last_step = run->options->steps;
    TRY(thread_team_create((int)recipe->threads, &run->team, err));
    TRY(trainer_create(recipe, &run->network, run->team, run->steps_per_epoch, 0, &run->trainer, err));
    return trainer_start(&run->trainer, err);
}

/* One part of a step on noise: an executor of this machine takes fewer pictures than a batch, in proportion. */
static effnet_status time_noise(Run *run, effnet_plan *out, effnet_error *err) {
    const Recipe *recipe = run->recipe;
    bool host = strcmp(executor_info(run->trainer.executor).name, "host") == 0;
    int size = (int)(host ? recipe_part(recipe) : recipe->batch_size);
    const size_t picture = shape_floats(run->network.config.input);
    size_t floats;
    float *images;
    if (!size_multiply((size_t)size, picture, &floats))
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d pictures", size);
    int32_t *labels = calloc((size_t)size, sizeof *labels);
    if (!labels) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %d pictures", size);
    effnet_status status = memory_allocate_floats(floats, 1, "a batch of noise", &images, err);
    double began = clock_seconds(), timed = 0;
    for (size_t i = 0; status == EFFNET_OK && i < floats; i++) images[i] = random_normal(random_key(1), i);
    const ExecutorBatch batch = {.size = size, .images = images, .labels = labels};
    for (int step = 0; status == EFFNET_OK; step++) {
        if (step <= 1) began = clock_seconds(); /* the first is slower, and counts where it is the only one */
        status = trainer_step(&run->trainer, &batch, &(StepResult){0}, NULL, err);
        timed = clock_seconds() - began;
        out->steps_timed = step ? step : 1;
        if (step == 0 ? timed > seconds_slow : step >= STEPS_WANTED || timed > seconds_enough) break;
    }
    memory_free(images);
    free(labels);
    if (status != EFFNET_OK) return status;
    out->step_seconds = timed / out->steps_timed * (double)recipe->batch_size / size;
    for (int c = 0; c < 3; c++) out->input_mean[c] = out->input_std[c] = NAN;
    /* The loader's ring, which a run has besides: five batches. */
    out->memory_bytes = peak_memory() + (host ? 5 : 4) * recipe->batch_size * (int64_t)(picture * sizeof(float));
    return EFFNET_OK;
}

/* ---- on the run's pictures ---- */

typedef struct InputSums {
    double sum[3], squares[3];
    int64_t pixels;
} InputSums;

static void add_input(InputSums *sums, const Batch *batch, const EvaluationTransform *transform) {
    const TensorShape input = transform->input;
    double scale[MOST_CHANNELS], bias[MOST_CHANNELS];
    evaluation_transform_levels(transform, scale, bias);
    const size_t channels = (size_t)input.channels, told = channels < 3 ? channels : 3;
    size_t pixels = (size_t)batch->size * (size_t)input.height * (size_t)input.width;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < told; c++) {
            const size_t at = channels * i + c;
            const double value = batch->pixels ? batch->pixels[at] * scale[c] + bias[c] : (double)batch->images[at];
            sums->sum[c] += value;
            sums->squares[c] += value * value;
        }
    sums->pixels += (int64_t)pixels;
}

static effnet_status time_steps(Run *run, effnet_plan *out, effnet_error *err) {
    InputSums sums = {0};
    EvaluationTransform transform;
    evaluation_transform_from_recipe(run->recipe, run->network.config.input, &transform);
    double began = clock_seconds(), waited = 0, timed = 0, looked = 0;
    for (int step = 0;; step++) {
        Batch batch;
        if (step == 1) { /* the first is slower, and counts where it is the only one */
            began = clock_seconds();
            waited = looked = 0;
        }
        double asked = clock_seconds();
        TRY(loader_next(run->train_loader, &batch, err));
        waited += clock_seconds() - asked;
        double looking = clock_seconds();
        if (step < 2) add_input(&sums, &batch, &transform);
        looked += clock_seconds() - looking;
        const ExecutorBatch pictures = {.size = batch.size,
                                        .images = batch.images,
                                        .pixels = batch.pixels,
                                        .labels = batch.labels,
                                        .others = batch.others,
                                        .shares = batch.shares,
                                        .targets = batch.targets,
                                        .norms = true};
        StepResult result;
        TRY(trainer_step(&run->trainer, &pictures, &result, NULL, err));
        timed = clock_seconds() - began - looked;
        out->steps_timed = step ? step : 1;
        if (step == 0 && timed > seconds_slow) break;
        if (step >= STEPS_WANTED && (timed > seconds_enough || step >= run->last_step)) break;
        if (step >= STEPS_OF_SLOW && timed > seconds_slow) break;
    }
    out->step_seconds = timed / out->steps_timed;
    out->data_wait = timed > 0 ? waited / timed : 0;
    for (int c = 0; c < 3; c++) {
        double mean = c < run->network.config.input.channels ? sums.sum[c] / (double)sums.pixels : NAN;
        out->input_mean[c] = mean;
        out->input_std[c] = isnan(mean) ? NAN : sqrt(fmax(0, sums.squares[c] / (double)sums.pixels - mean * mean));
    }
    return EFFNET_OK;
}

/* Two batches of an evaluation by every set of weights; the second is timed. */
static effnet_status time_evaluation(Run *run, effnet_plan *out, effnet_error *err) {
    int sets = run->recipe->model_ema ? 2 : 1;
    int64_t pictures = dataset_size(run->val_set), seen = 0;
    float *logits = NULL;
    double seconds = 0;
    effnet_status status = EFFNET_OK;
    for (int round = 0; round < 2 && status == EFFNET_OK; round++) {
        Batch batch;
        double began = clock_seconds();
        status = loader_next(run->val_loader, &batch, err);
        if (status != EFFNET_OK || batch.size == 0) break;
        if (!logits)
            status = memory_allocate_floats((size_t)batch.size, (size_t)out->num_classes, "the logits", &logits, err);
        const ExecutorBatch call = {.size = batch.size, .images = batch.images, .labels = batch.labels};
        for (int set = 0; set < sets && status == EFFNET_OK; set++)
            status = executor_logits(run->trainer.executor, set, &call, logits, err);
        seconds = clock_seconds() - began;
        seen = batch.size;
    }
    memory_free(logits);
    if (seen > 0) out->evaluation_seconds = seconds / (double)seen * (double)pictures;
    return status;
}

/* Bytes of decoded pictures that the two caches will hold, and how many of them they hold by now. */
static void expect_caches(const Run *run, effnet_plan *out) {
    const Loader *const loaders[] = {run->train_loader, run->val_loader};
    out->memory_bytes = peak_memory();
    for (int i = 0; i < 2; i++) {
        size_t now, expected;
        loader_cache_bytes(loaders[i], &now, &expected);
        out->cache_bytes += (int64_t)expected;
        out->memory_bytes += expected > now ? (int64_t)(expected - now) : 0;
    }
}

static effnet_status count_classes(const Run *run, effnet_plan *out, effnet_error *err) {
    const Dataset *const sets[] = {run->train_set, run->val_set};
    int classes = out->num_classes;
    out->class_names = calloc((size_t)classes, sizeof *out->class_names);
    bool good = out->class_names != NULL;
    for (int c = 0; good && c < classes; c++) {
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        good = (out->class_names[c] = strdup(run->card.class_names ? run->card.class_names[c] : number)) != NULL;
    }
    for (int s = 0; good && s < 2; s++) {
        good = (out->counts[s] = calloc((size_t)classes, sizeof *out->counts[s])) != NULL;
        out->pictures[s] = dataset_size(sets[s]);
        if (good) dataset_count(sets[s], out->counts[s], classes);
    }
    return good ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory to count %d classes", classes);
}

/* ---- what follows from it ---- */

static void expect_disk(const Run *run, effnet_plan *out) {
    const Recipe *recipe = run->recipe;
    const Network *network = &run->network;
    int64_t weights = 4 * (int64_t)(network->parameter_floats + network->statistic_floats);
    int64_t slots = optimizer_slots(recipe->opt, (const char *[2]){0}) * 4 * (int64_t)network->parameter_floats;
    out->checkpoint_bytes = weights * (recipe->model_ema ? 2 : 1) + slots + (64 << 10); /* headers, recipe */
    int64_t lines = out->steps / recipe->log_interval + out->epochs;
    /* Those kept, the best, and the one being written before an old one goes. */
    out->disk_bytes = (recipe->checkpoint_keep + 2) * out->checkpoint_bytes + 300 * lines;
}

static void expect_time(const Run *run, effnet_plan *out) {
    const Recipe *recipe = run->recipe;
    out->images_per_s = out->step_seconds > 0 ? (double)recipe->batch_size / out->step_seconds : 0;
    int64_t epochs = out->steps / out->steps_per_epoch;
    out->evaluations = epochs / recipe->eval_every_epochs;
    if (out->steps == out->steps_per_epoch * recipe->epochs && recipe->epochs % recipe->eval_every_epochs)
        out->evaluations++;
    out->seconds = (double)out->steps * out->step_seconds + (double)out->evaluations * out->evaluation_seconds;
    for (int i = 0; i < EFFNET_PLAN_POINTS; i++) {
        int64_t step = (int64_t)((double)(out->steps - 1) * i / (EFFNET_PLAN_POINTS - 1));
        out->lr[i] = schedule_learning_rate(recipe, step, out->steps_per_epoch);
    }
}

static effnet_status keep_warnings(const RunNotes *notes, effnet_plan *out, effnet_error *err) {
    out->warnings = calloc((size_t)notes->count + 1, sizeof *out->warnings);
    for (int i = 0; out->warnings && i < notes->count; i++) {
        if (!(out->warnings[i] = strdup(notes->texts[i]))) break;
        out->num_warnings++;
    }
    if (out->num_warnings < notes->count) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the warnings");
    return EFFNET_OK;
}

static effnet_status forecast(Run *run, int64_t pictures, effnet_plan *out, effnet_error *err) {
    const Recipe *recipe = run->recipe;
    bool data = recipe->data[0] || run->options->data;
    Machine machine;
    if (data) {
        TRY(run_prepare(run, err));
        if (run->options->init) TRY(run_read_initial(run, err));
        TRY(run_start(run, err));
    } else {
        TRY(open_without_data(run, pictures, err));
    }
    snprintf(out->model, sizeof out->model, "%s", run->network.config.name);
    out->resolution = run->network.config.input.height;
    out->resolution_width = run->network.config.input.width;
    out->num_classes = run->network.config.num_classes;
    out->parameters = (int64_t)run->network.parameter_floats;
    out->pictures[0] = pictures;
    out->batch_size = recipe->batch_size;
    out->steps_per_epoch = run->steps_per_epoch;
    out->steps = run->last_step;
    out->epochs = (out->steps + out->steps_per_epoch - 1) / out->steps_per_epoch;
    if (data) {
        TRY(count_classes(run, out, err));
        TRY(time_steps(run, out, err));
        TRY(time_evaluation(run, out, err));
        expect_caches(run, out);
    } else {
        TRY(time_noise(run, out, err));
    }
    machine_here(&machine);
    out->memory_limit = machine.memory;
    out->memory_free = machine.memory_free;
    expect_time(run, out);
    expect_disk(run, out);
    forecast_warn(out, recipe, &run->notes);
    return keep_warnings(&run->notes, out, err);
}

effnet_status forecast_run(Recipe *recipe, const effnet_train_options *options, int64_t pictures, effnet_plan *out,
                           effnet_error *err) {
    effnet_train_result unused = {0};
    Run run = {.recipe = recipe, .options = options, .result = &unused};
    effnet_status status = forecast(&run, pictures, out, err);
    run_close(&run);
    return status;
}

void forecast_free(effnet_plan *plan) {
    for (int c = 0; plan->class_names && c < plan->num_classes; c++) free(plan->class_names[c]);
    for (int i = 0; i < plan->num_warnings; i++) free(plan->warnings[i]);
    free(plan->class_names);
    free(plan->counts[0]);
    free(plan->counts[1]);
    free(plan->warnings);
}
