/* decode_png.c - PNG through libspng, every kind to 8-bit RGB: palettes are looked up, grey of 1, 2, 4 or 8 bits is
 * scaled to 0..255, 16-bit samples keep their high byte. Alpha is ignored and the colours stay as stored, as Pillow's
 * convert("RGB") and TensorFlow's decode_png(channels=3) have it, so that a transparent picture gives a network the
 * same numbers here and there. Gamma and colour profiles are not applied, as there.
 *
 * A decoder that is asked for four channels gets red, green, blue and alpha where the file has them, for two grey and
 * alpha, 8 bits each. */
#include "base/linked.h"
#include "data/picture/decode_formats.h"
#include "data/picture/exif.h"

#include <spng.h>

enum {
    CHUNK_LIMIT = 64 << 20, /* bytes of one chunk and of all that are kept */
    DEFLATE_RATIO = 1032,   /* deflate never expands one byte to more */
};

/* Bits a pixel as stored, by colour type. */
static int bits_per_pixel(const struct spng_ihdr *header) {
    static const int channels[7] = {1, 0, 3, 1, 2, 0, 4};
    return channels[header->color_type] * header->bit_depth;
}

/* As many samples are stored as the decoder is asked for: grey and alpha (colour type 4), or RGBA (6). */
static bool keeps_alpha(const Decoder *decoder, const struct spng_ihdr *header) {
    return (decoder->channels == 2 && header->color_type == 4) || (decoder->channels == 4 && header->color_type == 6);
}

/* RGBA to grey and alpha, in place. */
static void drop_equal_colours(uint8_t *pixels, size_t count) {
    for (size_t i = 0; i < count; i++) {
        pixels[2 * i] = pixels[4 * i];
        pixels[2 * i + 1] = pixels[4 * i + 3];
    }
}

static effnet_status decode_with(struct spng_ctx *context, Decoder *decoder, const uint8_t *bytes, size_t size,
                                 const char *name, Picture *out, effnet_error *err) {
    struct spng_ihdr header;
    size_t length = 0;
    int failed = spng_set_chunk_limits(context, CHUNK_LIMIT, CHUNK_LIMIT);
    if (!failed) failed = spng_set_png_buffer(context, bytes, size);
    if (!failed) failed = spng_get_ihdr(context, &header);
    if (failed) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt PNG: %s", name, spng_strerror(failed));
    const bool alpha = keeps_alpha(decoder, &header);
    const int format = alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8;
    TRY(decoder_reserve(decoder, header.height, header.width, alpha ? 4 : 3, name, err));
    if ((uint64_t)header.height * header.width * (uint64_t)bits_per_pixel(&header) / 8 > (uint64_t)size * DEFLATE_RATIO)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt PNG: %u x %u pixels cannot be in its %zu bytes", name,
                    header.width, header.height, size);
    failed = spng_decoded_image_size(context, format, &length);
    if (!failed) failed = spng_decode_image(context, decoder->pixels, length, format, 0);
    if (!failed) failed = spng_decode_chunks(context); /* to the end: the sum of the last pixels stands behind them */
    if (failed == SPNG_EOF || failed == SPNG_IO_EOF)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated PNG: %s", name, spng_strerror(failed));
    if (failed == SPNG_EMEM) return fail(err, EFFNET_ERROR_MEMORY, "no memory to decode '%s'", name);
    if (failed) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt PNG: %s", name, spng_strerror(failed));
    *out = (Picture){.height = (int)header.height,
                     .width = (int)header.width,
                     .pixels = decoder->pixels,
                     .channels = alpha ? decoder->channels : 3};
    if (alpha && decoder->channels == 2) drop_equal_colours(decoder->pixels, (size_t)header.height * header.width);
    struct spng_exif exif;
    if (spng_get_exif(context, &exif) == 0)
        decoder->orientation = exif_orientation((const uint8_t *)exif.data, exif.length);
    return EFFNET_OK;
}

effnet_status decode_png(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err) {
    if (!is_linked((void (*)(void))spng_ctx_new))
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "'%s' is a PNG, and this program was linked without libspng (-lspng)", name);
    struct spng_ctx *context = spng_ctx_new(0);
    if (!context) return fail(err, EFFNET_ERROR_MEMORY, "no memory to decode '%s'", name);
    effnet_status status = decode_with(context, decoder, bytes, size, name, out, err);
    spng_ctx_free(context);
    return status;
}
