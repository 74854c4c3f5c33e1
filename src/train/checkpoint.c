/* checkpoint.c - a run's state as a folder that is either whole or not there. See checkpoint.h for what is in it.
 *
 * Invariants, whatever moment the process is killed at:
 *  1. A folder named by digits alone is complete: it gets that name by one rename, after everything in it and the
 *     folder itself were synced; before it is removed, it is renamed to *.tmp.
 *  2. `last` and `best` (checkpoint_marker.h) are made beside and renamed, so each names the old or the new folder.
 *  3. What ends in .tmp is rubbish; checkpoint_prune and the next writer remove it.
 * One process writes into a run folder at a time. */
#include "train/checkpoint.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "recipe/keys.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "train/card.h"
#include "train/checkpoint_list.h"
#include "train/checkpoint_marker.h"
#include "train/checkpoint_verify.h"
#include "train/initial_state.h"
#include "train/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Puts the new folder where the old one may stand, without a moment in which there is none. Where the file system
 * cannot exchange two names, there is such a moment, and the older checkpoints are what a kill leaves. */
static effnet_status rename_over(const char *from, const char *to, effnet_error *err) {
    if (file_rename(from, to)) return EFFNET_OK;
    if (errno == ENOTEMPTY || errno == EEXIST) {
        if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) return checkpoint_remove_tree(from, err);
        char aside[CHECKPOINT_PATH_BYTES + 8];
        snprintf(aside, sizeof aside, "%s.old.tmp", to);
        TRY(checkpoint_remove_tree(aside, err));
        if (file_rename(to, aside)) {
            if (file_rename(from, to)) return checkpoint_remove_tree(aside, err);
            const int why = errno;
            (void)file_rename(aside, to); /* the old one stands again under its name */
            errno = why;
        }
    }
    return fail(err, EFFNET_ERROR_IO, "cannot rename '%s' to '%s': %s", from, to, strerror(errno));
}

/* ---- writing ---- */

static effnet_status write_slots(const char *path, const Network *network, const Recipe *recipe,
                                 const TrainState *state, double best_top1, int64_t best_step, uint32_t recipe_sum,
                                 effnet_error *err) {
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
    char step[32], best_at[32], sum[16], optimizer[KEY_TEXT];
    key_format(key_find("opt"), recipe, optimizer, sizeof optimizer);
    snprintf(sum, sizeof sum, "%08x", (unsigned)recipe_sum);
    snprintf(step, sizeof step, "%lld", (long long)state->step);
    snprintf(best_at, sizeof best_at, "%lld", (long long)best_step);
    char *best = NULL;
    if (result == EFFNET_OK) result = metadata_number_text(isfinite(best_top1) ? best_top1 : -1, &best, err);
    const char *metadata[] = {"effnet.model",
                              network->config.name,
                              "effnet.opt",
                              optimizer,
                              "effnet.model_ema",
                              recipe->model_ema ? "true" : "false",
                              "effnet.step",
                              step,
                              "effnet.best_top1",
                              best,
                              "effnet.best_step",
                              best_at,
                              CHECKPOINT_RECIPE_SUM,
                              sum,
                              NULL};
    if (result == EFFNET_OK) result = safetensors_write(path, entries, slots * count, metadata, err);
    free(best);
    free(names);
    free(entries);
    return result;
}

static effnet_status write_files(const char *folder, const Network *network, const Recipe *recipe,
                                 const TrainState *state, const ModelCard *card, double best_top1, int64_t best_step,
                                 effnet_error *err) {
    char path[CHECKPOINT_PATH_BYTES];
    ModelCard stepped = *card;
    stepped.step = state->step;
    TRY(path_join(path, sizeof path, folder, "raw.safetensors", err));
    TRY(weights_write(path, network, state->parameters, state->statistics, &stepped, err));
    if (recipe->model_ema) {
        TRY(path_join(path, sizeof path, folder, "ema.safetensors", err));
        TRY(weights_write(path, network, state->ema_parameters, state->ema_statistics, &stepped, err));
    }
    uint32_t recipe_sum = 0;
    TRY(path_join(path, sizeof path, folder, "recipe.yaml", err));
    TRY(recipe_save(recipe, path, &recipe_sum, err));
    TRY(path_join(path, sizeof path, folder, "slots.safetensors", err));
    TRY(write_slots(path, network, recipe, state, best_top1, best_step, recipe_sum, err));
    return folder_sync(folder, err);
}

effnet_status checkpoint_write(const char *out_folder, const Network *network, const Recipe *recipe,
                               const TrainState *state, const ModelCard *card, double best_top1, int64_t best_step,
                               char *path, size_t path_size, effnet_error *err) {
    char folder[CHECKPOINT_PATH_BYTES], temporary[CHECKPOINT_PATH_BYTES], final[CHECKPOINT_PATH_BYTES],
        name[CHECKPOINT_NAME_BYTES], temporary_name[CHECKPOINT_NAME_BYTES];
    checkpoint_step_name(name, state->step, "");
    checkpoint_step_name(temporary_name, state->step, ".tmp");
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    TRY(path_join(temporary, sizeof temporary, folder, temporary_name, err));
    TRY(path_join(final, sizeof final, folder, name, err));
    if (path && strlen(final) >= path_size) return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.200s'", final);
    TRY(folder_create(folder, err));
    TRY(checkpoint_remove_tree(temporary, err));
    TRY(folder_create(temporary, err));
    effnet_status result = write_files(temporary, network, recipe, state, card, best_top1, best_step, err);
    if (result == EFFNET_OK) result = rename_over(temporary, final, err);
    if (result != EFFNET_OK) {
        checkpoint_remove_tree(temporary, NULL);
        return fail_within(err, result, "no checkpoint of step %lld was written, the older ones stand",
                           (long long)state->step);
    }
    TRY(folder_sync(folder, err));
    if (path) memcpy(path, final, strlen(final) + 1);
    checkpoint_marker_write(folder, "last", state->step, NULL); /* a convenience: --resume goes by the folders' names */
    return EFFNET_OK;
}

effnet_status checkpoint_mark_best(const char *out_folder, int64_t step, effnet_error *err) {
    char folder[CHECKPOINT_PATH_BYTES], path[CHECKPOINT_PATH_BYTES], name[CHECKPOINT_NAME_BYTES];
    checkpoint_step_name(name, step, "");
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    TRY(path_join(path, sizeof path, folder, name, err));
    if (!path_is_folder(path))
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no checkpoint '%s' to call the best", path);
    return checkpoint_marker_write(folder, "best", step, err);
}

/* ---- pruning ---- */

effnet_status checkpoint_prune(const char *out_folder, int keep, effnet_error *err) {
    char folder[CHECKPOINT_PATH_BYTES], path[CHECKPOINT_PATH_BYTES], aside[CHECKPOINT_PATH_BYTES],
        name[CHECKPOINT_NAME_BYTES];
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    CheckpointSteps steps;
    TRY(checkpoint_list_steps(folder, true, &steps, err));
    int64_t best = checkpoint_marker_step(folder, "best"), last = checkpoint_marker_step(folder, "last");
    effnet_status result = EFFNET_OK;
    for (size_t i = keep > 0 ? (size_t)keep : 0; i < steps.count && result == EFFNET_OK; i++) {
        if (steps.values[i] == best || steps.values[i] == last) continue;
        checkpoint_step_name(name, steps.values[i], "");
        result = path_join(path, sizeof path, folder, name, err);
        checkpoint_step_name(name, steps.values[i], ".tmp");
        if (result == EFFNET_OK) result = path_join(aside, sizeof aside, folder, name, err);
        if (result == EFFNET_OK && rename(path, aside) != 0)
            result = fail(err, EFFNET_ERROR_IO, "cannot rename '%s': %s", path, strerror(errno));
        if (result == EFFNET_OK) result = checkpoint_remove_tree(aside, err);
    }
    free(steps.values);
    return result;
}
