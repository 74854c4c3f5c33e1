/* picture_write.c - see picture_write.h. JPEGs halve their chroma: letters are black on white. */
#include "data/picture/picture_write.h"
#include "base/file.h"
#include "base/linked.h"
#include "data/picture/jpeg_encode.h"

#include <spng.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { JPEG_QUALITY = 85 };

effnet_status picture_write_png(const Picture *picture, const char *path, FILE *stream, effnet_error *err) {
    struct spng_ihdr header = {.width = (uint32_t)picture->width,
                               .height = (uint32_t)picture->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    if (!is_linked((void (*)(void))spng_ctx_new))
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "cannot write '%s': this program was linked without libspng (-lspng); .jpg needs none", path);
    struct spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!context) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    size_t size = 3 * (size_t)picture->width * (size_t)picture->height;
    int failed = spng_set_png_file(context, stream);
    if (!failed) failed = spng_set_ihdr(context, &header);
    if (!failed) failed = spng_encode_image(context, picture->pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    const int reason = ferror(stream) ? errno : 0;
    spng_ctx_free(context);
    return failed ? fail(err, EFFNET_ERROR_IO, "cannot write '%s': %s", path,
                         reason ? strerror(reason) : spng_strerror(failed))
                  : EFFNET_OK;
}

static effnet_status write_jpeg(const Picture *picture, const char *path, FILE *stream, effnet_error *err) {
    uint8_t *bytes = NULL;
    size_t capacity = 0, size = 0;
    effnet_status status = jpeg_encode(picture, JPEG_QUALITY, &bytes, &capacity, &size, err);
    if (status == EFFNET_OK && fwrite(bytes, 1, size, stream) != size)
        status = fail(err, EFFNET_ERROR_IO, "cannot write '%s': is the disk full?", path);
    free(bytes);
    return status;
}

effnet_status picture_write(const Picture *picture, const char *path, effnet_error *err) {
    const char *dot = strrchr(path, '.');
    bool jpeg = dot && (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
    AtomicFile file = {0};
    TRY(atomic_file_open(&file, path, err));
    effnet_status status = (jpeg ? write_jpeg : picture_write_png)(picture, path, file.stream, err);
    if (status == EFFNET_OK) status = atomic_file_commit(&file, err);
    atomic_file_abort(&file);
    return status;
}
