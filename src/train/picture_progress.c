/* picture_progress.c - see picture_progress.h. */
#include "train/picture_progress.h"

#include "base/clock.h"

static const double report_seconds = 0.45;

void picture_progress_begin(PictureProgress *progress) {
    progress->began = clock_seconds();
    progress->reported = progress->began - report_seconds; /* the first pictures are told of */
}

static bool tell(PictureProgress *progress, int64_t done, const char *message) {
    const double now = clock_seconds();
    if (!progress->tell || (!message && now - progress->reported < report_seconds && done < progress->pictures))
        return false;
    progress->reported = now;
    effnet_progress told = {.struct_size = sizeof told,
                            .phase = message ? progress->message_phase : progress->phase,
                            .step = done,
                            .steps = progress->pictures,
                            .seconds = now - progress->began,
                            .top1 = -1,
                            .top5 = -1,
                            .ema_top1 = -1,
                            .ema_top5 = -1,
                            .message = message};
    if (done > 0 && told.seconds > 0) {
        told.images_per_s = (double)done / told.seconds;
        told.seconds_left = (double)(progress->pictures - done) / told.images_per_s;
    }
    return progress->tell(progress->context, &told);
}

bool picture_progress_tell(PictureProgress *progress, int64_t done) {
    return tell(progress, done, NULL);
}

bool picture_progress_warn(PictureProgress *progress, int64_t done, Loader *loader) {
    char warning[500];
    bool stop = false;
    while (loader_take_warning(loader, warning, sizeof warning)) stop = tell(progress, done, warning) || stop;
    return stop;
}
