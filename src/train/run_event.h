/* run_event.h - what happens in a run, told once to everybody who listens: one type of event, one list of sinks.
 * Internal to train/.
 *
 *   loop.c -> run_sinks_tell -> the caller's progress function, OUT/log.jsonl, OUT/events.out.tfevents...
 *
 * An event is complete: a sink needs to look at nothing else of the run. */
#ifndef EFFNET_TRAIN_RUN_EVENT_H
#define EFFNET_TRAIN_RUN_EVENT_H

#include "base/error.h"

#include <stdint.h>

typedef enum RunEventKind {
    RUN_EVENT_MESSAGE,  /* `now.message` to a person; its other fields as they stand */
    RUN_EVENT_PROGRESS, /* about twice a second, in training and in evaluation: `now` alone */
    RUN_EVENT_INTERVAL, /* another log_interval steps are done */
    RUN_EVENT_EPOCH,    /* an epoch is done and, where due, evaluated; its checkpoint is about to be written */
    RUN_EVENT_SAVED     /* the same epoch again: its checkpoint, where due, is written */
} RunEventKind;

typedef struct RunEvent {
    RunEventKind kind;
    effnet_progress now; /* loss, images_per_s: mean since the last event of this kind; seconds: since the process began
                            the run, evaluations included */
    /* Of intervals and epochs; NaN where unknown. gradient_norm: mean over the steps, before clipping; weight_norm,
     * update_norm: of the last step. data_wait: share of the time of training, 0 to 1, that steps waited for pictures. */
    double gradient_norm, weight_norm, update_norm, data_wait;
    bool has_fingerprint;
    uint32_t fingerprint; /* state_fingerprint after now.step */
    bool evaluated;       /* now.top1 and its like are of this very step */
} RunEvent;

/* *stop is set where a sink wishes the run to end after this step. */
typedef effnet_status RunSinkFunction(void *context, const RunEvent *event, bool *stop, effnet_error *err);

enum { RUN_SINKS = 4 };
typedef struct RunSinks {
    struct {
        RunSinkFunction *take;
        void *context;
    } list[RUN_SINKS];
    int count;
} RunSinks;

/* At most RUN_SINKS; a further one is a mistake in the program and is not added. */
void run_sinks_add(RunSinks *sinks, RunSinkFunction *take, void *context);
/* To each sink in its turn; ends at the first that fails. */
effnet_status run_sinks_tell(const RunSinks *sinks, const RunEvent *event, bool *stop, effnet_error *err);

/* The caller's progress function as a sink; `context` is the effnet_train_options. */
RunSinkFunction run_sink_progress;

#endif
