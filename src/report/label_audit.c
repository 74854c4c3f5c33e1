/* label_audit.c - see label_audit.h. Of a picture's probabilities the five largest and the label's are at hand; what is
 * below the fifth is under 1/5 and, at a threshold that low, no suspicion worth a look. */
#include "report/label_audit.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static effnet_status find_thresholds(const Predictions *predictions, double **out, effnet_error *err) {
    const size_t classes = (size_t)predictions->classes;
    int64_t *counts = calloc(classes, sizeof *counts);
    *out = calloc(classes, sizeof **out);
    if (!counts || !*out) {
        free(counts);
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for the thresholds of %zu classes", classes);
    }
    for (int64_t i = 0; i < predictions->count; i++) {
        const Prediction *p = &predictions->list[i];
        if (p->label < 0 || p->label >= predictions->classes || !isfinite(p->label_probability)) continue;
        (*out)[p->label] += p->label_probability;
        counts[p->label]++;
    }
    /* a class without pictures has no pictures that could be meant */
    for (size_t c = 0; c < classes; c++) (*out)[c] = counts[c] ? (*out)[c] / (double)counts[c] : 2;
    free(counts);
    return EFFNET_OK;
}

/* The likeliest class but the label that reaches its threshold, -1 where none does. */
static int32_t meant_class(const Prediction *p, const double *thresholds, float *probability) {
    for (int k = 0; k < PREDICTION_TOP && p->top[k] >= 0; k++) {
        *probability = p->top_probability[k];
        if (p->top[k] != p->label && *probability >= thresholds[p->top[k]] && *probability > p->label_probability)
            return p->top[k];
    }
    return -1;
}

static int surest_first(const void *a, const void *b) {
    const LabelSuspect *x = a, *y = b;
    if (x->certainty != y->certainty) return x->certainty < y->certainty ? 1 : -1;
    return x->place < y->place ? -1 : x->place > y->place;
}

effnet_status label_audit(const Predictions *predictions, LabelSuspect **list, int64_t *count, effnet_error *err) {
    double *thresholds = NULL;
    *list = NULL;
    *count = 0;
    effnet_status status = find_thresholds(predictions, &thresholds, err);
    if (status == EFFNET_OK) {
        *list = calloc((size_t)predictions->count + 1, sizeof **list);
        if (!*list) status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the suspects");
    }
    for (int64_t i = 0; status == EFFNET_OK && i < predictions->count; i++) {
        const Prediction *p = &predictions->list[i];
        float probability = 0;
        int32_t meant = meant_class(p, thresholds, &probability);
        if (meant >= 0)
            (*list)[(*count)++] =
                (LabelSuspect){.place = i, .meant = meant, .certainty = probability - p->label_probability};
    }
    if (status == EFFNET_OK) qsort(*list, (size_t)*count, sizeof **list, surest_first);
    free(thresholds);
    return status;
}
