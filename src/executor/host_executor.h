/* host_executor.h - what the files of the host executor share: executor_host.c makes it, host_step.c is its step,
 * host_workers.c its part in a run of several workers. Internal to executor/. */
#ifndef EFFNET_EXECUTOR_HOST_EXECUTOR_H
#define EFFNET_EXECUTOR_HOST_EXECUTOR_H

#include "executor/gradient_tree.h"
#include "executor/replica.h"
#include "executor/replica_group.h"
#include "step/optimizer.h"

/* Batch norm's moments between workers whose replicas are of one group. */
typedef struct WorkersMoments {
    Workers *workers;
    int first, count; /* the group's workers */
    double *all;      /* (workers, values) */
    size_t room;      /* doubles in it */
    /* Of the step's last exchange: not EFFNET_OK where a worker had failed, which all know then. */
    effnet_status agreed;
} WorkersMoments;

typedef struct HostExecutor {
    Executor base;
    const Network *network;
    StepSpec spec;
    ThreadTeam *team;
    Workers *workers;                 /* NULL: alone */
    int first_replica, used_replicas; /* this worker's, of spec.replicas */
    int lanes;                        /* replicas side by side: those of a batch norm group that are here */
    TrainState state;
    ReplicaRoom *rooms;     /* (lanes) */
    ReplicaGroup *group;    /* NULL where lanes is 1 and no other worker is in the group */
    float **lane_gradients; /* (lanes) parameter_floats each; NULL where lanes is 1 */
    WorkersMoments moments; /* of a group that is larger than this worker's replicas */
    Replica *replicas;      /* (used_replicas) */
    double *losses;         /* (2, spec.replicas) pictures * mean loss: ours, then everybody's */
    float *rows;            /* (used_replicas, statistic_floats) running statistics; NULL of a single replica */
    float *all_rows;        /* (spec.replicas, statistic_floats) everybody's; of a single worker `rows` itself */
    GradientTree tree;
    WorkersSum *
        *sums; /* of several workers: of parts of the gradients, under way; (parameter_floats / GRADIENT_BUCKET + 1) */
    int num_sums;
    size_t travelling;        /* gradients from here on are in those */
    float *statistics_before; /* copied at the beginning of a step, put back where the step fails */
    StepSquares *squares;     /* room for a measured step */
    Engine *evaluation;       /* NULL where a room's takes an evaluation batch */
    float *evaluation_images; /* of pictures that come as bytes; NULL before the first */
    int evaluation_batch;
} HostExecutor;

/* host_step.c: as ExecutorVtable says. */
effnet_status host_step(Executor *executor, const ExecutorBatch *batch, double learning_rate, StepResults *results,
                        effnet_error *err);

/* host_workers.c: whether the replicas can be dealt to the workers so that every sum is the same as for one worker. */
effnet_status host_workers_check(const StepSpec *spec, const Workers *workers, effnet_error *err);
/* An exchange's function; context: WorkersMoments. */
effnet_status host_workers_moments(void *context, double *values, size_t count, effnet_error *err);
/* Parts of the gradients that are sums of their own: of so many floats (1 MB), counted from the end, the first one aside. */
enum { GRADIENT_BUCKET = 1 << 18 };
/* Before the replicas of a step: no gradient travels. */
void host_workers_begin(HostExecutor *host);
/* GradientsReady's function, of the last replica's last part; context: HostExecutor. What is finished goes on its way to
 * the other workers while backward goes on. */
effnet_status host_workers_ready(void *context, size_t from, effnet_error *err);
/* What is not on its way yet, in the same pieces; alone nothing. */
effnet_status host_workers_send(HostExecutor *host, effnet_error *err);
/* After this worker's replicas, which ended with `status`: everybody's losses and statistics, in the replicas' order,
 * and the gradients' sum; or, on all workers, the first failure. */
effnet_status host_workers_merge(HostExecutor *host, effnet_status status, effnet_error *err);

#endif
