/* reference_curve.h - how good a run of a recipe was for somebody else, epoch by epoch: what a run is held against. */
#ifndef EFFNET_REPORT_REFERENCE_CURVE_H
#define EFFNET_REPORT_REFERENCE_CURVE_H

#include "base/error.h"

enum { REFERENCE_POINTS = 1000 };

typedef struct ReferencePoint {
    double epoch, accuracy; /* accuracy: per cent */
    double deviation;       /* standard deviation between runs, in points; negative: not known */
} ReferencePoint;

typedef struct ReferenceCurve {
    int count; /* 0: there is none */
    ReferencePoint points[REFERENCE_POINTS];
} ReferenceCurve;

/* "EPOCH ACCURACY [DEVIATION]" in the order of the epochs, with commas or ends of lines between; what follows a # in a
 * line is a remark. `name` stands for the text in messages. */
effnet_status reference_curve_parse(const char *name, const char *text, ReferenceCurve *out, effnet_error *err);
/* The recipe key: such a text where it begins with a digit, else the name of a file that holds one; "": none. */
effnet_status reference_curve_read(const char *key, ReferenceCurve *out, effnet_error *err);
/* At an epoch, between two points on the line that joins them; false before the first and after the last. */
bool reference_curve_at(const ReferenceCurve *curve, double epoch, ReferencePoint *out);

#endif
