/* decode_gif.c - a still GIF through giflib: the one picture on its canvas, the colours of the palette as they are
 * stored; transparency is ignored, as for PNG. Of an animation there is no one picture: it is refused. Rows are read
 * one by one into memory whose size was checked; giflib's own reading of whole files would allocate what the file asks
 * for. */
#include "base/linked.h"
#include "data/picture/decode_formats.h"

#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

typedef struct GifBytes {
    const uint8_t *bytes;
    size_t left;
} GifBytes;

static int read_bytes(GifFileType *file, GifByteType *out, int count) {
    GifBytes *from = file->UserData;
    size_t wanted = count > 0 ? (size_t)count : 0, given = wanted < from->left ? wanted : from->left;
    memcpy(out, from->bytes, given);
    from->bytes += given;
    from->left -= given;
    return (int)given;
}

static effnet_status corrupt(const GifFileType *file, const char *name, effnet_error *err) {
    const char *reason = GifErrorString(file->Error);
    if (file->Error == D_GIF_ERR_NOT_ENOUGH_MEM) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt GIF: %s", name, reason ? reason : "it ends early");
}

/* Fills the canvas, (height, width, 3), with its background's colour, or black. */
static void fill_background(const GifFileType *file, uint8_t *pixels) {
    const ColorMapObject *map = file->SColorMap;
    GifColorType colour = {0};
    if (map && file->SBackGroundColor < map->ColorCount) colour = map->Colors[file->SBackGroundColor];
    size_t count = (size_t)file->SHeight * (size_t)file->SWidth;
    for (size_t i = 0; i < count; i++) {
        pixels[3 * i] = colour.Red;
        pixels[3 * i + 1] = colour.Green;
        pixels[3 * i + 2] = colour.Blue;
    }
}

static effnet_status read_row(GifFileType *file, int y, GifPixelType *row, uint8_t *pixels, const char *name,
                              effnet_error *err) {
    const GifImageDesc *image = &file->Image;
    const ColorMapObject *map = image->ColorMap ? image->ColorMap : file->SColorMap;
    if (DGifGetLine(file, row, image->Width) != GIF_OK) return corrupt(file, name, err);
    uint8_t *to = pixels + 3 * ((size_t)(image->Top + y) * (size_t)file->SWidth + (size_t)image->Left);
    for (int x = 0; x < image->Width; x++, to += 3) {
        if (row[x] >= map->ColorCount)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt GIF: colour %d of a palette of %d", name, row[x],
                        map->ColorCount);
        to[0] = map->Colors[row[x]].Red;
        to[1] = map->Colors[row[x]].Green;
        to[2] = map->Colors[row[x]].Blue;
    }
    return EFFNET_OK;
}

/* Memory for the canvas once there is a picture on it, and its bytes could hold so many pixels: one of LZW's codes of 12
 * bits stands for at most 4,096. Twenty bytes must not take 600 MB. */
static effnet_status begin_canvas(GifFileType *file, Decoder *decoder, const char *name, effnet_error *err) {
    const GifBytes *from = file->UserData;
    const GifImageDesc *image = &file->Image;
    if (image->Width > 0 && image->Height > 0 && (size_t)image->Width * (size_t)image->Height / 4096 > from->left)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt GIF: it ends early", name);
    TRY(decoder_reserve(decoder, file->SHeight, file->SWidth, 3, name, err));
    fill_background(file, decoder->pixels);
    return EFFNET_OK;
}

/* The image whose head was read last; interlaced ones in four passes (GIF89a, appendix E). */
static effnet_status read_image(GifFileType *file, uint8_t *pixels, const char *name, effnet_error *err) {
    static const int first[] = {0, 4, 2, 1, 0}, step[] = {8, 8, 4, 2, 1};
    const GifImageDesc *image = &file->Image;
    if (image->Left < 0 || image->Top < 0 || image->Width < 1 || image->Height < 1 ||
        image->Width > file->SWidth - image->Left || image->Height > file->SHeight - image->Top)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt GIF: its picture goes beyond its canvas", name);
    if (!image->ColorMap && !file->SColorMap)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a GIF without a palette", name);
    GifPixelType *row = malloc((size_t)image->Width);
    if (!row) return fail(err, EFFNET_ERROR_MEMORY, "no memory to read '%s'", name);
    effnet_status status = EFFNET_OK;
    for (int pass = image->Interlace ? 0 : 4; status == EFFNET_OK && pass < (image->Interlace ? 4 : 5); pass++)
        for (int y = first[pass]; status == EFFNET_OK && y < image->Height; y += step[pass])
            status = read_row(file, y, row, pixels, name, err);
    free(row);
    return status;
}

static effnet_status read_records(GifFileType *file, Decoder *decoder, const char *name, effnet_error *err) {
    GifRecordType record;
    for (int images = 0;;) {
        if (DGifGetRecordType(file, &record) != GIF_OK) {
            if (images) return EFFNET_OK; /* the end is missing, as of many GIFs; the picture is whole */
            return corrupt(file, name, err);
        }
        if (record == TERMINATE_RECORD_TYPE)
            return images ? EFFNET_OK : fail(err, EFFNET_ERROR_FORMAT, "'%s' is a GIF without a picture", name);
        if (record == IMAGE_DESC_RECORD_TYPE) {
            if (images++)
                return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' is an animated GIF; save one picture of it", name);
            if (DGifGetImageDesc(file) != GIF_OK) return corrupt(file, name, err);
            TRY(begin_canvas(file, decoder, name, err));
            TRY(read_image(file, decoder->pixels, name, err));
        } else if (record == EXTENSION_RECORD_TYPE) {
            GifByteType *block;
            int code;
            int got = DGifGetExtension(file, &code, &block);
            while (got == GIF_OK && block) got = DGifGetExtensionNext(file, &block);
            if (got != GIF_OK && images) return EFFNET_OK;
            if (got != GIF_OK) return corrupt(file, name, err);
        }
    }
}

effnet_status decode_gif(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err) {
    GifBytes from = {.bytes = bytes, .left = size};
    int code = 0;
    if (!is_linked((void (*)(void))DGifOpen))
        return fail(err, EFFNET_ERROR_UNSUPPORTED, "'%s' is a GIF, and this program was linked without giflib (-lgif)",
                    name);
    GifFileType *file = DGifOpen(&from, read_bytes, &code);
    if (!file) {
        const char *reason = GifErrorString(code);
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt GIF: %s", name,
                    reason ? reason : "its head is damaged");
    }
    effnet_status status = read_records(file, decoder, name, err);
    if (status == EFFNET_OK)
        *out = (Picture){.height = file->SHeight, .width = file->SWidth, .pixels = decoder->pixels};
    decoder->orientation = 1;
    DGifCloseFile(file, &code);
    return status;
}
