/* replica.c - see replica.h. */
#include "executor/replica.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static int part_size(const StepSpec *spec) {
    return spec->batch / spec->replicas / spec->accumulate;
}

effnet_status replica_room_create(const Network *network, const StepSpec *spec, const EngineVtable *engine,
                                  ThreadTeam *team, ReplicaRoom *out, effnet_error *err) {
    size_t part = (size_t)part_size(spec), classes = (size_t)network->config.num_classes;
    *out = (ReplicaRoom){0};
    TRY(memory_allocate_floats(part, (size_t)network->num_residuals, "the drop path masks", &out->drop_path_scale,
                               err));
    TRY(memory_allocate_floats(part, (size_t)network->features, "the dropout masks", &out->dropout_scale, err));
    TRY(memory_allocate_floats(part, classes, "the logits", &out->logits, err));
    TRY(memory_allocate_floats(part, classes, "the gradient of the logits", &out->logits_gradient, err));
    const EngineOptions options = {.batch = part_size(spec),
                                   .training = true,
                                   .recompute = spec->recompute,
                                   .fuse = spec->fuse,
                                   .bf16 = spec->bf16,
                                   .team = team};
    return engine_create(engine, network, &options, &out->engine, err);
}

void replica_room_free(ReplicaRoom *room) {
    engine_free(room->engine);
    memory_free(room->images);
    memory_free(room->drop_path_scale);
    memory_free(room->dropout_scale);
    memory_free(room->logits);
    memory_free(room->logits_gradient);
    *room = (ReplicaRoom){0};
}

void replica_share(const Replica *replica, int batch, int *first, int *count) {
    int share = replica->spec->batch / replica->spec->replicas, left;
    *first = replica->index * share - replica->first_image;
    left = batch - *first;
    *count = left < 0 ? 0 : left < share ? left : share;
}

/* ---- bytes ---- */

typedef struct Normalising {
    const uint8_t *pixels;
    size_t image_floats;
    int channels;
    float scale[MOST_CHANNELS], bias[MOST_CHANNELS];
    float *out;
} Normalising;

static void normalise_task(void *context, int task, int thread) {
    (void)thread;
    const Normalising *n = context;
    const uint8_t *pixels = n->pixels + (size_t)task * n->image_floats;
    float *out = n->out + (size_t)task * n->image_floats;
    const size_t channels = (size_t)n->channels;
    for (size_t i = 0; i < n->image_floats; i += channels)
        for (size_t c = 0; c < channels; c++) out[i + c] = (float)pixels[i + c] * n->scale[c] + n->bias[c];
}

void pixels_normalise(const StepSpec *spec, TensorShape input, const uint8_t *pixels, size_t images, ThreadTeam *team,
                      float *out) {
    Normalising n = {.pixels = pixels, .image_floats = shape_floats(input), .channels = input.channels, .out = out};
    for (int c = 0; c < input.channels; c++) { /* as data/transform/preprocess.c has them */
        n.scale[c] = (float)(1 / (255 * spec->std[c]));
        n.bias[c] = (float)(-spec->mean[c] / spec->std[c]);
    }
    thread_team_run(team, normalise_task, &n, (int)images);
}

/* ---- a part ---- */

static void draw_masks(Replica *replica, int first, int count, int64_t step) {
    const StepSpec *spec = replica->spec;
    ReplicaRoom *room = replica->room;
    if (spec->masks == STEP_MASKS_FLAX) {
        const FlaxMaskOptions options = {spec->seed, spec->threefry, replica->index, spec->replicas};
        masks_draw_flax(&replica->chain, &options, replica->network, step, count, room->drop_path_scale,
                        room->dropout_scale);
    } else
        masks_draw(replica->network, spec->seed, step, replica->first_image + first, count, replica->team,
                   room->drop_path_scale, room->dropout_scale);
}

/* The part's pictures as floats: the batch's own, or bytes normalised. */
static effnet_status part_images(Replica *replica, const ExecutorBatch *batch, int first, int count, const float **out,
                                 effnet_error *err) {
    const Network *network = replica->network;
    ReplicaRoom *room = replica->room;
    size_t image_floats = shape_floats(network->config.input);
    *out = batch->images ? batch->images + (size_t)first * image_floats : NULL;
    if (batch->images) return EFFNET_OK;
    if (!room->images)
        TRY(memory_allocate_floats((size_t)part_size(replica->spec), image_floats, "the normalised pictures",
                                   &room->images, err));
    pixels_normalise(replica->spec, network->config.input, batch->pixels + (size_t)first * image_floats, (size_t)count,
                     replica->team, room->images);
    *out = room->images;
    return EFFNET_OK;
}

effnet_status replica_forward(Replica *replica, const ExecutorBatch *batch, int first, int count, int64_t step,
                              const float *parameters, float *statistics, const BatchNormExchange *exchange,
                              ReplicaPart *part, effnet_error *err) {
    const ReplicaRoom *room = replica->room;
    const float *images;
    TRY(part_images(replica, batch, first, count, &images, err));
    draw_masks(replica, first, count, step);
    *part = (ReplicaPart){.first = first,
                          .count = count,
                          .call = {.batch = count,
                                   .images = images,
                                   .parameters = parameters,
                                   .statistics = statistics,
                                   .training = true,
                                   .drop_path_scale = room->drop_path_scale,
                                   .dropout_scale = room->dropout_scale,
                                   .logits = room->logits,
                                   .exchange = exchange}};
    return engine_forward(room->engine, &part->call, err);
}

effnet_status replica_loss(Replica *replica, const ExecutorBatch *batch, const ReplicaPart *part, int64_t step,
                           double *loss, effnet_error *err) {
    const ReplicaRoom *room = replica->room;
    const Targets targets = {.labels = batch->labels + part->first,
                             .others = batch->others ? batch->others + part->first : NULL,
                             .shares = batch->shares ? batch->shares + part->first : NULL,
                             .dense = batch->targets ? batch->targets + (size_t)part->first *
                                                                            (size_t)replica->network->config.num_classes
                                                     : NULL,
                             .weights = batch->weights ? batch->weights + part->first : NULL};
    *loss = loss_of_step(replica->spec, room->logits, &targets, part->count, replica->network->config.num_classes,
                         (double)part->count / ((double)batch->size * replica->workers), replica->team,
                         room->logits_gradient);
    if (isfinite(*loss)) return EFFNET_OK;
    const char *layer = engine_find_nonfinite(room->engine);
    return fail(err, EFFNET_ERROR_NUMERIC,
                "the loss is not finite at step %lld; the first layer whose output is not finite is %s; try a smaller "
                "lr, a longer warm-up or clip_grad",
                (long long)step + 1, layer ? layer : "the loss itself");
}

effnet_status replica_backward(Replica *replica, ReplicaPart *part, float *gradients, bool accumulate,
                               const GradientsReady *ready, effnet_error *err) {
    const ReplicaRoom *room = replica->room;
    part->call.ready = ready;
    return engine_backward(room->engine, &part->call, room->logits_gradient, gradients, accumulate, err);
}
