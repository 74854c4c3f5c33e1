/* xla_taps.h - a depthwise convolution as numbers, between the ways to write it: as the compiler's own convolutions or as
 * sums of shifted maps (xla_depthwise.c), or as calls of kernels of our own (xla_cuda_depthwise.c). */
#ifndef EFFNET_BACKEND_XLA_XLA_TAPS_H
#define EFFNET_BACKEND_XLA_XLA_TAPS_H

#include "backend/xla/xla_network.h"

typedef struct Taps {
    int kernel, stride;
    int64_t images, in[2], out[2], channels; /* in, out: height and width */
    int pad[2][2];                           /* zeros before and behind the input, along each */
} Taps;

/* By kernels for NVIDIA GPUs (depthwise.cu), of options->kernels. kernel: the parameter, (C, 1, K, K) in f32. False: not
 * written, as there is no compiler of kernels, it failed (xla_network's kernel_error says why), or channels are odd. */
bool xla_cuda_depthwise_forward(XlaNetwork *net, const Taps *taps, HloValue x, HloValue kernel, HloValue *y);
bool xla_cuda_depthwise_backward(XlaNetwork *net, const Taps *taps, HloValue x, HloValue dy, HloValue kernel,
                                 HloValue *dx, HloValue *kernel_gradient);

#endif
