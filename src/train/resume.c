/* resume.c - see resume.h. A resumed run is to be the run that was interrupted, bit for bit, so every key counts unless
 * it is listed here as one that changes where data lie, how fast the work goes or how often somebody looks. */
#include "train/resume.h"

#include "base/file.h"
#include "train/card.h"
#include "train/weights.h"

#include <stdio.h>
#include <string.h>

static const char *const free_keys[] = {
    "data",
    "workers",
    "cache",
    "eval_batch_size",
    "eval_every_epochs",
    "log_interval",
    "checkpoint.every_steps",
    "threads",
    "engine",
    "device",
    "devices",
    "checkpoint.keep",
    "stop_on_divergence",
    "early_stop",
    "reference_curve",
    "seeds", /* more may be asked for; series.h compares the rest */
};

/* What the workers of one run may have of their own: where data lie, how fast the work goes. */
static const char *const workers_keys[] = {"data", "workers", "cache", "threads"};

typedef bool MayDiffer(const char *key, const Recipe *recipe);

static bool workers_may_differ(const char *key, const Recipe *recipe) {
    (void)recipe;
    for (size_t i = 0; i < sizeof workers_keys / sizeof workers_keys[0]; i++)
        if (strcmp(key, workers_keys[i]) == 0) return true;
    return false;
}

/* `epochs` only says when to stop, except to the cosine, which it stretches. */
static bool resumed_may_differ(const char *key, const Recipe *recipe) {
    if (strcmp(key, "epochs") == 0) return recipe->sched != SCHEDULE_COSINE;
    for (size_t i = 0; i < sizeof free_keys / sizeof free_keys[0]; i++)
        if (strcmp(key, free_keys[i]) == 0) return true;
    return false;
}

static void note(char *names, size_t size, const char *key) {
    size_t used = strlen(names);
    snprintf(names + used, size - used, "%s%s", used ? ", " : "", key);
}

#define COMPARE(key, same)                                                                                             \
    if (!(same) && !may_differ(key, recipe)) note(names, size, key);
#define KEY_SECTION(title)
#define KEY_STRING(key, field, initial, help)               COMPARE(key, strcmp(recipe->field, saved->field) == 0)
#define KEY_INTEGER(key, field, initial, least, most, help) COMPARE(key, recipe->field == saved->field)
#define KEY_SIZE(key, field, initial, least, most, help)                                                               \
    COMPARE(key, recipe->field.height == saved->field.height && recipe->field.width == saved->field.width)
#define KEY_NUMBER(key, field, initial, least, most, help)     COMPARE(key, recipe->field == saved->field)
#define KEY_SWITCH(key, field, initial, help)                  COMPARE(key, recipe->field == saved->field)
#define KEY_CHOICE(key, field, prefix, initial, choices, help) COMPARE(key, recipe->field == saved->field)
#define KEY_CHANNELS(key, field, d0, d1, d2, least, most, help)                                                        \
    COMPARE(key, memcmp(&recipe->field, &saved->field, sizeof recipe->field) == 0)
#define KEY_PAIR(key, field, d0, d1, least, most, help)                                                                \
    COMPARE(key, memcmp(recipe->field, saved->field, sizeof recipe->field) == 0)

/* Names of the keys that differ and must not, separated by commas, as many as fit. */
static void list_differences(const Recipe *recipe, const Recipe *saved, MayDiffer *may_differ, char *names,
                             size_t size) {
    names[0] = 0;
#include "recipe/keys.def"
}

void recipe_differences_of_workers(const Recipe *recipe, const Recipe *other, char *names, size_t size) {
    list_differences(recipe, other, workers_may_differ, names, size);
}

effnet_status resume_check_recipe(const char *checkpoint, const Recipe *recipe, effnet_error *err) {
    char path[1024], names[200];
    TRY(path_join(path, sizeof path, checkpoint, "recipe.yaml", err));
    Recipe saved;
    TRY(recipe_read(path, &saved, err));
    list_differences(recipe, &saved, resumed_may_differ, names, sizeof names);
    if (!names[0]) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "the recipe differs from '%.150s' in: %s; a resumed run must keep these; put them back, or begin a new "
                "run (another --out), from these weights with --init",
                path, names);
}

/* ---- classes, pictures, engine ---- */

/* A name that is not UTF-8 was repaired when it was written (card.c): then it cannot be compared. */
static bool same_name(const char *saved, const char *now) {
    return strcmp(saved, now) == 0 || strstr(saved, "\xEF\xBF\xBD") != NULL;
}

static void differ_in_classes(const ModelCard *saved, const ModelCard *now, char *text, size_t size) {
    if (!saved->class_names || !now->class_names || saved->config.num_classes != now->config.num_classes) return;
    int first = -1, count = 0;
    for (int c = 0; c < now->config.num_classes; c++) {
        if (same_name(saved->class_names[c], now->class_names[c])) continue;
        if (count++ == 0) first = c;
    }
    if (count)
        snprintf(text, size, "%d of the %d classes have other names (class %d was '%.60s' and is now '%.60s')", count,
                 now->config.num_classes, first, saved->class_names[first], now->class_names[first]);
}

static void differ_in_pictures(const ModelCard *saved, const ModelCard *now, char *text, size_t size) {
    if (!saved->listing[0] || strcmp(saved->listing, now->listing) == 0) return;
    if (saved->pictures != now->pictures)
        snprintf(text, size, "there were %lld training pictures and are now %lld", (long long)saved->pictures,
                 (long long)now->pictures);
    else
        snprintf(text, size, "some of the %lld training pictures have other names or labels", (long long)now->pictures);
}

/* By what a name means: `fast` is one of the others too. */
static void differ_in_engine(const Recipe *saved, const Recipe *now, char *text, size_t size) {
    const EngineVtable *engines[2];
    if (engine_find(saved->engine, &engines[0], NULL) == EFFNET_OK &&
        engine_find(now->engine, &engines[1], NULL) == EFFNET_OK && engines[0] == engines[1])
        return;
    snprintf(text, size, "the engine was '%.40s' and is now '%.40s', whose sums round otherwise", saved->engine,
             now->engine);
}

effnet_status resume_check_data(const char *checkpoint, Run *run, effnet_error *err) {
    char path[1024], parts[3][300] = {"", "", ""}, all[1000] = "";
    ModelCard saved;
    Recipe recipe;
    TRY(path_join(path, sizeof path, checkpoint, "recipe.yaml", err));
    TRY(recipe_read(path, &recipe, err));
    TRY(path_join(path, sizeof path, checkpoint, "raw.safetensors", err));
    TRY(weights_read_card(path, &saved, err));
    differ_in_classes(&saved, &run->card, parts[0], sizeof parts[0]);
    differ_in_pictures(&saved, &run->card, parts[1], sizeof parts[1]);
    differ_in_engine(&recipe, run->recipe, parts[2], sizeof parts[2]);
    if (saved.evaluated_listing[0] && strcmp(saved.evaluated_listing, run->card.evaluated_listing) != 0)
        run_note(&run->notes,
                 "the evaluation pictures are others than those before step %lld: accuracies from here on, and "
                 "which checkpoint is the best, can't be compared with the earlier ones",
                 (long long)saved.step);
    model_card_free(&saved);
    for (int i = 0; i < 3; i++) {
        size_t used = strlen(all);
        if (parts[i][0]) snprintf(all + used, sizeof all - used, "%s%s", used ? "; " : "", parts[i]);
    }
    if (!all[0]) return EFFNET_OK;
    if (!run->options->resume_anyway)
        return fail(
            err, EFFNET_ERROR_ARGUMENT,
            "'%.150s' was not trained on this: %s; put it back, begin a new run from its weights with --init, or "
            "say --resume-anyway to go on all the same",
            checkpoint, all);
    run_note(&run->notes, "--resume-anyway: %s", all);
    return EFFNET_OK;
}
