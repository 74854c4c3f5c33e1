/* run_state.c - see run_state.h. */
#include "train/run_state.h"

#include "base/file.h"
#include "train/checkpoint.h"
#include "train/checkpoint_list.h"
#include "train/checkpoint_marker.h"
#include "train/checkpoint_verify.h"
#include "train/resume.h"
#include "train/run_classes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The newest checkpoint that reads, *step -1 where there is none. What its recipe forbids is an error; what cannot be
 * read is damage, and the one before it is tried. */
static effnet_status read_newest(Run *run, int64_t *step, CheckpointDamage *damage, effnet_error *err) {
    char path[CHECKPOINT_PATH_BYTES];
    for (int64_t below = INT64_MAX;; below = *step) {
        TRY(checkpoint_find_whole(run->out, below, path, sizeof path, step, damage, err));
        if (*step < 0) return EFFNET_OK;
        TRY(resume_check_recipe(path, run->recipe, err));
        TRY(resume_check_data(path, run, err));
        effnet_error reason = {0};
        effnet_status status = checkpoint_read(path, &run->network, run->recipe, &run->trainer.state, &run->best_top1,
                                               &run->best_step, &reason);
        if (status == EFFNET_OK && run->trainer.state.step != *step) /* whole, so not set aside as damaged */
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' holds the checkpoint of step %lld: a folder was renamed; call it %08lld again", path,
                        (long long)run->trainer.state.step, (long long)run->trainer.state.step);
        if (status == EFFNET_OK) break;
        if (status != EFFNET_ERROR_FORMAT && status != EFFNET_ERROR_IO) return fail(err, status, "%s", reason.message);
        checkpoint_damage_add(damage, *step, &reason);
    }
    snprintf(run->result->checkpoint, sizeof run->result->checkpoint, "%s", path);
    return EFFNET_OK;
}

static effnet_status resume(Run *run, effnet_error *err) {
    CheckpointDamage damage = {0};
    int64_t step;
    TRY(read_newest(run, &step, &damage, err));
    if (step < 0 && damage.count > 0)
        return fail(err, EFFNET_ERROR_FORMAT, "none of the %d checkpoints in '%.200s' is whole; the newest: %s",
                    damage.count, run->out, damage.reason);
    if (step < 0)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "there is no checkpoint in '%s' to resume from; begin the run without --resume, or correct --out",
                    run->out);
    run->resumed = true;
    run->damaged = damage.count;
    if (damage.count == 1)
        run_note(&run->notes,
                 "the checkpoint %08lld is damaged: going on from %08lld, the newest that is whole; the damaged one is "
                 "now called %08lld.damaged (%s)",
                 (long long)damage.newest, (long long)step, (long long)damage.newest, damage.reason);
    else if (damage.count > 1)
        run_note(&run->notes,
                 "%d checkpoints are damaged: going on from %08lld, the newest that is whole; the damaged ones are now "
                 "called *.damaged (the newest, %08lld: %s)",
                 damage.count, (long long)step, (long long)damage.newest, damage.reason);
    return EFFNET_OK;
}

effnet_status run_state_check_new(const char *out, effnet_error *err) {
    char folder[CHECKPOINT_PATH_BYTES];
    CheckpointSteps steps;
    TRY(path_join(folder, sizeof folder, out, "checkpoints", err));
    TRY(checkpoint_list_steps(folder, false, &steps, err));
    int64_t newest = steps.count ? steps.values[0] : -1;
    free(steps.values);
    if (newest < 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "'%s' already holds a run (%s/%08lld); go on with it by --resume, or choose another --out", out, folder,
                (long long)newest);
}

effnet_status run_state_open(Run *run, effnet_error *err) {
    if (run->options->resume) return resume(run, err);
    TRY(run_state_check_new(run->out, err));
    if (!run->options->init) return EFFNET_OK;
    return run_read_initial(run, err);
}

/* `best` names a checkpoint that is there; where damage took it, the next evaluation makes a new one. */
static void settle_best(Run *run, const char *folder) {
    char path[CHECKPOINT_PATH_BYTES];
    if (run->best_step >= 0 && checkpoint_mark_best(run->out, run->best_step, NULL) == EFFNET_OK) return;
    if (run->best_step >= 0 && run->damaged)
        run_note(&run->notes, "the best checkpoint, %08lld, is not there any more: the next evaluation begins anew",
                 (long long)run->best_step);
    if (run->damaged) run->best_top1 = run->best_step = -1;
    if (checkpoint_marker_step(folder, "best") > run->trainer.step &&
        path_join(path, sizeof path, folder, "best", NULL) == EFFNET_OK)
        unlink(path);
}

effnet_status run_state_settle(Run *run, effnet_error *err) {
    if (!run->resumed) return EFFNET_OK;
    char folder[CHECKPOINT_PATH_BYTES];
    CheckpointSteps steps;
    int64_t step = run->trainer.step;
    TRY(path_join(folder, sizeof folder, run->out, "checkpoints", err));
    TRY(checkpoint_list_steps(folder, false, &steps, err));
    int64_t newest = steps.count ? steps.values[0] : -1;
    free(steps.values);
    if (newest > step && run->damaged == 0)
        return fail(err, EFFNET_ERROR_IO,
                    "another process wrote checkpoint %08lld into '%s' while this one read %08lld; call it again",
                    (long long)newest, run->out, (long long)step);
    if (run->damaged) TRY(checkpoint_set_aside(run->out, step, err));
    checkpoint_marker_write(folder, "last", step, NULL); /* a convenience, as in checkpoint_write */
    settle_best(run, folder);
    return EFFNET_OK;
}
