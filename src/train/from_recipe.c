/* from_recipe.c - the model that a recipe asks for: the published one by name, with the recipe's differences; and the
 * card that tells a reader of its weights how pictures are prepared for it. */
#include "train/from_recipe.h"

#include "recipe/recipe.h"
#include "step/step_spec.h"
#include "train/model_card.h"

#include "model/freeze.h"

#include <string.h>

effnet_status model_config_from_recipe(const Recipe *recipe, int num_classes, ModelConfig *out, effnet_error *err) {
    TRY(model_config_by_name(recipe->model, out, err));
    if (recipe->width_coefficient > 0) out->width = recipe->width_coefficient;
    if (recipe->depth_coefficient > 0) out->depth = recipe->depth_coefficient;
    out->num_classes = num_classes > 0 ? num_classes : (int)recipe->num_classes;
    if (out->num_classes < 1)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the number of classes is not known: set num_classes in the recipe");
    if (recipe->resolution.height > 0) {
        out->input.height = recipe->resolution.height;
        out->input.width = recipe->resolution.width;
    }
    out->input.channels = (int)recipe->in_chans;
    if (recipe->drop >= 0) out->drop = recipe->drop;
    out->padding = recipe->padding == PADDING_SYMMETRIC ? MODEL_PADDING_SYMMETRIC : MODEL_PADDING_SAME;
    out->bn_momentum = recipe->bn_momentum;
    out->bn_eps = recipe->bn_eps;
    out->bn_unbiased = recipe->bn_variance == BN_VARIANCE_UNBIASED;
    out->drop_path = recipe->drop_path;
    out->head_fixed = recipe->head_width == HEAD_WIDTH_FIXED;
    out->squeeze_even = recipe->se_round == SE_ROUND_EVEN;
    return EFFNET_OK;
}

effnet_status network_from_recipe(const Recipe *recipe, const ModelConfig *config, Network *out, effnet_error *err) {
    TRY(network_build(config, out, err));
    network_layer_decay(out, recipe->layer_decay);
    effnet_status status = network_freeze(out, recipe->freeze, err);
    if (status != EFFNET_OK) network_free(out);
    return status;
}

void model_card_from_recipe(const Recipe *recipe, const ModelConfig *config, ModelCard *out) {
    *out = (ModelCard){.config = *config};
    evaluation_transform_from_recipe(recipe, config->input, &out->transform);
}

void recipe_from_card(const ModelCard *card, Recipe *recipe) {
    const ModelConfig *config = &card->config;
    snprintf(recipe->model, sizeof recipe->model, "%s", config->name);
    ModelConfig published;
    if (model_config_by_name(config->name, &published, NULL) == EFFNET_OK) { /* a card's name is one that is known */
        recipe->width_coefficient = config->width == published.width ? 0 : config->width;
        recipe->depth_coefficient = config->depth == published.depth ? 0 : config->depth;
    }
    recipe->padding = config->padding == MODEL_PADDING_SAME ? PADDING_SAME : PADDING_SYMMETRIC;
    recipe->bn_eps = config->bn_eps;
    recipe->bn_momentum = config->bn_momentum;
    recipe->bn_variance = config->bn_unbiased ? BN_VARIANCE_UNBIASED : BN_VARIANCE_BIASED;
    recipe->head_width = config->head_fixed ? HEAD_WIDTH_FIXED : HEAD_WIDTH_SCALED;
    recipe->se_round = config->squeeze_even ? SE_ROUND_EVEN : SE_ROUND_FLOOR;
    recipe_take_transform(&card->transform, recipe);
}

_Static_assert((int)STEP_ADAMW == OPTIMIZER_ADAMW && (int)STEP_SGD == OPTIMIZER_SGD, "a StepSpec counts as the recipe");
_Static_assert((int)STEP_LARS == OPTIMIZER_LARS && (int)STEP_LAMB == OPTIMIZER_LAMB, "");
_Static_assert((int)STEP_DECAY_UPDATE == DECAY_MODE_UPDATE && (int)STEP_TRUST_ALL == TRUST_MASK_ALL, "");
_Static_assert((int)STEP_TRUST_JOINT == TRUST_NORM_JOINT, "");
_Static_assert((int)STEP_DECAY_HALF_L2 == DECAY_MODE_HALF_L2 && (int)STEP_DECAY_DECOUPLED == DECAY_MODE_DECOUPLED, "");
_Static_assert((int)STEP_DECAY_NO_BN_BIAS_DEPTHWISE == DECAY_MASK_NO_BN_BIAS_DEPTHWISE, "");
_Static_assert((int)STEP_LOSS_FOCAL == LOSS_FOCAL && (int)STEP_LOSS_BINARY == LOSS_BINARY, "");
_Static_assert((int)STEP_MASKS_FLAX == MASKS_FLAX && (int)STEP_BN_ALL == BN_SYNC_ALL, "");

void step_spec_from_recipe(const Recipe *recipe, StepSpec *out) {
    *out = (StepSpec){.batch = (int)recipe->batch_size,
                      .replicas = (int)recipe->replicas,
                      .accumulate = (int)recipe_parts(recipe),
                      .recompute = recipe->accumulate > 1 && recipe->accumulate_bn == ACCUMULATE_BN_FULL,
                      .bf16 = recipe->amp == AMP_BF16,
                      .fuse = recipe->fuse,
                      .masks = (StepMasks)recipe->masks,
                      .threefry = (ThreefryMode)recipe->threefry,
                      .seed = (uint64_t)recipe->seed,
                      .bn_sync = (StepBnSync)recipe->bn_sync,
                      .bn_group = 1,
                      .loss = (StepLoss)recipe->loss,
                      .smoothing = recipe_smoothing(recipe),
                      .loss_sum = recipe->loss_classes == LOSS_CLASSES_SUM,
                      .loss_threshold = recipe->loss_threshold,
                      .focal_gamma = recipe->focal_gamma,
                      .focal_alpha = recipe->focal_alpha,
                      .clip_grad = recipe->clip_grad,
                      .decay_mode = (StepDecayMode)recipe->decay_mode,
                      .decay_mask = (StepDecayMask)recipe->decay_mask,
                      .weight_decay = recipe->weight_decay,
                      .optimizer = (StepOptimizer)recipe->opt,
                      .momentum = recipe->momentum,
                      .nesterov = recipe->nesterov,
                      .alpha = recipe->opt_alpha,
                      .eps = recipe->opt_eps,
                      .lr_in_momentum = recipe->lr_in_momentum,
                      .betas = {recipe->opt_betas[0], recipe->opt_betas[1]},
                      .trust_mask = (StepTrustMask)recipe->trust_mask,
                      .trust_norm = (StepTrustNorm)recipe->trust_norm,
                      .trust_coefficient = recipe->trust_coefficient,
                      .trust_eps = recipe->trust_eps,
                      .trust_in_momentum = recipe->trust_in_momentum,
                      .trust_clip = recipe->trust_clip,
                      .bias_correction = recipe->lamb_bias_correction,
                      .average = recipe->model_ema,
                      .average_decay = recipe->model_ema_decay,
                      .average_warmup = recipe->model_ema_warmup,
                      .average_count_before = recipe->model_ema_count == MODEL_EMA_COUNT_BEFORE};
    out->bn_group = (int)recipe_bn_group(recipe, out->replicas);
    recipe_normalisation(recipe, (int)recipe->in_chans, out->mean, out->std);
}
