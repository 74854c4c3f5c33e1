/* decode_jpeg.c - JPEG through libjpeg-turbo: accurate inverse DCT and smooth chroma upsampling, the defaults, which
 * give the same pixels as Pillow. Greyscale becomes RGB in the library; CMYK and YCCK become RGB here, as TensorFlow
 * does it: Adobe's files (marker APP14) store inks inverted, others do not.
 *
 * A file that ends early is decoded by the library to grey with no more than a warning. Here every warning is an
 * error, but for the few that leave all pixels right; the library tells the first one only, so after a harmless one
 * the file's markers are walked to its end. */
#include "data/picture/decode_formats.h"
#include "data/picture/exif.h"

#include <string.h>
#include <turbojpeg.h>

typedef struct JpegMarkers {
    bool adobe; /* an APP14 "Adobe" segment */
    bool ended; /* the end-of-image marker was reached */
} JpegMarkers;

/* Walks from marker to marker: segments by their length, entropy-coded data byte by byte. */
static JpegMarkers walk_markers(const uint8_t *bytes, size_t size) {
    JpegMarkers found = {0};
    size_t at = 2; /* after the start-of-image marker */
    while (at + 1 < size) {
        int code = bytes[at + 1];
        if (bytes[at] != 0xFF || code == 0x00 || code == 0xFF) { /* data, stuffing, fill */
            at++;
            continue;
        }
        if (code == 0xD9) {
            found.ended = true;
            break;
        }
        at += 2;
        if (code == 0x01 || (code >= 0xD0 && code <= 0xD8)) continue; /* markers without a segment */
        if (at + 2 > size) break;
        size_t length = (size_t)bytes[at] << 8 | bytes[at + 1];
        if (code == 0xEE && length >= 14 && at + 7 <= size && memcmp(bytes + at + 2, "Adobe", 5) == 0)
            found.adobe = true;
        at += length;
    }
    return found;
}

/* Warnings after which every pixel is right. */
static bool warning_is_harmless(const char *text) {
    return strstr(text, "extraneous bytes before marker") || strstr(text, "unknown JFIF revision") ||
           strstr(text, "Unknown Adobe color transform");
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

static effnet_status decode_with(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                                 effnet_error *err) {
    /* The header call also fails where it cannot name the chroma subsampling, which decoding does not need: what
     * counts is whether it got as far as a size and a colour space. */
    int width = 0, height = 0, subsampling = -1, space = -1;
    int failed = tjDecompressHeader3(decoder->jpeg.state, bytes, size, &width, &height, &subsampling, &space);
    if (width < 1 || height < 1 || space < 0) {
        const char *text = failed ? tjGetErrorStr2(decoder->jpeg.state) : "it holds no picture";
        if (!walk_markers(bytes, size).ended)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated JPEG: %s", name, text);
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt JPEG, or of a kind not read here: %s", name, text);
    }
    bool inks = space == TJCS_CMYK || space == TJCS_YCCK;
    TRY(decoder_reserve(decoder, height, width, inks ? 4 : 3, name, err));
    failed = tjDecompress2(decoder->jpeg.state, bytes, size, decoder->pixels, width, 0, height,
                           inks ? TJPF_CMYK : TJPF_RGB, TJFLAG_LIMITSCANS);
    if (failed) {
        const char *text = tjGetErrorStr2(decoder->jpeg.state);
        bool harmless = tjGetErrorCode(decoder->jpeg.state) == TJERR_WARNING && warning_is_harmless(text);
        if (strstr(text, "remature end") || (harmless && !walk_markers(bytes, size).ended))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated JPEG: %s", name, text);
        if (!harmless) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt JPEG: %s", name, text);
    }
    if (inks) cmyk_to_rgb(decoder->pixels, (size_t)height * (size_t)width, walk_markers(bytes, size).adobe);
    *out = (Picture){.height = height, .width = width, .pixels = decoder->pixels};
    decoder->orientation = exif_orientation_of_jpeg(bytes, size);
    return EFFNET_OK;
}

static void handle_free(void *handle) {
    tjDestroy(handle);
}

effnet_status decode_jpeg(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err) {
    if (!decoder->jpeg.state) decoder->jpeg = (CodecState){.state = tjInitDecompress(), .release = handle_free};
    if (!decoder->jpeg.state) return fail(err, EFFNET_ERROR_MEMORY, "no memory to decode '%s'", name);
    effnet_status status = decode_with(decoder, bytes, size, name, out, err);
    if (status != EFFNET_OK) {
        /* After an error in a header, libjpeg-turbo 2.1 leaves the handle in the middle of it, and the next good
         * picture fails: begin with a new one. */
        tjDestroy(decoder->jpeg.state);
        decoder->jpeg.state = NULL;
    }
    return status;
}
