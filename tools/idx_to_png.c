/* idx_to_png.c - one picture of an IDX file (Fashion-MNIST, MNIST; gzip or not) as a greyscale PNG, for the
 * demo to have a picture to classify.
 *
 *   idx_to_png t10k-images-idx3-ubyte.gz INDEX OUT.png
 *
 * IDX, big-endian: bytes 0 0 8 3, then count, height, width (uint32 each), then count * height * width bytes.
 * In the file ink is bright on black, and so it stays: that is what the network was trained on.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <spng.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SIDE_MAX = 4096 };

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int complain(const char *path, const char *what) {
    fprintf(stderr, "idx_to_png: %s: %s\n", path, what);
    return 1;
}

static int write_png(const char *path, const uint8_t *pixels, uint32_t height, uint32_t width) {
    FILE *file = fopen(path, "wb");
    if (!file) return complain(path, strerror(errno));
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {
        .width = width, .height = height, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_GRAYSCALE};
    int wrong = !png || spng_set_png_file(png, file) || spng_set_ihdr(png, &header) ||
                spng_encode_image(png, pixels, (size_t)height * width, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    spng_ctx_free(png);
    if (fclose(file) != 0) wrong = 1;
    return wrong ? complain(path, "cannot be written as PNG") : 0;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: idx_to_png IMAGES-idx3-ubyte[.gz] INDEX OUT.png\n");
        return 2;
    }
    char *end;
    errno = 0;
    unsigned long index = strtoul(argv[2], &end, 10);
    if (errno || *end || end == argv[2]) return complain(argv[2], "is not a number");

    gzFile idx = gzopen(argv[1], "rb"); /* reads plain files too */
    if (!idx) return complain(argv[1], strerror(errno));
    int status = 1;
    uint8_t *pixels = NULL;
    uint8_t header[16];
    if (gzread(idx, header, sizeof header) != (int)sizeof header || memcmp(header, "\0\0\10\3", 4) != 0) {
        complain(argv[1], "is not an IDX file of pictures (8-bit, three dimensions)");
        goto done;
    }
    uint32_t count = big_endian(header + 4), height = big_endian(header + 8), width = big_endian(header + 12);
    if (index >= count || height == 0 || height > SIDE_MAX || width == 0 || width > SIDE_MAX) {
        complain(argv[1], "holds no such picture");
        goto done;
    }
    size_t size = (size_t)height * width;
    pixels = malloc(size);
    if (!pixels || gzseek(idx, (z_off_t)(sizeof header + index * size), SEEK_SET) < 0 ||
        gzread(idx, pixels, (unsigned)size) != (int)size) {
        complain(argv[1], "ends before that picture");
        goto done;
    }
    status = write_png(argv[3], pixels, height, width);
done:
    free(pixels);
    gzclose(idx);
    return status;
}
