/* decode_region.c - see decode_region.h.
 *
 * Columns begin and end where the library can cut (a multiple of the blocks), after the box was widened by MARGIN on
 * either side: smooth chroma upsampling looks at its neighbours, and at an edge that is none it would not find them.
 * Rows above are skipped (their entropy decoding is not), rows below never read. Files of several scans (progressive)
 * need all of them anyway. */
#include "data/picture/decode_region.h"
#include "data/picture/decode_formats.h"
#include "data/picture/exif.h"
#include "data/picture/jpeg_session.h"

enum { MARGIN = 4, EIGHTHS = 8 };

/* A whole file ends with its marker; nothing is behind it. Others are for the careful decoder. */
static bool ends_well(const uint8_t *bytes, size_t size) {
    return size >= 4 && bytes[size - 2] == 0xFF && bytes[size - 1] == JPEG_EOI;
}

static int scale_for(Box box, const RegionRequest *request) {
    int eighths = EIGHTHS;
    while (request->least_height > 0 && eighths > 1 && box.height * (eighths / 2) / EIGHTHS >= request->least_height &&
           box.width * (eighths / 2) / EIGHTHS >= request->least_width)
        eighths /= 2;
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

/* After jpeg_read_header. May jump. */
static effnet_status read_rows(Decoder *decoder, struct jpeg_decompress_struct *jpeg, const char *name,
                               const RegionRequest *request, Region *out, effnet_error *err) {
    int bottom, right;
    out->crop = request->choose(request->context, out->height, out->width);
    const Box box = out->crop.box;
    jpeg->scale_num = (unsigned)scale_for(box, request);
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

/* *done false: not plain, or damaged, which libjpeg tells by jumping back. */
static effnet_status read_region(JpegSession *session, Decoder *decoder, const uint8_t *bytes, size_t size,
                                 const char *name, const RegionRequest *request, Region *out, bool *done,
                                 effnet_error *err) {
    struct jpeg_decompress_struct *jpeg = &session->jpeg;
    if (setjmp(session->back)) return EFFNET_OK;
    jpeg_session_begin(session, bytes, size);
    bool plain =
        jpeg_read_header(jpeg, TRUE) == JPEG_HEADER_OK && (jpeg->num_components == 1 || jpeg->num_components == 3);
    int64_t height = jpeg->image_height, width = jpeg->image_width;
    plain = plain && height <= PICTURE_MAX_SIDE && width <= PICTURE_MAX_SIDE && height * width <= PICTURE_MAX_PIXELS &&
            !jpeg_has_multiple_scans(jpeg);
    if (!plain) return EFFNET_OK;
    out->height = (int)height;
    out->width = (int)width;
    TRY(read_rows(decoder, jpeg, name, request, out, err));
    *done = true;
    return EFFNET_OK;
}

effnet_status decode_jpeg_region(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name,
                                 const RegionRequest *request, Region *out, bool *done, effnet_error *err) {
    *done = false;
    *out = (Region){.eighths = EIGHTHS};
    if (decoder->channels || picture_kind(bytes, size) != PICTURE_JPEG || !ends_well(bytes, size)) return EFFNET_OK;
    if (decoder->upright && exif_orientation_of_jpeg(bytes, size) > 1) return EFFNET_OK;
    JpegSession session = {.warn_is_error = true};
    effnet_status status = read_region(&session, decoder, bytes, size, name, request, out, done, err);
    jpeg_session_end(&session);
    decoder->orientation = 1;
    return status;
}
