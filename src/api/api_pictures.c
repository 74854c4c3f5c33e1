/* api_pictures.c - a caller's picture, a file, its bytes or pixels, as the network sees it; and how that is done, told. */
#include "api/handles.h"

#include "data/picture/decode.h"
#include "train/from_recipe.h"

#include <stdlib.h>
#include <string.h>

static effnet_status check_pixels(const effnet_picture *picture, int channels, const char *name, effnet_error *err) {
    const int height = picture->height, width = picture->width;
    if (height < 1 || width < 1 || height > PICTURE_MAX_SIDE || width > PICTURE_MAX_SIDE ||
        (int64_t)height * width > PICTURE_MAX_PIXELS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%s is %d x %d; allowed: sides of 1 to %d, %d pixels in all", name,
                    height, width, PICTURE_MAX_SIDE, PICTURE_MAX_PIXELS);
    const size_t row = (size_t)width * (size_t)channels;
    if (picture->stride && picture->stride < row)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the stride of %s is %zu bytes; a row of %d pixels has %zu", name,
                    picture->stride, width, row);
    return EFFNET_OK;
}

/* Rows one after the other, as pictures are here, in the decoder's memory where the caller's are apart. */
static effnet_status take_pixels(const effnet_picture *picture, int channels, const char *name, Decoder *decoder,
                                 Picture *out, effnet_error *err) {
    TRY(check_pixels(picture, channels, name, err));
    const size_t row = (size_t)picture->width * (size_t)channels;
    *out = (Picture){
        .height = picture->height, .width = picture->width, .pixels = (uint8_t *)picture->pixels, .channels = channels};
    if (picture->stride <= row) return EFFNET_OK;
    decoder->pixels = malloc(row * (size_t)picture->height);
    if (!decoder->pixels)
        return fail(err, EFFNET_ERROR_MEMORY, "no memory for a picture of %d x %d", picture->height, picture->width);
    for (int y = 0; y < picture->height; y++)
        memcpy(decoder->pixels + (size_t)y * row, picture->pixels + (size_t)y * picture->stride, row);
    out->pixels = decoder->pixels;
    return EFFNET_OK;
}

Decoder model_decoder(const effnet_model *model) {
    const EvaluationTransform *transform = &model->card.transform;
    return (Decoder){.channels = decoded_channels(transform->input),
                     .upright = transform->exif_orientation,
                     .most_pixels = model->most_pixels};
}

effnet_status model_decode(const effnet_model *model, const effnet_picture *picture, const char *name, Decoder *decoder,
                           Picture *out, effnet_error *err) {
    *decoder = model_decoder(model);
    const int ways = (picture->path != NULL) + (picture->bytes != NULL) + (picture->pixels != NULL);
    if (ways != 1)
        return fail(err, EFFNET_ERROR_ARGUMENT, "%s is given in %d ways; give one of path, bytes and pixels", name,
                    ways);
    if (picture->pixels) return take_pixels(picture, model->card.transform.input.channels, name, decoder, out, err);
    if (picture->bytes && (picture->size == 0 || picture->size > PICTURE_FILE_LIMIT))
        return fail(err, EFFNET_ERROR_ARGUMENT, "%s has %zu bytes; allowed: 1 to %d", name, picture->size,
                    (int)PICTURE_FILE_LIMIT);
    return picture->path ? decoder_read(decoder, picture->path, out, err)
                         : decoder_decode(decoder, picture->bytes, picture->size, name, out, err);
}

effnet_status model_prepare(const effnet_model *model, const effnet_picture *picture, const char *name, float *out,
                            effnet_error *err) {
    Decoder decoder;
    Picture decoded;
    effnet_status status = model_decode(model, picture, name, &decoder, &decoded, err);
    if (status == EFFNET_OK) status = preprocess_eval(&model->card.transform, &decoded, out, err);
    decoder_release(&decoder);
    return status;
}

effnet_status effnet_prepare(const effnet_model *model, const effnet_picture *picture, float *out,
                             effnet_error *error) {
    NEED(model);
    NEED(picture);
    NEED(out);
    return model_prepare(model, picture, "the picture", out, error);
}

effnet_status effnet_model_preprocessing(const effnet_model *model, effnet_preprocessing *out, effnet_error *error) {
    NEED(model);
    NEED(out);
    TRY(result_clear(out, "effnet_preprocessing", error));
    const EvaluationTransform *transform = &model->card.transform;
    effnet_preprocessing told = {.height = transform->input.height,
                                 .width = transform->input.width,
                                 .crop_pct = transform->crop_pct,
                                 .pad_to = transform->pad_to,
                                 .exif_orientation = transform->exif_orientation,
                                 .channels = transform->input.channels};
    memcpy(told.mean, transform->mean, sizeof told.mean);
    memcpy(told.std, transform->std, sizeof told.std);
    memcpy(told.channel_mean, transform->mean, sizeof told.channel_mean);
    memcpy(told.channel_std, transform->std, sizeof told.channel_std);
    Recipe recipe;
    recipe_defaults(&recipe);
    recipe_from_card(&model->card, &recipe);
    const struct {
        const char *key;
        char *text;
    } texts[] = {{"val_crop", told.val_crop},
                 {"interpolation", told.interpolation},
                 {"resize", told.resize},
                 {"overshoot", told.overshoot}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        TRY(recipe_get(&recipe, texts[i].key, texts[i].text, sizeof told.resize, error));
    result_write(out, &told, sizeof told);
    return EFFNET_OK;
}
