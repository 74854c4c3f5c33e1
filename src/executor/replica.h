/* replica.h - a replica on the host: a device of the run, with its share of the batch, its mask chain and its running
 * statistics. Its share is computed in parts (StepSpec.accumulate); the functions below are the halves of a part, so
 * that whoever drives several replicas may do something between them. Internal to executor/. */
#ifndef EFFNET_EXECUTOR_REPLICA_H
#define EFFNET_EXECUTOR_REPLICA_H

#include "engine/engine.h"
#include "executor/executor.h"
#include "step/loss.h"
#include "step/masks.h"

/* What a part is computed in. Replicas that are computed one after the other share one; those that share batch norm's
 * moments have one each. */
typedef struct ReplicaRoom {
    Engine *engine;
    float *images;                   /* (part, H, W, 3) of pictures that come as bytes; NULL before the first */
    float *drop_path_scale;          /* (num_residuals, part) */
    float *dropout_scale;            /* (part, features) */
    float *logits, *logits_gradient; /* (part, classes) */
} ReplicaRoom;

typedef struct Replica {
    const Network *network;
    const StepSpec *spec;
    ThreadTeam *team;
    ReplicaRoom *room; /* not owned */
    int index;         /* 0..spec->replicas - 1 */
    int first_image;   /* of the whole batch, that the executor's batch begins with: it may be a worker's part */
    int workers;       /* that have such a part each */
    FlaxMaskChain chain;
} Replica;

/* A part of a replica's share on its way forward and back. */
typedef struct ReplicaPart {
    int first, count; /* images of the batch */
    EngineForward call;
} ReplicaPart;

effnet_status replica_room_create(const Network *network, const StepSpec *spec, const EngineVtable *engine,
                                  ThreadTeam *team, ReplicaRoom *out, effnet_error *err);
void replica_room_free(ReplicaRoom *room);

/* The images of the executor's batch that are the replica's: *first and *count, which is 0 where the batch ends before them. */
void replica_share(const Replica *replica, int batch, int *first, int *count);

/* Masks and forward pass of images first .. first+count-1 at `step` (steps done before it); moves `statistics`.
 * exchange: EngineForward's. */
effnet_status replica_forward(Replica *replica, const ExecutorBatch *batch, int first, int count, int64_t step,
                              const float *parameters, float *statistics, const BatchNormExchange *exchange,
                              ReplicaPart *part, effnet_error *err);
/* After it: the part's mean loss, and the gradient of its logits, scaled to the part's share of the batch's mean loss.
 */
effnet_status replica_loss(Replica *replica, const ExecutorBatch *batch, const ReplicaPart *part, int64_t step,
                           double *loss, effnet_error *err);
/* After that: gradients (parameter_floats), overwritten, or added to where `accumulate`. ready: EngineForward's. */
effnet_status replica_backward(Replica *replica, ReplicaPart *part, float *gradients, bool accumulate,
                               const GradientsReady *ready, effnet_error *err);

/* The (first) room of a host executor: tests and tools look in, and may put another engine there in place of one they free. */
ReplicaRoom *host_executor_room(Executor *executor);

/* out (images, input) = (byte / 255 - mean) / std as byte * scale + bias, with the loader's own scale and bias. */
void pixels_normalise(const StepSpec *spec, TensorShape input, const uint8_t *pixels, size_t images, ThreadTeam *team,
                      float *out);

#endif
