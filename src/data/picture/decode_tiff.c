/* decode_tiff.c - a TIFF of one page through libtiff, which makes 8-bit RGB of its many forms (1 to 16 bits, grey,
 * palettes, CMYK, YCbCr, strips and tiles, every compression that it has). Its orientation tag is told, not followed,
 * as that of a JPEG. Messages go to this file's own handler (libtiff 4.5), not to standard error; a head that asks for
 * more than a picture may have is refused before anything is allocated.
 *
 * A decoder that is asked for other channels gets the samples as they are stored, 8 bits each, beside each other or plane
 * by plane, in strips. */
#include "base/linked.h"
#include "data/picture/decode_formats.h"

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

/* One row of one plane, or of all samples beside each other. */
static bool read_row(TIFF *file, uint32_t row, int plane, int planes, size_t width, uint8_t *scratch, uint8_t *out) {
    if (planes == 1) return TIFFReadScanline(file, out, row, 0) > 0;
    if (TIFFReadScanline(file, scratch, row, (uint16_t)plane) <= 0) return false;
    for (size_t x = 0; x < width; x++) out[x * (size_t)planes + (size_t)plane] = scratch[x];
    return true;
}

static bool read_rows(TIFF *file, uint32_t height, uint32_t width, int channels, int planes, uint8_t *pixels) {
    const size_t row = (size_t)width * (size_t)channels;
    const tmsize_t length = TIFFScanlineSize(file);
    if (length <= 0 || (size_t)length != (planes == 1 ? row : width)) return false;
    uint8_t *scratch = malloc((size_t)length);
    bool good = scratch != NULL;
    for (int plane = 0; good && plane < planes; plane++)
        for (uint32_t y = 0; good && y < height; y++)
            good = read_row(file, y, plane, planes, width, scratch, pixels + (size_t)y * row);
    free(scratch);
    return good;
}

/* The samples as they are, decoder->channels a pixel. */
static effnet_status read_samples(TIFF *file, TiffBytes *from, Decoder *decoder, uint32_t height, uint32_t width,
                                  const char *name, Picture *out, effnet_error *err) {
    uint16_t samples = 1, bits = 1, kind = SAMPLEFORMAT_UINT, planar = PLANARCONFIG_CONTIG;
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &kind);
    TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &planar);
    if (samples != decoder->channels || bits != 8 || kind != SAMPLEFORMAT_UINT)
        return fail(
            err, EFFNET_ERROR_FORMAT,
            "'%s' is a TIFF of %u samples a pixel of %u bits; in_chans is %d, which wants %d whole numbers of 8 "
            "bits: leave it out, or change in_chans",
            name, (unsigned)samples, (unsigned)bits, decoder->channels, decoder->channels);
    if (TIFFIsTiled(file))
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "'%s' is a TIFF in tiles, whose samples are not read: save it in strips", name);
    TRY(decoder_reserve(decoder, height, width, samples, name, err));
    if (!read_rows(file, height, width, samples, planar == PLANARCONFIG_SEPARATE ? samples : 1, decoder->pixels))
        return corrupt(from, name, err);
    *out = (Picture){.height = (int)height, .width = (int)width, .pixels = decoder->pixels, .channels = samples};
    return EFFNET_OK;
}

/* As RGB, whatever it is. */
static effnet_status read_colours(TIFF *file, TiffBytes *from, Decoder *decoder, uint32_t height, uint32_t width,
                                  const char *name, Picture *out, effnet_error *err) {
    char reason[1024] = "";
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
    TIFF *file = TIFFClientOpenExt(name, "rm", &from, tiff_read, tiff_write, tiff_seek, tiff_close, tiff_size, NULL,
                                   NULL, options);
    TIFFOpenOptionsFree(options);
    if (!file) return corrupt(&from, name, err);
    effnet_status status = read_page(file, &from, decoder, name, out, err);
    TIFFClose(file);
    return status;
}
