/* accuracy.c - see accuracy.h.
 *
 * A picture is right in top-k if fewer than k classes have a logit that is not below that of its label. So equal logits
 * count against the label (a network that answers the same for everything gets 0, not 100 per cent), and so does NaN.
 * With k >= classes everything is right. */
#include "train/accuracy.h"

#include "step/loss.h"

#include <math.h>
#include <stdbool.h>

void accuracy_add(Accuracy *accuracy, const float *logits, const int32_t *labels, int batch, int classes) {
    for (int n = 0; n < batch; n++) {
        const float *row = logits + (size_t)n * (size_t)classes;
        if (labels[n] < 0 || labels[n] >= classes) continue; /* a class the network does not know is never right */
        int beaten_by = -1;                                  /* the label itself is not below itself */
        for (int c = 0; c < classes; c++) beaten_by += !(row[c] < row[labels[n]]);
        accuracy->top1 += beaten_by < 1;
        accuracy->top5 += beaten_by < 5;
    }
    accuracy->loss += batch * loss_cross_entropy(logits, labels, batch, classes, 0, 1, NULL);
    accuracy->images += batch;
}

void accuracy_add_sets(Accuracy *accuracy, const float *logits, const float *targets, int batch, int classes) {
    static const StepSpec binary = {.loss = STEP_LOSS_BINARY};
    const Targets wanted = {.dense = targets};
    for (int n = 0; n < batch; n++) {
        const float *row = logits + (size_t)n * (size_t)classes, *target = targets + (size_t)n * (size_t)classes;
        float best = -INFINITY, others = -INFINITY;
        bool any = false;
        for (int c = 0; c < classes; c++) {
            const bool is_wanted = target[c] > 0.5f;
            any |= is_wanted;
            if (is_wanted && row[c] > best) best = row[c];
            if (!is_wanted && !(row[c] <= others)) others = row[c];
        }
        int beaten_by = 0;
        for (int c = 0; c < classes; c++) beaten_by += !(target[c] > 0.5f) && !(row[c] < best);
        accuracy->top1 += any ? beaten_by < 1 : others < 0;
        accuracy->top5 += any ? beaten_by < 5 : others < 0;
    }
    accuracy->loss += batch * loss_of_step(&binary, logits, &wanted, batch, classes, 1, NULL, NULL);
    accuracy->images += batch;
}

void accuracy_finish(Accuracy *accuracy) {
    if (accuracy->images == 0) return;
    accuracy->top1 *= 100.0 / (double)accuracy->images;
    accuracy->top5 *= 100.0 / (double)accuracy->images;
    accuracy->loss /= (double)accuracy->images;
}
