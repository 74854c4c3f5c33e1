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
    effnet_progress progress = {
        .phase = "check", .step = done, .steps = all, .top1 = -1, .top5 = -1, .ema_top1 = -1, .ema_top5 = -1};
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
    static const effnet_data_check_options defaults = {.struct_size = sizeof defaults};
    if (!options) options = &defaults;
    *report = (effnet_data_report){0};
    if (options->struct_size != sizeof *options)
        return fail(error, EFFNET_ERROR_ARGUMENT, "struct_size of effnet_data_check_options is %zu; wanted %zu",
                    options->struct_size, sizeof *options);
    Watcher watcher = {.options = options, .begun = clock_seconds()};
    const CheckOptions check = {
        .source = source, .workers = options->workers, .progress = watch, .found = tell, .context = &watcher};
    CheckReport found;
    TRY(data_check(&check, &found, error));
    *report = (effnet_data_report){.classes = found.classes,
                                   .class_names = found.class_names,
                                   .duplicates = found.duplicates,
                                   .duplicates_across = found.duplicates_across,
                                   .duplicates_labels = found.duplicates_labels,
                                   .one_split = found.one_split};
    for (int i = 0; i < 2; i++) {
        report->counts[i] = found.counts[i];
        report->pictures[i] = found.pictures[i];
        report->bad[i] = found.bad[i];
        report->lost[i] = found.lost[i];
    }
    return EFFNET_OK;
}

void effnet_data_report_free(effnet_data_report *report) {
    if (!report) return;
    CheckReport owned = {.classes = report->classes,
                         .class_names = report->class_names,
                         .counts = {report->counts[0], report->counts[1]}};
    check_report_free(&owned);
    *report = (effnet_data_report){0};
}

effnet_status effnet_data_show(const effnet_recipe *recipe, const char *source, const char *path,
                               const effnet_data_show_options *options, effnet_error *error) {
    static const effnet_data_show_options defaults = {.struct_size = sizeof defaults};
    if (!options) options = &defaults;
    if (options->struct_size != sizeof *options)
        return fail(error, EFFNET_ERROR_ARGUMENT, "struct_size of effnet_data_show_options is %zu; wanted %zu",
                    options->struct_size, sizeof *options);
    const SheetOptions sheet = {.source = source,
                                .path = path,
                                .validation = options->validation,
                                .rows = options->rows ? options->rows : 4,
                                .columns = options->columns ? options->columns : 8,
                                .workers = options->workers,
                                .operations = options->operations,
                                .named = options->named_rows,
                                .num_named = options->named_rows ? options->num_named_rows : 0};
    return contact_sheet_write(&recipe->recipe, &sheet, error);
}
