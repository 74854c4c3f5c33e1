/* api_pack.c - a data set into one file. */
#include "api/handles.h"

#include "base/clock.h"
#include "data/inspect/pack_write.h"

enum { DEFAULT_SIDE = 256, DEFAULT_QUALITY = 90 };

typedef struct Watcher {
    const effnet_pack_options *options;
    double begun;
    int64_t first; /* pictures done at the first report, -1 before it */
    double first_seconds;
} Watcher;

static bool watch(void *context, int64_t done, int64_t all, int64_t bytes) {
    Watcher *watcher = context;
    (void)bytes;
    effnet_progress progress = {.struct_size = sizeof progress,
                                .phase = "pack",
                                .step = done,
                                .steps = all,
                                .top1 = -1,
                                .top5 = -1,
                                .ema_top1 = -1};
    progress.ema_top5 = -1;
    progress.seconds = clock_seconds() - watcher->begun;
    if (watcher->first < 0) {
        watcher->first = done;
        watcher->first_seconds = progress.seconds;
    }
    double seconds = progress.seconds - watcher->first_seconds;
    if (done > watcher->first && seconds > 0) {
        progress.images_per_s = (double)(done - watcher->first) / seconds;
        progress.seconds_left = (double)(all - done) / progress.images_per_s;
    }
    return watcher->options->progress && watcher->options->progress(watcher->options->context, &progress);
}

static void tell_remark(void *context, const char *text) {
    const Watcher *watcher = context;
    if (watcher->options->remark) watcher->options->remark(watcher->options->context, text);
}

static void tell_skipped(void *context, const char *why) {
    const Watcher *watcher = context;
    if (watcher->options->skipped) watcher->options->skipped(watcher->options->context, why);
}

effnet_status effnet_pack(const char *source, const char *path, const effnet_pack_options *options,
                          effnet_pack_result *result, effnet_error *error) {
    effnet_pack_options chosen;
    if (result) TRY(result_clear(result, "effnet_pack_result", error));
    NEED(source);
    NEED(path);
    TRY(options_copy(options, &chosen, sizeof chosen, "effnet_pack_options", error));
    Watcher watcher = {.options = &chosen, .begun = clock_seconds(), .first = -1};
    PackResult packed;
    const PackOptions pack = {
        .source = source,
        .path = path,
        .side = chosen.size < 0 ? 0
                : chosen.size   ? chosen.size
                                : DEFAULT_SIDE,
        .quality = chosen.raw       ? 0
                   : chosen.quality ? chosen.quality
                                    : DEFAULT_QUALITY,
        .workers = chosen.workers,
        .progress = watch,
        .skipped = tell_skipped,
        .remark = tell_remark,
        .context = &watcher,
    };
    TRY(pack_write(&pack, &packed, error));
    const effnet_pack_result told = {.pictures = packed.pictures,
                                     .skipped = packed.skipped,
                                     .resumed = packed.resumed,
                                     .kept = packed.kept,
                                     .bytes = packed.bytes,
                                     .classes = packed.classes,
                                     .seconds = clock_seconds() - watcher.begun};
    if (result) result_write(result, &told, sizeof told);
    return EFFNET_OK;
}
