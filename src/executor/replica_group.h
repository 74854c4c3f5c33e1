/* replica_group.h - replicas of one process that share batch norm's moments: they go forward and backward side by side,
 * each on a thread of its own, and meet in the engine's exchange (engine/batch_norm_exchange.h).
 *
 * Only one of them computes at any time, with the whole thread team: a lane runs until its engine asks for a sum, then
 * the next lane runs until it asks for the same; when all have asked, the caller's thread adds up and hands the sum to
 * everybody. So threads here mean nothing but a stack to come back to, and results do not depend on them. The lanes'
 * values are added in the tree of gradient_tree.h. Internal to executor/. */
#ifndef EFFNET_EXECUTOR_REPLICA_GROUP_H
#define EFFNET_EXECUTOR_REPLICA_GROUP_H

#include "engine/batch_norm_exchange.h"

typedef struct ReplicaGroup ReplicaGroup;

/* What lane 0..lanes-1 has to do; `exchange` is for its engine. Every lane asks for the same sums in the same order,
 * unless it fails. */
typedef effnet_status ReplicaWork(void *context, int lane, const BatchNormExchange *exchange, effnet_error *err);

/* For up to `lanes` lanes, whose threads wait here from now on. */
effnet_status replica_group_create(int lanes, ReplicaGroup **out, effnet_error *err);
void replica_group_free(ReplicaGroup *group); /* NULL is allowed */

/* Runs `work` in lanes 0..lanes-1 and returns when all are done. beyond: adds the lanes' sum up with those of other
 * processes, called on the caller's thread; NULL: there are none. Where one lane fails before a meeting, the others are
 * failed there; the status and message are those of the first that failed by itself. */
effnet_status replica_group_run(ReplicaGroup *group, int lanes, ReplicaWork *work, void *context,
                                const BatchNormExchange *beyond, effnet_error *err);

#endif
