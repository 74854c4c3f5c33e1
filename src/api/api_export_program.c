/* api_export_program.c - inference of a model and the training step of a recipe as StableHLO, for JAX, IREE and others
 * that run it. */
#include "api/handles.h"

#include "backend/xla/program.h"
#include "train/from_recipe.h"

#include <string.h>

enum { MOST_BATCH = 65536 };

static effnet_status check_options(const effnet_stablehlo_options *options, effnet_error *err) {
    if (options->batch >= 0 && options->batch <= MOST_BATCH) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 to %d, or 0 for the default", options->batch,
                MOST_BATCH);
}

/* Writes the program and frees it. */
static effnet_status keep(const char *path, const Network *network, XlaProgram *program, const char *what,
                          effnet_error *err) {
    effnet_status status = xla_program_write(path, network, program, what, err);
    xla_program_free(program);
    return status;
}

effnet_status effnet_model_save_stablehlo(const effnet_model *model, const char *path,
                                          const effnet_stablehlo_options *options, effnet_error *error) {
    effnet_stablehlo_options chosen;
    XlaProgram program;
    NEED(model);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_stablehlo_options", error));
    TRY(check_options(&chosen, error));
    if (model->dtype.int8)
        return fail(error, EFFNET_ERROR_UNSUPPORTED,
                    "dtype int8 is the processor's; StableHLO is written as fp32 or "
                    "bf16");
    StepSpec spec = {.batch = 1, .replicas = 1, .accumulate = 1, .bf16 = model->dtype.bf16};
    memcpy(spec.mean, model->card.transform.mean, sizeof spec.mean);
    memcpy(spec.std, model->card.transform.std, sizeof spec.std);
    const XlaStepOptions write = {.bytes = chosen.bytes};
    TRY(xla_write_inference(&model->network, &spec, chosen.batch ? chosen.batch : 1, &write, &program, error));
    return keep(path, &model->network, &program, "Inference", error);
}

effnet_status effnet_recipe_save_stablehlo(const effnet_recipe *recipe, const char *path,
                                           const effnet_stablehlo_options *options, effnet_error *error) {
    effnet_stablehlo_options chosen;
    ModelConfig config;
    Network network;
    StepSpec spec;
    XlaProgram program;
    NEED(recipe);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_stablehlo_options", error));
    if (chosen.batch)
        return fail(error, EFFNET_ERROR_ARGUMENT, "batch is of inference; a step has the recipe's batch_size");
    TRY(recipe_need_batch(&recipe->recipe, "a program", error));
    TRY(model_config_from_recipe(&recipe->recipe, 0, &config, error));
    step_spec_from_recipe(&recipe->recipe, &spec);
    TRY(network_from_recipe(&recipe->recipe, &config, &network, error));
    const bool mixed = recipe->recipe.mixup > 0 || recipe->recipe.cutmix > 0;
    const XlaStepOptions write = {
        .bytes = chosen.bytes, .soft_targets = mixed, .weighted = recipe->recipe.class_weights[0] != 0};
    effnet_status status = xla_write_step(&network, &spec, &write, &program, error);
    if (status == EFFNET_OK) status = keep(path, &network, &program, "The training step", error);
    network_free(&network);
    return status;
}
