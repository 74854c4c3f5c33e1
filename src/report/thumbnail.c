/* thumbnail.c - see thumbnail.h. */
#include "report/thumbnail.h"

#include "data/picture/jpeg_encode.h"
#include "data/sources/source.h"
#include "data/transform/resize.h"
#include "recipe/recipe.h"

#include <stdlib.h>
#include <string.h>

enum { QUALITY = 85, QUALITY_OF_FIELDS = 95, MATRIX_SIDE = 480 };

/* Made smaller, never larger: the browser does that. */
static effnet_status shrink(Picture *picture, int side, uint8_t **pixels, effnet_error *err) {
    int longer = picture->height > picture->width ? picture->height : picture->width;
    if (longer <= side) return EFFNET_OK;
    int height = (int)((int64_t)picture->height * side / longer),
        width = (int)((int64_t)picture->width * side / longer);
    if (height < 1) height = 1;
    if (width < 1) width = 1;
    Resizer resizer = {0};
    size_t count = 3 * (size_t)height * (size_t)width;
    float *levels = malloc(count * sizeof *levels);
    *pixels = malloc(count);
    effnet_status status =
        levels && *pixels ? EFFNET_OK : fail(err, EFFNET_ERROR_MEMORY, "no memory for a small picture");
    const ResizeOptions options = {
        .height = height, .width = width, .interpolation = INTERPOLATION_BICUBIC, .scale = {1, 1, 1}};
    const Box box = {.height = picture->height, .width = picture->width};
    if (status == EFFNET_OK)
        status = resize_box(&resizer, picture->pixels, 3 * (size_t)picture->width, box, &options, levels, err);
    for (size_t i = 0; status == EFFNET_OK && i < count; i++) (*pixels)[i] = (uint8_t)(levels[i] + 0.5f);
    if (status == EFFNET_OK) *picture = (Picture){.height = height, .width = width, .pixels = *pixels};
    resizer_release(&resizer);
    free(levels);
    return status;
}

static effnet_status encode(const Picture *picture, int quality, Thumbnail *out, effnet_error *err) {
    size_t capacity = 0;
    *out = (Thumbnail){.height = picture->height, .width = picture->width};
    effnet_status status = jpeg_encode(picture, quality, &out->jpeg, &capacity, &out->size, err);
    if (status == EFFNET_OK) return status;
    free(out->jpeg);
    out->jpeg = NULL;
    return status;
}

effnet_status thumbnail_make(const Dataset *dataset, int64_t index, int side, Thumbnail *out, effnet_error *err) {
    Decoder decoder = {.upright = true};
    Picture picture;
    uint8_t *pixels = NULL;
    *out = (Thumbnail){0};
    effnet_status status = dataset_read_with(dataset, index, &decoder, &picture, err);
    if (status == EFFNET_OK) status = shrink(&picture, side, &pixels, err);
    if (status == EFFNET_OK) status = encode(&picture, QUALITY, out, err);
    free(pixels);
    decoder_release(&decoder);
    return status;
}

effnet_status thumbnail_of_confusion(const int64_t *confusion, int classes, Thumbnail *out, effnet_error *err) {
    static const double right[3] = {15, 138, 109}, wrong[3] = {207, 58, 58};
    int cell = MATRIX_SIDE / classes, gap = cell > 6 ? 1 : 0;
    if (cell < 1) cell = 1;
    size_t side = (size_t)cell * (size_t)classes;
    Picture picture = {.height = (int)side, .width = (int)side, .pixels = malloc(3 * side * side)};
    if (!picture.pixels) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a matrix of %d classes", classes);
    memset(picture.pixels, 255, 3 * side * side);
    for (int row = 0; row < classes; row++) {
        const int64_t *counts = confusion + (size_t)row * (size_t)classes;
        int64_t of_row = 0;
        for (int c = 0; c < classes; c++) of_row += counts[c];
        for (int c = 0; c < classes; c++) {
            double share = of_row ? (double)counts[c] / (double)of_row : 0;
            double strength = counts[c] ? 0.15 + 0.85 * share : 0.04;
            for (int y = 0; y < cell - gap; y++)
                for (int x = 0; x < cell - gap; x++)
                    for (int k = 0; k < 3; k++)
                        picture.pixels[3 * ((size_t)(row * cell + y) * side + (size_t)(c * cell + x)) + (size_t)k] =
                            (uint8_t)(255 + strength * ((c == row ? right : wrong)[k] - 255) + 0.5);
        }
    }
    effnet_status status = encode(&picture, QUALITY_OF_FIELDS, out, err);
    free(picture.pixels);
    return status;
}
