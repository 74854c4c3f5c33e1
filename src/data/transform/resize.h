/* resize.h - a box of a picture to an input of normalised floats. Bilinear (triangle) and bicubic (Keys, a = -1/2), the
 * filter widened when shrinking, sampled at pixel centres and cut off at the box's edges: what Pillow makes of
 * picture.crop(box).resize(...), and so torchvision and timm, without its two roundings to 8 bits; TensorFlow keeps the
 * overshoot that Pillow clips. Internal to data/.
 */
#ifndef EFFNET_DATA_TRANSFORM_RESIZE_H
#define EFFNET_DATA_TRANSFORM_RESIZE_H

#include "base/error.h"
#include "data/picture/crop.h"

/* Buffers kept from one picture to the next; {0} is a new one. One thread at a time. */
typedef struct Resizer {
    void *block;
    size_t capacity;
} Resizer;

void resizer_release(Resizer *resizer);

typedef struct ResizeOptions {
    int height, width;       /* of the output */
    int interpolation;       /* recipe.h's choices */
    int method;              /* RESIZE_PILLOW, ...: whose way of resizing */
    bool keep_overshoot;     /* do not clip what bicubic makes below 0 and above 255 */
    bool flip;               /* left and right exchanged */
    float scale[3], bias[3]; /* output = level * scale + bias, per channel; level 0..255 */
} ResizeOptions;

/* A box that may begin and end between pixels: of a picture that was itself scaled. */
typedef struct FractionalBox {
    double top, left, height, width;
} FractionalBox;

/* pixels (rows, columns, 3) bytes, rows `stride` bytes apart; the window must lie inside. The pixels that it touches
 * count, others do not. out (height, width, 3). */
effnet_status resize_window(Resizer *resizer, const uint8_t *pixels, size_t stride, FractionalBox window,
                            const ResizeOptions *options, float *out, effnet_error *err);
/* pixels (height, width, 3) bytes, rows `stride` bytes apart; the box must lie inside. out
 * (options->height, options->width, 3). */
effnet_status resize_box(Resizer *resizer, const uint8_t *pixels, size_t stride, Box box, const ResizeOptions *options,
                         float *out, effnet_error *err);

/* The box resized to `resized.height` x `resized.width`, and of that options->height x options->width at
 * (resized.top, resized.left), which must lie inside; only what it needs is computed. out (height, width, 3). */
effnet_status resize_then_crop(Resizer *resizer, const uint8_t *pixels, size_t stride, Box box, ResizedCrop resized,
                               const ResizeOptions *options, float *out, effnet_error *err);

#endif
