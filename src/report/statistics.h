/* statistics.h - what a number of right answers lets one say: intervals, tests, scores of classes, calibration. */
#ifndef EFFNET_REPORT_STATISTICS_H
#define EFFNET_REPORT_STATISTICS_H

#include <stdint.h>

typedef struct Interval {
    double low, high; /* shares, 0 to 1; of differences -1 to 1 */
} Interval;

/* 95 %: Wilson's score interval (Wilson 1927), which stays within 0..1 and is right for few pictures too. Of none: 0..1. */
Interval wilson_interval(int64_t right, int64_t count);

/* Two models on the same pictures. */
typedef struct PairedTest {
    int64_t both, only_first, only_second, neither;
    double p;          /* McNemar's exact two-sided test: how likely so uneven a split is between equal models */
    double difference; /* accuracy of the second less that of the first */
    Interval interval; /* of the difference, 95 %: Newcombe 1998 (Statistics in Medicine 17:2635), method 10 */
} PairedTest;

PairedTest paired_test(int64_t both, int64_t only_first, int64_t only_second, int64_t neither);

typedef struct ClassScore {
    int64_t support, predicted, right; /* pictures of the class, answers of the class, both */
    double precision, recall, f1;      /* 0 to 1; 0 where nothing was to be counted */
} ClassScore;

void class_score_finish(ClassScore *score);

enum { CALIBRATION_BINS = 15 };
/* Of all answers that were given with a confidence of (i/15, (i+1)/15]. */
typedef struct CalibrationBin {
    int64_t count, right;
    double confidence; /* sum while adding, mean once finished */
} CalibrationBin;

typedef struct Calibration {
    CalibrationBin bins[CALIBRATION_BINS];
    double
        error; /* ECE (Guo et al., arXiv 1706.04599): mean |accuracy - confidence| over the bins, by their pictures */
} Calibration;

void calibration_add(Calibration *calibration, double confidence, int right);
void calibration_finish(Calibration *calibration);

#endif
