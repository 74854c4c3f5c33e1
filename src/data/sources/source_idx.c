/* source_idx.c - pictures and labels in two IDX files (http://yann.lecun.com/exdb/mnist), gzip or not, as MNIST,
 * Fashion-MNIST and EMNIST come: big-endian 32-bit numbers, magic 0x00000803 (images: count, height, width, then
 * bytes) and 0x00000801 (labels: count, then bytes). The grey bytes are kept in memory; a picture read is RGB.
 *
 * The header is believed only as far as the file's length allows it: exactly without gzip; with it, up to the 1,032
 * bytes that deflate can make of one, and then the data must be neither short nor long. */
#include "data/sources/source.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
    PATH_BYTES = 4096,
    IDX_BYTES = 0x08,     /* element type: unsigned byte */
    DEFLATE_RATIO = 1032, /* deflate never expands one byte to more */
};

typedef struct IdxSource {
    Dataset dataset;
    char *images_path;
    int height, width;
    uint8_t *images; /* (size, height, width) */
    uint8_t *labels; /* (size) */
} IdxSource;

typedef struct IdxFile {
    uint32_t dimensions[3];
    uint8_t *bytes; /* freed with free() */
} IdxFile;

/* ---- one IDX file ---- */

static uint32_t big_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Exactly `size` bytes, or an error. */
static effnet_status read_exactly(gzFile stream, const char *path, uint8_t *bytes, size_t size, effnet_error *err) {
    for (size_t used = 0; used < size;) {
        size_t part = size - used < (1u << 30) ? size - used : 1u << 30;
        int got = gzread(stream, bytes + used, (unsigned)part);
        if (got < 0) {
            int code;
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is corrupt: %s", path, gzerror(stream, &code));
        }
        if (got == 0)
            return fail(err, EFFNET_ERROR_FORMAT, "'%s' is truncated: it ends %zu bytes early", path, size - used);
        used += (size_t)got;
    }
    return EFFNET_OK;
}

static effnet_status read_open_file(gzFile stream, const char *path, int64_t length, int rank, IdxFile *out,
                                    effnet_error *err) {
    uint8_t header[16];
    size_t header_size = 4 + 4 * (size_t)rank, size = 1;
    TRY(read_exactly(stream, path, header, 4, err));
    uint32_t magic = big_endian(header), wanted = (uint32_t)IDX_BYTES << 8 | (uint32_t)rank;
    const char *known = magic != wanted ? file_kind_at(path) : NULL;
    if (known && gzdirect(stream)) return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not an IDX file but %s", path, known);
    if (magic != wanted)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is not an IDX file of %s: it begins with %08x, wanted %08x", path,
                    rank == 3 ? "images (bytes, 3 dimensions)" : "labels (bytes, 1 dimension)", magic, wanted);
    TRY(read_exactly(stream, path, header + 4, header_size - 4, err));
    for (int i = 0; i < rank; i++) {
        out->dimensions[i] = big_endian(header + 4 + 4 * i);
        if (!size_multiply(size, out->dimensions[i], &size)) size = SIZE_MAX / 2;
    }
    if (size == 0) return fail(err, EFFNET_ERROR_FORMAT, "'%s' says that it holds nothing", path);
    bool plain = gzdirect(stream);
    uint64_t possible = plain ? (uint64_t)length - header_size : (uint64_t)length * DEFLATE_RATIO;
    if (size > possible || size > PTRDIFF_MAX / 2)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "'%s' is truncated or its header is wrong: it promises %zu bytes, and %s %llu", path, size,
                    plain ? "holds" : "can hold at most", (unsigned long long)possible);
    out->bytes = malloc(size);
    if (!out->bytes) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the %zu bytes of '%s'", size, path);
    TRY(read_exactly(stream, path, out->bytes, size, err));
    /* One byte more, to see the end: it also makes zlib check the sum. */
    uint8_t beyond;
    int got = gzread(stream, &beyond, 1), code = 0;
    const char *text = gzerror(stream, &code);
    if (got < 0 || code == Z_BUF_ERROR)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is truncated or corrupt: %s", path, text);
    if (got > 0)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' is longer than the %zu bytes its header promises", path,
                    size + header_size);
    return EFFNET_OK;
}

static effnet_status idx_read(const char *path, int rank, IdxFile *out, effnet_error *err) {
    *out = (IdxFile){0};
    int descriptor;
    int64_t length;
    TRY(file_open(path, &descriptor, &length, err));
    gzFile stream = gzdopen(descriptor, "rb"); /* which closes it */
    if (!stream) {
        close(descriptor);
        return fail(err, EFFNET_ERROR_MEMORY, "cannot open '%s': not enough memory", path);
    }
    gzbuffer(stream, 256 << 10);
    effnet_status result = read_open_file(stream, path, length, rank, out, err);
    gzclose(stream);
    if (result != EFFNET_OK) {
        free(out->bytes);
        out->bytes = NULL;
    }
    return result;
}

/* ---- names of classes ---- */

/* Fashion-MNIST's files name no classes. CRC-32 of its training and test labels tells it in a folder of any name. */
static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
enum { FASHION_CLASSES = sizeof fashion_names / sizeof *fashion_names };
static const uint32_t fashion_sums[2] = {0x2ed6e46au, 0x242bc73fu};

static bool is_fashion_mnist(const IdxSource *source, const char *root, int classes) {
    if (classes > FASHION_CLASSES) return false;
    uint32_t sum = (uint32_t)crc32_z(0, source->labels, (size_t)source->dataset.size);
    if (sum == fashion_sums[0] || sum == fashion_sums[1]) return true;
    char *resolved = realpath(root, NULL);
    if (!resolved) return false;
    const char *slash = strrchr(resolved, '/');
    const char *name = slash ? slash + 1 : resolved;
    bool found =
        strcasestr(name, "fashion-mnist") || strcasestr(name, "fashion_mnist") || strcasestr(name, "fashionmnist");
    free(resolved);
    return found;
}

static effnet_status name_classes(IdxSource *source, const char *root, effnet_error *err) {
    Dataset *dataset = &source->dataset;
    NameList *names = &dataset->own_classes;
    int classes = 0;
    for (int64_t i = 0; i < dataset->size; i++)
        if (source->labels[i] >= classes) classes = source->labels[i] + 1;
    char path[PATH_BYTES];
    TRY(path_join(path, sizeof path, root, "labels.txt", err));
    dataset->classes_named = true;
    if (path_exists(path)) {
        TRY(name_list_read(path, names, err));
        TRY(name_list_check_unique(names, path, err));
        if (names->count < classes)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' names %d classes, and '%s' has labels up to %d: one name a line", path, names->count,
                        source->images_path, classes - 1);
        return EFFNET_OK;
    }
    if (is_fashion_mnist(source, root, classes)) {
        for (int i = 0; i < FASHION_CLASSES; i++) TRY(name_list_add(names, fashion_names[i], err));
        return EFFNET_OK;
    }
    dataset->classes_named = false;
    return name_list_count(names, classes, err);
}

/* ---- the methods of a source ---- */

static void idx_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    snprintf(buffer, size, "%s#%lld", ((const IdxSource *)dataset)->images_path, (long long)index);
}

static effnet_status idx_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out, effnet_error *err) {
    (void)decoder, (void)err;
    const IdxSource *source = (const IdxSource *)dataset;
    size_t count = (size_t)source->height * (size_t)source->width;
    *out = (Blob){.format = BLOB_GREY,
                  .bytes = source->images + (size_t)index * count,
                  .size = count,
                  .height = source->height,
                  .width = source->width};
    return EFFNET_OK;
}

static int idx_label(const Dataset *dataset, int64_t index) {
    return ((const IdxSource *)dataset)->labels[index];
}

static void idx_release(Dataset *dataset) {
    IdxSource *source = (IdxSource *)dataset;
    free(source->images_path);
    free(source->images);
    free(source->labels);
}

static const SourceMethods idx_methods = {
    .fetch = idx_fetch, .label = idx_label, .describe = idx_describe, .release = idx_release};

/* ---- finding and opening ---- */

/* PREFIX-KIND-idx3-ubyte, as published, or PREFIX-KIND.idx3-ubyte, as some archives unpack it; plain before gzip. */
static effnet_status find_file(const char *root, const char *prefix, const char *kind, int rank, char *path,
                               size_t size, bool *found, effnet_error *err) {
    static const char *const forms[4] = {"%s-%s-idx%d-ubyte", "%s-%s.idx%d-ubyte", "%s-%s-idx%d-ubyte.gz",
                                         "%s-%s.idx%d-ubyte.gz"};
    *found = false;
    for (int i = 0; i < 4 && !*found; i++) {
        char name[PATH_BYTES];
        if ((size_t)snprintf(name, sizeof name, forms[i], prefix, kind, rank) >= sizeof name)
            return fail(err, EFFNET_ERROR_ARGUMENT, "split name too long: '%.80s...'", prefix);
        TRY(path_join(path, size, root, name, err));
        *found = path_exists(path);
    }
    return EFFNET_OK;
}

effnet_status source_idx_find(const char *root, const char *prefix, char *images, char *labels, size_t size,
                              bool *found, effnet_error *err) {
    bool labelled = false;
    TRY(find_file(root, prefix, "images", 3, images, size, found, err));
    if (!*found) return EFFNET_OK;
    TRY(find_file(root, prefix, "labels", 1, labels, size, &labelled, err));
    if (labelled) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO,
                "'%s' has no labels beside it: wanted '%s-labels-idx1-ubyte' or the same with .gz", images, prefix);
}

static effnet_status fill(IdxSource *source, const char *root, const char *images, const char *labels,
                          effnet_error *err) {
    IdxFile file;
    source->images_path = strdup(images);
    if (!source->images_path) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", images);
    TRY(idx_read(images, 3, &file, err));
    source->images = file.bytes;
    if (file.dimensions[1] > PICTURE_MAX_SIDE || file.dimensions[2] > PICTURE_MAX_SIDE)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' says its pictures are %u wide and %u high; allowed are %d", images,
                    file.dimensions[2], file.dimensions[1], (int)PICTURE_MAX_SIDE);
    source->height = (int)file.dimensions[1];
    source->width = (int)file.dimensions[2];
    uint32_t count = file.dimensions[0];
    TRY(idx_read(labels, 1, &file, err));
    source->labels = file.bytes;
    if (file.dimensions[0] != count)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' has %u pictures and '%s' %u labels: they do not belong together",
                    images, count, labels, file.dimensions[0]);
    source->dataset.size = count;
    return name_classes(source, root, err);
}

effnet_status source_idx_open(const char *root, const char *images, const char *labels, Dataset **out,
                              effnet_error *err) {
    *out = NULL;
    IdxSource *source = calloc(1, sizeof *source);
    if (!source) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", images);
    source->dataset.methods = &idx_methods;
    source->dataset.in_memory = true;
    effnet_status status = fill(source, root, images, labels, err);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
