/* jpeg_encode.c - see jpeg_encode.h. libjpeg reports errors by a callback that must not return: it jumps. */
#include "data/picture/jpeg_encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

typedef struct Encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
    unsigned char *bytes; /* the block; another one only if it was too small */
    unsigned long size;
} Encoder;

static void on_error(j_common_ptr common) {
    Encoder *encoder = common->client_data;
    encoder->errors.format_message(common, encoder->text);
    longjmp(encoder->back, 1);
}

static bool encode(Encoder *encoder, const Picture *picture, int quality) {
    struct jpeg_compress_struct *jpeg = &encoder->jpeg;
    if (setjmp(encoder->back)) return false;
    jpeg->err = jpeg_std_error(&encoder->errors);
    encoder->errors.error_exit = on_error;
    jpeg->client_data = encoder;
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &encoder->bytes, &encoder->size);
    jpeg->image_width = (JDIMENSION)picture->width;
    jpeg->image_height = (JDIMENSION)picture->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg); /* YCbCr 4:2:0, JDCT_ISLOW */
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW row = picture->pixels + 3 * (size_t)jpeg->next_scanline * (size_t)picture->width;
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    return true;
}

/* No JPEG of a picture is larger: two bytes for each of its samples, half of whose chroma rows and columns are left out
 * (tjBufSize of libjpeg-turbo has the same bound), and the headers. */
static size_t most_bytes(const Picture *picture) {
    size_t height = ((size_t)picture->height + 15) / 16 * 16, width = ((size_t)picture->width + 15) / 16 * 16;
    return height * width * 3 + 2048;
}

effnet_status jpeg_encode(const Picture *picture, int quality, uint8_t **block, size_t *capacity, size_t *size,
                          effnet_error *err) {
    size_t needed = most_bytes(picture);
    if (*capacity < needed) {
        free(*block);
        *capacity = 0;
        *block = malloc(needed);
        if (!*block)
            return fail(err, EFFNET_ERROR_MEMORY, "no memory (%zu bytes) to encode a picture of %d x %d", needed,
                        picture->width, picture->height);
        *capacity = needed;
    }
    Encoder encoder = {.bytes = *block, .size = *capacity};
    bool made = encode(&encoder, picture, quality);
    jpeg_destroy_compress(&encoder.jpeg);
    if (!made)
        return fail(err, EFFNET_ERROR_MEMORY, "cannot encode a picture of %d x %d: %s", picture->width, picture->height,
                    encoder.text);
    if (encoder.bytes != *block) {
        free(*block);
        *block = encoder.bytes;
        *capacity = encoder.size;
    }
    *size = encoder.size;
    return EFFNET_OK;
}
