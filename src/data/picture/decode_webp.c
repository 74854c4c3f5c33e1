/* decode_webp.c - WebP through libwebp, lossy and lossless, with its smooth chroma upsampling, as Pillow has it. Alpha
 * is ignored and the colours stay as stored, as for PNG. Of an animation there is no one picture: it is refused. */
#include "data/picture/decode_formats.h"
#include "data/picture/exif.h"

#include <webp/decode.h>

static const char *status_text(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return "no memory";
    case VP8_STATUS_BITSTREAM_ERROR:
        return "its data contradict themselves";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return "it uses a feature that libwebp does not know";
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return "it ends early";
    default:
        return "libwebp refused it";
    }
}

static effnet_status refuse(VP8StatusCode code, const char *name, effnet_error *err) {
    return fail(err, code == VP8_STATUS_OUT_OF_MEMORY ? EFFNET_ERROR_MEMORY : EFFNET_ERROR_FORMAT,
                "'%s' is a %s WebP: %s", name, code == VP8_STATUS_NOT_ENOUGH_DATA ? "truncated" : "corrupt",
                status_text(code));
}

effnet_status decode_webp(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "libwebp is of another version than its header");
    VP8StatusCode code = WebPGetFeatures(bytes, size, &config.input);
    if (code != VP8_STATUS_OK) return refuse(code, name, err);
    if (config.input.has_animation)
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' is an animated WebP; save one picture of it", name);
    int height = config.input.height, width = config.input.width;
    TRY(decoder_reserve(decoder, height, width, 3, name, err));
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = decoder->pixels;
    config.output.u.RGBA.stride = 3 * width;
    config.output.u.RGBA.size = 3 * (size_t)width * (size_t)height;
    code = WebPDecode(bytes, size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK) return refuse(code, name, err);
    *out = (Picture){.height = height, .width = width, .pixels = decoder->pixels};
    decoder->orientation = exif_orientation_of_webp(bytes, size);
    return EFFNET_OK;
}
