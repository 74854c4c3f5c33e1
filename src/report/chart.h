/* chart.h - charts as SVG inside an HTML page (page.h has their colours). */
#ifndef EFFNET_REPORT_CHART_H
#define EFFNET_REPORT_CHART_H

#include "report/statistics.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A curve; a y that is not finite leaves a gap. */
typedef struct ChartSeries {
    const char *name;
    const double *x, *y;
    int64_t count;
    int colour;  /* 1 to 4 */
    bool dots;   /* a mark at each point */
    bool dashed; /* of another origin: a reference */
} ChartSeries;

typedef struct Chart {
    const char *title, *x_label;
    bool log_y;
    bool from_zero; /* the y axis begins at 0 */
    const ChartSeries *series;
    int num_series;
} Chart;

/* Title, legend and axes; many points are drawn as means of neighbours. Nothing where no point is finite. */
void chart_curves(FILE *out, const Chart *chart);
/* Accuracy against confidence, bin by bin, and how many answers each bin has. */
void chart_calibration(FILE *out, const Calibration *calibration);
enum { CHART_CONFUSION_MOST = 30 };
/* confusion (classes, classes), rows are labels; at most CHART_CONFUSION_MOST classes. */
void chart_confusion(FILE *out, const int64_t *confusion, const char *const *names, int classes);

#endif
