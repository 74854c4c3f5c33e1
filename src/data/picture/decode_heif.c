/* decode_heif.c - HEIC, which telephones write, and AVIF, through libheif: the primary picture as 8-bit RGB, turned and
 * cropped as the file says (which the format's readers must do, whatever exif_orientation says).
 *
 * The library is loaded when the first such picture is met, so that a program runs where it is not installed; the dynamic
 * linker keeps it (RTLD_NODELETE), and nothing here does. Where its header was not there at build time, such pictures are
 * refused. */
#include "base/linked.h"
#include "data/picture/decode_formats.h"

#if __has_include(<libheif/heif.h>)

#include <dlfcn.h>
#include <libheif/heif.h>
#include <string.h>

/* Its functions that are called here, by name. */
#define HEIF_FUNCTIONS(USE)                                                                                            \
    USE(heif_context_alloc)                                                                                            \
    USE(heif_context_free)                                                                                             \
    USE(heif_context_read_from_memory_without_copy)                                                                    \
    USE(heif_context_get_primary_image_handle)                                                                         \
    USE(heif_image_handle_release)                                                                                     \
    USE(heif_image_handle_get_width)                                                                                   \
    USE(heif_image_handle_get_height)                                                                                  \
    USE(heif_decoding_options_alloc)                                                                                   \
    USE(heif_decoding_options_free)                                                                                    \
    USE(heif_decode_image)                                                                                             \
    USE(heif_image_release)                                                                                            \
    USE(heif_image_get_primary_width)                                                                                  \
    USE(heif_image_get_primary_height)                                                                                 \
    USE(heif_image_get_plane_readonly)

typedef struct HeifLibrary {
#define USE(function) __typeof__(function) *function;
    HEIF_FUNCTIONS(USE)
#undef USE
} HeifLibrary;

static effnet_status load(HeifLibrary *out, const char *name, effnet_error *err) {
    if (!is_linked((void (*)(void))dlopen))
        return fail(
            err, EFFNET_ERROR_UNSUPPORTED,
            "'%s' is a HEIC or AVIF picture, and a static program cannot load libheif, which reads them; convert "
            "it to PNG or JPEG",
            name);
    void *library = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return fail(
            err, EFFNET_ERROR_UNSUPPORTED,
            "'%s' is a HEIC or AVIF picture, and libheif, which reads them, is not installed (Debian: libheif1); "
            "or convert it to PNG or JPEG",
            name);
    bool whole = true;
    void *found;
#define USE(function)                                                                                                  \
    found = dlsym(library, #function);                                                                                 \
    memcpy(&out->function, &found, sizeof found);                                                                      \
    whole = whole && found;
    HEIF_FUNCTIONS(USE)
#undef USE
    dlclose(library);
    if (whole) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' wants libheif 1.15 or later, and an older one is installed", name);
}

static effnet_status refuse(const struct heif_error *why, const char *name, effnet_error *err) {
    const bool memory = why->code == heif_error_Memory_allocation_error,
               unknown = why->code == heif_error_Unsupported_feature || why->code == heif_error_Unsupported_filetype;
    return fail(err,
                memory    ? EFFNET_ERROR_MEMORY
                : unknown ? EFFNET_ERROR_UNSUPPORTED
                          : EFFNET_ERROR_FORMAT,
                "'%s' is a %s: %.200s", name,
                unknown ? "HEIC or AVIF picture that is not read" : "corrupt HEIC or AVIF",
                why->message ? why->message : "libheif refused it");
}

static effnet_status copy_pixels(const HeifLibrary *heif, const struct heif_image *image, Decoder *decoder,
                                 const char *name, Picture *out, effnet_error *err) {
    const int width = heif->heif_image_get_primary_width(image), height = heif->heif_image_get_primary_height(image);
    int stride = 0;
    TRY(decoder_reserve(decoder, height, width, 3, name, err));
    const uint8_t *plane = heif->heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    if (!plane || stride < 3 * width)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt HEIC or AVIF: libheif made no RGB of it", name);
    for (int y = 0; y < height; y++)
        memcpy(decoder->pixels + (size_t)y * 3 * (size_t)width, plane + (size_t)y * (size_t)stride, 3 * (size_t)width);
    *out = (Picture){.height = height, .width = width, .pixels = decoder->pixels};
    decoder->orientation = 1;
    return EFFNET_OK;
}

static effnet_status decode_primary(const HeifLibrary *heif, struct heif_image_handle *handle, Decoder *decoder,
                                    const char *name, Picture *out, effnet_error *err) {
    struct heif_image *image = NULL;
    TRY(decoder_reserve(decoder, heif->heif_image_handle_get_height(handle), heif->heif_image_handle_get_width(handle),
                        3, name, err)); /* before libheif allocates */
    struct heif_decoding_options *options = heif->heif_decoding_options_alloc();
    if (!options) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    options->convert_hdr_to_8bit = 1;
    const struct heif_error why =
        heif->heif_decode_image(handle, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGB, options);
    heif->heif_decoding_options_free(options);
    effnet_status status =
        why.code == heif_error_Ok ? copy_pixels(heif, image, decoder, name, out, err) : refuse(&why, name, err);
    if (image) heif->heif_image_release(image);
    return status;
}

effnet_status decode_heif(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err) {
    HeifLibrary heif = {0};
    struct heif_image_handle *handle = NULL;
    TRY(load(&heif, name, err));
    struct heif_context *context = heif.heif_context_alloc();
    if (!context) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    struct heif_error why = heif.heif_context_read_from_memory_without_copy(context, bytes, size, NULL);
    if (why.code == heif_error_Ok) why = heif.heif_context_get_primary_image_handle(context, &handle);
    effnet_status status =
        why.code == heif_error_Ok ? decode_primary(&heif, handle, decoder, name, out, err) : refuse(&why, name, err);
    if (handle) heif.heif_image_handle_release(handle);
    heif.heif_context_free(context);
    return status;
}

#else

effnet_status decode_heif(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                          effnet_error *err) {
    (void)decoder, (void)bytes, (void)size, (void)out;
    return fail(err, EFFNET_ERROR_UNSUPPORTED,
                "'%s' is a HEIC or AVIF picture, and this program was built without libheif (Debian: libheif-dev); "
                "convert it to PNG or JPEG",
                name);
}

#endif
