/* initial_state.c - the blocks of a run (step/state.h) as a recipe lets it begin. See initial_state.h. */
#include "train/initial_state.h"

#include "recipe/recipe.h"
#include "step/state.h"
#include "train/weights.h"

#include "base/memory.h"
#include "format/torch_file.h"
#include "model/initialize.h"
#include "train/import_weights.h"

#include <string.h>

/* How many slots an optimizer keeps for each parameter, and what each is called in a checkpoint. */
int optimizer_slots(int optimizer, const char *names[2]) {
    names[0] = names[1] = NULL;
    switch (optimizer) {
    case OPTIMIZER_RMSPROP:
        names[0] = "mean_square";
        names[1] = "momentum";
        return 2;
    case OPTIMIZER_SGD:
    case OPTIMIZER_LARS:
        names[0] = "momentum";
        return 1;
    case OPTIMIZER_ADAMW:
    case OPTIMIZER_LAMB:
        names[0] = "first_moment";
        names[1] = "second_moment";
        return 2;
    }
    return 0;
}

static effnet_status allocate_blocks(const Network *network, const Recipe *recipe, TrainState *state,
                                     effnet_error *err) {
    TRY(memory_allocate_floats(network->parameter_floats, 1, "the parameters", &state->parameters, err));
    TRY(memory_allocate_floats(network->parameter_floats, 1, "the gradients", &state->gradients, err));
    TRY(memory_allocate_floats(network->statistic_floats, 1, "the batch norm statistics", &state->statistics, err));
    const char *names[2];
    int slots = optimizer_slots(recipe->opt, names);
    for (int i = 0; i < slots; i++)
        TRY(memory_allocate_floats(network->parameter_floats, 1, "the optimizer's slots", &state->slots[i], err));
    if (recipe->model_ema) {
        TRY(memory_allocate_floats(network->parameter_floats, 1, "the averaged parameters", &state->ema_parameters,
                                   err));
        TRY(memory_allocate_floats(network->statistic_floats, 1, "the averaged statistics", &state->ema_statistics,
                                   err));
    }
    return EFFNET_OK;
}

effnet_status train_state_create(const Network *network, const Recipe *recipe, TrainState *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    effnet_status result = allocate_blocks(network, recipe, out, err);
    if (result != EFFNET_OK) {
        train_state_free(out);
        return result;
    }
    InitializeOptions options = {.seed = (uint64_t)recipe->seed,
                                 .truncated = recipe->init_conv == INIT_CONV_TRUNCATED_NORMAL,
                                 .dense_truncated = recipe->init_dense == INIT_DENSE_TRUNCATED_NORMAL,
                                 .dense_zero = recipe->init_dense == INIT_DENSE_ZEROS,
                                 .depthwise_fan_flax =
                                     recipe->init_depthwise_fan == DEPTHWISE_FAN_FLAX || recipe->init == INIT_FLAX,
                                 .flax = recipe->init == INIT_FLAX,
                                 .threefry = (ThreefryMode)recipe->threefry};
    network_initialize(network, &options, out->parameters, out->statistics);
    if (recipe->opt == OPTIMIZER_RMSPROP)
        for (size_t i = 0; i < network->parameter_floats; i++) out->slots[0][i] = (float)recipe->opt_initial;
    train_state_start_averages(network, recipe, out);
    return EFFNET_OK;
}

void train_state_start_averages(const Network *network, const Recipe *recipe, TrainState *state) {
    if (!state->ema_parameters) return;
    size_t parameters = network->parameter_floats * sizeof(float),
           statistics = network->statistic_floats * sizeof(float);
    if (recipe->model_ema_start == MODEL_EMA_START_ZEROS) {
        memset(state->ema_parameters, 0, parameters);
        memset(state->ema_statistics, 0, statistics);
        return;
    }
    memcpy(state->ema_parameters, state->parameters, parameters);
    memcpy(state->ema_statistics, state->statistics, statistics);
}

/* A file of torch.save, or of other names than timm's. */
static bool is_foreign(const char *path) {
    WeightImport import;
    if (torch_file_is(path)) return true;
    bool foreign = weight_import_open(path, &import, NULL) == EFFNET_OK &&
                   (import.naming.style != NAMES_TIMM || import.naming.prefix[0]);
    weight_import_close(&import);
    return foreign;
}

static effnet_status read_foreign(const char *path, const Network *network, TrainState *state, bool allow_other_head,
                                  bool *head_kept, effnet_error *err) {
    WeightImport import;
    effnet_status status = weight_import_open(path, &import, err);
    if (status == EFFNET_OK)
        status = weight_import_read(&import, network, state->parameters, state->statistics, allow_other_head, head_kept,
                                    err);
    weight_import_close(&import);
    return status;
}

effnet_status train_state_read_initial(const char *path, const Network *network, const Recipe *recipe,
                                       TrainState *state, bool allow_other_head, bool *head_kept, effnet_error *err) {
    if (is_foreign(path))
        TRY(read_foreign(path, network, state, allow_other_head, head_kept, err));
    else
        TRY(weights_read(path, network, state->parameters, state->statistics, allow_other_head, head_kept, err));
    train_state_start_averages(network, recipe, state);
    return EFFNET_OK;
}
