/* exif.c - orientation out of an EXIF block (a TIFF file in small: Exif 2.32, CIPA DC-008, section 4.6), and pictures
 * turned by it.
 *
 *      1        2        3        4          5            6            7            8
 *    as is   mirrored  by 180   upside    transposed   by 90 right   transverse   by 90 left
 *                               down                   to be upright              to be upright */
#include "data/picture/exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

typedef struct Tiff {
    const uint8_t *bytes;
    size_t size;
    bool big; /* most significant byte first */
} Tiff;

static uint32_t number_at(const Tiff *tiff, size_t at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)tiff->bytes[at + (size_t)i] << 8 * (tiff->big ? bytes - 1 - i : i);
    return value;
}

int exif_orientation(const uint8_t *bytes, size_t size) {
    if (size < 8) return 0;
    Tiff tiff = {.bytes = bytes, .size = size, .big = bytes[0] == 'M'};
    if (memcmp(bytes, "II", 2) != 0 && memcmp(bytes, "MM", 2) != 0) return 0;
    if (number_at(&tiff, 2, 2) != 42) return 0;
    size_t at = number_at(&tiff, 4, 4);
    if (at > size - 2) return 0;
    size_t entries = number_at(&tiff, at, 2);
    at += 2;
    for (; entries > 0 && size - at >= ENTRY_BYTES; entries--, at += ENTRY_BYTES) {
        if (number_at(&tiff, at, 2) != TAG_ORIENTATION) continue;
        uint32_t value = number_at(&tiff, at + 8, 2);
        bool plain = number_at(&tiff, at + 2, 2) == TYPE_SHORT && number_at(&tiff, at + 4, 4) == 1;
        return plain && value >= 1 && value <= 8 ? (int)value : 0;
    }
    return 0;
}

int exif_orientation_of_jpeg(const uint8_t *bytes, size_t size) {
    for (size_t at = 2; at + 4 <= size && bytes[at] == 0xFF;) {
        int code = bytes[at + 1];
        if (code == 0xFF) { /* fill */
            at++;
            continue;
        }
        if (code == 0xDA || code == 0xD9) return 0; /* the picture itself, or the end: EXIF stands before it */
        size_t length = (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        if (length < 2 || length > size - at - 2) return 0;
        const uint8_t *block = bytes + at + 4;
        if (code == 0xE1 && length >= 8 && memcmp(block, "Exif\0\0", 6) == 0)
            return exif_orientation(block + 6, length - 8);
        at += 2 + length;
    }
    return 0;
}

int exif_orientation_of_webp(const uint8_t *bytes, size_t size) {
    for (size_t at = 12; size >= 8 && at <= size - 8;) { /* after "RIFF", length, "WEBP" */
        size_t length = (size_t)bytes[at + 4] | (size_t)bytes[at + 5] << 8 | (size_t)bytes[at + 6] << 16 |
                        (size_t)bytes[at + 7] << 24;
        const uint8_t *block = bytes + at + 8;
        if (length > size - at - 8) return 0;
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            bool headed = length >= 6 && memcmp(block, "Exif\0\0", 6) == 0; /* some writers leave it there */
            return headed ? exif_orientation(block + 6, length - 6) : exif_orientation(block, length);
        }
        at += 8 + length + length % 2;
    }
    return 0;
}

void picture_turn(const Picture *picture, int orientation, uint8_t *out) {
    const int height = picture->height, width = picture->width;
    const size_t channels = (size_t)picture_channels(picture);
    bool swapped = orientation >= 5 && orientation <= 8;
    int rows = swapped ? width : height, columns = swapped ? height : width;
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < columns; x++, out += channels) {
            int from_y = swapped ? x : y, from_x = swapped ? y : x;
            if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
                from_y = height - 1 - from_y;
            if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
                from_x = width - 1 - from_x;
            memcpy(out, picture->pixels + channels * ((size_t)from_y * (size_t)width + (size_t)from_x), channels);
        }
}
