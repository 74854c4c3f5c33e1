/* api_golden.c - see golden.h. The picture has what resizing and colour can get wrong: a ramp of red across and of green
 * down, blue squares with hard edges, a disc off the middle, and no symmetry. Of other channels each takes the next of
 * these three, lighter by its number. A PNG is made of one and of three channels; files of others have no golden picture,
 * but for C, which has its pixels. */
#include "api/golden.h"

#include "base/base64.h"
#include "data/picture/decode.h"
#include "data/picture/picture_write.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 160, HEIGHT = 120, SQUARE = 9, DISC_X = 100, DISC_Y = 45, DISC_RADIUS = 30 };

void golden_free(Golden *golden) {
    picture_free(&golden->picture);
    free(golden->png);
    free(golden->logits);
    *golden = (Golden){0};
}

static void draw(uint8_t *pixels, int channels) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *pixel = pixels + channels * (y * WIDTH + x);
            const int across = x - DISC_X, down = y - DISC_Y;
            const bool disc = across * across + down * down < DISC_RADIUS * DISC_RADIUS;
            const int colours[3] = {disc ? 250 : x * 255 / (WIDTH - 1), disc ? 200 - y : y * 255 / (HEIGHT - 1),
                                    (x / SQUARE + y / SQUARE) % 2 ? 220 : 30};
            for (int c = 0; c < channels; c++) pixel[c] = (uint8_t)(colours[c % 3] + c / 3); /* 250 + 5 at most */
        }
}

/* A grey picture as three equal channels, or back. */
static effnet_status with_channels(const Picture *from, int channels, Picture *out, effnet_error *err) {
    const size_t count = (size_t)from->height * (size_t)from->width, step = (size_t)picture_channels(from);
    *out = (Picture){.height = from->height, .width = from->width, .channels = channels};
    out->pixels = malloc(count * (size_t)channels);
    if (!out->pixels) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the golden picture");
    for (size_t i = 0; i < count; i++)
        memset(out->pixels + i * (size_t)channels, from->pixels[i * step], (size_t)channels);
    return EFFNET_OK;
}

static effnet_status encode(Golden *golden, effnet_error *err) {
    const int channels = picture_channels(&golden->picture);
    Picture spread;
    char *bytes = NULL;
    if (channels != 1 && channels != 3) return EFFNET_OK;
    if (channels == 1) {
        TRY(with_channels(&golden->picture, 3, &spread, err));
        Golden colours = {.picture = spread};
        effnet_status status = encode(&colours, err);
        golden->png = colours.png;
        golden->png_size = colours.png_size;
        picture_free(&spread);
        return status;
    }
    FILE *stream = open_memstream(&bytes, &golden->png_size);
    if (!stream) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the golden picture");
    effnet_status status = picture_write_png(&golden->picture, "the golden picture", stream, err);
    if (fclose(stream) != 0 && status == EFFNET_OK)
        status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the golden picture");
    golden->png = (uint8_t *)bytes;
    return status;
}

effnet_status golden_run(const effnet_model *model, bool int8, const Picture *picture, float *logits,
                         effnet_error *err) {
    const int channels = model->card.transform.input.channels;
    if (channels == 1 && picture_channels(picture) == 3) { /* as read from a PNG: three equal channels */
        Picture grey;
        TRY(with_channels(picture, 1, &grey, err));
        effnet_status grey_status = golden_run(model, int8, &grey, logits, err);
        picture_free(&grey);
        return grey_status;
    }
    if (picture_channels(picture) != channels)
        return fail(err, EFFNET_ERROR_FORMAT, "the golden picture has %d channels and the model takes %d",
                    picture_channels(picture), channels);
    effnet_model plain = *model; /* the same weights and threads, states of its own */
    plain.bytes = int8 ? model->bytes : NULL;
    plain.dtype = (Dtype){.int8 = int8 && !plain.bytes};
    plain.device = NULL;
    plain.idle = NULL;
    const effnet_picture given = {.pixels = picture->pixels, .height = picture->height, .width = picture->width};
    const effnet_outputs outputs = {.struct_size = sizeof outputs, .logits = logits};
    effnet_status status = effnet_run(&plain, &given, 1, &outputs, err);
    model_states_free(&plain);
    return status;
}

effnet_status golden_make(const effnet_model *model, bool int8, Golden *out, effnet_error *err) {
    const int channels = model->card.transform.input.channels;
    *out = (Golden){.picture = {.height = HEIGHT,
                                .width = WIDTH,
                                .pixels = malloc((size_t)channels * WIDTH * HEIGHT),
                                .channels = channels},
                    .logits = calloc((size_t)model->network.config.num_classes, sizeof(float))};
    effnet_status status = EFFNET_OK;
    if (!out->picture.pixels || !out->logits)
        status = fail(err, EFFNET_ERROR_MEMORY, "no memory for the golden picture");
    if (status == EFFNET_OK) {
        draw(out->picture.pixels, channels);
        status = encode(out, err);
    }
    if (status == EFFNET_OK) status = golden_run(model, int8, &out->picture, out->logits, err);
    if (status != EFFNET_OK) golden_free(out);
    return status;
}

effnet_status golden_to_metadata(const Golden *golden, int classes, char **metadata, effnet_error *err) {
    if (!golden->png) return EFFNET_OK;
    char *picture = base64_encode(golden->png, golden->png_size), *logits = NULL;
    json_t *list = json_array();
    for (int i = 0; i < classes; i++) json_array_append_new(list, json_real((double)golden->logits[i]));
    if (json_array_size(list) == (size_t)classes) /* 9 digits give a float back, bit for bit */
        logits = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(list);
    effnet_status status = EFFNET_OK;
    if (!picture || !logits)
        status = fail(err, EFFNET_ERROR_NUMERIC,
                      "the golden picture's logits cannot be written: not all of them are numbers");
    if (status == EFFNET_OK) status = card_metadata_add(metadata, GOLDEN_PICTURE_KEY, picture, err);
    if (status == EFFNET_OK) status = card_metadata_add(metadata, GOLDEN_LOGITS_KEY, logits, err);
    free(picture);
    free(logits);
    return status;
}

static bool read_logits(const char *text, int classes, float *out) {
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_array_size(list) == (size_t)classes;
    for (int i = 0; good && i < classes; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        good = json_is_number(value);
        out[i] = (float)json_number_value(value);
    }
    json_decref(list);
    return good;
}

effnet_status golden_from_metadata(const CardTexts *texts, int classes, Golden *out, bool *found, effnet_error *err) {
    const char *picture = texts->find(texts->file, GOLDEN_PICTURE_KEY);
    const char *logits = texts->find(texts->file, GOLDEN_LOGITS_KEY);
    *out = (Golden){0};
    *found = picture && logits;
    if (!*found) return EFFNET_OK;
    out->png = base64_decode(picture, &out->png_size);
    out->logits = calloc((size_t)classes, sizeof(float));
    effnet_status status = EFFNET_OK;
    if (!out->png || !out->logits || !read_logits(logits, classes, out->logits))
        status =
            fail(err, EFFNET_ERROR_FORMAT, "'%s': the golden picture in the metadata, or its %d logits, cannot be read",
                 texts->path, classes);
    if (status == EFFNET_OK) status = picture_decode(out->png, out->png_size, "the golden picture", &out->picture, err);
    if (status != EFFNET_OK) golden_free(out);
    return status;
}
