/* make_pictures.h - JPEG, PNG and IDX files made by the data tests as they run: no picture is committed. */
#ifndef EFFNET_TESTS_MAKE_PICTURES_H
#define EFFNET_TESTS_MAKE_PICTURES_H

#include "scratch_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <spng.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <zlib.h>

typedef struct Bytes {
    uint8_t *data; /* freed with free() */
    size_t size;
} Bytes;

/* A pattern by formula, the same as in tests/golden/make_resize.py: triangle waves and noise, edges and flats. */
static inline uint8_t pattern_level(int y, int x, int channel) {
    uint32_t hash = (uint32_t)x * 73856093u ^ (uint32_t)y * 19349663u ^ (uint32_t)channel * 83492791u;
    int wave = (x * 3 + y * 2 + channel * 40) % 256 - 128, noise = (int)(hash >> 7 & 63);
    int level = (wave < 0 ? -wave : wave) + noise;
    if ((x / 11 + y / 7) % 5 == 0) level = x / 11 % 2 ? 255 : 0;
    return (uint8_t)(level > 255 ? 255 : level);
}

static inline uint8_t *pattern_picture(int height, int width) {
    uint8_t *pixels = malloc(3 * (size_t)height * (size_t)width), *next = pixels;
    assert_non_null(pixels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) *next++ = pattern_level(y, x, c);
    return pixels;
}

static inline Bytes make_jpeg(const uint8_t *pixels, int height, int width, int format, int subsampling, int flags) {
    Bytes made = {0};
    unsigned char *buffer = NULL;
    unsigned long size = 0;
    tjhandle handle = tjInitCompress();
    assert_int_equal(tjCompress2(handle, pixels, width, 0, height, format, &buffer, &size, subsampling, 95, flags), 0);
    made.data = malloc(size);
    assert_non_null(made.data);
    memcpy(made.data, buffer, size);
    made.size = size;
    tjFree(buffer);
    tjDestroy(handle);
    return made;
}

/* A JPEG of one colour, 4:4:4. */
static inline Bytes make_plain_jpeg(int height, int width, int red, int green, int blue) {
    uint8_t *pixels = malloc(3 * (size_t)height * (size_t)width);
    assert_non_null(pixels);
    for (int i = 0; i < height * width; i++) {
        pixels[3 * i] = (uint8_t)red;
        pixels[3 * i + 1] = (uint8_t)green;
        pixels[3 * i + 2] = (uint8_t)blue;
    }
    Bytes made = make_jpeg(pixels, height, width, TJPF_RGB, TJSAMP_444, 0);
    free(pixels);
    return made;
}

/* A JPEG of pattern_picture, 4:4:4. */
static inline Bytes make_pattern_jpeg(int height, int width) {
    uint8_t *pixels = pattern_picture(height, width);
    Bytes made = make_jpeg(pixels, height, width, TJPF_RGB, TJSAMP_444, 0);
    free(pixels);
    return made;
}

/* `stored`: samples as PNG stores them (rows padded to bytes, 16 bits big-endian). */
static inline Bytes make_png(const void *stored, size_t stored_size, int height, int width, int color_type, int depth,
                             struct spng_plte *palette, struct spng_trns *transparency) {
    struct spng_ihdr header = {.width = (uint32_t)width,
                               .height = (uint32_t)height,
                               .bit_depth = (uint8_t)depth,
                               .color_type = (uint8_t)color_type};
    struct spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    int error = 0;
    Bytes made;
    spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    assert_int_equal(spng_set_ihdr(context, &header), 0);
    if (palette) assert_int_equal(spng_set_plte(context, palette), 0);
    if (transparency) assert_int_equal(spng_set_trns(context, transparency), 0);
    assert_int_equal(spng_encode_image(context, stored, stored_size, SPNG_FMT_RAW, SPNG_ENCODE_FINALIZE), 0);
    made.data = spng_get_png_buffer(context, &made.size, &error);
    assert_non_null(made.data);
    spng_ctx_free(context);
    return made;
}

static inline void put_big_endian(uint8_t *bytes, uint32_t number) {
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

static inline void write_bytes(const char *path, Bytes bytes) {
    scratch_write(path, bytes.data, bytes.size);
}

/* FOLDER/a/b/c.jpg with its folders; frees the bytes. */
static inline void place_file(const ScratchFolder *folder, const char *relative, Bytes bytes) {
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path(folder, relative));
    for (char *slash = path + strlen(folder->path) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    write_bytes(path, bytes);
    free(bytes.data);
}

static inline void write_gzip(const char *path, Bytes bytes) {
    gzFile stream = gzopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(gzwrite(stream, bytes.data, (unsigned)bytes.size), (int)bytes.size);
    assert_int_equal(gzclose(stream), Z_OK);
}

/* An IDX file: magic, dimensions, then `size` bytes by formula: byte i is i * step % modulus. */
static inline Bytes make_idx(int rank, const uint32_t *dimensions, size_t size, int step, int modulus) {
    Bytes made = {.size = 4 + 4 * (size_t)rank + size};
    made.data = calloc(1, made.size);
    assert_non_null(made.data);
    put_big_endian(made.data, 0x0800u | (uint32_t)rank);
    for (int i = 0; i < rank; i++) put_big_endian(made.data + 4 + 4 * i, dimensions[i]);
    for (size_t i = 0; i < size; i++)
        made.data[4 + 4 * (size_t)rank + i] = (uint8_t)(i * (size_t)step % (size_t)modulus);
    return made;
}

#endif
