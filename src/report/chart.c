/* chart.c - see chart.h. Curves stand in a box of WIDTH x HEIGHT units, which the page stretches to its column. */
#include "report/chart.h"

#include "report/page.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 480, HEIGHT = 250, LEFT = 46, RIGHT = 12, TOP = 10, BOTTOM = 34, POINTS = 400 };

/* ---- axes ---- */

typedef struct Axis {
    double low, high; /* logarithms where log */
    bool log;
} Axis;

static double step_for(double range, int wanted) {
    double raw = range / wanted, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static double x_place(const Axis *axis, double x) {
    return LEFT + (x - axis->low) / (axis->high - axis->low) * (WIDTH - LEFT - RIGHT);
}

static double y_place(const Axis *axis, double y) {
    if (axis->log) y = log10(y);
    return HEIGHT - BOTTOM - (y - axis->low) / (axis->high - axis->low) * (HEIGHT - TOP - BOTTOM);
}

/* 1200 -> "1.2k" */
static void write_tick(FILE *out, double value) {
    double size = fabs(value);
    if (size >= 1e6)
        fprintf(out, "%.4gM", value / 1e6);
    else if (size >= 1e4)
        fprintf(out, "%.4gk", value / 1e3);
    else
        fprintf(out, "%.4g", fabs(value) < 1e-12 ? 0 : value);
}

static bool usable(const Chart *chart, double y) {
    return isfinite(y) && (!chart->log_y || y > 0);
}

/* False where there is nothing to draw. */
static bool find_axes(const Chart *chart, Axis *x, Axis *y) {
    *x = *y = (Axis){INFINITY, -INFINITY, false};
    y->log = chart->log_y;
    for (int s = 0; s < chart->num_series; s++)
        for (int64_t i = 0; i < chart->series[s].count; i++) {
            double px = chart->series[s].x[i], py = chart->series[s].y[i];
            if (!usable(chart, py) || !isfinite(px)) continue;
            if (y->log) py = log10(py);
            x->low = fmin(x->low, px);
            x->high = fmax(x->high, px);
            y->low = fmin(y->low, py);
            y->high = fmax(y->high, py);
        }
    if (!(x->low <= x->high)) return false;
    x->low = fmin(x->low, 0); /* steps begin at 0 */
    if (x->low == x->high) x->high += 1;
    if (chart->from_zero && !y->log) y->low = fmin(0, y->low);
    if (y->log) {
        y->low = floor(y->low * 2) / 2;
        y->high = ceil(y->high * 2) / 2;
        if (y->low == y->high) y->high += 1;
        return true;
    }
    /* equal, or so near that a step between ticks would not change the number it is added to */
    if (y->high - y->low <= 1e-9 * fmax(fabs(y->low), fabs(y->high))) {
        y->low -= fabs(y->low) * 0.1 + 1e-9;
        y->high += fabs(y->high) * 0.1 + 1e-9;
    }
    double step = step_for(y->high - y->low, 4);
    y->low = floor(y->low / step + 1e-9) * step;
    y->high = ceil(y->high / step - 1e-9) * step;
    return true;
}

static void line_across(FILE *out, double y) {
    fprintf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"var(--grid)\"/>", LEFT, y, WIDTH - RIGHT,
            y);
}

static void draw_axes(FILE *out, const Chart *chart, const Axis *x, const Axis *y) {
    double step = y->log ? ((y->high - y->low) > 4 ? 2 : 1) : step_for(y->high - y->low, 4);
    for (double at = ceil(y->low / step - 1e-9) * step; at <= y->high + step * 1e-6; at += step) {
        double value = y->log ? pow(10, at) : at, place = y_place(y, value);
        line_across(out, place);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 7, place + 4);
        write_tick(out, value);
        fputs("</text>", out);
    }
    step = step_for(x->high - x->low, 6);
    for (double at = ceil(x->low / step - 1e-9) * step; at <= x->high + step * 1e-6; at += step) {
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x_place(x, at), HEIGHT - BOTTOM + 16);
        write_tick(out, at);
        fputs("</text>", out);
    }
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT, HEIGHT - 3);
    page_text(out, chart->x_label);
    fputs("</text>", out);
}

/* ---- curves ---- */

static void draw_series(FILE *out, const Chart *chart, const ChartSeries *series, const Axis *x, const Axis *y) {
    int64_t each = series->dots ? 1 : (series->count + POINTS - 1) / POINTS;
    bool open = false;
    fprintf(out, "<path fill=\"none\" stroke=\"var(--s%d)\" stroke-width=\"2\" stroke-linejoin=\"round\"%s d=\"",
            series->colour, series->dashed ? " stroke-dasharray=\"5 4\"" : "");
    for (int64_t first = 0; first < series->count; first += each) {
        double sum_x = 0, sum_y = 0;
        int64_t used = 0;
        for (int64_t i = first; i < first + each && i < series->count; i++) {
            if (!usable(chart, series->y[i])) continue;
            sum_x += series->x[i];
            sum_y += series->y[i];
            used++;
        }
        if (used)
            fprintf(out, "%c%.1f %.1f", open ? 'L' : 'M', x_place(x, sum_x / (double)used),
                    y_place(y, sum_y / (double)used));
        open = open ? used > 0 || !series->dots : used > 0;
    }
    fputs("\"/>", out);
    for (int64_t i = 0; series->dots && i < series->count; i++) {
        if (!usable(chart, series->y[i])) continue;
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"var(--s%d)\"><title>", x_place(x, series->x[i]),
                y_place(y, series->y[i]), series->count > 60 ? "1.5" : "3", series->colour);
        page_text(out, series->name);
        fprintf(out, ": %.4g at %.6g</title></circle>", series->y[i], series->x[i]);
    }
}

void chart_curves(FILE *out, const Chart *chart) {
    Axis x, y;
    if (!find_axes(chart, &x, &y)) return;
    fputs("<div><h3>", out);
    page_text(out, chart->title);
    fputs("</h3><div class=\"legend\">", out);
    for (int s = 0; s < chart->num_series; s++) {
        if (chart->num_series == 1) break;
        fprintf(out, "<span><i style=\"background:var(--s%d)\"></i>", chart->series[s].colour);
        page_text(out, chart->series[s].name);
        fputs("</span>", out);
    }
    fprintf(out, "</div><svg viewBox=\"0 0 %d %d\" role=\"img\">", WIDTH, HEIGHT);
    draw_axes(out, chart, &x, &y);
    for (int s = 0; s < chart->num_series; s++) draw_series(out, chart, &chart->series[s], &x, &y);
    fputs("</svg></div>\n", out);
}

/* ---- calibration ---- */

void chart_calibration(FILE *out, const Calibration *calibration) {
    const Axis unit = {0, 1, false};
    int64_t most = 1;
    for (int i = 0; i < CALIBRATION_BINS; i++)
        if (calibration->bins[i].count > most) most = calibration->bins[i].count;
    const Chart chart = {.x_label = "confidence"};
    double width = (double)(WIDTH - LEFT - RIGHT) / CALIBRATION_BINS;
    fprintf(out,
            "<div><h3>Accuracy by confidence</h3><div class=\"legend\"><span><i style=\"background:var(--s1)\"></i>"
            "accuracy of the answers in a bin</span><span><i style=\"background:var(--soft)\"></i>as it should be"
            "</span></div><svg viewBox=\"0 0 %d %d\" role=\"img\">",
            WIDTH, HEIGHT);
    draw_axes(out, &chart, &unit, &unit);
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        const CalibrationBin *bin = &calibration->bins[i];
        if (!bin->count) continue;
        double accuracy = (double)bin->right / (double)bin->count, top = y_place(&unit, accuracy);
        fprintf(out,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"var(--s1)\" "
                "fill-opacity=\"%.2f\"><title>"
                "%lld answers, confidence %.1f %%, accuracy %.1f %%</title></rect>",
                LEFT + i * width + 1, top, width - 2, HEIGHT - BOTTOM - top,
                0.35 + 0.65 * sqrt((double)bin->count / (double)most), (long long)bin->count, 100 * bin->confidence,
                100 * accuracy);
    }
    fprintf(
        out,
        "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"var(--soft)\" stroke-dasharray=\"4 4\"/></svg></div>\n",
        LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, TOP);
    fprintf(out,
            "<div><h3>Answers by confidence</h3><div class=\"legend\"><span>darker bars above hold more of them</span>"
            "</div><svg viewBox=\"0 0 %d %d\" role=\"img\">",
            WIDTH, HEIGHT);
    double step = step_for((double)most, 4);
    const Axis counts = {0, ceil((double)most / step) * step, false};
    draw_axes(out, &chart, &unit, &counts);
    for (int i = 0; i < CALIBRATION_BINS; i++) {
        double top = y_place(&counts, (double)calibration->bins[i].count);
        fprintf(
            out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"var(--s3)\"><title>%lld answers</title>"
            "</rect>",
            LEFT + i * width + 1, top, width - 2, HEIGHT - BOTTOM - top, (long long)calibration->bins[i].count);
    }
    fputs("</svg></div>\n", out);
}

/* ---- confusion ---- */

/* At most `most` characters of a name; UTF-8 is not cut within one. */
static void write_short(FILE *out, const char *name, int most) {
    char text[200];
    size_t length = 0;
    int characters = 0;
    for (; name[length] && length + 5 < sizeof text && characters < most; characters++) do
            length++;
        while (((unsigned char)name[length] & 0xC0) == 0x80 && length + 5 < sizeof text);
    memcpy(text, name, length);
    snprintf(text + length, sizeof text - length, "%s", name[length] ? "…" : "");
    page_text(out, text);
}

void chart_confusion(FILE *out, const int64_t *confusion, const char *const *names, int classes) {
    const int left = 120, top = 92, cell = classes <= 12 ? 46 : 24;
    int size = cell * classes;
    fprintf(out,
            "<div class=\"scroll\"><svg viewBox=\"0 0 %d %d\" style=\"max-width:%dpx;min-width:%dpx\" role=\"img\">",
            left + size + 60, top + size + 6, left + size + 60, classes <= 12 ? 0 : 600);
    for (int c = 0; c < classes; c++) {
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", left - 8, top + (c + 0.5) * cell + 4);
        write_short(out, names[c], 18);
        fprintf(out, "</text><text transform=\"translate(%.1f %d) rotate(-45)\">", left + (c + 0.5) * cell + 2,
                top - 8);
        write_short(out, names[c], 16);
        fputs("</text>", out);
    }
    for (int row = 0; row < classes; row++) {
        int64_t of_row = 0;
        for (int c = 0; c < classes; c++) of_row += confusion[row * classes + c];
        for (int c = 0; c < classes; c++) {
            int64_t count = confusion[row * classes + c];
            double part = of_row ? (double)count / (double)of_row : 0;
            fprintf(out,
                    "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" fill=\"var(%s)\" "
                    "fill-opacity=\"%.3f\"><title>",
                    left + c * cell, top + row * cell, cell - 2, cell - 2,
                    !count     ? "--grid"
                    : c == row ? "--good"
                               : "--bad",
                    !count     ? 0.6
                    : c == row ? 0.15 + 0.75 * part
                               : fmin(0.95, 0.15 + 1.6 * part));
            page_text(out, names[row]);
            fputs(" taken for ", out);
            page_text(out, names[c]);
            fprintf(out, ": %lld (%.1f %%)</title></rect>", (long long)count, 100 * part);
            if (count && cell > 30)
                fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" style=\"fill:var(--ink)\">%lld</text>",
                        left + (c + 0.5) * cell - 1, top + (row + 0.5) * cell + 3, (long long)count);
        }
    }
    fputs("</svg></div>\n", out);
}
