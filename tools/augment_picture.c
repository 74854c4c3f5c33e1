/* augment_picture.c - the augmentation operations of src/data on one picture, for make_augment.py to compare:
 *
 *     augment_picture CASES HEIGHT WIDTH < PIXELS > RESULTS
 *
 * PIXELS is (HEIGHT, WIDTH, 3) bytes; RESULTS the same for each line of CASES (tests/golden/augment_cases.txt). */
#include "../tests/golden/augment_cases.h"

#include <stdlib.h>

static bool write_case(const AugmentCase *item, const Picture *picture, size_t size, Picture *copy, uint8_t **scratch) {
    memcpy(copy->pixels, picture->pixels, size);
    augment_apply(&item->operation, &item->style, copy, scratch);
    return fwrite(copy->pixels, 1, size, stdout) == size;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: augment_picture CASES HEIGHT WIDTH < PIXELS > RESULTS\n", stderr);
        return 2;
    }
    int height = atoi(argv[2]), width = atoi(argv[3]);
    FILE *cases = fopen(argv[1], "r");
    if (!cases || height < 1 || width < 1 || height > 4096 || width > 4096) {
        fprintf(stderr, "augment_picture: cannot open '%s', or '%s' x '%s' is no size from 1 to 4096\n", argv[1],
                argv[2], argv[3]);
        return 2;
    }
    size_t size = 3 * (size_t)height * (size_t)width;
    Picture picture = {.height = height, .width = width, .pixels = malloc(size)}, copy = picture;
    copy.pixels = malloc(size);
    uint8_t *scratch = malloc(size);
    bool good = picture.pixels && copy.pixels && scratch && fread(picture.pixels, 1, size, stdin) == size;
    AugmentCase item;
    while (good && augment_case_read(cases, &item)) good = write_case(&item, &picture, size, &copy, &scratch);
    if (!good) fputs("augment_picture: no memory, too few pixels or no room for the results\n", stderr);
    free(picture.pixels);
    free(copy.pixels);
    free(scratch);
    fclose(cases);
    return good ? 0 : 1;
}
