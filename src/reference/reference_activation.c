/* reference_activation.c - the activations and their slopes; formulas and sources in reference.h. Swish with
 * s = sigmoid(x) has the slope s + x*s*(1-s). */
#include "reference/reference.h"

#include <math.h>

real reference_sigmoid(real x) {
    return 1 / (1 + exp(-x)); /* exp overflows to infinity for x < -709, and the result is 0, as it should be */
}

real reference_activate(Activation activation, real x) {
    switch (activation) {
    case ACTIVATION_SWISH:
        return x * reference_sigmoid(x);
    case ACTIVATION_RELU6:
        return x < 0 ? 0 : x > 6 ? 6 : x;
    case ACTIVATION_NONE:
        break;
    }
    return x;
}

real reference_activation_slope(Activation activation, real x) {
    real s;
    switch (activation) {
    case ACTIVATION_SWISH:
        s = reference_sigmoid(x);
        return s + x * s * (1 - s);
    case ACTIVATION_RELU6:
        return x > 0 && x < 6;
    case ACTIVATION_NONE:
        break;
    }
    return 1;
}
