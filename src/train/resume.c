/* resume.c - see resume.h. A resumed run is to be the run that was interrupted, bit for bit, so every key counts unless
 * it is listed here as one that changes where data lie, how fast the work goes or how often somebody looks. */
#include "train/resume.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const char *const free_keys[] = {
    "data",    "workers", "cache",  "eval_batch_size", "eval_every_epochs", "log_interval", "checkpoint.every_steps",
    "threads", "engine",  "device", "devices",         "checkpoint.keep",
};

/* `epochs` only says when to stop, except to the cosine, which it stretches. */
static bool may_differ(const char *key, const Recipe *recipe) {
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
#define KEY_STRING(key, field, initial, help)                  COMPARE(key, strcmp(recipe->field, saved->field) == 0)
#define KEY_INTEGER(key, field, initial, least, most, help)    COMPARE(key, recipe->field == saved->field)
#define KEY_NUMBER(key, field, initial, least, most, help)     COMPARE(key, recipe->field == saved->field)
#define KEY_SWITCH(key, field, initial, help)                  COMPARE(key, recipe->field == saved->field)
#define KEY_CHOICE(key, field, prefix, initial, choices, help) COMPARE(key, recipe->field == saved->field)
#define KEY_TRIPLE(key, field, d0, d1, d2, least, most, help)                                                          \
    COMPARE(key, memcmp(recipe->field, saved->field, sizeof recipe->field) == 0)
#define KEY_PAIR(key, field, d0, d1, least, most, help)                                                                \
    COMPARE(key, memcmp(recipe->field, saved->field, sizeof recipe->field) == 0)

/* Names of the keys that differ and must not, separated by commas, as many as fit. */
static void list_differences(const Recipe *recipe, const Recipe *saved, char *names, size_t size) {
    names[0] = 0;
#include "recipe/keys.def"
}

effnet_status resume_check_recipe(const char *checkpoint, const Recipe *recipe, effnet_error *err) {
    char path[1024], names[200];
    TRY(path_join(path, sizeof path, checkpoint, "recipe.yaml", err));
    Recipe saved;
    TRY(recipe_read(path, &saved, err));
    list_differences(recipe, &saved, names, sizeof names);
    if (!names[0]) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "the recipe differs from '%.150s' in: %s; a resumed run must keep these; put them back, or begin a new "
                "run (another --out), from these weights with --init",
                path, names);
}
