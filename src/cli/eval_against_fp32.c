/* eval_against_fp32.c - see eval_against_fp32.h. */
#include "eval_against_fp32.h"

#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static const double most_points = 1;

/* Collects the layers as rows of JSON. */
static void add_layer(void *context, const effnet_layer_error *error) {
    json_t *row = json_object();
    json_object_set_new(row, "layer", json_text(error->layer));
    json_object_set_new(row, "relative", json_rounded(error->relative, 4));
    json_object_set_new(row, "largest", json_rounded(error->largest, 4));
    json_array_append_new(context, row);
}

static void print_layers(const json_t *rows) {
    size_t i;
    json_t *row;
    printf("\nlayer        error, root mean square and largest, shares of the fp32 values' root mean square\n");
    json_array_foreach(rows, i, row) {
        printf("%-12s %9.5f %9.4f\n", json_string_value(json_object_get(row, "layer")),
               json_number_value(json_object_get(row, "relative")), json_number_value(json_object_get(row, "largest")));
    }
}

int against_fp32(const AgainstFp32 *against, effnet_model *model, double top1, json_t *object, bool *accepted) {
    effnet_model_options options = *against->model_options;
    effnet_model *plain = NULL;
    effnet_evaluation evaluation = {.struct_size = sizeof evaluation};
    effnet_error error;
    json_t *rows = json_array();
    const effnet_dtype_options layers = {.struct_size = sizeof layers, .layer = add_layer, .context = rows};
    options.dtype = "fp32";
    effnet_status status = effnet_dtype_errors(model, against->data, &layers, &error);
    if (status == EFFNET_OK) status = effnet_model_open(against->checkpoint, &options, &plain, &error);
    if (status == EFFNET_OK)
        status = effnet_evaluate(plain, against->data, against->evaluate_options, &evaluation, &error);
    effnet_model_free(plain);
    if (status != EFFNET_OK) {
        json_decref(rows);
        return report(against->verb, &error);
    }
    const double lost = evaluation.top1 - top1;
    if (object) {
        json_object_set_new(object, "fp32_top1", json_rounded(evaluation.top1, 7));
        json_object_set_new(object, "lost", json_rounded(lost, 5));
        json_object_set(object, "layers", rows);
    } else {
        print_layers(rows);
        printf("\nfp32    top-1 %.2f %%: %s %s %.2f points\n", evaluation.top1, against->dtype,
               lost < 0 ? "gains" : "loses", lost < 0 ? -lost : lost);
    }
    json_decref(rows);
    *accepted = lost <= most_points || against->allow_loss;
    if (!*accepted)
        fprintf(stderr, "effnet %s: %s loses %.2f points of top-1, more than %g; --allow-loss takes it all the same\n",
                against->verb, against->dtype, lost, most_points);
    return EXIT_OK;
}
