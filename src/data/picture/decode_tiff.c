/* decode_tiff.c - a TIFF of one page through libtiff, which makes 8-bit RGB of its many forms (1 to 16 bits, grey,
 * palettes, CMYK, YCbCr, strips and tiles, every compression that it has). Its orientation tag is told, not followed,
 * as that of a JPEG. Messages go to this file's own handler (libtiff 4.5), not to standard error; a head that asks for
 * more than a picture may have is refused before anything is allocated.
 *
 * A decoder that is asked for other channels gets the samples as they are stored (tiff_samples.h). */
#include "base/linked.h"
#include "data/picture/decode_formats.h"
#include "data/picture/tiff_samples.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

enum { MESSAGE = 160, LARGEST_BLOCK = 1 << 30 };

typedef struct TiffBytes {
    const uint8_t *bytes;
    tmsize_t size, at;
    char message[MESSAGE]; /* the first error's */
} TiffBytes;

static tmsize_t tiff_read(thandle_t handle, void *out, tmsize_t count) {
    TiffBytes *from = handle;
    tmsize_t left = from->at < from->size ? from->size - from->at : 0;
    if (count > left) count = left;
    if (count <= 0) return 0;
    memcpy(out, from->bytes + from->at, (size_t)count);
    from->at += count;
    return count;
}

static tmsize_t tiff_write(thandle_t handle, void *bytes, tmsize_t count) {
    (void)handle, (void)bytes, (void)count;
    return 0;
}

static toff_t tiff_seek(thandle_t handle, toff_t offset, int whence) {
    TiffBytes *from = handle;
    toff_t base = whence == SEEK_CUR ? (toff_t)from->at : whence == SEEK_END ? (toff_t)from->size : 0;
    if (offset > (toff_t)INT64_MAX - base) return (toff_t)-1;
    from->at = (tmsize_t)(base + offset);
    return base + offset;
}

static int tiff_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t tiff_size(thandle_t handle) {
    return (toff_t)((TiffBytes *)handle)->size;
}

/* libtiff reads from the bytes as they lie. Of blocks that it copies libtiff 4.5 refuses tiles that are not compressed and
 * whose bytes are no multiple of 1,024. */
static int tiff_map(thandle_t handle, void **base, toff_t *size) {
    const TiffBytes *from = handle;
    *base = (void *)(uintptr_t)from->bytes; /* of a file opened to be read */
    *size = (toff_t)from->size;
    return 1;
}

static void tiff_unmap(thandle_t handle, void *base, toff_t size) {
    (void)handle, (void)base, (void)size;
}

static int tiff_error(TIFF *file, void *context, const char *module, const char *format, va_list arguments) {
    TiffBytes *from = context;
    (void)file, (void)module;
    if (!from->message[0]) vsnprintf(from->message, sizeof from->message, format, arguments);
    return 1;
}

static int tiff_warning(TIFF *file, void *context, const char *module, const char *format, va_list arguments) {
    (void)file, (void)context, (void)module, (void)format, (void)arguments;
    return 1;
}

static effnet_status corrupt(const TiffBytes *from, const char *name, effnet_error *err) {
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt TIFF: %s", name,
                from->message[0] ? from->message : "libtiff refused it");
}

/* A second page is another picture, unless it is a smaller one of the first, or its mask. */
static bool has_pages(TIFF *file) {
    uint32_t kind = 0;
    bool more = TIFFReadDirectory(file) != 0;
    if (more) TIFFGetFieldDefaulted(file, TIFFTAG_SUBFILETYPE, &kind);
    return more && !(kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK));
}

/* (height, width) of libtiff's packed pixels to RGB. */
static void unpack(const uint32_t *raster, size_t count, uint8_t *pixels) {
    for (size_t i = 0; i < count; i++) {
        pixels[3 * i] = (uint8_t)TIFFGetR(raster[i]);
        pixels[3 * i + 1] = (uint8_t)TIFFGetG(raster[i]);
        pixels[3 * i + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
}

static const char *kind_name(uint16_t kind) {
    return kind == SAMPLEFORMAT_UINT     ? "whole numbers"
           : kind == SAMPLEFORMAT_INT    ? "numbers with a sign"
           : kind == SAMPLEFORMAT_IEEEFP ? "floating-point numbers"
                                         : "numbers of no known kind";
}

/* How the samples are stored; `photometric`: what the first of them stand for. */
static TiffSamples samples_of(TIFF *file, uint32_t height, uint32_t width, uint16_t *kind, uint16_t *photometric) {
    uint16_t samples = 1, bits = 1, planar = PLANARCONFIG_CONTIG;
    *kind = SAMPLEFORMAT_UINT;
    *photometric = PHOTOMETRIC_MINISBLACK;
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, kind);
    TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetField(file, TIFFTAG_PHOTOMETRIC, photometric);
    return (TiffSamples){height, width, samples, bits, planar == PLANARCONFIG_SEPARATE};
}

/* The samples as they are, decoder->channels a pixel. */
static effnet_status read_samples(TIFF *file, TiffBytes *from, Decoder *decoder, uint32_t height, uint32_t width,
                                  const char *name, Picture *out, effnet_error *err) {
    uint16_t kind, photometric;
    const TiffSamples samples = samples_of(file, height, width, &kind, &photometric);
    if (samples.channels != decoder->channels || !tiff_samples_fit(&samples) || kind != SAMPLEFORMAT_UINT)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' is a TIFF of %d samples a pixel, %s of %d bits; in_chans is %d, which wants %d whole numbers "
                    "of 8 or 16 bits: leave it out, convert it, or change in_chans",
                    name, samples.channels, kind_name(kind), samples.bits, decoder->channels, decoder->channels);
    TRY(decoder_reserve(decoder, height, width, samples.channels, name, err));
    if (!tiff_samples_read(file, &samples, decoder->pixels)) return corrupt(from, name, err);
    *out =
        (Picture){.height = (int)height, .width = (int)width, .pixels = decoder->pixels, .channels = samples.channels};
    return EFFNET_OK;
}

/* Grey and other samples beside it, in tiles: libtiff 4.5 makes colours of them as if the tiles that reach over the right edge
 * had the grey alone. */
static bool is_grey_with_more_in_tiles(TIFF *file, const TiffSamples *samples, uint16_t kind, uint16_t photometric) {
    return TIFFIsTiled(file) && samples->channels > 1 && !samples->separate && kind == SAMPLEFORMAT_UINT &&
           (photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE) &&
           tiff_samples_fit(samples);
}

static effnet_status read_first_sample(TIFF *file, TiffBytes *from, Decoder *decoder, const TiffSamples *samples,
                                       bool is_white, const char *name, Picture *out, effnet_error *err) {
    const size_t count = (size_t)samples->height * samples->width, channels = (size_t)samples->channels;
    TRY(decoder_reserve(decoder, samples->height, samples->width, samples->channels > 3 ? samples->channels : 3, name,
                        err));
    uint8_t *all = malloc(count * channels);
    if (!all) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu pixels of '%s'", count, name);
    const bool good = tiff_samples_read(file, samples, all);
    for (size_t i = 0; good && i < count; i++)
        memset(decoder->pixels + 3 * i, is_white ? 255 - all[i * channels] : all[i * channels], 3);
    free(all);
    *out = (Picture){.height = (int)samples->height, .width = (int)samples->width, .pixels = decoder->pixels};
    return good ? EFFNET_OK : corrupt(from, name, err);
}

/* As RGB, whatever it is. */
static effnet_status read_colours(TIFF *file, TiffBytes *from, Decoder *decoder, uint32_t height, uint32_t width,
                                  const char *name, Picture *out, effnet_error *err) {
    char reason[1024] = "";
    uint16_t kind, photometric;
    const TiffSamples samples = samples_of(file, height, width, &kind, &photometric);
    if (is_grey_with_more_in_tiles(file, &samples, kind, photometric))
        return read_first_sample(file, from, decoder, &samples, photometric == PHOTOMETRIC_MINISWHITE, name, out, err);
    if (!TIFFRGBAImageOK(file, reason))
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' is a TIFF of a kind that is not read (%.100s): save it as PNG",
                    name, reason);
    size_t count = (size_t)width * height;
    uint32_t *raster = malloc(count * sizeof *raster);
    if (!raster) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu pixels of '%s'", count, name);
    bool good = TIFFReadRGBAImageOriented(file, width, height, raster, ORIENTATION_TOPLEFT, 1) != 0;
    if (good) unpack(raster, count, decoder->pixels);
    free(raster);
    *out = (Picture){.height = (int)height, .width = (int)width, .pixels = decoder->pixels};
    return good ? EFFNET_OK : corrupt(from, name, err);
}

static effnet_status read_page(TIFF *file, TiffBytes *from, Decoder *decoder, const char *name, Picture *out,
                               effnet_error *err) {
    uint32_t width = 0, height = 0;
    uint16_t orientation = ORIENTATION_TOPLEFT;
    if (!TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &width) || !TIFFGetField(file, TIFFTAG_IMAGELENGTH, &height))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt TIFF: it tells no width and height", name);
    TRY(decoder_reserve(decoder, height, width, 3, name, err));
    if (!tiff_blocks_fit(file))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a TIFF in tiles that are too large; save it in smaller ones",
                    name);
    TIFFGetFieldDefaulted(file, TIFFTAG_ORIENTATION, &orientation);
    TIFFSetField(file, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT); /* pixels as they are stored */
    TRY(decoder->channels ? read_samples(file, from, decoder, height, width, name, out, err)
                          : read_colours(file, from, decoder, height, width, name, out, err));
    if (has_pages(file))
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' is a TIFF of several pages; save one of them", name);
    decoder->orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    return EFFNET_OK;
}

effnet_status decode_tiff(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err) {
    TiffBytes from = {.bytes = bytes, .size = (tmsize_t)size};
    if (!is_linked((void (*)(void))TIFFClientOpenExt))
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "'%s' is a TIFF, and this program was linked without libtiff (-ltiff)", name);
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    TIFFOpenOptionsSetErrorHandlerExtR(options, tiff_error, &from);
    TIFFOpenOptionsSetWarningHandlerExtR(options, tiff_warning, &from);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, LARGEST_BLOCK);
    TIFF *file = TIFFClientOpenExt(name, "r", &from, tiff_read, tiff_write, tiff_seek, tiff_close, tiff_size, tiff_map,
                                   tiff_unmap, options);
    TIFFOpenOptionsFree(options);
    if (!file) return corrupt(&from, name, err);
    effnet_status status = read_page(file, &from, decoder, name, out, err);
    TIFFClose(file);
    return status;
}
