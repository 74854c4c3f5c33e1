/* decode_formats.c - telling pictures apart: a file's name says little (ImageNet has a PNG called .JPEG). */
#include "data/picture/decode_formats.h"

#include <string.h>
#include <strings.h>

PictureKind picture_kind(const uint8_t *bytes, size_t size) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    if (size >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) return PICTURE_JPEG;
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return PICTURE_PNG;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) return PICTURE_WEBP;
    if (size >= 6 && (memcmp(bytes, "GIF87a", 6) == 0 || memcmp(bytes, "GIF89a", 6) == 0)) return PICTURE_GIF;
    if (size >= 8 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0)) return PICTURE_TIFF;
    if (size >= 12 && memcmp(bytes + 4, "ftyp", 4) == 0) {
        static const char *const brands[] = {"heic", "heix", "heim", "heis", "mif1", "avif"};
        for (size_t i = 0; i < sizeof brands / sizeof *brands; i++)
            if (memcmp(bytes + 8, brands[i], 4) == 0) return PICTURE_HEIF;
    }
    /* "BM" alone is too little to go by: the length of the second header must be one there is. */
    if (size >= 18 && memcmp(bytes, "BM", 2) == 0 && bytes[15] < 4 && !bytes[16] && !bytes[17]) {
        static const int headers[] = {12, 40, 52, 56, 64, 108, 124};
        for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
            if ((bytes[14] | bytes[15] << 8) == headers[i]) return PICTURE_BMP;
    }
    return PICTURE_UNKNOWN;
}

bool name_is_picture(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png",  ".jpe",  ".jfif", ".webp", ".bmp",
                                          ".gif", ".tif",  ".tiff", ".heic", ".heif", ".avif"};
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash : name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}
