/* preprocess.c - picture -> canvas (pad_to) -> box (crop) -> the input's floats (resize, flip, normalise). With
 * augmentation, or where the recipe says so, these are 8-bit levels first, as its operations have them, then normalised,
 * then erased. Who normalises by itself (an accelerator) takes the levels.
 *
 * Canvas and box are rectangles in the picture's own coordinates that may reach over its edges, where pixels are black
 * (0 before normalisation). A box of the output's own size is copied straight into floats, edges and all: the way of
 * 28x28 and 32x32 pictures. Any other box is resized from where it lies, or, where it reaches over an edge, from a copy
 * with the black filled in.
 *
 * Resizing and augmentation are of three channels. An input of others is made of them three at a time: each group of
 * channels as a picture of its own, the last one filled up; one channel, a picture's luma or its own single sample, as
 * a grey picture of three equal ones, which is what Pillow does to a picture of mode L. */
#include "data/transform/preprocess.h"
#include "data/picture/crop.h"

#include <stdlib.h>
#include <string.h>

enum { STREAM_POLICY = 0x706F6C69, STREAM_ERASE = 0x65726173 }; /* "poli", "eras": apart from crop.h's draws */

void preprocess_from_recipe(const Recipe *recipe, TensorShape input, PreprocessOptions *out) {
    *out = (PreprocessOptions){
        .train_crop = recipe->train_crop,
        .crop_padding = (int)recipe->crop_padding,
        .hflip = recipe->hflip,
        .whole = recipe->levels == LEVELS_WHOLE,
    };
    evaluation_transform_from_recipe(recipe, input, &out->transform);
    memcpy(out->scale, recipe->scale, sizeof out->scale);
    memcpy(out->ratio, recipe->ratio, sizeof out->ratio);
}

PreprocessOptions preprocess_of_transform(const EvaluationTransform *transform) {
    PreprocessOptions options;
    Recipe recipe;
    recipe_defaults(&recipe);
    preprocess_from_recipe(&recipe, transform->input, &options);
    options.transform = *transform;
    return options;
}

effnet_status preprocess_augment_from_recipe(const Recipe *recipe, PreprocessOptions *out, effnet_error *err) {
    out->erase = (EraseOptions){.probability = recipe->reprob, .mode = recipe->remode, .most = (int)recipe->recount};
    return augment_policy_from_recipe(recipe, &out->policy, err);
}

static effnet_status check_transform(const EvaluationTransform *transform, effnet_error *err) {
    const int sides[] = {transform->input.height, transform->input.width};
    for (int i = 0; i < 2; i++)
        if (sides[i] < 1 || sides[i] > PICTURE_MAX_SIDE)
            return fail(err, EFFNET_ERROR_ARGUMENT, "resolution is %d; allowed are 1 to %d", sides[i],
                        (int)PICTURE_MAX_SIDE);
    if (transform->pad_to < 0 || transform->pad_to > PICTURE_MAX_SIDE)
        return fail(err, EFFNET_ERROR_ARGUMENT, "pad_to is %d; allowed are 0 to %d", transform->pad_to,
                    (int)PICTURE_MAX_SIDE);
    if (!(transform->crop_pct > 0 && transform->crop_pct <= 1))
        return fail(err, EFFNET_ERROR_ARGUMENT, "crop_pct is %g; wanted a share above 0, at most 1",
                    transform->crop_pct);
    if (transform->input.channels < 1 || transform->input.channels > MOST_CHANNELS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "in_chans is %d; allowed are 1 to %d", transform->input.channels,
                    (int)MOST_CHANNELS);
    for (int c = 0; c < transform->input.channels; c++)
        if (!(transform->std[c] > 0))
            return fail(err, EFFNET_ERROR_ARGUMENT, "std of channel %d is %g; every channel's must be above 0", c,
                        transform->std[c]);
    return EFFNET_OK;
}

effnet_status preprocess_check(const PreprocessOptions *options, effnet_error *err) {
    TRY(check_transform(&options->transform, err));
    if (options->crop_padding < 0 || options->crop_padding > PICTURE_MAX_SIDE)
        return fail(err, EFFNET_ERROR_ARGUMENT, "crop_padding is %d; allowed are 0 to %d", options->crop_padding,
                    (int)PICTURE_MAX_SIDE);
    if (!(options->scale[0] > 0 && options->scale[0] <= options->scale[1] && options->scale[1] <= 1))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "scale is [%g, %g]; wanted a lower and an upper share, above 0, at most 1", options->scale[0],
                    options->scale[1]);
    if (!(options->ratio[0] > 0 && options->ratio[0] <= options->ratio[1]))
        return fail(err, EFFNET_ERROR_ARGUMENT, "ratio is [%g, %g]; wanted a lower and an upper ratio, above 0",
                    options->ratio[0], options->ratio[1]);
    return EFFNET_OK;
}

void preprocess_release(PreprocessBuffers *buffers) {
    resizer_release(&buffers->resizer);
    free(buffers->region);
    free(buffers->group);
    free(buffers->made);
    for (int i = 0; i < 2; i++) free(buffers->levels[i]);
    *buffers = (PreprocessBuffers){0};
}

/* ---- which box ---- */

/* Moved from the canvas, whose place in the picture is given, to the picture. */
static PictureCrop in_picture(PictureCrop crop, Box canvas) {
    crop.box.top += canvas.top;
    crop.box.left += canvas.left;
    return crop;
}

PictureCrop preprocess_eval_crop(const EvaluationTransform *transform, int height, int width) {
    const Box canvas = crop_canvas(height, width, transform->pad_to);
    PictureCrop crop = {.box = {0, 0, canvas.height, canvas.width}};
    if (transform->val_crop == VAL_CROP_CENTER)
        crop.box = crop_center(canvas.height, canvas.width, transform->crop_pct, transform->input);
    else if (transform->val_crop == VAL_CROP_RESIZE_SHORTER)
        crop.resized = crop_of_resized(canvas.height, canvas.width, transform->crop_pct, transform->input);
    return in_picture(crop, canvas);
}

static Box choose_box(const PreprocessOptions *options, int height, int width, RandomKey key) {
    switch (options->train_crop) {
    case TRAIN_CROP_RANDOM_RESIZED:
        return crop_random_resized(height, width, options->scale, options->ratio, key);
    case TRAIN_CROP_PAD:
        return crop_padded(height, width, options->crop_padding, options->transform.input, key);
    case TRAIN_CROP_CENTER:
        return crop_center(height, width, options->transform.crop_pct, options->transform.input);
    default:
        return (Box){0, 0, height, width};
    }
}

PictureCrop preprocess_crop(const PreprocessOptions *options, int height, int width, const RandomKey *key) {
    if (!key) return preprocess_eval_crop(&options->transform, height, width);
    const Box canvas = crop_canvas(height, width, options->transform.pad_to);
    return in_picture((PictureCrop){.box = choose_box(options, canvas.height, canvas.width, *key)}, canvas);
}

bool preprocess_box_is_inside(const PreprocessOptions *options) {
    return options->transform.pad_to == 0 && options->train_crop != TRAIN_CROP_PAD;
}

/* ---- boxes without resizing ---- */

static int limited(int n, int low, int high) {
    return n < low ? low : n > high ? high : n;
}

/* count pixels (count, 3), reversed where `flip`. */
static void normalise_pixels(const uint8_t *restrict pixels, int count, bool flip, const float *scale,
                             const float *bias, float *restrict out) {
    float s0 = scale[0], s1 = scale[1], s2 = scale[2], b0 = bias[0], b1 = bias[1], b2 = bias[2];
    if (flip) {
        for (int x = 0; x < count; x++) {
            const uint8_t *pixel = pixels + 3 * (count - 1 - x);
            out[3 * x] = (float)pixel[0] * s0 + b0;
            out[3 * x + 1] = (float)pixel[1] * s1 + b1;
            out[3 * x + 2] = (float)pixel[2] * s2 + b2;
        }
        return;
    }
    for (int x = 0; x < count; x++) {
        out[3 * x] = (float)pixels[3 * x] * s0 + b0;
        out[3 * x + 1] = (float)pixels[3 * x + 1] * s1 + b1;
        out[3 * x + 2] = (float)pixels[3 * x + 2] * s2 + b2;
    }
}

static void fill_black(float *out, int count, const float *bias) {
    for (int x = 0; x < count; x++)
        for (int c = 0; c < 3; c++) out[3 * x + c] = bias[c];
}

/* The box's own pixels as floats, black where it reaches over an edge. */
static void copy_box(const Picture *picture, Box box, const ResizeOptions *options, float *out) {
    int from = limited(-box.left, 0, box.width), to = limited(picture->width - box.left, from, box.width);
    int before = options->flip ? box.width - to : from, count = to - from;
    for (int y = 0; y < box.height; y++) {
        float *row = out + (size_t)y * 3 * (size_t)box.width;
        int source = box.top + y;
        if (source < 0 || source >= picture->height || !count) {
            fill_black(row, box.width, options->bias);
            continue;
        }
        const uint8_t *pixels =
            picture->pixels + 3 * ((size_t)source * (size_t)picture->width + (size_t)(box.left + from));
        fill_black(row, before, options->bias);
        normalise_pixels(pixels, count, options->flip, options->scale, options->bias, row + 3 * before);
        fill_black(row + 3 * (before + count), box.width - before - count, options->bias);
    }
}

/* ---- boxes with resizing ---- */

static bool box_is_inside(const Picture *picture, Box box) {
    return box.top >= 0 && box.left >= 0 && box.top + box.height <= picture->height &&
           box.left + box.width <= picture->width;
}

/* buffers->region = the box's bytes, black where it reaches over an edge. */
static effnet_status extract(const Picture *picture, Box box, PreprocessBuffers *buffers, effnet_error *err) {
    size_t stride = 3 * (size_t)box.width, needed = stride * (size_t)box.height;
    if (needed > buffers->region_capacity) {
        free(buffers->region);
        buffers->region_capacity = 0;
        buffers->region = malloc(needed);
        if (!buffers->region) return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu bytes) to pad a picture", needed);
        buffers->region_capacity = needed;
    }
    memset(buffers->region, 0, needed);
    int from = limited(-box.left, 0, box.width), to = limited(picture->width - box.left, from, box.width);
    int top = limited(-box.top, 0, box.height), bottom = limited(picture->height - box.top, top, box.height);
    for (int y = top; to > from && y < bottom; y++)
        memcpy(buffers->region + (size_t)y * stride + 3 * (size_t)from,
               picture->pixels + 3 * ((size_t)(box.top + y) * (size_t)picture->width + (size_t)(box.left + from)),
               3 * (size_t)(to - from));
    return EFFNET_OK;
}

/* ---- all together ---- */

/* A box of the whole in the pixels of a region that is scaled. */
static effnet_status resize_scaled(const Region *region, Box box, const ResizeOptions *resize,
                                   PreprocessBuffers *buffers, float *out, effnet_error *err) {
    double scale = region->eighths / 8.0;
    const FractionalBox window = {.top = box.top * scale - region->top,
                                  .left = box.left * scale - region->left,
                                  .height = box.height * scale,
                                  .width = box.width * scale};
    return resize_window(&buffers->resizer, region->picture.pixels, 3 * (size_t)region->picture.width, window, resize,
                         out, err);
}

/* The region's crop, resized. */
static effnet_status crop_and_resize(const Region *region, const ResizeOptions *resize, PreprocessBuffers *buffers,
                                     float *out, effnet_error *err) {
    const Picture *picture = &region->picture;
    const ResizedCrop *resized = &region->crop.resized;
    const bool first_resized = resized->height > 0; /* and cropped then */
    Box box = region->crop.box;
    if (region->eighths != 8) return resize_scaled(region, box, resize, buffers, out, err);
    box.top -= region->top;
    box.left -= region->left;
    if (!first_resized && box.height == resize->height && box.width == resize->width) {
        copy_box(picture, box, resize, out);
        return EFFNET_OK;
    }
    size_t stride = 3 * (size_t)picture->width;
    const uint8_t *pixels = picture->pixels;
    if (!box_is_inside(picture, box)) {
        TRY(extract(picture, box, buffers, err));
        pixels = buffers->region;
        stride = 3 * (size_t)box.width;
        box.top = box.left = 0;
    }
    if (!first_resized) return resize_box(&buffers->resizer, pixels, stride, box, resize, out, err);
    return resize_then_crop(&buffers->resizer, pixels, stride, box, *resized, resize, out, err);
}

static effnet_status reserve_levels(PreprocessBuffers *buffers, size_t needed, effnet_error *err) {
    if (needed <= buffers->level_capacity) return EFFNET_OK;
    buffers->level_capacity = 0;
    for (int i = 0; i < 2; i++) {
        free(buffers->levels[i]);
        buffers->levels[i] = malloc(needed);
    }
    if (!buffers->levels[0] || !buffers->levels[1])
        return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu bytes) to augment a picture", 2 * needed);
    buffers->level_capacity = needed;
    return EFFNET_OK;
}

static void floats_to_levels(const float *restrict from, size_t count, float half, uint8_t *restrict to) {
    for (size_t i = 0; i < count; i++) {
        float level = from[i] + half;
        level = level > 0 ? level : 0;
        to[i] = (uint8_t)(int)(level < 255 ? level : 255);
    }
}

static effnet_status reserve_made(PreprocessBuffers *buffers, size_t floats, effnet_error *err) {
    if (floats <= buffers->made_capacity) return EFFNET_OK;
    free(buffers->made);
    buffers->made_capacity = 0;
    buffers->made = malloc(floats * sizeof *buffers->made);
    if (!buffers->made) return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu floats) for channels", floats);
    buffers->made_capacity = floats;
    return EFFNET_OK;
}

/* The crop's three channels as whole levels, augmented: buffers->levels[0]. Before operations TensorFlow casts, which
 * cuts off; Pillow, whose pictures are bytes, rounds. */
static effnet_status make_levels(const AugmentPolicy *policy, const Region *region, RandomKey key,
                                 const ResizeOptions *resize, PreprocessBuffers *buffers, effnet_error *err) {
    const size_t floats = 3 * (size_t)resize->height * (size_t)resize->width;
    const bool empty = augment_policy_is_empty(policy);
    ResizeOptions plain = *resize;
    for (int c = 0; c < 3; c++) {
        plain.scale[c] = 1;
        plain.bias[c] = 0;
    }
    TRY(reserve_levels(buffers, floats, err));
    TRY(reserve_made(buffers, floats, err));
    TRY(crop_and_resize(region, &plain, buffers, buffers->made, err));
    floats_to_levels(buffers->made, floats, empty || policy->reference == AA_OPS_PILLOW ? 0.5f : 0, buffers->levels[0]);
    if (empty) return EFFNET_OK;
    Picture whole = {.height = resize->height, .width = resize->width, .pixels = buffers->levels[0]};
    augment_policy_apply(policy, random_fold_in(key, STREAM_POLICY), &whole, &buffers->levels[1]);
    buffers->levels[0] = whole.pixels;
    return EFFNET_OK;
}

/* Of three channels from `first` on; where the input has no more, its last one's numbers. */
static ResizeOptions resize_options(const EvaluationTransform *transform, int first, bool flip) {
    ResizeOptions resize = {.height = transform->input.height,
                            .width = transform->input.width,
                            .interpolation = transform->interpolation,
                            .method = transform->resize,
                            .keep_overshoot = transform->overshoot == OVERSHOOT_KEEP,
                            .flip = flip};
    double scale[MOST_CHANNELS], bias[MOST_CHANNELS];
    evaluation_transform_levels(transform, scale, bias);
    for (int c = 0; c < 3; c++) {
        const int channel = first + c < transform->input.channels ? first + c : transform->input.channels - 1;
        resize.scale[c] = (float)scale[channel];
        resize.bias[c] = (float)bias[channel];
    }
    return resize;
}

/* ITU-R 601 luma as Pillow's convert("L") has it (libImaging/Convert.c): 16-bit fixed point, rounded. */
static uint8_t luma(const uint8_t *rgb) {
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

/* buffers->group = three channels of `picture` from `first` on, or its luma three times. */
static effnet_status take_group(const Picture *picture, int wanted, int first, PreprocessBuffers *buffers,
                                effnet_error *err) {
    const size_t count = (size_t)picture->height * (size_t)picture->width;
    const int channels = picture_channels(picture);
    const bool grey = wanted == 1 && channels == 3;
    if (3 * count > buffers->group_capacity) {
        free(buffers->group);
        buffers->group_capacity = 0;
        buffers->group = malloc(3 * count);
        if (!buffers->group) return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu bytes) for channels", 3 * count);
        buffers->group_capacity = 3 * count;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = picture->pixels + i * (size_t)channels;
        uint8_t *to = buffers->group + 3 * i;
        if (grey) to[0] = to[1] = to[2] = luma(from);
        for (int c = 0; !grey && c < 3; c++) to[c] = from[first + c < channels ? first + c : channels - 1];
    }
    return EFFNET_OK;
}

/* How an input is made of a region: of training with whole levels, by `augmented`, else NULL. */
typedef struct Making {
    const EvaluationTransform *transform;
    const PreprocessOptions *augmented;
    RandomKey key;
    bool flip;
} Making;

/* The picture as bytes or as floats: one of the two. */
typedef struct Made {
    float *floats;
    uint8_t *levels;
} Made;

/* One picture of three channels; as floats where those are wanted or there are no levels. */
static effnet_status make_three(const Making *making, const Region *region, const ResizeOptions *resize,
                                PreprocessBuffers *buffers, float *out, effnet_error *err) {
    if (!making->augmented) return crop_and_resize(region, resize, buffers, out, err);
    TRY(make_levels(&making->augmented->policy, region, making->key, resize, buffers, err));
    if (out)
        normalise_pixels(buffers->levels[0], resize->height * resize->width, false, resize->scale, resize->bias, out);
    return EFFNET_OK;
}

/* The region to `out` (the input), whatever its channels. */
static effnet_status make_input(const Making *making, const Region *region, PreprocessBuffers *buffers, Made out,
                                effnet_error *err) {
    const TensorShape input = making->transform->input;
    const int channels = picture_channels(&region->picture);
    const size_t pixels = (size_t)input.height * (size_t)input.width, step = (size_t)input.channels;
    if (channels != input.channels && !(input.channels == 1 && channels == 3))
        return fail(err, EFFNET_ERROR_FORMAT, "a picture has %d channels and in_chans is %d", channels, input.channels);
    if (input.channels == 3) {
        const ResizeOptions resize = resize_options(making->transform, 0, making->flip);
        TRY(make_three(making, region, &resize, buffers, out.floats, err));
        if (out.levels) memcpy(out.levels, buffers->levels[0], 3 * pixels);
        return EFFNET_OK;
    }
    TRY(reserve_made(buffers, 3 * pixels, err));
    for (int first = 0; first < input.channels; first += 3) {
        const ResizeOptions resize = resize_options(making->transform, first, making->flip);
        Region group = *region;
        TRY(take_group(&region->picture, input.channels, first, buffers, err));
        group.picture.pixels = buffers->group;
        group.picture.channels = 3;
        TRY(make_three(making, &group, &resize, buffers, out.floats ? buffers->made : NULL, err));
        for (size_t c = 0; c < 3 && (size_t)first + c < step; c++)
            for (size_t i = 0; i < pixels; i++) {
                const size_t to = i * step + (size_t)first + c;
                if (out.floats) out.floats[to] = buffers->made[3 * i + c];
                if (out.levels) out.levels[to] = buffers->levels[0][3 * i + c];
            }
    }
    return EFFNET_OK;
}

static bool has_levels(const PreprocessOptions *options) {
    return options->whole || !augment_policy_is_empty(&options->policy);
}

/* `key` NULL: evaluation. */
static Making making_of(const PreprocessOptions *options, const RandomKey *key) {
    if (!key) return (Making){.transform = &options->transform};
    return (Making){.transform = &options->transform,
                    .augmented = has_levels(options) ? options : NULL,
                    .key = *key,
                    .flip = crop_flips(options->hflip, *key)};
}

bool preprocess_gives_levels(const PreprocessOptions *options) {
    return has_levels(options) && !(options->erase.probability > 0);
}

effnet_status preprocess_region_levels(const PreprocessOptions *options, const Region *region, RandomKey key,
                                       PreprocessBuffers *buffers, uint8_t *out, effnet_error *err) {
    const Making making = making_of(options, &key);
    if (!preprocess_gives_levels(options))
        return fail(err, EFFNET_ERROR_ARGUMENT, "the levels of pictures that are not whole, or that are erased");
    return make_input(&making, region, buffers, (Made){.levels = out}, err);
}

effnet_status preprocess_region(const PreprocessOptions *options, const Region *region, const RandomKey *key,
                                PreprocessBuffers *buffers, float *out, effnet_error *err) {
    const Making making = making_of(options, key);
    TRY(make_input(&making, region, buffers, (Made){.floats = out}, err));
    if (key && options->erase.probability > 0)
        augment_erase(&options->erase, random_fold_in(*key, STREAM_ERASE), options->transform.input, out);
    return EFFNET_OK;
}

effnet_status preprocess_picture(const PreprocessOptions *options, const Picture *picture, const RandomKey *key,
                                 PreprocessBuffers *buffers, float *out, effnet_error *err) {
    const Region whole = region_of_picture(picture, preprocess_crop(options, picture->height, picture->width, key));
    return preprocess_region(options, &whole, key, buffers, out, err);
}

effnet_status preprocess_train(const PreprocessOptions *options, const Picture *picture, RandomKey key, float *out,
                               effnet_error *err) {
    PreprocessBuffers buffers = {0};
    effnet_status status = preprocess_check(options, err);
    if (status == EFFNET_OK) status = preprocess_picture(options, picture, &key, &buffers, out, err);
    preprocess_release(&buffers);
    return status;
}

effnet_status preprocess_eval(const EvaluationTransform *transform, const Picture *picture, float *out,
                              effnet_error *err) {
    PreprocessBuffers buffers = {0};
    TRY(check_transform(transform, err));
    const Region whole = region_of_picture(picture, preprocess_eval_crop(transform, picture->height, picture->width));
    const Making making = {.transform = transform};
    effnet_status status = make_input(&making, &whole, &buffers, (Made){.floats = out}, err);
    preprocess_release(&buffers);
    return status;
}
