/* contact_sheet.h - what a network will see of a data set, as one picture. */
#ifndef EFFNET_DATA_CONTACT_SHEET_H
#define EFFNET_DATA_CONTACT_SHEET_H

#include "data/dataset.h"
#include "recipe/recipe.h"

typedef struct SheetOptions {
    const char *source, *path; /* path: a PNG to write */
    bool validation;           /* as in evaluation; else as in training: shuffled, augmented, mixed */
    int rows, columns;         /* 1 to 64 each */
    int workers;
} SheetOptions;

/* The first pictures of the first epoch, exactly as the recipe's loader makes them, normalisation undone, each with its
 * label under it, or its two labels and their shares where it was mixed. */
effnet_status contact_sheet_write(const Recipe *recipe, const SheetOptions *options, effnet_error *err);

#endif
