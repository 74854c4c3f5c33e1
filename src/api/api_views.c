/* api_views.c - a picture and the same from right to left, taken together: test-time augmentation as Krizhevsky et al. (2012)
 * and Szegedy et al. (arXiv 1409.4842) have it, the mean of the views' probabilities. In logarithms, so that no probability
 * becomes 0. */
#include "api/handles.h"

#include <math.h>

/* log((e^a + e^b) / 2) */
static double log_mean(double a, double b) {
    const double larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger + log1p(exp(smaller - larger)) - log(2);
}

/* log of the sigmoid */
static double log_sigmoid(double x) {
    return x < 0 ? x - log1p(exp(x)) : -log1p(exp(-x));
}

/* log of the sum of e^logit */
static double log_sum(const float *logits, int classes) {
    double largest = -INFINITY, sum = 0;
    for (int c = 0; c < classes; c++)
        if (!((double)logits[c] <= largest)) largest = (double)logits[c]; /* NaN too */
    for (int c = 0; c < classes; c++) sum += exp((double)logits[c] - largest);
    return largest + log(sum);
}

void model_mean_of_views(const effnet_model *model, float *logits, const float *mirrored, int batch) {
    const int classes = model->network.config.num_classes;
    for (int n = 0; n < batch; n++, logits += classes, mirrored += classes) {
        const double first = model->card.several ? 0 : log_sum(logits, classes);
        const double second = model->card.several ? 0 : log_sum(mirrored, classes);
        for (int c = 0; c < classes; c++) {
            const double a = (double)logits[c], b = (double)mirrored[c];
            if (model->card.several)
                logits[c] =
                    (float)(log_mean(log_sigmoid(a), log_sigmoid(b)) - log_mean(log_sigmoid(-a), log_sigmoid(-b)));
            else
                logits[c] = (float)log_mean(a - first, b - second);
        }
    }
}
