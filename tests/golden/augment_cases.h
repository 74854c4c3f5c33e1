/* augment_cases.h - reads tests/golden/augment_cases.txt: one list for test_augment.c and tools/augment_picture.c. */
#ifndef EFFNET_TESTS_AUGMENT_CASES_H
#define EFFNET_TESTS_AUGMENT_CASES_H

#include "data/transform/augment.h"
#include "recipe/recipe.h"

#include <stdio.h>
#include <string.h>

typedef struct AugmentCase {
    char text[200]; /* the line */
    AugmentOperation operation;
    AugmentStyle style;
} AugmentCase;

/* The next line that is no comment; false at the end or where a line cannot be read (*out then holds its text). */
static inline bool augment_case_read(FILE *stream, AugmentCase *out) {
    char reference[20], name[20], sampling[20];
    *out = (AugmentCase){.style.fill = {128, 128, 128}};
    do {
        if (!fgets(out->text, sizeof out->text, stream)) {
            out->text[0] = 0;
            return false;
        }
    } while (out->text[0] == '#' || out->text[0] == '\n');
    out->text[strcspn(out->text, "\n")] = 0;
    if (sscanf(out->text, "%19s %19s %lf %19s %d %d", reference, name, &out->operation.argument, sampling,
               &out->operation.center_y, &out->operation.center_x) != 6)
        return false;
    out->style.reference = strcmp(reference, "pillow") == 0 ? AA_OPS_PILLOW : AA_OPS_TENSORFLOW;
    if (strcmp(sampling, "bilinear") == 0) out->style.sampling = SAMPLING_BILINEAR;
    if (strcmp(sampling, "bicubic") == 0) out->style.sampling = SAMPLING_BICUBIC;
    return augment_find(name, &out->operation.kind);
}

#endif
