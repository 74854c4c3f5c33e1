/* decode_jpeg.c - JPEG through libjpeg-turbo: accurate inverse DCT and smooth chroma upsampling, the defaults, which
 * give the same pixels as Pillow. Greyscale becomes RGB in the library; CMYK and YCCK become RGB here, as TensorFlow
 * does it: Adobe's files (marker APP14) store inks inverted, others do not.
 *
 * A file that ends early is decoded by the library to grey with no more than a warning. Here every warning is an
 * error, but for the few that leave all pixels right (jpeg_session.c). */
#include "data/picture/decode_formats.h"
#include "data/picture/exif.h"
#include "data/picture/jpeg_session.h"

#include <jerror.h>

/* Whether the end-of-image marker is there: from marker to marker, segments by their length, entropy-coded data byte by
 * byte. Tells a header that is cut off from one that is broken. */
static bool reaches_end(const uint8_t *bytes, size_t size) {
    size_t at = 2; /* after the start-of-image marker */
    while (at + 1 < size) {
        int code = bytes[at + 1];
        if (bytes[at] != 0xFF || code == 0x00 || code == 0xFF) { /* data, stuffing, fill */
            at++;
            continue;
        }
        if (code == JPEG_EOI) return true;
        at += 2;
        if (code == 0x01 || (code >= JPEG_RST0 && code <= 0xD8)) continue; /* markers without a segment */
        if (at + 2 > size) break;
        at += (size_t)bytes[at] << 8 | bytes[at + 1];
    }
    return false;
}

/* a * b / 255, rounded. */
static inline uint8_t multiply_255(unsigned a, unsigned b) {
    unsigned product = a * b + 128;
    return (uint8_t)((product + (product >> 8)) >> 8);
}

/* In place: 4 bytes (C, M, Y, K) become 3; a pixel is written behind where the next is read. */
static void cmyk_to_rgb(uint8_t *pixels, size_t count, bool inverted) {
    unsigned flip = inverted ? 0 : 255; /* 255 - x == x ^ 255 */
    for (size_t i = 0; i < count; i++) {
        const uint8_t *ink = pixels + 4 * i;
        unsigned c = ink[0] ^ flip, m = ink[1] ^ flip, y = ink[2] ^ flip, k = ink[3] ^ flip;
        uint8_t *rgb = pixels + 3 * i;
        rgb[0] = multiply_255(c, k);
        rgb[1] = multiply_255(m, k);
        rgb[2] = multiply_255(y, k);
    }
}

static bool has_inks(const JpegSession *session) {
    return session->jpeg.jpeg_color_space == JCS_CMYK || session->jpeg.jpeg_color_space == JCS_YCCK;
}

/* false: libjpeg gave up, as in read_rows. */
static bool read_header(JpegSession *session, const uint8_t *bytes, size_t size) {
    if (setjmp(session->back)) return false;
    jpeg_session_begin(session, bytes, size);
    return jpeg_read_header(&session->jpeg, TRUE) == JPEG_HEADER_OK;
}

static bool read_rows(JpegSession *session, uint8_t *pixels, size_t stride) {
    struct jpeg_decompress_struct *jpeg = &session->jpeg;
    if (setjmp(session->back)) return false;
    jpeg->out_color_space = has_inks(session) ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW rows[8];
        JDIMENSION left = jpeg->output_height - jpeg->output_scanline, wanted = left < 8 ? left : 8;
        for (JDIMENSION i = 0; i < wanted; i++) rows[i] = pixels + (jpeg->output_scanline + i) * stride;
        jpeg_read_scanlines(jpeg, rows, wanted);
    }
    jpeg_finish_decompress(jpeg); /* reads to the end: what is wrong behind the last row is told, too */
    return true;
}

static effnet_status decode_with(JpegSession *session, Decoder *decoder, const uint8_t *bytes, size_t size,
                                 const char *name, Picture *out, effnet_error *err) {
    if (!read_header(session, bytes, size)) {
        const char *text = *session->text ? session->text : "it holds no picture";
        if (session->code == JERR_OUT_OF_MEMORY)
            return fail(err, EFFNET_ERROR_MEMORY, "no memory to decode '%s'", name);
        if (jpeg_session_truncated(session) || !reaches_end(bytes, size))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated JPEG: %s", name, text);
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt JPEG, or of a kind not read here: %s", name, text);
    }
    int64_t height = session->jpeg.image_height, width = session->jpeg.image_width;
    size_t channels = has_inks(session) ? 4 : 3;
    TRY(decoder_reserve(decoder, height, width, (int)channels, name, err));
    bool whole = read_rows(session, decoder->pixels, channels * (size_t)width);
    if (session->too_many_scans)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' is a progressive JPEG of more than %d scans, or of more than %lld million pixels in all its "
                    "scans: save it again by another program or leave it out",
                    name, (int)JPEG_MOST_SCANS, (long long)(JPEG_MOST_SCANNED / 1000000));
    if (session->code == JERR_OUT_OF_MEMORY) return fail(err, EFFNET_ERROR_MEMORY, "no memory to decode '%s'", name);
    if (!whole || session->code)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a %s JPEG: %s", name,
                    jpeg_session_truncated(session) ? "truncated" : "corrupt", session->text);
    if (channels == 4) cmyk_to_rgb(decoder->pixels, (size_t)height * (size_t)width, session->jpeg.saw_Adobe_marker);
    *out = (Picture){.height = (int)height, .width = (int)width, .pixels = decoder->pixels};
    decoder->orientation = exif_orientation_of_jpeg(bytes, size);
    return EFFNET_OK;
}

effnet_status decode_jpeg(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err) {
    JpegSession session = {0};
    effnet_status status = decode_with(&session, decoder, bytes, size, name, out, err);
    jpeg_session_end(&session);
    return status;
}
