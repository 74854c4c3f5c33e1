/* accuracy.h - how many pictures are answered right: top-1, top-5 and cross-entropy without smoothing, every picture
 * counted. */
#ifndef EFFNET_TRAIN_ACCURACY_H
#define EFFNET_TRAIN_ACCURACY_H

#include <stdint.h>

typedef struct Accuracy {
    int64_t images, skipped;
    double top1, top5, loss;      /* per cent; mean cross-entropy, or binary cross-entropy of several labels */
    double average_precision, f1; /* set_metrics.h; 0 where each picture has one label */
    double seconds;
} Accuracy;

/* Adds a batch of logits (N, classes) to sums: `top1` and `top5` count right answers, `loss` is a sum, until
 * accuracy_finish makes per cent and a mean of them. A label whose logit another class equals counts as beaten by it,
 * and so does one that is NaN. */
void accuracy_add(Accuracy *accuracy, const float *logits, const int32_t *labels, int batch, int classes);
void accuracy_finish(Accuracy *accuracy);
/* The same of several labels a picture, targets (N, classes): right where the best class is one of them, and, of a
 * picture without any, where no class is answered with yes. The loss is binary cross-entropy, the mean over classes. */
void accuracy_add_sets(Accuracy *accuracy, const float *logits, const float *targets, int batch, int classes);

#endif
