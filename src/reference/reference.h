/* reference.h - the specification: what every operation computes, forward and backward, in plain loops.
 *
 * One file an operation, reference_<op>.c, each at most a screen; docs/maths.md derives the formulas. Every faster
 * kernel of this project is held to these functions, and these are held to finite differences.
 *
 * Numbers: activations and their gradients are double ("real") throughout; parameters are read as the fp32 they are
 * stored in. So the only rounding to fp32 is at an engine's outputs: logits, parameter gradients, running statistics.
 * Layouts: activations (H, W, C) an image, channels innermost; convolution weights (O, I, K, K), depthwise (C, 1, K,
 * K), dense (O, I), as timm and PyTorch store them. Names: x input, y output; dx is the gradient of the loss with
 * respect to x. Rule: forward overwrites its outputs, backward ADDS to every gradient that it makes (a tensor may feed
 * two operations, a weight sees many images), so the caller begins with zeros. Batch norm, which sees the whole batch,
 * sets dscale and dbias instead. Every function but batch norm's works on one image: a batch is a loop over images. */
#ifndef EFFNET_REFERENCE_REFERENCE_H
#define EFFNET_REFERENCE_REFERENCE_H

#include "model/network.h"

typedef double real;

/* A K x K window that slides over an image. Output (oy, ox) sees input rows oy*stride - pad_top + 0..kernel-1 and the
 * columns likewise; what lies outside the image is zero, on all four sides. */
typedef struct Window {
    int in_height, in_width, out_height, out_width;
    int kernel, stride, pad_top, pad_left;
} Window;

/* Dense convolution without bias.
 *   y[oy,ox,o] = sum over ky,kx,i of x[oy*s - pt + ky, ox*s - pl + kx, i] * w[o,i,ky,kx]
 * x (H,W,I), weight (O,I,K,K), y (OH,OW,O). Source: torch.nn.functional.conv2d, tf.nn.conv2d (cross-correlation). */
void reference_conv_forward(const Window *window, int in_channels, int out_channels, const real *x, const float *weight,
                            real *y);
/* A 1x1 convolution in int8, dynamically quantised (as kernels/gemm_int8.c has it): each output channel's weights in
 * 255 steps around zero, each pixel in 256 steps over its own range, zero included.
 *   w = scale round(w / scale), scale = max |w| / 127;   x = low + step round((x - low) / step), step = (high - low) /
 * 255 x (pixels, in_channels), weight (out_channels, in_channels) as reference_round_bytes leaves it, y (pixels,
 * out_channels) */
void reference_conv_bytes_forward(size_t pixels, int in_channels, int out_channels, const real *x, const float *weight,
                                  real *y);
/* The weights of one output channel, in place. */
void reference_round_bytes(float *weight, int in_channels);
void reference_conv_backward(const Window *window, int in_channels, int out_channels, const real *x,
                             const float *weight, const real *dy, real *dx, real *dweight);

/* Depthwise convolution without bias: each channel has its own K x K filter.
 *   y[oy,ox,c] = sum over ky,kx of x[oy*s - pt + ky, ox*s - pl + kx, c] * w[c,0,ky,kx]
 * x (H,W,C), weight (C,1,K,K), y (OH,OW,C). Source: Sandler et al., MobileNetV2, arXiv 1801.04381. */
void reference_depthwise_forward(const Window *window, int channels, const real *x, const float *weight, real *y);
void reference_depthwise_backward(const Window *window, int channels, const real *x, const float *weight,
                                  const real *dy, real *dx, real *dweight);

/* sigmoid(x) = 1 / (1 + exp(-x)); activations: NONE x, SWISH x*sigmoid(x) (Ramachandran et al., arXiv 1710.05941),
 * RELU6 min(max(x, 0), 6), whose slope is 0 at both corners (as PyTorch and TensorFlow have it). NaN stays NaN. */
real reference_sigmoid(real x);
real reference_activate(Activation activation, real x);
real reference_activation_slope(Activation activation, real x);

/* Batch normalisation with its activation, over a whole batch of rows = N*H*W, for channels first..last-1 of
 * `channels` (so that channels can be shared among threads; each is independent).
 *   y = activation(z),  z = (x - mean) / sqrt(variance + eps) * scale + bias
 * x, y (rows,C); mean, variance, scale, bias (C). In training mean and variance are the batch's own (biased variance)
 * and the gradient flows through them; in evaluation they are the running ones.
 * Source: Ioffe and Szegedy, arXiv 1502.03167, algorithm 1; torch.nn.BatchNorm2d, tf.nn.fused_batch_norm. */
typedef struct BatchNorm {
    size_t rows;
    int channels, first, last;
    real eps;
    Activation activation;
} BatchNorm;
void reference_batch_norm_statistics(const BatchNorm *norm, const real *x, real *mean, real *variance);
void reference_batch_norm_forward(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                                  const float *scale, const float *bias, real *y);
void reference_batch_norm_backward(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                                   const float *scale, const float *bias, const real *dy, real *dx, real *dscale,
                                   real *dbias);
/* Its two halves: dscale and dbias from these rows; and dx from the sums of them over all of the batch's `total` rows,
 * of which these may be a part. */
void reference_batch_norm_sums(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                               const float *scale, const float *bias, const real *dy, real *dscale, real *dbias);
void reference_batch_norm_input_gradient(const BatchNorm *norm, const real *x, const real *mean, const real *variance,
                                         const float *scale, const float *bias, const real *dy, real total,
                                         const real *dscale, const real *dbias, real *dx);
/* running = momentum * running + (1 - momentum) * batch, rounded to fp32; the variance counts rows-1 where `unbiased`
 * (PyTorch and TensorFlow's fused kernel; Flax counts rows). */
void reference_batch_norm_update(const BatchNorm *norm, const real *mean, const real *variance, real momentum,
                                 bool unbiased, float *running_mean, float *running_variance);

/* Squeeze and excitation: a gate for each channel, from the mean over the image.
 *   m = mean of x over H,W;  r = Wr m + br;  e = We activation(r) + be;  y = x * sigmoid(e)
 * x, y (pixels,C); reduce_weight (R,C,1,1), expand_weight (C,R,1,1). `saved` holds what backward needs:
 * reference_squeeze_excite_saved() reals an image. Source: Hu et al., arXiv 1709.01507, equations 2 to 4, with swish
 * inside as EfficientNet has it. */
typedef struct SqueezeExcite {
    size_t pixels;
    int channels, squeezed;
    Activation activation;
    const float *reduce_weight, *reduce_bias, *expand_weight, *expand_bias;
} SqueezeExcite;
typedef struct SqueezeExciteGradient {
    real *reduce_weight, *reduce_bias, *expand_weight, *expand_bias;
} SqueezeExciteGradient;
size_t reference_squeeze_excite_saved(int channels, int squeezed);
void reference_squeeze_excite_forward(const SqueezeExcite *se, const real *x, real *saved, real *y);
void reference_squeeze_excite_backward(const SqueezeExcite *se, const real *x, real *saved, const real *dy, real *dx,
                                       const SqueezeExciteGradient *gradient);

/* y = x * scale + residual, scale 0 or 1/keep for this image (stochastic depth; Huang et al., arXiv 1603.09382, scaled
 * in training as TensorFlow's and timm's drop_path). */
void reference_residual_forward(size_t count, const real *x, const real *residual, real scale, real *y);
void reference_residual_backward(size_t count, const real *dy, real scale, real *dx, real *dresidual);

/* y[c] = mean over the pixels of x[.,c]. x (pixels,C), y (C). */
void reference_global_pool_forward(size_t pixels, int channels, const real *x, real *y);
void reference_global_pool_backward(size_t pixels, int channels, const real *dy, real *dx);

/* y[i] = x[i] * scale[i], scale 0 or 1/keep; NULL: ones. Source: Srivastava et al., JMLR 15 (2014), inverted. */
void reference_dropout_forward(int features, const real *x, const float *scale, real *y);
void reference_dropout_backward(int features, const real *dy, const float *scale, real *dx);

/* y = W x + b. x (in), weight (out,in), y (out). */
void reference_dense_forward(int in, int out, const real *x, const float *weight, const float *bias, real *y);
void reference_dense_backward(int in, int out, const real *x, const float *weight, const real *dy, real *dx,
                              real *dweight, real *dbias);

#endif
