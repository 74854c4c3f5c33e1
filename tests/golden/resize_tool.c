/* resize_tool.c - resize_tool METHOD FILTER SIDE OUT < pixels > floats: a square of SIDE x SIDE RGB bytes becomes OUT x
 * OUT float levels, overshoot kept, as the recipe's `resize` METHOD does it: for make_resize_point.py, which compares.
 */
#include "data/transform/resize.h"
#include "recipe/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    static const char *const methods[] = {"pillow", "tensorflow", "tensorflow1", "torch"};
    int method = 0, side = argc == 5 ? atoi(argv[3]) : 0, out = argc == 5 ? atoi(argv[4]) : 0;
    if (side < 1 || side > 10000 || out < 1 || out > 2048) {
        fprintf(stderr, "usage: resize_tool pillow|tensorflow|tensorflow1|torch bilinear|bicubic SIDE OUT\n");
        return 2;
    }
    while (method < 4 && strcmp(argv[1], methods[method]) != 0) method++;
    size_t bytes = 3 * (size_t)side * (size_t)side, floats = 3 * (size_t)out * (size_t)out;
    uint8_t *pixels = malloc(bytes);
    float *levels = malloc(floats * sizeof *levels);
    Resizer resizer = {0};
    effnet_error err = {0};
    const ResizeOptions options = {
        .height = out,
        .width = out,
        .method = method,
        .interpolation = strcmp(argv[2], "bicubic") == 0 ? INTERPOLATION_BICUBIC : INTERPOLATION_BILINEAR,
        .keep_overshoot = method != RESIZE_PILLOW,
        .scale = {1, 1, 1},
    };
    bool good =
        method < 4 && pixels && levels && fread(pixels, 1, bytes, stdin) == bytes &&
        resize_box(&resizer, pixels, 3 * (size_t)side, (Box){0, 0, side, side}, &options, levels, &err) == EFFNET_OK &&
        fwrite(levels, sizeof *levels, floats, stdout) == floats;
    if (!good) fprintf(stderr, "resize_tool: %s\n", err.message);
    resizer_release(&resizer);
    free(pixels);
    free(levels);
    return good ? 0 : 1;
}
