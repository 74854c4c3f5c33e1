/* pack_picture.c - see pack_picture.h. Pictures are made smaller with the bicubic filter, widened, as everywhere here,
 * and rounded to whole levels; JPEGs are 4:2:0 with the accurate DCT. */
#include "data/inspect/pack_picture.h"
#include "data/picture/jpeg_encode.h"
#include "recipe/recipe.h"

#include <stdlib.h>

void packer_release(Packer *packer) {
    decoder_release(&packer->decoder);
    resizer_release(&packer->resizer);
    free(packer->levels);
    free(packer->pixels);
    free(packer->jpeg);
    *packer = (Packer){0};
}

static effnet_status make_smaller(Packer *packer, Picture *picture, int side, effnet_error *err) {
    bool high = picture->height > picture->width;
    int shorter = high ? picture->width : picture->height, longer = high ? picture->height : picture->width;
    int other = (int)(((int64_t)longer * side + shorter / 2) / shorter);
    int height = high ? other : side, width = high ? side : other;
    size_t count = 3 * (size_t)height * (size_t)width;
    if (count > packer->capacity) {
        free(packer->levels);
        free(packer->pixels);
        packer->capacity = 0;
        packer->levels = malloc(count * sizeof *packer->levels);
        packer->pixels = malloc(count);
        if (!packer->levels || !packer->pixels)
            return fail(err, EFFNET_ERROR_MEMORY, "no memory for a picture of %d x %d", width, height);
        packer->capacity = count;
    }
    const ResizeOptions options = {
        .height = height, .width = width, .interpolation = INTERPOLATION_BICUBIC, .scale = {1, 1, 1}};
    const Box box = {.height = picture->height, .width = picture->width};
    TRY(resize_box(&packer->resizer, picture->pixels, 3 * (size_t)picture->width, box, &options, packer->levels, err));
    for (size_t i = 0; i < count; i++) packer->pixels[i] = (uint8_t)(packer->levels[i] + 0.5f); /* 0..255 already */
    *picture = (Picture){.height = height, .width = width, .pixels = packer->pixels};
    return EFFNET_OK;
}

static effnet_status encode(Packer *packer, const Picture *picture, int quality, EffpackRecord *record,
                            const uint8_t **payload, effnet_error *err) {
    size_t size;
    TRY(jpeg_encode(picture, quality, &packer->jpeg, &packer->jpeg_capacity, &size, err));
    record->format = EFFPACK_ENCODED;
    record->size = (uint32_t)size;
    *payload = packer->jpeg;
    return EFFNET_OK;
}

effnet_status pack_picture(Packer *packer, const Dataset *dataset, int64_t index, int side, int quality,
                           EffpackRecord *record, const uint8_t **payload, bool *kept, effnet_error *err) {
    Blob blob;
    Picture picture;
    *kept = false;
    TRY(dataset_read_with(dataset, index, &packer->decoder, &picture, err));
    record->orientation = packer->decoder.orientation;
    int shorter = picture.height < picture.width ? picture.height : picture.width;
    bool smaller = side && shorter > side;
    if (smaller) TRY(make_smaller(packer, &picture, side, err));
    if (smaller && quality) return encode(packer, &picture, quality, record, payload, err);
    if (!quality) {
        record->format = EFFPACK_RGB;
        record->height = picture.height;
        record->width = picture.width;
        record->size = 3 * (uint32_t)picture.height * (uint32_t)picture.width;
        *payload = picture.pixels;
        return EFFNET_OK;
    }
    /* As it is: the stored bytes, or pixels where the source keeps such. The second fetch is of what was just read. */
    TRY(dataset_fetch(dataset, index, &packer->decoder, &blob, err));
    if (blob.format == BLOB_ENCODED) {
        *kept = true;
        record->format = EFFPACK_ENCODED;
        record->size = (uint32_t)blob.size;
        *payload = blob.bytes;
        return EFFNET_OK;
    }
    TRY(dataset_read_with(dataset, index, &packer->decoder, &picture, err));
    record->format = EFFPACK_RGB;
    record->height = picture.height;
    record->width = picture.width;
    record->size = 3 * (uint32_t)picture.height * (uint32_t)picture.width;
    *payload = picture.pixels;
    return EFFNET_OK;
}
