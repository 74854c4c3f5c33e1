/* decode_bmp.c - BMP, by hand: the format is a header and rows. Read are OS/2's core header and Windows' of 40 bytes
 * and more; palettes of 1, 4 and 8 bits; 16 bits (5-5-5 or by masks), 24 bits (blue, green, red) and 32 bits (blue,
 * green, red, unused, or by masks); rows from the bottom up or, where the height is negative, from the top down. Alpha
 * is ignored. Run-length coded pictures are refused.
 * (Microsoft, "Bitmap Storage", https://learn.microsoft.com/windows/win32/gdi/bitmap-storage.) */
#include "data/picture/decode_formats.h"

#include <string.h>

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, PLAIN = 0, MASKS = 3, MASKS_AND_ALPHA = 6 };

typedef struct Bitmap {
    const uint8_t *bytes;
    size_t size;
    size_t pixels; /* where the rows begin */
    int64_t height, width;
    bool top_down;
    int bits;               /* a pixel */
    const uint8_t *palette; /* entries of `entry` bytes: blue, green, red, ... */
    int colors, entry;
    uint32_t masks[3]; /* red, green, blue; of 16 and 32 bits */
} Bitmap;

static uint32_t little_endian(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)bytes[i] << 8 * i;
    return value;
}

static effnet_status read_header(Bitmap *map, const char *name, effnet_error *err) {
    const uint8_t *info = map->bytes + FILE_HEADER;
    if (map->size < FILE_HEADER + CORE_HEADER)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated BMP: it has no whole header", name);
    uint32_t header = little_endian(info, 4), compression = PLAIN, used = 0;
    map->pixels = little_endian(map->bytes + 10, 4);
    if (header == CORE_HEADER) {
        map->width = little_endian(info + 4, 2);
        map->height = little_endian(info + 6, 2);
        map->bits = (int)little_endian(info + 10, 2);
        map->entry = 3;
    } else if (header >= INFO_HEADER && header <= 1024 && map->size >= FILE_HEADER + (size_t)header) {
        map->width = (int32_t)little_endian(info + 4, 4);
        map->height = (int32_t)little_endian(info + 8, 4);
        map->bits = (int)little_endian(info + 14, 2);
        compression = little_endian(info + 16, 4);
        used = little_endian(info + 32, 4);
        map->entry = 4;
    } else {
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt or truncated BMP: its header says %u bytes", name,
                    header);
    }
    map->top_down = map->height < 0;
    if (map->top_down) map->height = -map->height;
    size_t after = FILE_HEADER + (size_t)header;
    bool deep = map->bits == 16 || map->bits == 32;
    if (deep && (compression == MASKS || compression == MASKS_AND_ALPHA)) {
        if (map->size < FILE_HEADER + INFO_HEADER + 12)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated BMP: it ends in its masks", name);
        for (int c = 0; c < 3; c++) map->masks[c] = little_endian(info + INFO_HEADER + 4 * c, 4);
        compression = PLAIN;
    } else if (deep) {
        for (int c = 0; c < 3; c++) map->masks[c] = map->bits == 16 ? 0x1Fu << (10 - 5 * c) : 0xFFu << (16 - 8 * c);
    }
    if (compression != PLAIN)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "'%s' is a BMP with compression %u; wanted one without: save it as PNG", name, compression);
    if (map->bits != 1 && map->bits != 4 && map->bits != 8 && map->bits != 24 && !deep)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a BMP of %d bits a pixel; allowed: 1, 4, 8, 16, 24, 32", name,
                    map->bits);
    if (map->bits > 8) return EFFNET_OK;
    map->palette = map->bytes + after;
    map->colors = 1 << map->bits;
    if (used && used < (uint32_t)map->colors) map->colors = (int)used;
    if (map->size < after + (size_t)map->colors * (size_t)map->entry)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated BMP: it ends in its palette", name);
    return EFFNET_OK;
}

/* The bits of `mask` scaled to 0..255. */
static uint8_t masked(uint32_t value, uint32_t mask) {
    if (!mask) return 0;
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift;
    return (uint8_t)(((uint64_t)((value & mask) >> shift) * 255 + most / 2) / most);
}

/* One row to RGB; false where a palette has no such entry. */
static bool read_row(const Bitmap *map, const uint8_t *row, uint8_t *out) {
    for (int64_t x = 0; x < map->width; x++, out += 3) {
        if (map->bits <= 8) {
            int index = row[x * map->bits / 8] >> (8 - map->bits - x * map->bits % 8) & ((1 << map->bits) - 1);
            if (index >= map->colors) return false;
            const uint8_t *color = map->palette + index * map->entry;
            out[0] = color[2], out[1] = color[1], out[2] = color[0];
        } else if (map->bits == 24) {
            out[0] = row[3 * x + 2], out[1] = row[3 * x + 1], out[2] = row[3 * x];
        } else {
            uint32_t value = little_endian(row + x * map->bits / 8, map->bits / 8);
            for (int c = 0; c < 3; c++) out[c] = masked(value, map->masks[c]);
        }
    }
    return true;
}

effnet_status decode_bmp(Decoder *decoder, const uint8_t *bytes, size_t size, const char *name, Picture *out,
                         effnet_error *err) {
    Bitmap map = {.bytes = bytes, .size = size};
    TRY(read_header(&map, name, err));
    TRY(decoder_reserve(decoder, map.height, map.width, 3, name, err));
    size_t stride = ((size_t)map.width * (size_t)map.bits + 31) / 32 * 4; /* rows are padded to 4 bytes */
    if (map.pixels > size || stride * (size_t)map.height > size - map.pixels)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a truncated BMP: %lld x %lld pixels need %zu bytes, it has %zu",
                    name, (long long)map.width, (long long)map.height, stride * (size_t)map.height,
                    map.pixels > size ? 0 : size - map.pixels);
    for (int64_t y = 0; y < map.height; y++) {
        const uint8_t *row = bytes + map.pixels + stride * (size_t)(map.top_down ? y : map.height - 1 - y);
        if (!read_row(&map, row, decoder->pixels + 3 * (size_t)map.width * (size_t)y))
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is a corrupt BMP: row %lld names a colour its palette has not",
                        name, (long long)y);
    }
    *out = (Picture){.height = (int)map.height, .width = (int)map.width, .pixels = decoder->pixels};
    return EFFNET_OK;
}
