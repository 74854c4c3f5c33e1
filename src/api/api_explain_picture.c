/* api_explain_picture.c - a class activation map (api_explain.c) drawn over the picture that it is of: yellow where the class
 * is seen, red where most, the picture's own colours where it is not; dark what the crop leaves out. */
#include "api/handles.h"

#include "data/picture/crop.h"
#include "data/picture/decode.h"
#include "data/picture/picture_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 1024 }; /* larger pictures are drawn smaller */
static const double strength = 0.65, dark = 0.35;

/* The part of the picture that becomes the network's input, in its pixels. */
typedef struct Window {
    double top, left, height, width;
} Window;

static Window find_window(const effnet_model *model, const Picture *picture) {
    const EvaluationTransform *transform = &model->card.transform;
    const PictureCrop crop = preprocess_eval_crop(transform, picture->height, picture->width);
    const Window whole = {crop.box.top, crop.box.left, crop.box.height, crop.box.width};
    if (crop.resized.height == 0) return whole;
    const double down = whole.height / crop.resized.height, across = whole.width / crop.resized.width;
    return (Window){whole.top + crop.resized.top * down, whole.left + crop.resized.left * across,
                    transform->input.height * down, transform->input.width * across};
}

typedef struct Drawing {
    const Picture *from;
    Picture *to;
    Window window;
    const float *map; /* (height, width) */
    int height, width;
    double largest; /* of the map */
} Drawing;

/* The mean of the pixels that one of the drawing's covers. */
static void average_pixel(const Drawing *drawing, int y, int x, double rgb[3]) {
    const Picture *from = drawing->from, *to = drawing->to;
    const int top = (int)((int64_t)y * from->height / to->height), left = (int)((int64_t)x * from->width / to->width);
    int bottom = (int)((int64_t)(y + 1) * from->height / to->height);
    int right = (int)((int64_t)(x + 1) * from->width / to->width);
    if (bottom == top) bottom++;
    if (right == left) right++;
    const size_t channels = (size_t)picture_channels(from);
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (int i = top; i < bottom; i++)
        for (int j = left; j < right; j++)
            for (size_t c = 0; c < 3; c++) /* of fewer than three channels the first one is grey */
                rgb[c] +=
                    from->pixels[channels * ((size_t)i * (size_t)from->width + (size_t)j) + (channels < 3 ? 0 : c)];
    for (int c = 0; c < 3; c++) rgb[c] /= (double)(bottom - top) * (right - left);
}

/* Between the map's places, each in the middle of its part of the window; down and across in places. */
static double interpolate(const Drawing *drawing, double down, double across) {
    const double y = fmin(fmax(down - 0.5, 0), drawing->height - 1),
                 x = fmin(fmax(across - 0.5, 0), drawing->width - 1);
    const int top = (int)y, left = (int)x;
    const int bottom = top + (top + 1 < drawing->height), right = left + (left + 1 < drawing->width);
    const double low = y - top, far = x - left;
    const float *upper = drawing->map + (size_t)top * (size_t)drawing->width;
    const float *lower = drawing->map + (size_t)bottom * (size_t)drawing->width;
    return (1 - low) * ((1 - far) * (double)upper[left] + far * (double)upper[right]) +
           low * ((1 - far) * (double)lower[left] + far * (double)lower[right]);
}

static void draw_pixel(const Drawing *drawing, int y, int x) {
    const Window *window = &drawing->window;
    uint8_t *pixel = drawing->to->pixels + 3 * ((size_t)y * (size_t)drawing->to->width + (size_t)x);
    double rgb[3];
    average_pixel(drawing, y, x, rgb);
    const double down = ((y + 0.5) * drawing->from->height / drawing->to->height - window->top) / window->height;
    const double across = ((x + 0.5) * drawing->from->width / drawing->to->width - window->left) / window->width;
    const bool seen = down >= 0 && down < 1 && across >= 0 && across < 1;
    double share = 0;
    if (seen && drawing->largest > 0)
        share = fmax(interpolate(drawing, down * drawing->height, across * drawing->width), 0) / drawing->largest;
    const double heat[3] = {255, 255 * (1 - share), 0}, alpha = strength * share;
    for (int c = 0; c < 3; c++)
        pixel[c] = (uint8_t)(0.5 + (seen ? (1 - alpha) * rgb[c] + alpha * heat[c] : dark * rgb[c]));
}

static effnet_status draw(const effnet_model *model, const Picture *picture, const float *map, const int shape[3],
                          Picture *out, effnet_error *err) {
    const int longer = picture->height > picture->width ? picture->height : picture->width;
    const double shrink = longer > LONGEST ? (double)LONGEST / longer : 1;
    *out = (Picture){.height = (int)fmax(1, picture->height * shrink), .width = (int)fmax(1, picture->width * shrink)};
    out->pixels = malloc(3 * (size_t)out->height * (size_t)out->width);
    if (!out->pixels) return fail(err, EFFNET_ERROR_MEMORY, "no memory to draw a picture");
    Drawing drawing = {.from = picture,
                       .to = out,
                       .window = find_window(model, picture),
                       .map = map,
                       .height = shape[0],
                       .width = shape[1]};
    for (int i = 0; i < shape[0] * shape[1]; i++) drawing.largest = fmax(drawing.largest, (double)map[i]);
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++) draw_pixel(&drawing, y, x);
    return EFFNET_OK;
}

effnet_status effnet_explain_save(effnet_model *model, const effnet_picture *picture, int class_index, const char *path,
                                  effnet_prediction *of, effnet_error *error) {
    int shape[3];
    NEED(model);
    NEED(picture);
    NEED(path);
    TRY(effnet_model_feature(model, "reduction_5", shape, error));
    float *map = calloc((size_t)shape[0] * (size_t)shape[1], sizeof *map);
    if (!map) return fail(error, EFFNET_ERROR_MEMORY, "no memory for a map of %d x %d", shape[0], shape[1]);
    Decoder decoder = {0};
    Picture decoded, drawn = {0};
    effnet_status status = model_decode(model, picture, "the picture", &decoder, &decoded, error);
    if (status == EFFNET_OK) {
        const effnet_picture pixels = {.pixels = decoded.pixels, .width = decoded.width, .height = decoded.height};
        const bool same =
            picture_channels(&decoded) == model->card.transform.input.channels; /* else its luma is seen */
        status = effnet_explain(model, same ? &pixels : picture, class_index, map, of, error);
    }
    if (status == EFFNET_OK) status = draw(model, &decoded, map, shape, &drawn, error);
    if (status == EFFNET_OK) status = picture_write(&drawn, path, error);
    decoder_release(&decoder);
    picture_free(&drawn);
    free(map);
    return status;
}
