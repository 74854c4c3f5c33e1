/* predict_explain.h - effnet predict --explain: class activation maps drawn over pictures, one a file. */
#ifndef EFFNET_CLI_PREDICT_EXPLAIN_H
#define EFFNET_CLI_PREDICT_EXPLAIN_H

#include "effnet.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Explainer {
    effnet_model *model;
    const char *out; /* OUT.png, or a folder; NULL: nothing is to be explained */
    bool folder;
    int class_index; /* -1: the likeliest */
    int64_t drawn;
} Explainer;

/* `class_name` NULL: the likeliest. Several pictures, or arguments that may stand for several, need a folder, which is made
 * where it is not there. Returns an exit status, a line is on standard error where it is none of success. */
int explainer_begin(Explainer *explainer, effnet_model *model, const char *out, const char *class_name,
                    char *const *images, int image_count);
/* Writes the picture and says so on standard error. */
int explainer_draw(Explainer *explainer, const char *image);

#endif
