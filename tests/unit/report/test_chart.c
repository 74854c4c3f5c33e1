/* test_chart.c - curves as SVG: ticks where the values of a log lie so near that no step between them changes a number, and
 * none without end. */
#include "report/chart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int ticks_of(double first, double second) {
    const double x[] = {1, 2}, y[] = {first, second};
    const ChartSeries series = {.name = "loss", .x = x, .y = y, .count = 2, .colour = 1};
    const Chart chart = {.title = "loss", .x_label = "step", .series = &series, .num_series = 1};
    char *text = NULL;
    size_t size;
    int count = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    chart_curves(stream, &chart);
    fclose(stream);
    for (const char *at = text; (at = strstr(at, "<line ")); at++) count++;
    free(text);
    return count;
}

static void ticks_end(void **state) {
    (void)state;
    static const double pairs[][2] = {{0.1, 0.7},
                                      {1, 1},
                                      {0, 0},
                                      {0.1, 0.10000000000000001 + 1.4e-17},
                                      {1e300, 1.0000000000000002e300},
                                      {-5, -5.0000000000000009},
                                      {1e-300, 2e-300}};
    alarm(20); /* what is wrong here writes without end */
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const int ticks = ticks_of(pairs[i][0], pairs[i][1]);
        if (!(ticks >= 2 && ticks <= 12)) fail_msg("%g and %g have %d ticks", pairs[i][0], pairs[i][1], ticks);
    }
    alarm(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(ticks_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
