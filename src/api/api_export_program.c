/* api_export_program.c - inference of a model and the training step of a recipe as StableHLO, for JAX, IREE and others
 * that run it. */
#include "api/handles.h"

#include "backend/xla/nvrtc.h"
#include "backend/xla/pjrt_cache.h"
#include "backend/xla/program.h"
#include "train/from_recipe.h"

#include <string.h>

enum { MOST_BATCH = 65536 };

static effnet_status check_options(const effnet_stablehlo_options *options, effnet_error *err) {
    if (options->batch >= 0 && options->batch <= MOST_BATCH) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "batch is %d; allowed: 1 to %d, or 0 for the default", options->batch,
                MOST_BATCH);
}

/* A program to be written, and what it is made with. */
typedef struct Writing {
    XlaStepOptions options;
    Nvrtc *kernels;
    char cache[1024];
    effnet_error kernel_error;
    XlaProgram program;
} Writing;

static effnet_status begin(Writing *writing, const effnet_stablehlo_options *chosen, effnet_error *err) {
    *writing = (Writing){.options = {.bytes = chosen->bytes}};
    if (!chosen->cuda_kernels) return EFFNET_OK;
    pjrt_cache_folder(writing->cache, sizeof writing->cache);
    TRY(nvrtc_open(writing->cache, &writing->kernels, err));
    writing->options.kernels = writing->kernels;
    writing->options.kernel_error = &writing->kernel_error;
    return EFFNET_OK;
}

/* Into its file, where it came out whole, and everything freed. */
static effnet_status keep(const char *path, const Network *network, Writing *writing, const char *what,
                          effnet_status status, effnet_error *err) {
    if (status == EFFNET_OK && writing->kernel_error.message[0])
        status = fail(err, EFFNET_ERROR_IO, "%s", writing->kernel_error.message);
    if (status == EFFNET_OK) status = xla_program_write(path, network, &writing->program, what, err);
    xla_program_free(&writing->program);
    nvrtc_close(writing->kernels);
    return status;
}

effnet_status effnet_model_save_stablehlo(const effnet_model *model, const char *path,
                                          const effnet_stablehlo_options *options, effnet_error *error) {
    effnet_stablehlo_options chosen;
    Writing writing;
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
    TRY(begin(&writing, &chosen, error));
    effnet_status status = xla_write_inference(&model->network, &spec, chosen.batch ? chosen.batch : 1,
                                               &writing.options, &writing.program, error);
    return keep(path, &model->network, &writing, "Inference", status, error);
}

effnet_status effnet_recipe_save_stablehlo(const effnet_recipe *recipe, const char *path,
                                           const effnet_stablehlo_options *options, effnet_error *error) {
    effnet_stablehlo_options chosen;
    ModelConfig config;
    Network network;
    StepSpec spec;
    Writing writing;
    NEED(recipe);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_stablehlo_options", error));
    if (chosen.batch)
        return fail(error, EFFNET_ERROR_ARGUMENT, "batch is of inference; a step has the recipe's batch_size");
    TRY(recipe_need_batch(&recipe->recipe, "a program", error));
    TRY(model_config_from_recipe(&recipe->recipe, 0, &config, error));
    step_spec_from_recipe(&recipe->recipe, &spec);
    TRY(network_from_recipe(&recipe->recipe, &config, &network, error));
    effnet_status status = begin(&writing, &chosen, error);
    writing.options.soft_targets = recipe->recipe.mixup > 0 || recipe->recipe.cutmix > 0;
    writing.options.weighted = recipe->recipe.class_weights[0] != 0;
    if (status == EFFNET_OK) {
        status = xla_write_step(&network, &spec, &writing.options, &writing.program, error);
        status = keep(path, &network, &writing, "The training step", status, error);
    }
    network_free(&network);
    return status;
}
