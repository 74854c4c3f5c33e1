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
 * and a checkpoint, EFFNET_INTERRUPTED; where loss, gradients or weights are not finite, or a file cannot be written,
 * with an error, and the last good checkpoint stands. */
#include "train/run.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STAMPS = 32 };
static const double report_seconds = 0.45; /* at least twice a second */
static const double window_seconds = 10;   /* over which images/s are averaged */

/* A mean that is taken and begun anew. */
typedef struct Mean {
    double sum;
    int64_t count;
} Mean;

/* Steps done at some moments of the last seconds. */
typedef struct Window {
    double time[STAMPS];
    int64_t step[STAMPS];
    int first, count;
} Window;

typedef struct Loop {
    Run *run;
    double began, reported;
    double logged_at, epoch_at; /* when the interval and the epoch began, evaluations left out */
    Mean reported_loss, logged_loss, epoch_loss;
    Window window;
    double eval_seconds;     /* of the last evaluation */
    int64_t checkpoint_step; /* of the last checkpoint that this process wrote, -1 before */
    double lr;
    double top1, top5, ema_top1, ema_top5; /* of the last evaluation, -1 before the first */
    bool stop;                             /* the progress function asked for it */
} Loop;

static void mean_add(Mean *mean, double value) {
    mean->sum += value;
    mean->count++;
}

static double mean_of(Mean mean) {
    return mean.count ? mean.sum / (double)mean.count : 0;
}

/* A stamp a report; those older than the window go, but for one. */
static void window_add(Window *window, double now, int64_t step) {
    int last = (window->first + window->count) % STAMPS;
    window->time[last] = now;
    window->step[last] = step;
    if (window->count < STAMPS)
        window->count++;
    else
        window->first = (window->first + 1) % STAMPS;
    while (window->count > 2 && now - window->time[(window->first + 1) % STAMPS] > window_seconds) {
        window->first = (window->first + 1) % STAMPS;
        window->count--;
    }
}

static double window_steps_per_second(const Window *window) {
    int last = (window->first + window->count - 1 + STAMPS) % STAMPS;
    double seconds = window->count > 1 ? window->time[last] - window->time[window->first] : 0;
    return seconds > 0 ? (double)(window->step[last] - window->step[window->first]) / seconds : 0;
}

/* ---- what the caller hears ---- */

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

static effnet_progress describe(const Loop *loop, const char *phase, double now) {
    const Run *run = loop->run;
    double rate = window_steps_per_second(&loop->window);
    return (effnet_progress){.phase = phase,
                             .epoch = epoch_now(run),
                             .epochs = (int)run->recipe->epochs,
                             .step = step_now(run),
                             .steps = run->last_step,
                             .loss = mean_of(loop->reported_loss),
                             .lr = loop->lr,
                             .images_per_s = rate * (double)run->recipe->batch_size,
                             .seconds_left = rate > 0 ? (double)(run->last_step - step_now(run)) / rate +
                                                            evaluations_left(run) * loop->eval_seconds
                                                      : 0,
                             .seconds = now - loop->began,
                             .top1 = loop->top1,
                             .top5 = loop->top5,
                             .ema_top1 = loop->ema_top1,
                             .ema_top5 = loop->ema_top5};
}

static void tell(Loop *loop, const effnet_progress *progress) {
    const effnet_train_options *options = loop->run->options;
    if (options->progress && options->progress(options->progress_context, progress)) loop->stop = true;
}

static void tell_message(Loop *loop, const char *message) {
    effnet_progress progress = describe(loop, "train", clock_seconds());
    progress.message = message;
    tell(loop, &progress);
}

/* What was taken for which split, and which files were not read. */
static void tell_remarks(Loop *loop, const Dataset *dataset) {
    for (int i = 0; dataset_remark(dataset, i); i++) {
        effnet_progress progress = describe(loop, "data", clock_seconds());
        progress.message = dataset_remark(dataset, i);
        bool stop = loop->stop;
        tell(loop, &progress);
        loop->stop = stop; /* a wish to stop is said again at the first step */
    }
}

static void tell_notes(Loop *loop) {
    const RunNotes *notes = &loop->run->notes;
    for (int i = 0; i < notes->count; i++) tell_message(loop, notes->texts[i]);
    loop->stop = false; /* as in tell_remarks */
}

static void pass_on_warnings(Loop *loop, Loader *loader) {
    char warning[500];
    while (loader_take_warning(loader, warning, sizeof warning)) tell_message(loop, warning);
}

static void report_when_due(Loop *loop, bool at_once) {
    double now = clock_seconds();
    if (!at_once && now - loop->reported < report_seconds) return;
    window_add(&loop->window, now, step_now(loop->run));
    effnet_progress progress = describe(loop, "train", now);
    tell(loop, &progress);
    loop->reported = now;
    loop->reported_loss = (Mean){0};
}

/* The evaluation's own reports, with the run's place added. */
static bool evaluation_progress(void *context, const effnet_progress *evaluation) {
    Loop *loop = context;
    effnet_progress progress = *evaluation;
    progress.epoch = epoch_now(loop->run);
    progress.epochs = (int)loop->run->recipe->epochs;
    progress.lr = loop->lr;
    progress.seconds = clock_seconds() - loop->began;
    tell(loop, &progress);
    return loop->stop;
}

/* ---- the log, checkpoints, evaluations ---- */

static effnet_status log_interval(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    double now = clock_seconds(), seconds = now - loop->logged_at;
    double images = (double)(loop->logged_loss.count * run->recipe->batch_size);
    RunLogLine line = {.epoch = epoch_now(run),
                       .step = step_now(run),
                       .loss = mean_of(loop->logged_loss),
                       .lr = loop->lr,
                       .images_per_s = seconds > 0 ? images / seconds : 0,
                       .seconds = now - loop->began};
    loop->logged_at = now;
    loop->logged_loss = (Mean){0};
    return run_log_write(&run->log, &line, err);
}

static effnet_status write_checkpoint(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    if (loop->checkpoint_step == step_now(run)) return EFFNET_OK;
    const TrainState *state;
    TRY(executor_state(run->trainer.executor, &state, err));
    TRY(state_check_finite(&run->network, state, err));
    TRY(checkpoint_write(run->out, &run->network, run->recipe, state, &run->card, run->best_top1, run->best_step,
                         run->result->checkpoint, sizeof run->result->checkpoint, err));
    loop->checkpoint_step = step_now(run);
    effnet_error unmarked;
    if (run->best_step == step_now(run) && checkpoint_mark_best(run->out, run->best_step, &unmarked) != EFFNET_OK)
        tell_message(loop, unmarked.message);
    return checkpoint_prune(run->out, (int)run->recipe->checkpoint_keep, err);
}

static bool ends_epoch(const Run *run) {
    return step_now(run) > 0 && step_now(run) % run->steps_per_epoch == 0;
}

static bool evaluation_due(const Run *run) {
    int64_t epoch = step_now(run) / run->steps_per_epoch;
    return ends_epoch(run) && (epoch % run->recipe->eval_every_epochs == 0 || epoch == run->recipe->epochs);
}

static bool checkpoint_due(const Run *run) {
    int64_t every = run->recipe->checkpoint_every_steps;
    return step_now(run) == run->last_step || run->best_step == step_now(run) ||
           (every > 0 ? step_now(run) % every == 0 : ends_epoch(run));
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
                                   .progress_context = loop};
    TRY(evaluate_all(&evaluation, sets, err));
    if (sets[0].images == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "not one of the %lld evaluation pictures of '%s' could be read",
                    (long long)dataset_size(run->val_set), run->recipe->data);
    loop->top1 = sets[0].top1;
    loop->top5 = sets[0].top5;
    loop->ema_top1 = averages ? sets[1].top1 : -1;
    loop->ema_top5 = averages ? sets[1].top5 : -1;
    loop->eval_seconds = sets[0].seconds;
    double top1 = averages ? loop->ema_top1 : loop->top1;
    if (top1 > run->best_top1) {
        run->best_top1 = top1;
        run->best_step = step_now(run);
    }
    return EFFNET_OK;
}

/* The end of an epoch: evaluation where one is due, the epoch's line, checkpoint. Made up for after a resume, the
 * epoch's steps were another process's: no loss to tell. */
static effnet_status finish_epoch(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    double trained = clock_seconds();
    bool evaluated = evaluation_due(run);
    if (evaluated) {
        effnet_status status = evaluate(loop, err);
        if (status == EFFNET_INTERRUPTED) return EFFNET_OK; /* loop->stop is set; made up for at --resume */
        if (status != EFFNET_OK) return status;
    }
    double seconds = trained - loop->epoch_at, now = clock_seconds();
    double images = (double)(loop->epoch_loss.count * run->recipe->batch_size);
    RunLogLine line = {.epoch = epoch_now(run),
                       .step = step_now(run),
                       .loss = loop->epoch_loss.count ? mean_of(loop->epoch_loss) : NAN,
                       .lr = loop->lr,
                       .images_per_s = seconds > 0 ? images / seconds : 0,
                       .seconds = now - loop->began,
                       .evaluated = evaluated,
                       .averages = run->recipe->model_ema,
                       .top1 = loop->top1,
                       .top5 = loop->top5,
                       .ema_top1 = loop->ema_top1,
                       .ema_top5 = loop->ema_top5};
    TRY(run_log_write(&run->log, &line, err));
    if (checkpoint_due(run)) TRY(write_checkpoint(loop, err));
    effnet_progress progress = describe(loop, "epoch", clock_seconds());
    progress.loss = line.loss;
    progress.images_per_s = line.images_per_s;
    tell(loop, &progress);
    now = clock_seconds();
    loop->logged_at += now - trained; /* evaluation and checkpoint are no training time */
    loop->epoch_at = now;
    loop->epoch_loss = (Mean){0};
    loop->window.count = 0;
    window_add(&loop->window, now, step_now(run));
    return EFFNET_OK;
}

/* ---- the loop ---- */

static effnet_status one_step(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    Batch batch;
    TRY(loader_next(run->train_loader, &batch, err));
    StepResult result;
    const ExecutorBatch pictures = {.size = batch.size,
                                    .images = batch.images,
                                    .labels = batch.labels,
                                    .others = batch.others,
                                    .shares = batch.shares};
    TRY(trainer_step(&run->trainer, &pictures, &result, &loop->lr, err));
    double loss = result.loss;
    mean_add(&loop->reported_loss, loss);
    mean_add(&loop->logged_loss, loss);
    mean_add(&loop->epoch_loss, loss);
    pass_on_warnings(loop, run->train_loader);
    if (step_now(run) % run->recipe->log_interval == 0) TRY(log_interval(loop, err));
    report_when_due(loop, step_now(run) == run->last_step);
    return EFFNET_OK;
}

/* Not `done` alone: the run may be over because pictures were taken away. */
static void tell_nothing_left(Loop *loop) {
    const Run *run = loop->run;
    char text[300];
    snprintf(text, sizeof text,
             "there is nothing left to do: the newest checkpoint is of step %lld, the run's last step is %lld (%lld an "
             "epoch, over %lld pictures)",
             (long long)step_now(run), (long long)run->last_step, (long long)run->steps_per_epoch,
             (long long)run->card.pictures);
    tell_message(loop, text);
}

static effnet_status run_steps(Loop *loop, effnet_error *err) {
    Run *run = loop->run;
    tell_remarks(loop, run->train_set);
    tell_remarks(loop, run->val_set);
    tell_notes(loop);
    if (run->head_drawn) tell_message(loop, "the classifier of --init has another shape: it was drawn afresh");
    const char *warning = recipe_warning(run->recipe);
    if (warning) tell_message(loop, warning);
    if (run->resumed && evaluation_due(run) && run->log.evaluated_step != step_now(run))
        TRY(finish_epoch(loop, err));
    else if (run->resumed && step_now(run) >= run->last_step)
        tell_nothing_left(loop);
    while (step_now(run) < run->last_step && !loop->stop) {
        TRY(one_step(loop, err));
        if (ends_epoch(run) && !loop->stop)
            TRY(finish_epoch(loop, err));
        else if (checkpoint_due(run) && !loop->stop)
            TRY(write_checkpoint(loop, err));
    }
    if (!loop->stop) return EFFNET_OK;
    TRY(write_checkpoint(loop, err));
    return fail(err, EFFNET_INTERRUPTED, "interrupted after step %lld; '%s' was written, go on with --resume",
                (long long)step_now(run), run->result->checkpoint);
}

static void fill_result(const Loop *loop) {
    effnet_train_result *result = loop->run->result;
    result->steps = step_now(loop->run);
    result->seconds = clock_seconds() - loop->began;
    result->top1 = loop->top1;
    result->top5 = loop->top5;
    result->ema_top1 = loop->ema_top1;
    result->ema_top5 = loop->ema_top5;
}

/* After an error of the numbers or of a file: what there is to go back to. */
static void add_last_good(const Run *run, effnet_status status, effnet_error *err) {
    if (!err || (status != EFFNET_ERROR_NUMERIC && status != EFFNET_ERROR_IO)) return;
    size_t used = strlen(err->message);
    if (run->result->checkpoint[0])
        snprintf(err->message + used, sizeof err->message - used, "; the last good checkpoint is '%s'",
                 run->result->checkpoint);
    else
        snprintf(err->message + used, sizeof err->message - used, "; no checkpoint had been written yet");
}

static effnet_status run_loop(Run *run, effnet_error *err) {
    double now = clock_seconds();
    Loop loop = {.run = run,
                 .began = now,
                 .reported = now - report_seconds, /* the first step is told of */
                 .logged_at = now,
                 .epoch_at = now,
                 .lr = schedule_learning_rate(run->recipe, step_now(run), run->steps_per_epoch),
                 .checkpoint_step = -1,
                 .top1 = -1,
                 .top5 = -1,
                 .ema_top1 = -1,
                 .ema_top5 = -1};
    window_add(&loop.window, now, step_now(run));
    effnet_status status = run_steps(&loop, err);
    fill_result(&loop);
    if (status != EFFNET_OK) add_last_good(run, status, err);
    return status;
}

effnet_status train_run(Recipe *recipe, const effnet_train_options *options, effnet_train_result *result,
                        effnet_error *err) {
    effnet_train_result unused;
    if (!result) result = &unused;
    *result = (effnet_train_result){.top1 = -1, .top5 = -1, .ema_top1 = -1, .ema_top5 = -1};
    Run run = {.recipe = recipe, .options = options, .result = result};
    effnet_status status = run_open(&run, err);
    if (status == EFFNET_OK) status = run_loop(&run, err);
    run_close(&run);
    return status;
}
