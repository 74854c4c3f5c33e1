/* checkpoint_read.c - a checkpoint's folder back into a run's state, bit for bit; see checkpoint.h. */
#include "base/file.h"
#include "recipe/keys.h"
#include "recipe/recipe.h"
#include "step/state.h"
#include "train/card.h"
#include "train/checkpoint.h"
#include "train/checkpoint_list.h"
#include "train/checkpoint_marker.h"
#include "train/checkpoint_verify.h"
#include "train/initial_state.h"
#include "train/weights.h"

#include <stdio.h>
#include <string.h>

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
    char optimizer[KEY_TEXT];
    key_format(key_find("opt"), recipe, optimizer, sizeof optimizer);
    TRY(check_same(file, "effnet.opt", optimizer, err));
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
    char path[CHECKPOINT_PATH_BYTES];
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
    char folder[CHECKPOINT_PATH_BYTES], slots_path[CHECKPOINT_PATH_BYTES];
    TRY(checkpoint_marker_follow(path, folder, sizeof folder, err));
    path = folder;
    TRY(path_join(slots_path, sizeof slots_path, path, "slots.safetensors", err));
    Safetensors *file;
    TRY(safetensors_open(slots_path, &file, err));
    TrainState found = *state; /* the same blocks; step only counts when all was read */
    effnet_status result = check_run(file, network, recipe, &found, best_top1, best_step, err);
    if (result == EFFNET_OK) result = safetensors_verify(file, err);
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

effnet_status checkpoint_find_last(const char *out_folder, char *path, size_t size, bool *found, effnet_error *err) {
    int64_t step;
    effnet_status result = checkpoint_find_whole(out_folder, INT64_MAX, path, size, &step, NULL, err);
    *found = result == EFFNET_OK && step >= 0;
    return result;
}
