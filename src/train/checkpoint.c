/* checkpoint.c - a run's state as a folder that is either whole or not there. See train.h for what is in it.
 *
 * Invariants, whatever moment the process is killed at:
 *  1. A folder named by digits alone is complete: it gets that name by one rename, after everything in it and the
 *     folder itself were synced; before it is removed, it is renamed to *.tmp.
 *  2. `last` and `best` are symbolic links made beside and renamed, so each points to the old or the new folder.
 *  3. What ends in .tmp is rubbish; checkpoint_prune and the next writer remove it.
 * One process writes into a run folder at a time. */
#include "base/file.h"
#include "train/card.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, NAME_SIZE = 32 };

static void step_name(char out[NAME_SIZE], int64_t step, const char *suffix) {
    snprintf(out, NAME_SIZE, "%08lld%s", (long long)step, suffix);
}

/* The step of a folder's name, -1 where it is none: digits, at least 8 and at most 18 of them. */
static int64_t step_of_name(const char *name) {
    size_t length = strlen(name);
    if (length < 8 || length > 18 || strspn(name, "0123456789") != length) return -1;
    return strtoll(name, NULL, 10);
}

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

/* A folder with all that is in it, or a link; links inside are removed, not followed. */
static effnet_status remove_tree(const char *path, effnet_error *err) {
    if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return fail(err, EFFNET_ERROR_IO, "cannot remove '%s': %s", path, strerror(errno));
    return EFFNET_OK;
}

/* Puts the new folder where the old one may stand, without a moment in which there is none. Where the file system
 * cannot exchange two names, there is such a moment, and the older checkpoints are what a kill leaves. */
static effnet_status rename_over(const char *from, const char *to, effnet_error *err) {
    if (rename(from, to) == 0) return EFFNET_OK;
    if (errno == ENOTEMPTY || errno == EEXIST) {
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) return remove_tree(from, err);
        char aside[PATH_SIZE + 8];
        snprintf(aside, sizeof aside, "%s.old.tmp", to);
        if (remove_tree(aside, err) == EFFNET_OK && rename(to, aside) == 0 && rename(from, to) == 0)
            return remove_tree(aside, err);
    }
    return fail(err, EFFNET_ERROR_IO, "cannot rename '%s' to '%s': %s", from, to, strerror(errno));
}

/* folder/name -> target, relative, replacing a link there. */
static effnet_status replace_link(const char *folder, const char *name, const char *target, effnet_error *err) {
    char link[PATH_SIZE], temporary[PATH_SIZE], temporary_name[NAME_SIZE];
    snprintf(temporary_name, sizeof temporary_name, "%s.tmp", name);
    TRY(path_join(link, sizeof link, folder, name, err));
    TRY(path_join(temporary, sizeof temporary, folder, temporary_name, err));
    if ((unlink(temporary) != 0 && errno != ENOENT) || symlink(target, temporary) != 0 || rename(temporary, link) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot make the link '%s': %s", link, strerror(errno));
    return folder_sync(folder, err);
}

/* The step that a link points to, -1 where there is no such link. */
static int64_t step_of_link(const char *folder, const char *name) {
    char link[PATH_SIZE], target[PATH_SIZE];
    if (path_join(link, sizeof link, folder, name, NULL) != EFFNET_OK) return -1;
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0) return -1;
    target[length] = 0;
    return step_of_name(target);
}

/* ---- writing ---- */

static const char *const optimizer_names[] = {"rmsprop", "sgd", "adamw"}; /* recipe.h's order */

static effnet_status write_slots(const char *path, const Network *network, const Recipe *recipe,
                                 const TrainState *state, double best_top1, int64_t best_step, effnet_error *err) {
    const char *slot_names[2];
    int slots = optimizer_slots(recipe->opt, slot_names), count = network->num_parameters;
    SafetensorsEntry *entries = calloc((size_t)(slots * count) + 1, sizeof *entries);
    char(*names)[128] = calloc((size_t)(slots * count) + 1, sizeof *names);
    effnet_status result = EFFNET_OK;
    if (!entries || !names) result = fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    for (int i = 0; i < slots * count && result == EFFNET_OK; i++) {
        const Parameter *parameter = &network->parameters[i % count];
        snprintf(names[i], sizeof names[i], "%s/%.100s", slot_names[i / count], parameter->name);
        entries[i] = (SafetensorsEntry){names[i], parameter->rank, parameter->shape,
                                        state->slots[i / count] + parameter->offset, parameter->count};
    }
    char step[32], best_at[32];
    snprintf(step, sizeof step, "%lld", (long long)state->step);
    snprintf(best_at, sizeof best_at, "%lld", (long long)best_step);
    char *best = NULL;
    if (result == EFFNET_OK) result = metadata_number_text(isfinite(best_top1) ? best_top1 : -1, &best, err);
    const char *metadata[] = {"effnet.model",
                              network->config.name,
                              "effnet.opt",
                              optimizer_names[recipe->opt],
                              "effnet.model_ema",
                              recipe->model_ema ? "true" : "false",
                              "effnet.step",
                              step,
                              "effnet.best_top1",
                              best,
                              "effnet.best_step",
                              best_at,
                              NULL};
    if (result == EFFNET_OK) result = safetensors_write(path, entries, slots * count, metadata, err);
    free(best);
    free(names);
    free(entries);
    return result;
}

static effnet_status write_recipe(const char *path, const Recipe *recipe, effnet_error *err) {
    AtomicFile file;
    TRY(atomic_file_open(&file, path, err));
    effnet_status result = recipe_write(recipe, file.stream, err);
    if (result != EFFNET_OK) {
        atomic_file_abort(&file);
        return result;
    }
    return atomic_file_commit(&file, err);
}

static effnet_status write_files(const char *folder, const Network *network, const Recipe *recipe,
                                 const TrainState *state, const ModelCard *card, double best_top1, int64_t best_step,
                                 effnet_error *err) {
    char path[PATH_SIZE];
    ModelCard stepped = *card;
    stepped.step = state->step;
    TRY(path_join(path, sizeof path, folder, "raw.safetensors", err));
    TRY(weights_write(path, network, state->parameters, state->statistics, &stepped, err));
    if (recipe->model_ema) {
        TRY(path_join(path, sizeof path, folder, "ema.safetensors", err));
        TRY(weights_write(path, network, state->ema_parameters, state->ema_statistics, &stepped, err));
    }
    TRY(path_join(path, sizeof path, folder, "slots.safetensors", err));
    TRY(write_slots(path, network, recipe, state, best_top1, best_step, err));
    TRY(path_join(path, sizeof path, folder, "recipe.yaml", err));
    TRY(write_recipe(path, recipe, err));
    return folder_sync(folder, err);
}

effnet_status checkpoint_write(const char *out_folder, const Network *network, const Recipe *recipe,
                               const TrainState *state, const ModelCard *card, double best_top1, int64_t best_step,
                               char *path, size_t path_size, effnet_error *err) {
    char folder[PATH_SIZE], temporary[PATH_SIZE], final[PATH_SIZE], name[NAME_SIZE], temporary_name[NAME_SIZE];
    step_name(name, state->step, "");
    step_name(temporary_name, state->step, ".tmp");
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    TRY(path_join(temporary, sizeof temporary, folder, temporary_name, err));
    TRY(path_join(final, sizeof final, folder, name, err));
    if (path && strlen(final) >= path_size) return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.200s'", final);
    TRY(folder_create(folder, err));
    TRY(remove_tree(temporary, err));
    TRY(folder_create(temporary, err));
    effnet_status result = write_files(temporary, network, recipe, state, card, best_top1, best_step, err);
    if (result == EFFNET_OK) result = rename_over(temporary, final, err);
    if (result != EFFNET_OK) {
        remove_tree(temporary, NULL);
        return fail_within(err, result, "no checkpoint of step %lld was written, the older ones stand",
                           (long long)state->step);
    }
    TRY(folder_sync(folder, err));
    if (path) memcpy(path, final, strlen(final) + 1);
    return replace_link(folder, "last", name, err);
}

effnet_status checkpoint_mark_best(const char *out_folder, int64_t step, effnet_error *err) {
    char folder[PATH_SIZE], path[PATH_SIZE], name[NAME_SIZE];
    step_name(name, step, "");
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    TRY(path_join(path, sizeof path, folder, name, err));
    if (!path_is_folder(path))
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no checkpoint '%s' to call the best", path);
    return replace_link(folder, "best", name, err);
}

/* ---- finding and pruning ---- */

typedef struct Steps {
    int64_t *values; /* descending */
    size_t count;
} Steps;

static int compare_descending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a > b ? -1 : a < b;
}

/* The steps of the folders named by digits. Where `remove_temporary`, what ends in .tmp goes. A folder that does not
 * exist has none. */
static effnet_status list_steps(const char *folder, bool remove_temporary, Steps *out, effnet_error *err) {
    *out = (Steps){0};
    DIR *directory = opendir(folder);
    if (!directory && errno == ENOENT) return EFFNET_OK;
    if (!directory) return fail(err, EFFNET_ERROR_IO, "cannot read the folder '%s': %s", folder, strerror(errno));
    effnet_status result = EFFNET_OK;
    size_t capacity = 0;
    struct dirent *entry;
    while (result == EFFNET_OK && (errno = 0, entry = readdir(directory))) {
        char path[PATH_SIZE];
        result = path_join(path, sizeof path, folder, entry->d_name, err);
        if (result != EFFNET_OK) break;
        if (remove_temporary && ends_with(entry->d_name, ".tmp")) result = remove_tree(path, err);
        int64_t step = step_of_name(entry->d_name);
        struct stat status;
        if (step < 0 || lstat(path, &status) != 0 || !S_ISDIR(status.st_mode)) continue;
        if (out->count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            int64_t *larger = realloc(out->values, capacity * sizeof *larger);
            if (!larger) {
                result = fail(err, EFFNET_ERROR_MEMORY, "no memory to list '%s'", folder);
                break;
            }
            out->values = larger;
        }
        out->values[out->count++] = step;
    }
    if (result == EFFNET_OK && errno != 0)
        result = fail(err, EFFNET_ERROR_IO, "cannot read the folder '%s': %s", folder, strerror(errno));
    closedir(directory);
    if (out->count > 0) qsort(out->values, out->count, sizeof *out->values, compare_descending);
    if (result != EFFNET_OK) {
        free(out->values);
        *out = (Steps){0};
    }
    return result;
}

effnet_status checkpoint_prune(const char *out_folder, int keep, effnet_error *err) {
    char folder[PATH_SIZE], path[PATH_SIZE], aside[PATH_SIZE], name[NAME_SIZE];
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    Steps steps;
    TRY(list_steps(folder, true, &steps, err));
    int64_t best = step_of_link(folder, "best"), last = step_of_link(folder, "last");
    effnet_status result = EFFNET_OK;
    for (size_t i = keep > 0 ? (size_t)keep : 0; i < steps.count && result == EFFNET_OK; i++) {
        if (steps.values[i] == best || steps.values[i] == last) continue;
        step_name(name, steps.values[i], "");
        result = path_join(path, sizeof path, folder, name, err);
        step_name(name, steps.values[i], ".tmp");
        if (result == EFFNET_OK) result = path_join(aside, sizeof aside, folder, name, err);
        if (result == EFFNET_OK && rename(path, aside) != 0)
            result = fail(err, EFFNET_ERROR_IO, "cannot rename '%s': %s", path, strerror(errno));
        if (result == EFFNET_OK) result = remove_tree(aside, err);
    }
    free(steps.values);
    return result;
}

/* The files that every checkpoint has are there and their headers agree with their sizes. A folder of digits is
 * complete by invariant 1; this is for disks and people that break it. */
static bool is_complete(const char *folder) {
    static const char *const names[] = {"raw.safetensors", "slots.safetensors", "recipe.yaml"};
    char path[PATH_SIZE];
    for (int i = 0; i < 3; i++) {
        if (path_join(path, sizeof path, folder, names[i], NULL) != EFFNET_OK || !path_exists(path)) return false;
        Safetensors *file;
        if (i == 2) break;
        if (safetensors_open(path, &file, NULL) != EFFNET_OK) return false;
        safetensors_close(file);
    }
    return true;
}

effnet_status checkpoint_find_last(const char *out_folder, char *path, size_t size, bool *found, effnet_error *err) {
    char folder[PATH_SIZE], name[NAME_SIZE];
    *found = false;
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    Steps steps;
    TRY(list_steps(folder, false, &steps, err));
    effnet_status result = EFFNET_OK;
    for (size_t i = 0; i < steps.count && result == EFFNET_OK && !*found; i++) {
        step_name(name, steps.values[i], "");
        result = path_join(path, size, folder, name, err);
        if (result == EFFNET_OK) *found = is_complete(path);
    }
    free(steps.values);
    return result;
}

/* ---- reading ---- */

/* The value of a key, which must be what the recipe says: a run goes on only with its own model and optimizer. */
static effnet_status check_same(const Safetensors *file, const char *key, const char *wanted, effnet_error *err) {
    const char *found = safetensors_metadata(file, key);
    if (found && strcmp(found, wanted) == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' was written by a run with %s: %.40s, the recipe says %s; go on with the recipe of that run, or "
                "begin a new one from its weights with --init",
                safetensors_path(file), key + strlen("effnet."), found ? found : "(nothing)", wanted);
}

static effnet_status check_run(const Safetensors *file, const Network *network, const Recipe *recipe, TrainState *state,
                               double *best_top1, int64_t *best_step, effnet_error *err) {
    TRY(check_same(file, "effnet.model", network->config.name, err));
    TRY(check_same(file, "effnet.opt", optimizer_names[recipe->opt], err));
    TRY(check_same(file, "effnet.model_ema", recipe->model_ema ? "true" : "false", err));
    TRY(metadata_integer(file, "effnet.step", 0, INT64_MAX, &state->step, err));
    TRY(metadata_number(file, "effnet.best_top1", -1e9, 1e9, best_top1, err));
    return metadata_integer(file, "effnet.best_step", INT64_MIN, INT64_MAX, best_step, err);
}

static effnet_status read_slots(const Safetensors *file, const Network *network, const Recipe *recipe,
                                TrainState *state, effnet_error *err) {
    const char *names[2];
    int slots = optimizer_slots(recipe->opt, names), count = network->num_parameters;
    if (safetensors_count(file) != slots * count)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has %d tensors; %d optimizer slots of %s are %d",
                    safetensors_path(file), safetensors_count(file), slots, network->config.name, slots * count);
    for (int i = 0; i < slots * count; i++) {
        const Parameter *parameter = &network->parameters[i % count];
        char name[128];
        snprintf(name, sizeof name, "%s/%.100s", names[i / count], parameter->name);
        int index = safetensors_find(file, name);
        if (index < 0)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s': there is no tensor %s", safetensors_path(file), name);
        TRY(safetensors_read(file, index, state->slots[i / count] + parameter->offset, parameter->count, err));
    }
    return EFFNET_OK;
}

/* The weights, which must be of the same step as the slots: a file copied in from another checkpoint is found out. */
static effnet_status read_weights(const char *folder, const char *name, const Network *network, int64_t step,
                                  float *parameters, float *statistics, effnet_error *err) {
    char path[PATH_SIZE];
    TRY(path_join(path, sizeof path, folder, name, err));
    TRY(weights_read(path, network, parameters, statistics, false, NULL, err));
    ModelCard card;
    TRY(weights_read_card(path, &card, err));
    model_card_free(&card);
    if (card.step != step)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is of step %lld, slots.safetensors beside it of step %lld", path,
                    (long long)card.step, (long long)step);
    return EFFNET_OK;
}

effnet_status checkpoint_read(const char *path, const Network *network, const Recipe *recipe, TrainState *state,
                              double *best_top1, int64_t *best_step, effnet_error *err) {
    char slots_path[PATH_SIZE];
    TRY(path_join(slots_path, sizeof slots_path, path, "slots.safetensors", err));
    Safetensors *file;
    TRY(safetensors_open(slots_path, &file, err));
    TrainState found = *state; /* the same blocks; step only counts when all was read */
    effnet_status result = check_run(file, network, recipe, &found, best_top1, best_step, err);
    if (result == EFFNET_OK)
        result = read_weights(path, "raw.safetensors", network, found.step, found.parameters, found.statistics, err);
    if (result == EFFNET_OK && recipe->model_ema)
        result =
            read_weights(path, "ema.safetensors", network, found.step, found.ema_parameters, found.ema_statistics, err);
    if (result == EFFNET_OK) result = read_slots(file, network, recipe, &found, err);
    safetensors_close(file);
    if (result == EFFNET_OK) state->step = found.step;
    return result;
}
