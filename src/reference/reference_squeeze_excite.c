/* reference_squeeze_excite.c - squeeze and excitation; formulas, shapes and source in reference.h.
 *
 * Backward, with gate g = sigmoid(e) and a = activation(r):
 *   de = g*(1-g) * sum over pixels of dy*x;  dWe = de a',  dbe = de;  dr = slope(r) * We' de;
 *   dWr = dr m',  dbr = dr;  dm = Wr' dr;  dx = dy*g + dm/pixels  (x feeds the product and the mean). */
#include "reference/reference.h"

/* The parts of `saved`: m, g, de (C each), r, dr (R each). */
typedef struct Saved {
    real *mean, *gate, *dexpanded, *reduced, *dreduced;
} Saved;

static Saved saved_parts(const SqueezeExcite *se, real *saved) {
    real *after = saved + 3 * (size_t)se->channels;
    return (Saved){saved, saved + se->channels, saved + 2 * (size_t)se->channels, after, after + se->squeezed};
}

size_t reference_squeeze_excite_saved(int channels, int squeezed) {
    return 3 * (size_t)channels + 2 * (size_t)squeezed;
}

void reference_squeeze_excite_forward(const SqueezeExcite *se, const real *x, real *saved, real *y) {
    const int channels = se->channels, squeezed = se->squeezed;
    Saved s = saved_parts(se, saved);
    reference_global_pool_forward(se->pixels, channels, x, s.mean);
    for (int r = 0; r < squeezed; r++) {
        s.reduced[r] = se->reduce_bias[r];
        for (int c = 0; c < channels; c++) s.reduced[r] += se->reduce_weight[(size_t)r * channels + c] * s.mean[c];
    }
    for (int c = 0; c < channels; c++) {
        real expanded = se->expand_bias[c];
        for (int r = 0; r < squeezed; r++)
            expanded += se->expand_weight[(size_t)c * squeezed + r] * reference_activate(se->activation, s.reduced[r]);
        s.gate[c] = reference_sigmoid(expanded);
    }
    for (size_t pixel = 0; pixel < se->pixels; pixel++)
        for (int c = 0; c < channels; c++) y[pixel * channels + c] = x[pixel * channels + c] * s.gate[c];
}

void reference_squeeze_excite_backward(const SqueezeExcite *se, const real *x, real *saved, const real *dy, real *dx,
                                       const SqueezeExciteGradient *gradient) {
    const int channels = se->channels, squeezed = se->squeezed;
    Saved s = saved_parts(se, saved);
    for (int c = 0; c < channels; c++) s.dexpanded[c] = 0;
    for (size_t pixel = 0; pixel < se->pixels; pixel++)
        for (int c = 0; c < channels; c++) s.dexpanded[c] += dy[pixel * channels + c] * x[pixel * channels + c];
    for (int r = 0; r < squeezed; r++) s.dreduced[r] = 0;
    for (int c = 0; c < channels; c++) {
        s.dexpanded[c] *= s.gate[c] * (1 - s.gate[c]);
        gradient->expand_bias[c] += s.dexpanded[c];
        for (int r = 0; r < squeezed; r++) {
            size_t w = (size_t)c * squeezed + r;
            gradient->expand_weight[w] += s.dexpanded[c] * reference_activate(se->activation, s.reduced[r]);
            s.dreduced[r] += s.dexpanded[c] * se->expand_weight[w];
        }
    }
    real *dmean = s.dexpanded; /* de is used up */
    for (int c = 0; c < channels; c++) dmean[c] = 0;
    for (int r = 0; r < squeezed; r++) {
        s.dreduced[r] *= reference_activation_slope(se->activation, s.reduced[r]);
        gradient->reduce_bias[r] += s.dreduced[r];
        for (int c = 0; c < channels; c++) {
            gradient->reduce_weight[(size_t)r * channels + c] += s.dreduced[r] * s.mean[c];
            dmean[c] += s.dreduced[r] * se->reduce_weight[(size_t)r * channels + c];
        }
    }
    for (size_t pixel = 0; pixel < se->pixels; pixel++)
        for (int c = 0; c < channels; c++) dx[pixel * channels + c] += dy[pixel * channels + c] * s.gate[c];
    reference_global_pool_backward(se->pixels, channels, dmean, dx);
}
