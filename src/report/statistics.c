/* statistics.c - see statistics.h. */
#include "report/statistics.h"

#include <math.h>

static const double z95 = 1.959963984540054; /* the normal distribution's 97.5th percentile */

Interval wilson_interval(int64_t right, int64_t count) {
    if (count <= 0) return (Interval){0, 1};
    double n = (double)count, p = (double)right / n, z2 = z95 * z95;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    return (Interval){right == 0 ? 0 : fmax(0, middle - half), right == count ? 1 : fmin(1, middle + half)};
}

/* 2 * P(X <= min(b, c)) for X of b + c throws of a coin, 1 at most. */
static double mcnemar_exact(int64_t b, int64_t c) {
    int64_t n = b + c, least = b < c ? b : c;
    double sum = 0;
    for (int64_t i = 0; i <= least; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) - (double)n * log(2));
    return fmin(1, 2 * sum);
}

/* phi of the fourfold table, moved towards 0 by half a picture where positive, as Newcombe has it. */
static double correlation(double a, double b, double c, double d) {
    double n = a + b + c + d, above = a * d - b * c, below = (a + b) * (c + d) * (a + c) * (b + d);
    if (below <= 0) return 0;
    if (above > n / 2)
        above -= n / 2;
    else if (above >= 0)
        above = 0;
    return above / sqrt(below);
}

static double reach(double first, double second, double phi) {
    return sqrt(fmax(0, first * first - 2 * phi * first * second + second * second));
}

PairedTest paired_test(int64_t both, int64_t only_first, int64_t only_second, int64_t neither) {
    PairedTest test = {.both = both, .only_first = only_first, .only_second = only_second, .neither = neither, .p = 1};
    int64_t count = both + only_first + only_second + neither;
    test.interval = (Interval){-1, 1};
    if (count == 0) return test;
    double n = (double)count;
    double first = (double)(both + only_first) / n, second = (double)(both + only_second) / n;
    Interval of_first = wilson_interval(both + only_first, count),
             of_second = wilson_interval(both + only_second, count);
    double phi = correlation((double)both, (double)only_first, (double)only_second, (double)neither);
    test.p = mcnemar_exact(only_first, only_second);
    test.difference = second - first;
    test.interval.low = test.difference - reach(second - of_second.low, of_first.high - first, phi);
    test.interval.high = test.difference + reach(of_second.high - second, first - of_first.low, phi);
    return test;
}

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0;
}

void class_score_finish(ClassScore *score) {
    score->precision = share(score->right, score->predicted);
    score->recall = share(score->right, score->support);
    score->f1 = share(2 * score->right, score->predicted + score->support);
}

void calibration_add(Calibration *calibration, double confidence, int right) {
    int bin = (int)ceil(confidence * CALIBRATION_BINS) - 1;
    if (!(confidence >= 0)) return; /* NaN */
    bin = bin < 0 ? 0 : bin >= CALIBRATION_BINS ? CALIBRATION_BINS - 1 : bin;
    calibration->bins[bin].count++;
    calibration->bins[bin].right += right != 0;
    calibration->bins[bin].confidence += confidence;
}

void calibration_finish(Calibration *calibration) {
    double count = 0, sum = 0;
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        CalibrationBin *bin = &calibration->bins[i];
        if (!bin->count) continue;
        bin->confidence /= (double)bin->count;
        sum += (double)bin->count * fabs(share(bin->right, bin->count) - bin->confidence);
        count += (double)bin->count;
    }
    calibration->error = count > 0 ? sum / count : 0;
}
