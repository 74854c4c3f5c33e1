/* reference_conv.c - dense convolution; formula, shapes and source in reference.h.
 *
 * Backward: each product x*w of the forward sum sends dy*w to dx and dy*x to dw, so the loops are the same. The
 * innermost loop runs over input channels: contiguous in x, and in w for the 1x1 convolutions, which are the most. */
#include "reference/reference.h"

#include <math.h>

void reference_conv_forward(const Window *window, int in_channels, int out_channels, const real *x, const float *weight,
                            real *y) {
    const int kernel = window->kernel, taps = kernel * kernel;
    for (int oy = 0; oy < window->out_height; oy++)
        for (int ox = 0; ox < window->out_width; ox++)
            for (int o = 0; o < out_channels; o++) {
                real sum = 0;
                for (int tap = 0; tap < taps; tap++) {
                    int iy = oy * window->stride - window->pad_top + tap / kernel;
                    int ix = ox * window->stride - window->pad_left + tap % kernel;
                    if (iy < 0 || iy >= window->in_height || ix < 0 || ix >= window->in_width) continue;
                    const real *pixel = x + ((size_t)iy * window->in_width + ix) * in_channels;
                    const float *w = weight + (size_t)o * in_channels * taps + tap;
                    for (int i = 0; i < in_channels; i++) sum += pixel[i] * w[(size_t)i * taps];
                }
                y[((size_t)oy * window->out_width + ox) * out_channels + o] = sum;
            }
}

void reference_round_bytes(float *weight, int in_channels) {
    float largest = 0;
    for (int i = 0; i < in_channels; i++) largest = fmaxf(largest, fabsf(weight[i]));
    const float scale = largest / 127;
    for (int i = 0; i < in_channels && scale > 0; i++) weight[i] = scale * nearbyintf(weight[i] / scale);
}

void reference_conv_bytes_forward(size_t pixels, int in_channels, int out_channels, const real *x, const float *weight,
                                  real *y) {
    for (size_t p = 0; p < pixels; p++, x += in_channels, y += out_channels) {
        real low = 0, high = 0;
        for (int i = 0; i < in_channels; i++) {
            low = fmin(low, x[i]);
            high = fmax(high, x[i]);
        }
        const real step = high > low ? (high - low) / 255 : 1;
        for (int o = 0; o < out_channels; o++) {
            real sum = 0;
            for (int i = 0; i < in_channels; i++)
                sum += (low + step * nearbyint((x[i] - low) / step)) * weight[(size_t)o * in_channels + i];
            y[o] = sum;
        }
    }
}

void reference_conv_backward(const Window *window, int in_channels, int out_channels, const real *x,
                             const float *weight, const real *dy, real *dx, real *dweight) {
    const int kernel = window->kernel, taps = kernel * kernel;
    for (int oy = 0; oy < window->out_height; oy++)
        for (int ox = 0; ox < window->out_width; ox++)
            for (int tap = 0; tap < taps; tap++) {
                int iy = oy * window->stride - window->pad_top + tap / kernel;
                int ix = ox * window->stride - window->pad_left + tap % kernel;
                if (iy < 0 || iy >= window->in_height || ix < 0 || ix >= window->in_width) continue;
                const real *pixel = x + ((size_t)iy * window->in_width + ix) * in_channels;
                real *dpixel = dx + ((size_t)iy * window->in_width + ix) * in_channels;
                for (int o = 0; o < out_channels; o++) {
                    real d = dy[((size_t)oy * window->out_width + ox) * out_channels + o];
                    const float *w = weight + (size_t)o * in_channels * taps + tap;
                    real *dw = dweight + (size_t)o * in_channels * taps + tap;
                    for (int i = 0; i < in_channels; i++) {
                        dpixel[i] += d * w[(size_t)i * taps];
                        dw[(size_t)i * taps] += d * pixel[i];
                    }
                }
            }
}
