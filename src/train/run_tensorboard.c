/* run_tensorboard.c - see run_tensorboard.h. */
#include "train/run_tensorboard.h"

#include "base/clock.h"
#include "base/memory.h"
#include "report/thumbnail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MISTAKES = 12, PICTURE_SIDE = 256, MOST_CLASSES_DRAWN = 1000 };

static double unix_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

effnet_status run_tensorboard_open(Run *run, effnet_error *err) {
    return event_file_open(&run->events, run->out, unix_time(), run->trainer.step, err);
}

static effnet_status write_scalars(Run *run, const RunEvent *event, effnet_error *err) {
    const effnet_progress *now = &event->now;
    const bool interval = event->kind == RUN_EVENT_INTERVAL, evaluated = event->evaluated;
    const EventScalar scalars[] = {
        {interval ? "loss/train" : "loss/epoch", now->loss},
        {"rate/lr", interval ? now->lr : NAN},
        {"speed/images_per_s", interval ? now->images_per_s : NAN},
        {"speed/data_wait", interval ? event->data_wait : NAN},
        {"norm/gradient", interval ? event->gradient_norm : NAN},
        {"norm/weights", interval ? event->weight_norm : NAN},
        {"norm/update", interval ? event->update_norm : NAN},
        {"accuracy/top1", evaluated ? now->top1 : NAN},
        {"accuracy/top5", evaluated ? now->top5 : NAN},
        {"accuracy/ema_top1", evaluated && now->ema_top1 >= 0 ? now->ema_top1 : NAN},
        {"accuracy/ema_top5", evaluated && now->ema_top5 >= 0 ? now->ema_top5 : NAN},
    };
    return event_file_scalars(&run->events, unix_time(), now->step, scalars, (int)(sizeof scalars / sizeof *scalars),
                              err);
}

static effnet_status write_confusion(Run *run, int64_t step, effnet_error *err) {
    const int classes = run->predictions.classes;
    void *confusion;
    Summary summary;
    Thumbnail picture;
    if (classes > MOST_CLASSES_DRAWN) return EFFNET_OK;
    TRY(memory_allocate((size_t)classes * (size_t)classes, sizeof(int64_t), "the confusion matrix", &confusion, err));
    memset(confusion, 0, (size_t)classes * (size_t)classes * sizeof(int64_t));
    predictions_summarize(&run->predictions, &summary, NULL, confusion);
    effnet_status status = thumbnail_of_confusion(confusion, classes, &picture, err);
    memory_free(confusion);
    TRY(status);
    status = event_file_image(&run->events, unix_time(), step, "confusion", picture.height, picture.width, picture.jpeg,
                              picture.size, err);
    free(picture.jpeg);
    return status;
}

/* "mistakes/3: bees, is ants" */
static effnet_status write_mistakes(Run *run, int64_t step, effnet_error *err) {
    int worst[MISTAKES], count = predictions_worst(&run->predictions, worst, MISTAKES);
    for (int i = 0; i < count; i++) {
        const Prediction *p = &run->predictions.list[worst[i]];
        const int classes = dataset_num_classes(run->val_set);
        effnet_error unread;
        Thumbnail picture;
        char tag[300];
        snprintf(tag, sizeof tag, "mistakes/%02d: %.100s, is %.100s", i + 1,
                 p->guess < classes ? dataset_class_name(run->val_set, p->guess) : "another",
                 p->label < classes ? dataset_class_name(run->val_set, p->label) : "another");
        if (thumbnail_make(run->val_set, p->picture, PICTURE_SIDE, &picture, &unread) != EFFNET_OK) continue;
        effnet_status status = event_file_image(&run->events, unix_time(), step, tag, picture.height, picture.width,
                                                picture.jpeg, picture.size, err);
        free(picture.jpeg);
        TRY(status);
    }
    return EFFNET_OK;
}

effnet_status run_tensorboard_take(void *context, const RunEvent *event, bool *stop, effnet_error *err) {
    Run *run = context;
    (void)stop;
    if (event->kind != RUN_EVENT_INTERVAL && event->kind != RUN_EVENT_EPOCH) return EFFNET_OK;
    TRY(write_scalars(run, event, err));
    if (!event->evaluated || run->predictions.count == 0) return EFFNET_OK;
    TRY(write_confusion(run, event->now.step, err));
    return write_mistakes(run, event->now.step, err);
}
