/* run_report.c - see run_report.h. */
#include "train/run_report.h"

#include "base/file.h"
#include "base/number_text.h"
#include "report/report.h"

#include <stdlib.h>

bool run_report_wanted(const Run *run) {
    return !run->options->no_report && !dataset_has_sets(run->train_set) && run->trainer.step == run->last_step;
}

/* Names of all outputs as one block; the data's own where the card names none. */
static const char **output_names(const Run *run, char (**numbers)[12]) {
    int classes = run->network.config.num_classes;
    const char **names = calloc((size_t)classes, sizeof *names);
    *numbers = calloc((size_t)classes, sizeof **numbers);
    for (int c = 0; names && *numbers && c < classes; c++) {
        snprintf((*numbers)[c], sizeof **numbers, "%d", c);
        names[c] = run->card.class_names ? run->card.class_names[c] : (*numbers)[c];
    }
    if (*numbers) return names;
    free(names);
    return NULL;
}

static effnet_status write_named(const Run *run, RunCurves *curves, const char *const *names, const char *folder,
                                 double seconds, int64_t skipped, effnet_error *err) {
    char note[300];
    const bool averages = run->recipe->model_ema;
    Report report = {.title = run->out,
                     .data = run->recipe->data,
                     .class_names = names,
                     .predictions = &run->predictions,
                     .dataset = run->val_set,
                     .skipped = skipped,
                     .seconds = seconds,
                     .curves = curves,
                     .reference = dataset_has_sets(run->train_set) ? NULL : &run->reference,
                     .steps_per_epoch = run->steps_per_epoch};
    snprintf(report.model, sizeof report.model, "%s at %dx%d, %s weights after step %lld, the %s",
             run->network.config.name, run->network.config.input.height, run->network.config.input.width,
             averages ? "averaged" : "raw", (long long)run->trainer.step,
             run->options->end_with_best ? "best" : "last");
    number_print(note, sizeof note, "The best evaluation of the run was %.2f %%, after step %lld (checkpoints/best).",
                 run->best_top1, (long long)run->best_step);
    if (run->best_step >= 0 && run->best_step != run->trainer.step) report.run_note = note;
    return report_write(&report, folder, err);
}

effnet_status run_report_write(Run *run, double seconds, int64_t skipped, effnet_error *err) {
    char folder[1024], (*numbers)[12];
    RunCurves curves;
    if (run->predictions.count == 0 || workers_rank(run->workers) > 0) return EFFNET_OK;
    TRY(path_join(folder, sizeof folder, run->out, "report", err));
    TRY(run_curves_read(run->out, &curves, err));
    const char **names = output_names(run, &numbers);
    effnet_status status = names ? write_named(run, &curves, names, folder, seconds, skipped, err)
                                 : fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of the classes");
    if (status == EFFNET_OK)
        status = path_join(run->result->report, sizeof run->result->report, folder, "report.html", err);
    free(names);
    free(numbers);
    run_curves_free(&curves);
    return status;
}
