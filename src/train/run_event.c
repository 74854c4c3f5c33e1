/* run_event.c - see run_event.h. */
#include "train/run_event.h"

void run_sinks_add(RunSinks *sinks, RunSinkFunction *take, void *context) {
    if (sinks->count == RUN_SINKS) return;
    sinks->list[sinks->count].take = take;
    sinks->list[sinks->count++].context = context;
}

effnet_status run_sinks_tell(const RunSinks *sinks, const RunEvent *event, bool *stop, effnet_error *err) {
    for (int i = 0; i < sinks->count; i++) TRY(sinks->list[i].take(sinks->list[i].context, event, stop, err));
    return EFFNET_OK;
}

effnet_status run_sink_progress(void *context, const RunEvent *event, bool *stop, effnet_error *err) {
    (void)err;
    const effnet_train_options *options = context;
    if (!options->progress || event->kind == RUN_EVENT_INTERVAL || event->kind == RUN_EVENT_EPOCH) return EFFNET_OK;
    if (options->progress(options->progress_context, &event->now)) *stop = true;
    return EFFNET_OK;
}
