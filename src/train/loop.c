/* loop.c - the whole run: step after step, a line of the log now and then, at the end of an epoch an evaluation and a
 * checkpoint.
 *
 *   run_open -> [ step -> log? -> end of epoch? (evaluate -> log -> checkpoint -> best) -> checkpoint? ]* -> run_close
 *
 * What a step computes depends on the recipe, the data and the step's number alone, and a checkpoint is all that a run
 * is, so N steps, a kill and --resume for N more leave the files that 2N steps leave. An evaluation draws nothing and
 * changes nothing but the best so far; one that a kill or Ctrl-C prevented at the end of an epoch is made up for at
 * --resume, before the next step.
 *
 * How a run ends: after its last step, with a checkpoint; where the progress function says so, after the step under way
 * and a checkpoint, EFFNET_INTERRUPTED; where loss, gradients or weights are not finite or far beyond sense
 * (divergence.h), or a file cannot be written, with an error, and the last good checkpoint stands. */
#include "train/loop.h"

#include "train/divergence.h"
#include "train/run.h"
#include "train/run_header.h"
#include "train/run_meter.h"
#include "train/run_reference.h"
#include "train/run_report.h"
#include "train/run_workers.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/number_text.h"
#include "report/statistics.h"
#include "train/checkpoint.h"
#include "train/checkpoint_list.h"
#include "train/evaluate.h"
#include "train/from_recipe.h"
#include "train/schedule.h"
#include "train/initial_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double report_seconds = 0.45; /* at least twice a second */

typedef struct Loop {
    Run *run;
    double began, reported;
    Meter since_report, since_line, epoch;
    SpeedWindow window;
    StepPace pace;
    Divergence divergence;
    double eval_seconds; /* of the last evaluation */
    int64_t eval_images, eval_skipped;
    int64_t checkpoint_step; /* of the last checkpoint that this process wrote, -1 before */
    int64_t last_step;       /* done, where the run went back to its best; else -1 */
    double lr;
    double loss;                           /* of the last step that is known */
    double waited;                         /* seconds for pictures, of steps whose results are not known yet */
    double weight_norm, update_norm;       /* of the last step that was asked for them, NaN where unknown */
    double top1, top5, ema_top1, ema_top5; /* of the last evaluation, -1 before the first */
    double average_precision, f1;          /* the same of several labels a picture; 0: none */
    bool stop;                             /* a sink asked for it */
    bool noted;                            /* the executor's note has been told */
    bool upload_told;                      /* and what a step sends to its devices */
} Loop;

/* ---- what the sinks hear ---- */

static int64_t step_now(const Run *run) {
    return run->trainer.step;
}

/* The epoch, from 1, that the last step belonged to. */
static int epoch_now(const Run *run) {
    int64_t step = step_now(run);
    return (int)((step > 0 ? step - 1 : 0) / run->steps_per_epoch) + 1;
}

/* Evaluations still to come. */
static double evaluations_left(const Run *run) {
    int64_t every = run->recipe->eval_every_epochs;
    return (double)((run->last_step / run->steps_per_epoch) / every - (step_now(run) / run->steps_per_epoch) / every);
}

/* Of an evaluation: the last one's time; before the first, a forward pass taken for a third of a step's time. */
static double evaluation_seconds(const Loop *loop) {
    const Run *run = loop->run;
    if (loop->eval_seconds > 0) return loop->eval_seconds;
    const double batches = (double)dataset_size(run->val_set) / (double)run->recipe->batch_size;
    return batches * loop->pace.seconds / 3 * (run->recipe->model_ema ? 2 : 1);
}

static effnet_progress describe(const Loop *loop, const char *phase, double now) {
    const Run *run = loop->run;
    double rate = window_steps_per_second(&loop->window);
    return (effnet_progress){.struct_size = sizeof(effnet_progress),
                             .phase = phase,
                             .epoch = epoch_now(run),
                             .epochs = (int)run->recipe->epochs,
                             .step = step_now(run),
                             .steps = run->last_step,
                             .loss = meter_loss(&loop->since_report, loop->loss),
                             .lr = loop->lr,
                             .images_per_s = rate * (double)run->recipe->batch_size,
                             .seconds_left = (double)(run->last_step - step_now(run)) * loop->pace.seconds +
                                             evaluations_left(run) * evaluation_seconds(loop),
                             .seconds = now - loop->began,
                             .top1 = loop->top1,
                             .top5 = loop->top5,
                             .ema_top1 = loop->ema_top1,
                             .ema_top5 = loop->ema_top5,
                             .average_precision = loop->average_precision,
                             .f1 = loop->f1,
                             .worker = workers_rank(run->workers)};
}

static effnet_status tell(Loop *loop, RunEventKind kind, const effnet_progress *progress, effnet_error *err) {
    const RunEvent event = {
        .kind = kind, .now = *progress, .gradient_norm = NAN, .weight_norm = NAN, .update_norm = NAN, .data_wait = NAN};
    return run_sinks_tell(&loop->run->sinks, &event, &loop->stop, err);
}

static effnet_status tell_message(Loop *loop, const char *phase, const char *message, effnet_error *err) {
    effnet_progress progress = describe(loop, phase, clock_seconds());
    progress.message = message;
    return tell(loop, RUN_EVENT_MESSAGE, &progress, err);
}

/* What was taken for which split, and which files were not read. */
static effnet_status tell_remarks(Loop *loop, const Dataset *dataset, effnet_error *err) {
    for (int i = 0; dataset_remark(dataset, i); i++) TRY(tell_message(loop, "data", dataset_remark(dataset, i), err));
    return EFFNET_OK;
}

static effnet_status pass_on_warnings(Loop *loop, Loader *loader, effnet_error *err) {
    char warning[500];
    while (loader_take_warning(loader, warning, sizeof warning)) TRY(tell_message(loop, "train", warning, err));
    return EFFNET_OK;
}

static effnet_status report_when_due(Loop *loop, bool at_once, effnet_error *err) {
    double now = clock_seconds();
    if (!at_once && now - loop->reported < report_seconds) return EFFNET_OK;
    window_add(&loop->window, now, step_now(loop->run));
    pace_add(&loop->pace, now, step_now(loop->run));
    const effnet_progress progress = describe(loop, "train", now);
    loop->reported = now;
    loop->since_report = (Meter){.began = now};
    return tell(loop, RUN_EVENT_PROGRESS, &progress, err);
}

/* The evaluation's own reports, with the run's place added. */
static bool evaluation_progress(void *context, const effnet_progress *evaluation) {
    Loop *loop = context;
    effnet_progress progress = *evaluation;
    progress.epoch = epoch_now(loop->run);
    progress.epochs = (int)loop->run->recipe->epochs;
    progress.lr = loop->lr;
    progress.worker = workers_rank(loop->run->workers);
    progress.seconds = clock_seconds() - loop->began;
    const RunEventKind kind = evaluation->message ? RUN_EVENT_MESSAGE : RUN_EVENT_PROGRESS;
    effnet_error ignored; /* a sink that fails here fails again at the epoch's event */
    (void)tell(loop, kind, &progress, &ignored);
    return loop->stop;
}

/* The steps that `meter` counted, as an event: of a log interval or of an epoch. */
static RunEvent describe_steps(const Loop *loop, RunEventKind kind, const Meter *meter, double until) {
    const Run *run = loop->run;
    RunEvent event = {.kind = kind,
                      .now = describe(loop, kind == RUN_EVENT_INTERVAL ? "train" : "epoch", clock_seconds()),
                      .gradient_norm = meter_gradient_norm(meter),
                      .weight_norm = meter->steps ? loop->weight_norm : NAN,
                      .update_norm = meter->steps ? loop->update_norm : NAN,
                      .data_wait = meter_waited(meter, until)};
    event.now.loss = meter_loss(meter, NAN);
    event.now.images_per_s = meter_steps_per_second(meter, until) * (double)run->recipe->batch_size;
    return event;
}

/* Weights that are in host memory anyway have their fingerprint told; from a device they would have to be fetched. */
static effnet_status add_fingerprint(const Loop *loop, RunEvent *event, effnet_error *err) {
    const Run *run = loop->run;
    const TrainState *state;
    if (strcmp(executor_info(run->trainer.executor).name, "host") != 0) return EFFNET_OK;
    TRY(executor_state(run->trainer.executor, &state, err));
    event->fingerprint = state_fingerprint(&run->network, state);
    event->has_fingerprint = true;
    return EFFNET_OK;
}

/* ---- several workers ---- */

/* At the end of whatever can fail or be stopped on one worker alone (a signal, a full disk): all fail with the first
 * failure, or all know that the run stops. */
static effnet_status agree(Loop *loop, effnet_status mine, effnet_error *err) {
    if (mine == EFFNET_OK && loop->stop) mine = fail(err, EFFNET_INTERRUPTED, "a stop was asked for");
    effnet_status all = workers_agree(loop->run->workers, mine, err);
    loop->stop = all == EFFNET_INTERRUPTED;
    return loop->stop ? EFFNET_OK : all;
}

/* ---- lines of the log, checkpoints, evaluations ---- */

static effnet_status tell_interval(Loop *loop, effnet_error *err) {
    double now = clock_seconds();
    RunEvent event = describe_steps(loop, RUN_EVENT_INTERVAL, &loop->since_line, now);
    TRY(add_fingerprint(loop, &event, err));
    loop->since_line = (Meter){.began = now};
    return run_sinks_tell(&loop->run->sinks, &event, &loop->stop, err);
}

static effnet_status write_checkpoint(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    if (loop->checkpoint_step == step_now(run)) return EFFNET_OK;
    if (workers_rank(run->workers) > 0) {
        loop->checkpoint_step = step_now(run);
        return EFFNET_OK;
    }
    const TrainState *state;
    TRY(executor_state(run->trainer.executor, &state, err));
    TRY(state_check_finite(&run->network, state, err));
    TRY(divergence_check_weights(&loop->divergence, step_now(run), state_weight_norm(&run->network, state), err));
    TRY(checkpoint_write(run->out, &run->network, run->recipe, state, &run->card, run->best_top1, run->best_step,
                         run->result->checkpoint, sizeof run->result->checkpoint, err));
    loop->checkpoint_step = step_now(run);
    effnet_error unmarked;
    if (run->best_step == step_now(run) && checkpoint_mark_best(run->out, run->best_step, &unmarked) != EFFNET_OK)
        TRY(tell_message(loop, "train", unmarked.message, err));
    return checkpoint_prune(run->out, (int)run->recipe->checkpoint_keep, err);
}

static bool ends_epoch(const Run *run) {
    return step_now(run) > 0 && step_now(run) % run->steps_per_epoch == 0;
}

static bool evaluation_due(const Run *run) {
    int64_t epoch = step_now(run) / run->steps_per_epoch;
    return ends_epoch(run) && (epoch % run->recipe->eval_every_epochs == 0 || epoch == run->recipe->epochs);
}

static bool checkpoint_due(const Loop *loop) {
    const Run *run = loop->run;
    int64_t every = run->recipe->checkpoint_every_steps;
    if (divergence_suspected(&loop->divergence) && step_now(run) < run->last_step) return false;
    return step_now(run) == run->last_step || run->best_step == step_now(run) ||
           (every > 0 ? step_now(run) % every == 0 : ends_epoch(run));
}

/* The steps of early_stop's evaluations have gone by since the best of them. */
static bool patience_is_over(const Run *run) {
    const int64_t evaluations = run->recipe->early_stop;
    return evaluations > 0 && run->best_step >= 0 &&
           step_now(run) - run->best_step >= evaluations * run->recipe->eval_every_epochs * run->steps_per_epoch;
}

static effnet_status stop_early(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    if (!patience_is_over(run) || step_now(run) >= run->last_step) return EFFNET_OK;
    char text[200];
    number_print(text, sizeof text,
                 "the last %lld evaluations were no better than %.2f %% of step %lld: the run ends here "
                 "(early_stop)",
                 (long long)run->recipe->early_stop, run->best_top1, (long long)run->best_step);
    run->last_step = step_now(run);
    return workers_rank(run->workers) > 0 ? EFFNET_OK : tell_message(loop, "run", text, err);
}

static effnet_status evaluate(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    Accuracy sets[2];
    bool averages = run->recipe->model_ema;
    const Evaluation evaluation = {.logits = executor_logits,
                                   .logits_context = run->trainer.executor,
                                   .count = averages ? 2 : 1,
                                   .classes = run->network.config.num_classes,
                                   .loader = run->val_loader,
                                   .pictures = dataset_size(run->val_set),
                                   .progress = evaluation_progress,
                                   .progress_context = loop,
                                   .workers = run->workers,
                                   .predictions =
                                       dataset_has_sets(run->train_set) ? NULL
                                       : run_report_wanted(run) || (!run->options->no_report && patience_is_over(run))
                                           ? &run->predictions
                                           : NULL};
    predictions_free(&run->predictions);
    run->predictions.classes = evaluation.classes;
    TRY(evaluate_all(&evaluation, sets, err));
    if (sets[0].images == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "not one of the %lld evaluation pictures of '%s' could be read",
                    (long long)dataset_size(run->val_set), run->recipe->data);
    loop->top1 = sets[0].top1;
    loop->top5 = sets[0].top5;
    loop->ema_top1 = averages ? sets[1].top1 : -1;
    loop->ema_top5 = averages ? sets[1].top5 : -1;
    loop->eval_seconds = sets[0].seconds;
    loop->eval_images = sets[0].images;
    loop->eval_skipped = sets[0].skipped;
    const Accuracy *judged = &sets[averages];
    loop->average_precision = judged->average_precision;
    loop->f1 = judged->f1;
    double top1 = dataset_has_sets(run->train_set) ? judged->average_precision : judged->top1;
    if (top1 > run->best_top1) {
        run->best_top1 = top1;
        run->best_step = step_now(run);
    }
    return stop_early(loop, err);
}

/* What --init brought, before a step changed it (options->evaluate_first): a line of the log, and a checkpoint where it
 * may turn out the best. */
static effnet_status evaluate_beginning(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    effnet_status status = evaluate(loop, err);
    loop->stop = status == EFFNET_INTERRUPTED;
    if (loop->stop) return EFFNET_OK;
    TRY(status);
    RunEvent event = describe_steps(loop, RUN_EVENT_INTERVAL, &loop->since_line, clock_seconds());
    event.evaluated = true;
    TRY(add_fingerprint(loop, &event, err));
    TRY(run_sinks_tell(&run->sinks, &event, &loop->stop, err));
    TRY(write_checkpoint(loop, err));
    const double now = clock_seconds();
    loop->since_line = loop->epoch = (Meter){.began = now};
    char text[100];
    number_print(text, sizeof text, "top-1 before the first step: %.2f %%", run->best_top1);
    run->result->first_top1 = run->best_top1;
    return workers_rank(run->workers) > 0 ? EFFNET_OK : tell_message(loop, "run", text, err);
}

static effnet_status tell_reference(Loop *loop, effnet_error *err) {
    const Run *run = loop->run;
    char text[300];
    if (workers_rank(run->workers) > 0 || dataset_has_sets(run->train_set) ||
        !run_reference_describe(run, epoch_now(run), run->recipe->model_ema ? loop->ema_top1 : loop->top1, text,
                                sizeof text))
        return EFFNET_OK;
    return tell_message(loop, "run", text, err);
}

/* The first epoch to end after a resume: its means are over the steps before, too, as far as the log has them. */
static void add_logged_steps(Loop *loop, RunEvent *event) {
    LoggedSteps *before = &loop->run->log.epoch;
    const double steps = (double)(before->steps + loop->epoch.steps);
    if (before->steps > 0) {
        event->now.loss = (before->loss + loop->epoch.loss) / steps;
        event->gradient_norm = (before->gradient_norm + loop->epoch.gradient_norm) / steps;
    }
    *before = (LoggedSteps){0};
}

/* The end of an epoch: evaluation where one is due, the epoch's line, checkpoint. */
static effnet_status finish_epoch(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    double trained = clock_seconds();
    bool evaluated = evaluation_due(run);
    if (evaluated) {
        effnet_status status = evaluate(loop, err);
        if (status == EFFNET_INTERRUPTED) { /* made up for at --resume */
            loop->stop = true;
            return EFFNET_OK;
        }
        if (status != EFFNET_OK) return status;
    }
    RunEvent event = describe_steps(loop, RUN_EVENT_EPOCH, &loop->epoch, trained);
    add_logged_steps(loop, &event);
    event.evaluated = evaluated;
    TRY(add_fingerprint(loop, &event, err));
    TRY(run_sinks_tell(&run->sinks, &event, &loop->stop, err));
    if (evaluated) TRY(tell_reference(loop, err));
    if (checkpoint_due(loop)) TRY(write_checkpoint(loop, err));
    double now = clock_seconds();
    event.kind = RUN_EVENT_SAVED;
    event.now.seconds = now - loop->began;
    TRY(run_sinks_tell(&run->sinks, &event, &loop->stop, err));
    loop->since_line.began += now - trained; /* evaluation and checkpoint are no training time */
    loop->epoch = (Meter){.began = now};
    loop->window.count = 0;
    pace_resume(&loop->pace, now, step_now(run));
    window_add(&loop->window, now, step_now(run));
    return EFFNET_OK;
}

/* ---- the loop ---- */

static bool line_due(const Run *run, int64_t step) {
    return step % run->recipe->log_interval == 0;
}

/* What the executor has found out about its device, before the first step or by compiling it. */
static effnet_status tell_note(Loop *loop, effnet_error *err) {
    const char *note = executor_info(loop->run->trainer.executor).note;
    if (loop->noted || !note || !*note) return EFFNET_OK;
    loop->noted = true;
    return tell_message(loop, "run", note, err);
}

/* Pictures are nearly all that a step sends, so their kind is told with it. */
static effnet_status tell_upload(Loop *loop, bool bytes, effnet_error *err) {
    const ExecutorInfo info = executor_info(loop->run->trainer.executor);
    char text[160];
    if (loop->upload_told || info.step_upload == 0) return EFFNET_OK;
    loop->upload_told = true;
    snprintf(text, sizeof text, "each step sends %lld bytes to %s, pictures as %s", (long long)info.step_upload,
             info.devices > 1 ? "the devices" : "the device", bytes ? "bytes" : "floats");
    return tell_message(loop, "run", text, err);
}

static effnet_status tell_step(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    TRY(pass_on_warnings(loop, run->train_loader, err));
    if (line_due(run, step_now(run))) {
        TRY(tell_note(loop, err));
        TRY(tell_interval(loop, err));
    }
    return report_when_due(loop, step_now(run) == run->last_step, err);
}

/* What a step came to, or, on a device that is ahead of us, an earlier one. */
static effnet_status take_result(Loop *loop, const StepResult *result, effnet_error *err) {
    Meter *const meters[] = {&loop->since_report, &loop->since_line, &loop->epoch};
    for (int i = 0; i < 3; i++) meter_add(meters[i], result->loss, result->gradient_norm, loop->waited);
    loop->waited = 0;
    loop->loss = result->loss;
    return divergence_check_loss(&loop->divergence, result->step, result->loss, err);
}

/* Steps after which something is written that speaks of all of them. */
static bool result_due(const Run *run, int64_t step) {
    const int64_t every = run->recipe->checkpoint_every_steps;
    return line_due(run, step) || step % run->steps_per_epoch == 0 || step == run->last_step ||
           (every > 0 && step % every == 0);
}

/* A minute of compiling is in no rate and no estimate: training begins behind it. */
static void pass_over_compiling(Loop *loop, double seconds) {
    Meter *const meters[] = {&loop->since_report, &loop->since_line, &loop->epoch};
    const double now = clock_seconds();
    if (!(seconds > 0)) return;
    for (int i = 0; i < 3; i++) meters[i]->began += seconds;
    loop->window.count = 0;
    pace_resume(&loop->pace, now, step_now(loop->run));
    window_add(&loop->window, now, step_now(loop->run));
}

static effnet_status one_step(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    Batch batch;
    double asked = clock_seconds();
    TRY(workers_agree(run->workers, loader_next(run->train_loader, &batch, err), err));
    loop->waited += clock_seconds() - asked;
    StepResults results;
    const int64_t next = step_now(run) + 1;
    const ExecutorBatch pictures = {.size = batch.size,
                                    .images = batch.images,
                                    .pixels = batch.pixels,
                                    .labels = batch.labels,
                                    .others = batch.others,
                                    .shares = batch.shares,
                                    .targets = batch.targets,
                                    .weights = class_weights_of(&run->class_weights, &batch),
                                    .norms = line_due(run, next) || next % run->steps_per_epoch == 0,
                                    .wait = result_due(run, next)};
    TRY(trainer_queue_step(&run->trainer, &pictures, &results, &loop->lr, err));
    pass_over_compiling(loop, results.compile_seconds);
    TRY(tell_upload(loop, batch.pixels != NULL, err));
    for (int i = 0; i < results.count; i++) TRY(take_result(loop, &results.list[i], err));
    if (pictures.norms) {
        loop->weight_norm = results.list[results.count - 1].weight_norm;
        loop->update_norm = results.list[results.count - 1].update_norm;
    }
    return agree(loop, tell_step(loop, err), err);
}

/* Not `done` alone: the run may be over because pictures were taken away. */
static effnet_status tell_nothing_left(Loop *loop, effnet_error *err) {
    const Run *run = loop->run;
    char text[300];
    snprintf(text, sizeof text,
             "there is nothing left to do: the newest checkpoint is of step %lld, the run's last step is %lld (%lld an "
             "epoch, over %lld pictures)",
             (long long)step_now(run), (long long)run->last_step, (long long)run->steps_per_epoch,
             (long long)run->card.pictures);
    return tell_message(loop, "train", text, err);
}

static effnet_status begin_divergence(Loop *loop, effnet_error *err) {
    const Run *run = loop->run;
    const TrainState *state;
    StepSpec spec;
    TRY(executor_state(run->trainer.executor, &state, err));
    step_spec_from_recipe(run->recipe, &spec);
    divergence_begin(&loop->divergence, !run->recipe->stop_on_divergence, &spec, run->network.config.num_classes,
                     state_weight_norm(&run->network, state));
    return EFFNET_OK;
}

/* A run that reached its end and has been evaluated there; where the report cannot be written, the run is whole. */
static effnet_status report_at_end(Loop *loop, effnet_error *err) {
    effnet_error why;
    if (run_report_write(loop->run, loop->eval_seconds, loop->eval_skipped, &why) == EFFNET_OK) return EFFNET_OK;
    return tell_message(loop, "train", why.message, err);
}

/* The best checkpoint's state, which worker 0 has, in the executors in place of the last step's, evaluated again. */
static effnet_status go_back_to_best(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    char checkpoints[CHECKPOINT_PATH_BYTES], name[CHECKPOINT_NAME_BYTES], path[CHECKPOINT_PATH_BYTES];
    double top1;
    int64_t best;
    if (run->best_step < 0) return EFFNET_OK;
    if (run->best_step == step_now(run)) /* resumed after its end, it has not been evaluated yet */
        return loop->eval_images ? EFFNET_OK : evaluate(loop, err);
    TRY(path_join(checkpoints, sizeof checkpoints, run->out, "checkpoints", err));
    checkpoint_step_name(name, run->best_step, "");
    TRY(path_join(path, sizeof path, checkpoints, name, err));
    TrainState state;
    effnet_status status = train_state_create(&run->network, run->recipe, &state, err);
    if (status == EFFNET_OK && workers_rank(run->workers) == 0)
        status = checkpoint_read(path, &run->network, run->recipe, &state, &top1, &best, err);
    status = workers_agree(run->workers, status, err);
    if (status == EFFNET_OK) status = run_workers_share_blocks(run, &state, "the best checkpoint's weights", err);
    state.step = run->best_step;
    if (status == EFFNET_OK) status = executor_load(run->trainer.executor, &state, err);
    train_state_free(&state);
    TRY(workers_agree(run->workers, status, err));
    run->trainer.step = run->last_step = run->best_step;
    return evaluate(loop, err);
}

/* What the run is: what learns, how long, and by what. */
static effnet_status tell_header(Loop *loop, effnet_error *err) {
    char lines[RUN_HEADER_LINES][RUN_HEADER_BYTES];
    run_header(loop->run, step_now(loop->run), lines);
    for (int i = 0; i < RUN_HEADER_LINES; i++) TRY(tell_message(loop, "run", lines[i], err));
    TRY(tell_note(loop, err));
    return loop->run->batch_found[0] ? tell_message(loop, "run", loop->run->batch_found, err) : EFFNET_OK;
}

/* What is to be known before the first step. */
static effnet_status tell_beginning(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    if (workers_rank(run->workers) > 0) return EFFNET_OK;
    TRY(tell_header(loop, err));
    TRY(tell_remarks(loop, run->train_set, err));
    TRY(tell_remarks(loop, run->val_set, err));
    for (int i = 0; i < run->notes.count; i++) TRY(tell_message(loop, "train", run->notes.texts[i], err));
    if (run->head_drawn)
        TRY(tell_message(loop, "train", "the classifier of --init has another shape: it was drawn afresh", err));
    const char *warning = recipe_warning(run->recipe);
    if (warning) TRY(tell_message(loop, "train", warning, err));
    return EFFNET_OK;
}

static effnet_status run_steps(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    TRY(workers_agree(run->workers, begin_divergence(loop, err), err));
    TRY(workers_agree(run->workers, tell_beginning(loop, err), err));
    loop->stop = false; /* a wish to stop is said again at the first step */
    if (!run->resumed && run->options->evaluate_first) TRY(agree(loop, evaluate_beginning(loop, err), err));
    if (run->resumed && evaluation_due(run) && run->log.evaluated_step != step_now(run))
        TRY(agree(loop, finish_epoch(loop, err), err));
    else if (run->resumed && ends_epoch(run))
        TRY(workers_agree(run->workers, stop_early(loop, err), err));
    if (run->resumed && loop->checkpoint_step < 0 && step_now(run) >= run->last_step && workers_rank(run->workers) == 0)
        TRY(tell_nothing_left(loop, err));
    while (step_now(run) < run->last_step && !loop->stop) {
        TRY(one_step(loop, err));
        if (ends_epoch(run) && !loop->stop)
            TRY(agree(loop, finish_epoch(loop, err), err));
        else if (checkpoint_due(loop) && !loop->stop)
            TRY(agree(loop, write_checkpoint(loop, err), err));
    }
    if (!loop->stop && run->options->end_with_best) {
        const int64_t last = step_now(run);
        effnet_status status = go_back_to_best(loop, err);
        loop->last_step = last;
        TRY(agree(loop, status, err));
        if (loop->stop)
            return fail(err, EFFNET_INTERRUPTED, "interrupted after the last step; '%s' is whole",
                        run->result->checkpoint);
    }
    if (!loop->stop) return report_at_end(loop, err);
    TRY(workers_agree(run->workers, write_checkpoint(loop, err), err));
    return fail(err, EFFNET_INTERRUPTED, "interrupted after step %lld; '%s' was written, go on with --resume",
                (long long)step_now(run), run->result->checkpoint);
}

static void fill_result(const Loop *loop) {
    effnet_train_result *result = loop->run->result;
    const Run *run = loop->run;
    const double counts = run->recipe->model_ema ? loop->ema_top1 : loop->top1;
    const Interval interval =
        wilson_interval(llround(counts / 100 * (double)loop->eval_images), loop->top1 < 0 ? 0 : loop->eval_images);
    result->steps = loop->last_step >= 0 ? loop->last_step : step_now(run);
    result->images = loop->top1 < 0 && run->val_set ? dataset_size(run->val_set) : loop->eval_images;
    result->top1_low = 100 * interval.low;
    result->top1_high = 100 * interval.high;
    result->best_top1 = run->best_top1;
    result->best_step = run->best_step;
    result->seconds = clock_seconds() - loop->began;
    result->top1 = loop->top1;
    result->top5 = loop->top5;
    result->ema_top1 = loop->ema_top1;
    result->ema_top5 = loop->ema_top5;
}

/* After an error of the numbers or of a file: what there is to go back to. */
static void add_last_good(const Run *run, effnet_status status, effnet_error *err) {
    if (!err || (status != EFFNET_ERROR_NUMERIC && status != EFFNET_ERROR_IO && status != EFFNET_ERROR_MEMORY)) return;
    if (run->result->checkpoint[0])
        fail_further(err, status, "; the last good checkpoint is '%s'%s", run->result->checkpoint,
                     status == EFFNET_ERROR_NUMERIC ? "" : ": go on with --resume, on this device or another");
    else
        fail_further(err, status, "; no checkpoint had been written yet");
}

static effnet_status run_loop(Run *run, effnet_error *err) {
    double now = clock_seconds();
    Loop loop = {.run = run,
                 .began = now,
                 .reported = now - report_seconds, /* the first step is told of */
                 .since_report = {.began = now},
                 .since_line = {.began = now},
                 .epoch = {.began = now},
                 .weight_norm = NAN,
                 .update_norm = NAN,
                 .lr = schedule_learning_rate(run->recipe, step_now(run), run->steps_per_epoch),
                 .checkpoint_step = -1,
                 .last_step = -1,
                 .top1 = -1,
                 .top5 = -1,
                 .ema_top1 = -1,
                 .ema_top5 = -1};
    window_add(&loop.window, now, step_now(run));
    pace_resume(&loop.pace, now, step_now(run));
    effnet_status status = run_steps(&loop, err);
    fill_result(&loop);
    if (status != EFFNET_OK) add_last_good(run, status, err);
    return status;
}

effnet_status train_run(Recipe *recipe, const effnet_train_options *options, effnet_train_result *result,
                        effnet_error *err) {
    effnet_train_result unused;
    if (!result) result = &unused;
    *result = (effnet_train_result){
        .top1 = -1, .top5 = -1, .ema_top1 = -1, .ema_top5 = -1, .first_top1 = -1, .best_top1 = -1, .best_step = -1};
    Run run = {.recipe = recipe, .options = options, .result = result};
    const WorkersOptions workers = {.kind = options->dist, .timeout_seconds = options->dist_timeout};
    TRY(workers_open(&workers, &run.workers, err));
    result->worker = workers_rank(run.workers);
    result->workers = workers_count(run.workers);
    effnet_status status = run_open(&run, err);
    if (status == EFFNET_OK) status = run_loop(&run, err);
    result->told_elsewhere = status != EFFNET_OK && result->worker > 0 && !workers_are_broken(run.workers);
    run_close(&run);
    workers_close(run.workers);
    return status;
}
