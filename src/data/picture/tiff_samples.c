/* tiff_samples.c - see tiff_samples.h. A file in strips is read row by row, one in tiles tile by tile; either block has
 * the samples of its pixels beside each other, or those of one plane. Tiles at the right and lower edge reach over the
 * picture, and what is outside is left out. libtiff gives samples of 16 bits in this machine's order of bytes. */
#include "data/picture/tiff_samples.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TILE_BYTES = 256 << 20 };

/* `count` pixels of a block into the picture; `beside`: samples of each in the block, which are `out`'s first. */
static void place(const TiffSamples *samples, const uint8_t *block, size_t count, size_t beside, uint8_t *out) {
    const size_t channels = (size_t)samples->channels;
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < beside; s++) {
            uint16_t deep;
            if (samples->bits == 8) {
                out[i * channels + s] = block[i * beside + s];
                continue;
            }
            memcpy(&deep, block + 2 * (i * beside + s), sizeof deep);
            out[i * channels + s] = (uint8_t)(deep >> 8);
        }
}

/* Memory for a block, which has `least` bytes by its width and samples; NULL where libtiff thinks otherwise. */
static uint8_t *block_for(tmsize_t size, uint64_t least) {
    return size > 0 && (uint64_t)size == least ? malloc((size_t)size) : NULL;
}

static bool read_strips(TIFF *file, const TiffSamples *samples, int planes, size_t beside, uint8_t *pixels) {
    const size_t channels = (size_t)samples->channels, width = samples->width;
    uint8_t *row = block_for(TIFFScanlineSize(file), width * beside * (size_t)samples->bits / 8);
    bool good = row != NULL;
    for (int plane = 0; good && plane < planes; plane++)
        for (uint32_t y = 0; good && y < samples->height; y++) {
            good = TIFFReadScanline(file, row, y, (uint16_t)plane) > 0;
            if (good) place(samples, row, width, beside, pixels + (size_t)y * width * channels + (size_t)plane);
        }
    free(row);
    return good;
}

/* Of the tile whose first pixel is (top, left) what lies in the picture. */
static void place_tile(const TiffSamples *samples, const uint8_t *tile, uint32_t top, uint32_t left,
                       uint32_t tile_height, uint32_t tile_width, size_t beside, uint8_t *pixels) {
    const uint32_t below = samples->height - top, behind = samples->width - left;
    const uint32_t rows = below < tile_height ? below : tile_height,
                   columns = behind < tile_width ? behind : tile_width;
    const size_t line = (size_t)tile_width * beside * (size_t)samples->bits / 8;
    for (uint32_t y = 0; y < rows; y++)
        place(samples, tile + y * line, columns, beside,
              pixels + ((size_t)(top + y) * samples->width + left) * (size_t)samples->channels);
}

static bool tile_sides(TIFF *file, uint32_t *height, uint32_t *width) {
    return TIFFGetField(file, TIFFTAG_TILELENGTH, height) && TIFFGetField(file, TIFFTAG_TILEWIDTH, width) &&
           *height > 0 && *width > 0;
}

static bool read_tiles(TIFF *file, const TiffSamples *samples, int planes, size_t beside, uint8_t *pixels) {
    uint32_t height = 0, width = 0;
    if (!tile_sides(file, &height, &width)) return false;
    uint8_t *tile = block_for(TIFFTileSize(file), (uint64_t)height * width * beside * (uint64_t)samples->bits / 8);
    bool good = tile != NULL;
    for (int plane = 0; good && plane < planes; plane++)
        for (uint64_t y = 0; good && y < samples->height; y += height)
            for (uint64_t x = 0; good && x < samples->width; x += width) {
                good = TIFFReadTile(file, tile, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane) > 0;
                if (good) place_tile(samples, tile, (uint32_t)y, (uint32_t)x, height, width, beside, pixels + plane);
            }
    free(tile);
    return good;
}

bool tiff_blocks_fit(TIFF *file) {
    uint32_t height, width;
    if (!TIFFIsTiled(file)) return true;
    return tile_sides(file, &height, &width) && TIFFTileSize64(file) <= MOST_TILE_BYTES;
}

bool tiff_samples_read(TIFF *file, const TiffSamples *samples, uint8_t *pixels) {
    const int planes = samples->separate ? samples->channels : 1;
    const size_t beside = samples->separate ? 1 : (size_t)samples->channels;
    return TIFFIsTiled(file) ? read_tiles(file, samples, planes, beside, pixels)
                             : read_strips(file, samples, planes, beside, pixels);
}
