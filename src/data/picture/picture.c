/* picture.c - see picture.h. */
#include "data/picture/picture.h"

#include <stdlib.h>

void picture_free(Picture *picture) {
    if (!picture) return;
    free(picture->pixels);
    *picture = (Picture){0};
}
