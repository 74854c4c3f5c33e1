/* contact_sheet.h - what a network will see of a data set, as one picture. */
#ifndef EFFNET_DATA_INSPECT_CONTACT_SHEET_H
#define EFFNET_DATA_INSPECT_CONTACT_SHEET_H

#include "data/sources/dataset.h"
#include "recipe/recipe.h"

typedef struct SheetOptions {
    const char *source, *path; /* path: a PNG to write, or a JPEG where it ends with .jpg */
    bool validation;           /* as in evaluation; else as in training: shuffled, augmented, mixed */
    bool operations;           /* instead: the first picture under each operation of augmentation, a row each */
    int rows, columns;         /* 1 to 64 each; rows is not looked at where the rows are named or operations */
    const char *const *named;  /* NULL, or num_named rows: "KEY=VALUE KEY=VALUE ..." over the recipe */
    int num_named;
    int workers;
} SheetOptions;

/* The first pictures of the first epoch, exactly as the recipe's loader makes them, normalisation undone, each with its
 * label under it, or its two labels and their shares where it was mixed. Named rows: each begins with the same pictures
 * and has its text above it. Operations: those of the recipe's `aa` and `aa_ops`, from no strength on the left to
 * magnitude 10 (of TrivialAugment: its strongest) on the right, each with what it was called with. */
effnet_status contact_sheet_write(const Recipe *recipe, const SheetOptions *options, effnet_error *err);

#endif
