/* reference_depthwise.c - depthwise convolution; formula, shapes and source in reference.h.
 *
 * Backward: each product x*w of the forward sum sends dy*w to dx and dy*x to dw, so the loops are the same. */
#include "reference/reference.h"

#include <string.h>

void reference_depthwise_forward(const Window *window, int channels, const real *x, const float *weight, real *y) {
    const int kernel = window->kernel, taps = kernel * kernel;
    memset(y, 0, sizeof *y * (size_t)window->out_height * window->out_width * channels);
    for (int oy = 0; oy < window->out_height; oy++)
        for (int ox = 0; ox < window->out_width; ox++)
            for (int tap = 0; tap < taps; tap++) {
                int iy = oy * window->stride - window->pad_top + tap / kernel;
                int ix = ox * window->stride - window->pad_left + tap % kernel;
                if (iy < 0 || iy >= window->in_height || ix < 0 || ix >= window->in_width) continue;
                const real *in = x + ((size_t)iy * window->in_width + ix) * channels;
                real *out = y + ((size_t)oy * window->out_width + ox) * channels;
                for (int c = 0; c < channels; c++) out[c] += in[c] * weight[c * taps + tap];
            }
}

void reference_depthwise_backward(const Window *window, int channels, const real *x, const float *weight,
                                  const real *dy, real *dx, real *dweight) {
    const int kernel = window->kernel, taps = kernel * kernel;
    for (int oy = 0; oy < window->out_height; oy++)
        for (int ox = 0; ox < window->out_width; ox++)
            for (int tap = 0; tap < taps; tap++) {
                int iy = oy * window->stride - window->pad_top + tap / kernel;
                int ix = ox * window->stride - window->pad_left + tap % kernel;
                if (iy < 0 || iy >= window->in_height || ix < 0 || ix >= window->in_width) continue;
                size_t in = ((size_t)iy * window->in_width + ix) * channels;
                size_t out = ((size_t)oy * window->out_width + ox) * channels;
                for (int c = 0; c < channels; c++) {
                    dx[in + c] += dy[out + c] * weight[c * taps + tap];
                    dweight[c * taps + tap] += dy[out + c] * x[in + c];
                }
            }
}
