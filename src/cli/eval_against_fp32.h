/* eval_against_fp32.h - what a dtype costs, in points of accuracy and layer by layer: effnet eval --against-fp32, and export
 * --dtype int8. */
#ifndef EFFNET_CLI_EVAL_AGAINST_FP32_H
#define EFFNET_CLI_EVAL_AGAINST_FP32_H

#include "effnet.h"

#include <jansson.h>

typedef struct AgainstFp32 {
    const char *verb, *checkpoint, *data, *dtype;
    const effnet_model_options *model_options; /* as the model was opened */
    const effnet_evaluate_options *evaluate_options;
    bool allow_loss;
} AgainstFp32;

/* Evaluates the same weights in fp32 and measures the layers of `model`, whose top-1 is `top1`; prints a table, or sets keys
 * of `object` where that is not NULL. *accepted false: more than a point is lost, and that is not allowed; a line on standard
 * error says so. Returns an exit status. */
int against_fp32(const AgainstFp32 *against, effnet_model *model, double top1, json_t *object, bool *accepted);

#endif
