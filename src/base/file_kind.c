/* file_kind.c - see file_kind.h. */
#include "base/file_kind.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

typedef struct Signature {
    int offset;
    const char *bytes;
    int length; /* 0: a text, up to its zero byte */
    const char *name;
} Signature;

#define LFS "a Git LFS pointer ('git lfs pull' fetches the file itself)"

static const Signature signatures[] = {
    {0, "version https://git-lfs", 0, LFS},
    {0, "\x89HDF\r\n\x1a\n", 8, "an HDF5 file (tools/convert.py turns Keras's weights into safetensors)"},
    {0, "\x1f\x8b", 2, "a gzip archive (gunzip it)"},
    {0, "BZh", 0, "a bzip2 archive (bunzip2 it)"},
    {0, "\xfd\x37zXZ", 6, "an xz archive (unxz it)"},
    {0, "\x28\xb5\x2f\xfd", 4, "a zstd archive (unzstd it)"},
    {0, "Rar!", 0, "a RAR archive (unpack it)"},
    {0, "7z\xbc\xaf", 4, "a 7z archive (unpack it)"},
    {257, "ustar", 0, "a tar archive"},
    {0, "EFFPACK", 0, "an effpack of pictures"},
    {0, "\x93NUMPY", 6, "a NumPy array"},
    {0, "GGUF", 0, "a GGUF file"},
    {0, "%PDF", 0, "a PDF document"},
    {0, "SQLite format 3", 0, "an SQLite database"},
    {0, "PAR1", 0, "a Parquet table"},
    {0, "\xff\xd8\xff", 3, "a JPEG picture"},
    {0, "\x89PNG", 4, "a PNG picture"},
    {0, "GIF8", 0, "a GIF picture"},
    {8, "WEBP", 0, "a WebP picture"},
    {0, "II*\0", 4, "a TIFF picture"},
    {0, "MM\0*", 4, "a TIFF picture"},
    {4, "ftypavif", 0, "an AVIF picture"},
    {4, "ftyphei", 0, "a HEIC picture"},
    {4, "ftypmif1", 0, "a HEIF picture"},
    {4, "ftyp", 0, "an MP4 video"},
    {0, "\0\0\0\x0cJXL ", 8, "a JPEG XL picture (convert it to PNG or JPEG)"},
    {0, "\xff\x0a", 2, "a JPEG XL picture (convert it to PNG or JPEG)"},
    {0, "\0\0\0\x0cjP  ", 8, "a JPEG 2000 picture (convert it to PNG or JPEG)"},
    {0, "8BPS", 0, "a Photoshop file (export it as PNG or JPEG)"},
    {0, "RIFF", 0, "a RIFF file, sound or video"},
    {0, "\x7f\x45LF", 4, "a program"},
};

static bool begins(const char *bytes, size_t size, const Signature *signature) {
    size_t length = signature->length ? (size_t)signature->length : strlen(signature->bytes);
    return size >= (size_t)signature->offset + length &&
           memcmp(bytes + signature->offset, signature->bytes, length) == 0;
}

static bool contains(const char *bytes, size_t size, const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i + length <= size; i++)
        if (memcmp(bytes + i, text, length) == 0) return true;
    return false;
}

/* "<html", "<!DOCTYPE", "<svg", "<?xml", in any case, after blanks and a mark. */
static const char *kind_of_markup(const char *bytes, size_t size) {
    size_t i = size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (i < size && strchr(" \t\r\n", bytes[i]) && bytes[i]) i++;
    const char *text = bytes + i;
    size_t left = size - i;
    if ((left >= 5 && strncasecmp(text, "<html", 5) == 0) ||
        (left >= 14 && strncasecmp(text, "<!doctype html", 14) == 0))
        return "an HTML page (a download that was answered with a page; fetch the file itself)";
    if (left >= 4 && strncasecmp(text, "<svg", 4) == 0) return "an SVG drawing (render it as PNG)";
    if (left >= 5 && strncasecmp(text, "<?xml", 5) == 0)
        return contains(text, left, "<svg") ? "an SVG drawing (render it as PNG)" : "an XML document";
    return NULL;
}

const char *file_kind_of(const void *bytes, size_t size) {
    const char *text = bytes;
    if (size > 1024) size = 1024;
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (begins(text, size, &signatures[i])) return signatures[i].name;
    if (size >= 4 && memcmp(text, "PK\3\4", 4) == 0)
        return contains(text, size, "data.pkl") || contains(text, size, "archive/")
                   ? "a PyTorch checkpoint (effnet import FILE OUT.safetensors takes its weights)"
                   : "a zip archive (unzip it)";
    if (size >= 2 && (unsigned char)text[0] == 0x80 && text[1] >= 2 && text[1] <= 5)
        return "a Python pickle (if PyTorch's, effnet import FILE OUT.safetensors takes its weights)";
    if (size >= 9 && text[8] == '{' && memcmp(text + 4, "\0\0\0\0", 4) == 0) return "a safetensors file";
    if (size >= 3 && memcmp(text, "\x08", 1) == 0 && text[1] >= 1 && text[1] < 20 && text[2] == 0x12)
        return "an ONNX model";
    return kind_of_markup(text, size);
}
