/* batch_norm_exchange.c - see batch_norm_exchange.h. */
#include "engine/batch_norm_exchange.h"

effnet_status exchange_means(const BatchNormExchange *exchange, size_t channels, double *count, double *mean,
                             double *work, effnet_error *err) {
    for (size_t c = 0; c < channels; c++) work[c] = *count * mean[c];
    work[channels] = *count;
    TRY(exchange->sum(exchange->context, work, channels + 1, err));
    double total = work[channels];
    if (!(total >= *count))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "batch norm's exchange: %.0f values in the group, but %.0f in this replica alone", total, *count);
    for (size_t c = 0; c < channels; c++) {
        double group = work[c] / total;
        work[c] = mean[c] - group;
        mean[c] = group;
    }
    *count = total;
    return EFFNET_OK;
}

effnet_status exchange_moments(const BatchNormExchange *exchange, size_t channels, double *count, double *mean,
                               double *m2, double *work, effnet_error *err) {
    double own = *count;
    TRY(exchange_means(exchange, channels, count, mean, work, err));
    for (size_t c = 0; c < channels; c++) m2[c] += own * work[c] * work[c];
    return exchange->sum(exchange->context, m2, channels, err);
}
