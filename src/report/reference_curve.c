/* reference_curve.c - see reference_curve.h. */
#include "report/reference_curve.h"

#include "base/number_text.h"
#include "base/text_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_FILE = 1 << 20 };

static effnet_status wrong_point(const char *name, int number, const char *text, effnet_error *err) {
    return fail(
        err, EFFNET_ERROR_FORMAT,
        "%s: point %d, '%.*s', is not EPOCH ACCURACY [DEVIATION] with epochs above 0 that rise and accuracies of "
        "0 to 100",
        name, number, (int)strcspn(text, ",\n#") < 40 ? (int)strcspn(text, ",\n#") : 40, text);
}

static const char *skip_blanks(const char *text) {
    return text + strspn(text, " \t\r");
}

/* One point from *text on, which moves behind it. */
static bool parse_point(const char **text, ReferencePoint *out) {
    double *const values[] = {&out->epoch, &out->accuracy, &out->deviation};
    out->deviation = -1;
    for (int i = 0; i < 3; i++) {
        const char *at = skip_blanks(*text);
        char *end;
        if (i == 2 && (!*at || strchr(",\n#", *at))) break;
        if (!strchr("0123456789.", *at) || !*at) return false;
        *values[i] = number_of_text(at, &end);
        if (end == at) return false;
        *text = end;
    }
    *text = skip_blanks(*text);
    return (!**text || strchr(",\n#", **text)) && isfinite(out->epoch) && out->epoch > 0 && out->accuracy >= 0 &&
           out->accuracy <= 100 && out->deviation <= 100;
}

effnet_status reference_curve_parse(const char *name, const char *text, ReferenceCurve *out, effnet_error *err) {
    out->count = 0;
    for (const char *at = text; *at;) {
        at = skip_blanks(at);
        if (*at == '#') at += strcspn(at, "\n");
        if (*at == ',' || *at == '\n') {
            at++;
            continue;
        }
        if (!*at) break;
        if (out->count == REFERENCE_POINTS)
            return fail(err, EFFNET_ERROR_FORMAT, "%s: more than %d points", name, (int)REFERENCE_POINTS);
        const char *began = at;
        ReferencePoint *point = &out->points[out->count];
        if (!parse_point(&at, point) || (out->count > 0 && !(point->epoch > point[-1].epoch)))
            return wrong_point(name, out->count + 1, began, err);
        out->count++;
    }
    if (out->count) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_FORMAT, "%s: not one point; wanted EPOCH ACCURACY [DEVIATION], ...", name);
}

effnet_status reference_curve_read(const char *key, ReferenceCurve *out, effnet_error *err) {
    char *text, name[600];
    size_t size;
    out->count = 0;
    if (!key[0]) return EFFNET_OK;
    if (*key >= '0' && *key <= '9') return reference_curve_parse("reference_curve", key, out, err);
    TRY(text_file_read(key, LONGEST_FILE, &text, &size, err));
    snprintf(name, sizeof name, "reference_curve: '%.500s'", key);
    effnet_status status = reference_curve_parse(name, text, out, err);
    free(text);
    return status;
}

bool reference_curve_at(const ReferenceCurve *curve, double epoch, ReferencePoint *out) {
    int after = 0;
    while (after < curve->count && curve->points[after].epoch < epoch) after++;
    if (after == curve->count) return false;
    const ReferencePoint *next = &curve->points[after], *last = next - 1;
    *out = *next;
    if (next->epoch == epoch) return true; /* NaN is not, and is before every point */
    if (after == 0) return false;
    const double share = (epoch - last->epoch) / (next->epoch - last->epoch);
    out->epoch = epoch;
    out->accuracy = last->accuracy + share * (next->accuracy - last->accuracy);
    out->deviation =
        last->deviation < 0 || next->deviation < 0 ? -1 : last->deviation + share * (next->deviation - last->deviation);
    return true;
}
