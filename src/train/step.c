/* step.c - one training step: masks -> forward -> loss -> backward, part by part, then clip and optimizer.
 *
 * A batch is computed in `accumulate` parts of batch_size / accumulate images (the last may be smaller). The gradient
 * of a part's mean loss is scaled by its share of the batch, so the sum over the parts is the gradient of the batch's
 * mean loss; masks are drawn by the image's place in the whole batch. Batch norm sees one part at a time: its batch
 * statistics are the part's, and the running statistics move once a part. With bn_sync: running_average each part is
 * taken as a device with running statistics of its own: each moves those of the step's beginning once, and the step
 * leaves their mean (in doubles, in the parts' order). So the original does on its eight TPU cores: each core keeps its
 * own, and they are averaged before every evaluation (classification/train.py:260-269, 490-493); as moving is linear,
 * averaging after every step gives the same means.
 *
 * A step either happens or does not: the forward pass moves the running statistics, so they are copied before and put
 * back where anything fails; weights, slots and averages change only in optimizer_step, after every check. */
#include "train/train.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static effnet_status allocate_floats(size_t rows, size_t columns, const char *what, float **out, effnet_error *err) {
    void *block = NULL;
    size_t count;
    if (!size_multiply(rows, columns, &count)) return fail(err, EFFNET_ERROR_MEMORY, "the size of %s overflows", what);
    effnet_status status = memory_allocate(count, sizeof(float), what, &block, err);
    *out = block;
    return status;
}

static effnet_status create_parts(Trainer *trainer, effnet_error *err) {
    const Network *network = trainer->network;
    const Recipe *recipe = trainer->recipe;
    size_t part = (size_t)trainer->part, classes = (size_t)network->config.num_classes;
    TRY(train_state_create(network, recipe, &trainer->state, err));
    TRY(allocate_floats(part, (size_t)network->num_residuals, "the drop path masks", &trainer->drop_path_scale, err));
    TRY(allocate_floats(part, (size_t)network->features, "the dropout masks", &trainer->dropout_scale, err));
    TRY(allocate_floats(part, classes, "the logits", &trainer->logits, err));
    TRY(allocate_floats(part, classes, "the gradient of the logits", &trainer->logits_gradient, err));
    TRY(allocate_floats(network->statistic_floats, 1, "the copy of the statistics", &trainer->statistics_before, err));
    if (recipe->bn_sync == BN_SYNC_RUNNING_AVERAGE && recipe->accumulate > 1) {
        void *block = NULL;
        TRY(memory_allocate(network->statistic_floats, sizeof(double), "the sum of the parts' statistics", &block,
                            err));
        trainer->statistics_sum = block;
    }
    void *chains = NULL;
    TRY(memory_allocate((size_t)recipe->accumulate, sizeof(FlaxMaskChain), "the masks' keys", &chains, err));
    trainer->mask_chains = chains;
    const EngineVtable *vtable;
    TRY(engine_find(recipe->engine, &vtable, err));
    EngineOptions options = {.batch = trainer->part,
                             .training = true,
                             .fuse = trainer->recipe->fuse,
                             .bf16 = recipe->amp == AMP_BF16,
                             .team = trainer->team};
    return engine_create(vtable, network, &options, &trainer->engine, err);
}

_Static_assert(FUSE_AUTO == 0 && FUSE_ALL == 1 && FUSE_NONE == 2, "EngineOptions.fuse counts as the recipe does");

effnet_status trainer_create(const Recipe *recipe, const Network *network, ThreadTeam *team, int64_t steps_per_epoch,
                             Trainer *out, effnet_error *err) {
    memset(out, 0, sizeof *out);
    TRY(recipe_check(recipe, err));
    if (steps_per_epoch < 1)
        return fail(err, EFFNET_ERROR_ARGUMENT, "an epoch of %lld steps; it needs at least 1",
                    (long long)steps_per_epoch);
    out->recipe = recipe;
    step_spec_from_recipe(recipe, &out->spec);
    out->network = network;
    out->team = team;
    out->steps_per_epoch = steps_per_epoch;
    out->part = (int)(recipe->batch_size / recipe->accumulate);
    effnet_status status = create_parts(out, err);
    if (status != EFFNET_OK) trainer_free(out);
    return status;
}

void trainer_free(Trainer *trainer) {
    engine_free(trainer->engine);
    train_state_free(&trainer->state);
    memory_free(trainer->drop_path_scale);
    memory_free(trainer->dropout_scale);
    memory_free(trainer->logits);
    memory_free(trainer->logits_gradient);
    memory_free(trainer->mask_chains);
    memory_free(trainer->statistics_before);
    memory_free(trainer->statistics_sum);
    memset(trainer, 0, sizeof *trainer);
}

/* The first tensor of a list with an element that is not finite, or NULL. */
static const Parameter *first_nonfinite(const Parameter *tensors, int count, const float *values) {
    for (int t = 0; t < count; t++)
        for (size_t i = 0; i < tensors[t].count; i++)
            if (!isfinite(values[tensors[t].offset + i])) return &tensors[t];
    return NULL;
}

static effnet_status check_labels(const Trainer *trainer, const int32_t *labels, int batch, effnet_error *err) {
    int classes = trainer->network->config.num_classes;
    for (int n = 0; n < batch; n++)
        if (labels[n] < 0 || labels[n] >= classes)
            return fail(err, EFFNET_ERROR_ARGUMENT, "label %d of image %d of the batch; %d classes allow 0 to %d",
                        (int)labels[n], n, classes, classes - 1);
    return EFFNET_OK;
}

static effnet_status check_input(const Trainer *trainer, const Targets *targets, int batch, effnet_error *err) {
    if (batch < 1 || batch > trainer->recipe->batch_size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "a batch of %d images; batch_size allows 1 to %lld", batch,
                    (long long)trainer->recipe->batch_size);
    TRY(check_labels(trainer, targets->labels, batch, err));
    if (!targets->others) return EFFNET_OK;
    for (int n = 0; n < batch; n++)
        if (!(targets->shares[n] >= 0 && targets->shares[n] <= 1))
            return fail(err, EFFNET_ERROR_ARGUMENT, "share %g of image %d of the batch; 0 to 1 is allowed",
                        (double)targets->shares[n], n);
    return check_labels(trainer, targets->others, batch, err);
}

static void draw_masks(Trainer *trainer, int first, int count) {
    const Recipe *recipe = trainer->recipe;
    uint64_t seed = (uint64_t)recipe->seed;
    int64_t step = trainer->state.step;
    int part = first / trainer->part;
    if (recipe->masks == MASKS_FLAX) {
        const FlaxMaskOptions options = {seed, (ThreefryMode)recipe->threefry, part, (int)recipe->accumulate};
        masks_draw_flax(&trainer->mask_chains[part], &options, trainer->network, step, count, trainer->drop_path_scale,
                        trainer->dropout_scale);
    } else
        masks_draw(trainer->network, seed, step, first, count, trainer->team, trainer->drop_path_scale,
                   trainer->dropout_scale);
}

/* Forward, loss and backward of images first .. first+count-1 of `batch`; adds count * mean loss to *loss_sum. */
static effnet_status run_part(Trainer *trainer, const float *images, const Targets *targets, int first, int count,
                              int batch, double *loss_sum, effnet_error *err) {
    const Network *network = trainer->network;
    TrainState *state = &trainer->state;
    size_t image_floats = (size_t)network->input_height * (size_t)network->input_width * 3;
    draw_masks(trainer, first, count);
    EngineForward call = {.batch = count,
                          .images = images + (size_t)first * image_floats,
                          .parameters = state->parameters,
                          .statistics = state->statistics,
                          .training = true,
                          .drop_path_scale = trainer->drop_path_scale,
                          .dropout_scale = trainer->dropout_scale,
                          .logits = trainer->logits};
    TRY(engine_forward(trainer->engine, &call, err));
    const Targets part = {.labels = targets->labels + first,
                          .others = targets->others ? targets->others + first : NULL,
                          .shares = targets->shares ? targets->shares + first : NULL};
    double loss = loss_soft_cross_entropy(trainer->logits, &part, count, network->config.num_classes,
                                          recipe_smoothing(trainer->recipe), (double)count / batch, trainer->team,
                                          trainer->logits_gradient);
    if (!isfinite(loss)) {
        const char *layer = engine_find_nonfinite(trainer->engine);
        return fail(err, EFFNET_ERROR_NUMERIC,
                    "the loss is not finite at step %lld; the first layer whose output is not finite is %s; try a "
                    "smaller lr, a longer warm-up or clip_grad",
                    (long long)state->step + 1, layer ? layer : "the loss itself");
    }
    *loss_sum += loss * count;
    return engine_backward(trainer->engine, &call, trainer->logits_gradient, state->gradients, first > 0, err);
}

/* Running statistics of parts that are devices: each from those of the step's beginning. */
static void begin_part(Trainer *trainer, int first) {
    size_t floats = trainer->network->statistic_floats;
    if (trainer->statistics_sum && first > 0)
        memcpy(trainer->state.statistics, trainer->statistics_before, floats * sizeof(float));
}

/* And after the last part their mean. */
static void end_part(Trainer *trainer, int first, bool last) {
    double *sum = trainer->statistics_sum;
    if (!sum) return;
    float *statistics = trainer->state.statistics;
    int parts = first / trainer->part + 1;
    for (size_t i = 0; i < trainer->network->statistic_floats; i++) {
        sum[i] = (first > 0 ? sum[i] : 0) + statistics[i];
        if (last) statistics[i] = (float)(sum[i] / parts);
    }
}

static effnet_status run_parts(Trainer *trainer, const float *images, const Targets *targets, int batch,
                               double *loss_sum, effnet_error *err) {
    for (int first = 0; first < batch; first += trainer->part) {
        int count = batch - first < trainer->part ? batch - first : trainer->part;
        begin_part(trainer, first);
        TRY(run_part(trainer, images, targets, first, count, batch, loss_sum, err));
        end_part(trainer, first, first + count == batch);
    }
    const Network *network = trainer->network;
    float *gradients = trainer->state.gradients;
    double norm = gradients_clip(network, gradients, trainer->recipe->clip_grad, trainer->team);
    trainer->gradient_norm = norm;
    if (isfinite(norm)) return EFFNET_OK;
    const Parameter *parameter = first_nonfinite(network->parameters, network->num_parameters, gradients);
    return fail(err, EFFNET_ERROR_NUMERIC,
                "the gradient is not finite at step %lld, first in %s; try a smaller lr, a longer warm-up or clip_grad",
                (long long)trainer->state.step + 1, parameter ? parameter->name : "its norm");
}

effnet_status trainer_step(Trainer *trainer, const float *images, const int32_t *labels, int batch, double *loss,
                           double *lr, effnet_error *err) {
    const Targets targets = {.labels = labels};
    return trainer_step_soft(trainer, images, &targets, batch, loss, lr, err);
}

effnet_status trainer_step_soft(Trainer *trainer, const float *images, const Targets *targets, int batch, double *loss,
                                double *lr, effnet_error *err) {
    TRY(check_input(trainer, targets, batch, err));
    TrainState *state = &trainer->state;
    size_t statistic_bytes = trainer->network->statistic_floats * sizeof(float);
    memcpy(trainer->statistics_before, state->statistics, statistic_bytes);
    double loss_sum = 0, rate = schedule_learning_rate(trainer->recipe, state->step, trainer->steps_per_epoch);
    effnet_status status = run_parts(trainer, images, targets, batch, &loss_sum, err);
    if (status != EFFNET_OK) {
        memcpy(state->statistics, trainer->statistics_before, statistic_bytes);
        return status;
    }
    optimizer_step(trainer->network, &trainer->spec, state, rate, trainer->team);
    if (loss) *loss = loss_sum / batch;
    if (lr) *lr = rate;
    return EFFNET_OK;
}

effnet_status trainer_check_finite(const Trainer *trainer, effnet_error *err) {
    const Network *network = trainer->network;
    const TrainState *state = &trainer->state;
    const struct {
        const char *what;
        const float *values;
        bool statistics;
    } blocks[] = {
        {"the weights", state->parameters, false},
        {"the running statistics", state->statistics, true},
        {"the optimizer's first slot", state->slots[0], false},
        {"the optimizer's second slot", state->slots[1], false},
        {"the averaged weights", state->ema_parameters, false},
        {"the averaged statistics", state->ema_statistics, true},
    };
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        if (!blocks[b].values) continue;
        const Parameter *found = blocks[b].statistics
                                     ? first_nonfinite(network->statistics, network->num_statistics, blocks[b].values)
                                     : first_nonfinite(network->parameters, network->num_parameters, blocks[b].values);
        if (found)
            return fail(
                err, EFFNET_ERROR_NUMERIC,
                "after step %lld %s are not finite, first in %s; try a smaller lr, a longer warm-up or clip_grad",
                (long long)state->step, blocks[b].what, found->name);
    }
    return EFFNET_OK;
}
