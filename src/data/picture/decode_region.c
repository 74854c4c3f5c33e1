/* decode_region.c - see decode_region.h. libjpeg's own interface, since TurboJPEG 2 cannot crop.
 *
 * Columns begin and end where the library can cut (a multiple of the blocks), after the box was widened by MARGIN on
 * either side: smooth chroma upsampling looks at its neighbours, and at an edge that is none it would not find them.
 * Rows above are skipped (their entropy decoding is not), rows below never read. libjpeg reports errors by a callback
 * that must not return: it jumps back to a setjmp here. Files of several scans (progressive) need all of them anyway.
 */
#include "data/picture/decode_region.h"
#include "data/picture/decode_formats.h"
#include "data/picture/exif.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { MARGIN = 4, EIGHTHS = 8 };

typedef struct RegionDecoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf back;
} RegionDecoder;

static void jump_back(j_common_ptr common) {
    RegionDecoder *region = (RegionDecoder *)common->client_data;
    longjmp(region->back, 1);
}

/* Every message of negative level is a warning: damaged data. */
static void on_message(j_common_ptr common, int level) {
    if (level < 0) jump_back(common);
}

static void say_nothing(j_common_ptr common) {
    (void)common;
}

static void region_decoder_free(void *region_decoder) {
    RegionDecoder *region = region_decoder;
    jpeg_destroy_decompress(&region->jpeg);
    free(region);
}

static RegionDecoder *region_decoder_get(Decoder *decoder) {
    RegionDecoder *region = decoder->region.state;
    if (region) return region;
    region = calloc(1, sizeof *region);
    if (!region) return NULL;
    region->jpeg.err = jpeg_std_error(&region->errors);
    region->errors.error_exit = jump_back;
    region->errors.emit_message = on_message;
    region->errors.output_message = say_nothing;
    region->jpeg.client_data = region;
    if (setjmp(region->back)) {
        jpeg_destroy_decompress(&region->jpeg);
        free(region);
        return NULL;
    }
    jpeg_create_decompress(&region->jpeg);
    decoder->region = (CodecState){.state = region, .release = region_decoder_free};
    return region;
}

/* A whole file ends with its marker; nothing is behind it. Others are for the careful decoder. */
static bool ends_well(const uint8_t *bytes, size_t size) {
    return size >= 4 && bytes[size - 2] == 0xFF && bytes[size - 1] == JPEG_EOI;
}

static int scale_for(Box box, int least) {
    int eighths = EIGHTHS, side = box.height < box.width ? box.height : box.width;
    while (least > 0 && eighths > 1 && side * (eighths / 2) / EIGHTHS >= least) eighths /= 2;
    return eighths;
}

static int at_least(int n, int least) {
    return n < least ? least : n;
}

static int at_most(int n, int most) {
    return n > most ? most : n;
}

/* The box in the scaled whole, widened, and what lies in it; the library widens the columns again. */
static void place_region(const Box *box, int eighths, int height, int width, Region *out, int *bottom, int *right) {
    out->eighths = eighths;
    out->top = at_least(box->top * eighths / EIGHTHS - MARGIN, 0);
    out->left = at_least(box->left * eighths / EIGHTHS - MARGIN, 0);
    *bottom = at_most(((box->top + box->height) * eighths + EIGHTHS - 1) / EIGHTHS + MARGIN, height);
    *right = at_most(((box->left + box->width) * eighths + EIGHTHS - 1) / EIGHTHS + MARGIN, width);
}

/* After jpeg_read_header; true where the pixels are there. May jump. */
static effnet_status read_region(Decoder *decoder, RegionDecoder *region, const char *name,
                                 const RegionRequest *request, Region *out, effnet_error *err) {
    struct jpeg_decompress_struct *jpeg = &region->jpeg;
    const Box box = request->choose(request->context, out->height, out->width);
    out->box = box;
    int bottom, right;
    jpeg->scale_num = (unsigned)scale_for(box, request->least);
    jpeg->scale_denom = EIGHTHS;
    jpeg->out_color_space = JCS_RGB;
    jpeg_start_decompress(jpeg);
    int height = (int)jpeg->output_height, width = (int)jpeg->output_width;
    place_region(&box, (int)jpeg->scale_num, height, width, out, &bottom, &right);
    JDIMENSION left = (JDIMENSION)out->left, columns = (JDIMENSION)(right - out->left);
    jpeg_crop_scanline(jpeg, &left, &columns);
    out->left = (int)left;
    out->picture.width = (int)jpeg->output_width;
    out->picture.height = bottom - out->top;
    TRY(decoder_reserve(decoder, out->picture.height, out->picture.width, 3, name, err));
    out->picture.pixels = decoder->pixels;
    if (out->top > 0) jpeg_skip_scanlines(jpeg, (JDIMENSION)out->top);
    size_t stride = 3 * (size_t)out->picture.width;
    for (int y = 0; y < out->picture.height;) {
        JSAMPROW rows[4];
        int wanted = at_most(out->picture.height - y, 4);
        for (int i = 0; i < wanted; i++) rows[i] = out->picture.pixels + (size_t)(y + i) * stride;
        y += (int)jpeg_read_scanlines(jpeg, rows, (JDIMENSION)wanted);
    }
    return EFFNET_OK;
}

effnet_status decode_jpeg_region(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name,
                                 const RegionRequest *request, Region *out, bool *done, effnet_error *err) {
    *done = false;
    *out = (Region){.eighths = EIGHTHS};
    if (picture_kind(bytes, size) != PICTURE_JPEG || !ends_well(bytes, size)) return EFFNET_OK;
    if (decoder->upright && exif_orientation_of_jpeg(bytes, size) > 1) return EFFNET_OK;
    RegionDecoder *region = region_decoder_get(decoder);
    if (!region) return fail(err, EFFNET_ERROR_MEMORY, "no memory to decode '%s'", name);
    struct jpeg_decompress_struct *jpeg = &region->jpeg;
    if (setjmp(region->back)) { /* damaged */
        jpeg_abort_decompress(jpeg);
        return EFFNET_OK;
    }
    jpeg_mem_src(jpeg, bytes, size);
    bool plain =
        jpeg_read_header(jpeg, TRUE) == JPEG_HEADER_OK && (jpeg->num_components == 1 || jpeg->num_components == 3);
    int64_t height = jpeg->image_height, width = jpeg->image_width;
    plain = plain && height <= PICTURE_MAX_SIDE && width <= PICTURE_MAX_SIDE && height * width <= PICTURE_MAX_PIXELS &&
            !jpeg_has_multiple_scans(jpeg);
    effnet_status status = EFFNET_OK;
    if (plain) {
        out->height = (int)height;
        out->width = (int)width;
        status = read_region(decoder, region, name, request, out, err);
        *done = status == EFFNET_OK;
    }
    jpeg_abort_decompress(jpeg); /* ready for the next */
    decoder->orientation = 1;
    return status;
}
