/* api_data.c - a data set looked over, and looked at. */
#include "api/handles.h"

#include "base/clock.h"
#include "data/inspect/contact_sheet.h"
#include "data/inspect/data_check.h"

_Static_assert((int)EFFNET_DATA_REMARK == (int)CHECK_REMARK, "one list");

typedef struct Watcher {
    const effnet_data_check_options *options;
    double begun;
} Watcher;

static bool watch(void *context, int64_t done, int64_t all) {
    const Watcher *watcher = context;
    effnet_progress progress = {.struct_size = sizeof progress,
                                .phase = "check",
                                .step = done,
                                .steps = all,
                                .top1 = -1,
                                .top5 = -1,
                                .ema_top1 = -1,
                                .ema_top5 = -1};
    progress.seconds = clock_seconds() - watcher->begun;
    if (done > 0 && progress.seconds > 0) {
        progress.images_per_s = (double)done / progress.seconds;
        progress.seconds_left = (double)(all - done) / progress.images_per_s;
    }
    return watcher->options->progress && watcher->options->progress(watcher->options->context, &progress);
}

static void tell(void *context, CheckFinding finding, const char *text) {
    const Watcher *watcher = context;
    if (watcher->options->found) watcher->options->found(watcher->options->context, (effnet_data_finding)finding, text);
}

effnet_status effnet_data_check(const char *source, const effnet_data_check_options *options,
                                effnet_data_report *report, effnet_error *error) {
    effnet_data_check_options chosen;
    NEED(report);
    TRY(result_clear(report, "effnet_data_report", error));
    NEED(source);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_data_check_options", error));
    Watcher watcher = {.options = &chosen, .begun = clock_seconds()};
    const CheckOptions check = {
        .source = source, .workers = chosen.workers, .progress = watch, .found = tell, .context = &watcher};
    CheckReport found;
    TRY(data_check(&check, &found, error));
    effnet_data_report counted = {.classes = found.classes,
                                  .class_names = found.class_names,
                                  .duplicates = found.duplicates,
                                  .duplicates_across = found.duplicates_across,
                                  .duplicates_labels = found.duplicates_labels,
                                  .one_split = found.one_split};
    for (int i = 0; i < 2; i++) {
        counted.counts[i] = found.counts[i];
        counted.pictures[i] = found.pictures[i];
        counted.bad[i] = found.bad[i];
        counted.lost[i] = found.lost[i];
    }
    result_write(report, &counted, sizeof counted);
    return EFFNET_OK;
}

void effnet_data_report_free(effnet_data_report *report) {
    if (!report) return;
    CheckReport owned = {.classes = report->classes,
                         .class_names = report->class_names,
                         .counts = {report->counts[0], report->counts[1]}};
    check_report_free(&owned);
    report->class_names = NULL;
    report->counts[0] = report->counts[1] = NULL;
}

effnet_status effnet_data_show(const effnet_recipe *recipe, const char *source, const char *path,
                               const effnet_data_show_options *options, effnet_error *error) {
    effnet_data_show_options chosen;
    NEED(recipe);
    NEED(source);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_data_show_options", error));
    const SheetOptions sheet = {.source = source,
                                .path = path,
                                .validation = chosen.validation,
                                .rows = chosen.rows ? chosen.rows : 4,
                                .columns = chosen.columns ? chosen.columns : 8,
                                .workers = chosen.workers,
                                .operations = chosen.operations,
                                .named = chosen.named_rows,
                                .num_named = chosen.named_rows ? chosen.num_named_rows : 0};
    return contact_sheet_write(&recipe->recipe, &sheet, error);
}
