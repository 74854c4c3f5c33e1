/* draw_photographs.c - the photographs of two classes that end-to-end tests use where ../shared/data is missing.
 *
 *   draw_photographs FOLDER      (FOLDER is there: train/ and val/ with ants/ and bees/, drawn_photographs.h) */
#include "drawn_photographs.h"

enum { TRAIN = 40, VALIDATION = 60 }; /* of a class */

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: draw_photographs FOLDER\n");
        return 2;
    }
    return drawn_two_classes(arguments[1], TRAIN, VALIDATION) ? 0 : 1;
}
