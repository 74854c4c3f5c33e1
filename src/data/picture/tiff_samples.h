/* tiff_samples.h - the samples of a TIFF as they are stored, whatever colours they stand for. Internal to picture/. */
#ifndef EFFNET_DATA_PICTURE_TIFF_SAMPLES_H
#define EFFNET_DATA_PICTURE_TIFF_SAMPLES_H

#include <stdbool.h>
#include <stdint.h>
#include <tiffio.h>

typedef struct TiffSamples {
    uint32_t height, width;
    int channels;  /* samples a pixel */
    int bits;      /* 8 or 16: of 16 the high byte is taken */
    bool separate; /* plane by plane, else the samples of a pixel beside each other */
} TiffSamples;

/* Whether they are such as can be read: 1 to 16 of them, of 8 or 16 bits. */
static inline bool tiff_samples_fit(const TiffSamples *samples) {
    return samples->channels >= 1 && samples->channels <= 16 && (samples->bits == 8 || samples->bits == 16);
}

/* Whether the file's tiles are of a size that is read; strips are. A file says what it likes of a tile's sides, and memory
 * for one is asked for before any of its bytes are seen. */
bool tiff_blocks_fit(TIFF *file);
/* All of them into pixels (height, width, channels). false: damaged, or no memory. */
bool tiff_samples_read(TIFF *file, const TiffSamples *samples, uint8_t *pixels);

#endif
