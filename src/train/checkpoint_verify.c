/* checkpoint_verify.c - see checkpoint_verify.h. */
#include "train/checkpoint_verify.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "recipe/recipe.h"
#include "train/card.h"
#include "train/checkpoint_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECIPE_LIMIT = 1 << 20 }; /* bytes; a resolved recipe has a few thousand */

/* One of the safetensors files: all its bytes, its step, and whether it has checksums like the slots beside it. */
static effnet_status verify_weights(const char *folder, const char *name, int64_t step, bool summed,
                                    effnet_error *err) {
    char path[CHECKPOINT_PATH_BYTES];
    TRY(path_join(path, sizeof path, folder, name, err));
    Safetensors *file;
    TRY(safetensors_open(path, &file, err));
    int64_t of = -1;
    effnet_status result = metadata_integer(file, "effnet.step", 0, INT64_MAX, &of, err);
    if (result == EFFNET_OK && safetensors_has_sum(file) != summed)
        result = fail(err, EFFNET_ERROR_FORMAT, "'%s' and slots.safetensors beside it were not written together: %s",
                      path, summed ? "it has no checksum" : "it has a checksum and they have none");
    if (result == EFFNET_OK && of != step)
        result = fail(err, EFFNET_ERROR_FORMAT, "'%s' is of step %lld, slots.safetensors beside it of step %lld", path,
                      (long long)of, (long long)step);
    if (result == EFFNET_OK) result = safetensors_verify(file, err);
    safetensors_close(file);
    return result;
}

/* recipe.yaml against the checksum that the slots have of it; an older checkpoint's has at least to be a recipe. */
static effnet_status verify_recipe(const char *folder, const char *wanted, effnet_error *err) {
    char path[CHECKPOINT_PATH_BYTES], found[16];
    TRY(path_join(path, sizeof path, folder, "recipe.yaml", err));
    if (!wanted) {
        Recipe recipe;
        return recipe_read(path, &recipe, err);
    }
    char *text;
    size_t size;
    TRY(file_read(path, RECIPE_LIMIT, &text, &size, err));
    snprintf(found, sizeof found, "%08x", (unsigned)crc32c(0, text, size));
    free(text);
    if (strcmp(found, wanted) == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT,
                "'%s' is not the one that was written with this checkpoint: its checksum is %s, not %.20s", path, found,
                wanted);
}

effnet_status checkpoint_verify(const char *path, effnet_error *err) {
    char slots[CHECKPOINT_PATH_BYTES];
    TRY(path_join(slots, sizeof slots, path, "slots.safetensors", err));
    Safetensors *file;
    TRY(safetensors_open(slots, &file, err));
    int64_t step = -1;
    const char *averages = safetensors_metadata(file, "effnet.model_ema");
    effnet_status result = metadata_integer(file, "effnet.step", 0, INT64_MAX, &step, err);
    bool summed = safetensors_has_sum(file);
    if (result == EFFNET_OK) result = safetensors_verify(file, err);
    if (result == EFFNET_OK) result = verify_weights(path, "raw.safetensors", step, summed, err);
    if (result == EFFNET_OK && averages && strcmp(averages, "true") == 0)
        result = verify_weights(path, "ema.safetensors", step, summed, err);
    if (result == EFFNET_OK) result = verify_recipe(path, safetensors_metadata(file, CHECKPOINT_RECIPE_SUM), err);
    safetensors_close(file);
    return result;
}

void checkpoint_damage_add(CheckpointDamage *damage, int64_t step, const effnet_error *reason) {
    if (!damage) return;
    if (damage->count++ > 0) return;
    damage->newest = step;
    snprintf(damage->reason, sizeof damage->reason, "%s", reason->message);
}

effnet_status checkpoint_find_whole(const char *out_folder, int64_t below, char *path, size_t size, int64_t *step,
                                    CheckpointDamage *damage, effnet_error *err) {
    char folder[CHECKPOINT_PATH_BYTES], name[CHECKPOINT_NAME_BYTES];
    *step = -1;
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    CheckpointSteps steps;
    TRY(checkpoint_list_steps(folder, false, &steps, err));
    effnet_status result = EFFNET_OK;
    for (size_t i = 0; i < steps.count && result == EFFNET_OK && *step < 0; i++) {
        if (steps.values[i] >= below) continue;
        checkpoint_step_name(name, steps.values[i], "");
        result = path_join(path, size, folder, name, err);
        if (result != EFFNET_OK) break;
        effnet_error reason = {0};
        effnet_status verified = checkpoint_verify(path, &reason);
        if (verified == EFFNET_OK)
            *step = steps.values[i];
        else if (verified == EFFNET_ERROR_MEMORY)
            result = fail(err, verified, "%s", reason.message);
        else
            checkpoint_damage_add(damage, steps.values[i], &reason);
    }
    free(steps.values);
    return result;
}

effnet_status checkpoint_set_aside(const char *out_folder, int64_t step, effnet_error *err) {
    char folder[CHECKPOINT_PATH_BYTES], from[CHECKPOINT_PATH_BYTES], to[CHECKPOINT_PATH_BYTES],
        name[CHECKPOINT_NAME_BYTES];
    TRY(path_join(folder, sizeof folder, out_folder, "checkpoints", err));
    CheckpointSteps steps;
    TRY(checkpoint_list_steps(folder, false, &steps, err));
    effnet_status result = EFFNET_OK;
    for (size_t i = 0; i < steps.count && result == EFFNET_OK && steps.values[i] > step; i++) {
        checkpoint_step_name(name, steps.values[i], "");
        result = path_join(from, sizeof from, folder, name, err);
        checkpoint_step_name(name, steps.values[i], ".damaged");
        if (result == EFFNET_OK) result = path_join(to, sizeof to, folder, name, err);
        if (result == EFFNET_OK) result = checkpoint_remove_tree(to, err); /* an earlier one of that step */
        if (result == EFFNET_OK && rename(from, to) != 0)
            result = fail(err, EFFNET_ERROR_IO, "cannot rename the damaged checkpoint '%s': %s", from, strerror(errno));
    }
    free(steps.values);
    return result == EFFNET_OK && steps.count > 0 ? folder_sync(folder, err) : result;
}
