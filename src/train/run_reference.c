/* run_reference.c - see run_reference.h. */
#include "train/run_reference.h"

#include "base/number_text.h"

#include <math.h>

bool run_reference_describe(const Run *run, int64_t epoch, double accuracy, char *text, size_t size) {
    ReferencePoint point;
    char deviation[40] = "";
    if (!reference_curve_at(&run->reference, (double)epoch, &point)) return false;
    if (point.deviation >= 0) number_print(deviation, sizeof deviation, " (+- %.2f)", point.deviation);
    const double apart = accuracy - point.accuracy;
    const char *word = point.deviation < 0 || fabs(apart) <= 2 * point.deviation ? ""
                       : apart < 0                                               ? ": more than two deviations below"
                                                                                 : ": more than two deviations above";
    number_print(text, size, "at epoch %lld you are at %.2f %%, the reference at %.2f%s%s", (long long)epoch, accuracy,
                 point.accuracy, deviation, word);
    return true;
}
