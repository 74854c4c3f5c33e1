/* run_check.c - see run_check.h. */
#include "train/run_check.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_SHOWN = 5 };

/* "'a', 'b', 'c' and 4 more" of the classes without a picture; their number. */
static int list_empty(const Dataset *dataset, const char *const *names, int classes, char *text, size_t size) {
    int64_t *counts = calloc((size_t)classes, sizeof *counts);
    int empty = 0;
    text[0] = 0;
    if (!counts) return 0;
    dataset_count(dataset, counts, classes);
    for (int c = 0; c < classes; c++) {
        size_t used = strlen(text);
        if (counts[c] || empty++ >= NAMES_SHOWN) continue;
        snprintf(text + used, size - used, "%s'%.60s'", used ? ", " : "", names[c]);
    }
    size_t used = strlen(text);
    if (empty > NAMES_SHOWN) snprintf(text + used, size - used, " and %d more", empty - NAMES_SHOWN);
    free(counts);
    return empty;
}

effnet_status run_check_classes(const Dataset *train, const char *data, effnet_error *err) {
    if (dataset_num_classes(train) >= 2) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT,
                "the training pictures of '%s' are all of one class, '%.80s': there is nothing to tell apart; a "
                "folder for each of at least two classes is wanted",
                data, dataset_class_name(train, 0));
}

/* Several labels a picture: what cannot be done with them. */
static effnet_status check_sets(Run *run, effnet_error *err) {
    const Recipe *recipe = run->recipe;
    const bool sets = dataset_has_sets(run->train_set);
    if (!sets && dataset_has_sets(run->val_set))
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "the evaluation pictures of '%s' have several labels, and the training pictures one each; name the "
                    "column of both 'labels', with '|' between them",
                    recipe->data);
    if (!sets) return EFFNET_OK;
    if (recipe->loss == LOSS_CROSS_ENTROPY)
        return fail(err, EFFNET_ERROR_ARGUMENT,
                    "the pictures of '%s' have several labels, and loss: cross_entropy is for one; write loss: binary, "
                    "or focal",
                    recipe->data);
    if (recipe->class_weights[0] || recipe->sampler != SAMPLER_SHUFFLE)
        return fail(err, EFFNET_ERROR_UNSUPPORTED,
                    "class_weights and sampler: balanced count one label a picture, and those of '%s' have several; "
                    "leave them out",
                    recipe->data);
    run_note(&run->notes, "pictures have several labels: evaluations tell mean average precision, by which the best "
                          "checkpoint is chosen, and F1; no report is written");
    return EFFNET_OK;
}

effnet_status run_check_data(Run *run, effnet_error *err) {
    const Dataset *train = run->train_set;
    TRY(check_sets(run, err));
    int classes = dataset_num_classes(train);
    TRY(run_check_classes(train, run->recipe->data, err));
    const char **names = calloc((size_t)classes, sizeof *names);
    if (!names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d classes", classes);
    for (int c = 0; c < classes; c++) names[c] = dataset_class_name(train, c);
    char list[500];
    int empty = list_empty(train, names, classes, list, sizeof list);
    if (empty) run_note(&run->notes, "no training picture of %d of the %d classes: %s", empty, classes, list);
    empty = list_empty(run->val_set, names, classes, list, sizeof list);
    if (empty)
        run_note(&run->notes, "no evaluation picture of %d of the %d classes, so top-1 says nothing about them: %s",
                 empty, classes, list);
    free(names);
    return EFFNET_OK;
}

effnet_status run_check_training(Run *run, effnet_error *err) {
    const Network *network = &run->network;
    const Recipe *recipe = run->recipe;
    const int part = (int)(recipe->batch_size / recipe_parts(recipe)); /* pictures that a batch norm sees at once */
    for (int i = 0; i < network->num_ops; i++) {
        const Op *op = &network->ops[i];
        const TensorShape *shape = &network->tensors[op->input];
        if (op->kind != OP_BATCH_NORM || op->frozen || (int64_t)part * shape->height * shape->width > 1) continue;
        return fail(
            err, EFFNET_ERROR_ARGUMENT,
            "batch norm %s would see a single value a channel (%d picture at a time of %dx%d), which it makes 0 "
            "whatever it is: nothing would be learnt; make batch_size / accumulate (%lld / %lld) at least 2, or "
            "resolution (%dx%d) larger",
            op->name, part, shape->height, shape->width, (long long)recipe->batch_size, (long long)recipe_parts(recipe),
            network->config.input.height, network->config.input.width);
    }
    if (recipe->lr == 0 && recipe->lr_base == 0)
        run_note(&run->notes, "the learning rate is 0 (lr and lr_base): no weight will change");
    if (recipe->warmup_epochs >= (double)recipe->epochs && recipe->warmup_epochs > 0)
        run_note(&run->notes,
                 "the warm-up (warmup_epochs: %g) lasts as long as the run (epochs: %lld): lr is never reached",
                 recipe->warmup_epochs, (long long)recipe->epochs);
    if (recipe->model_ema && recipe->model_ema_decay >= 1 && !recipe->model_ema_warmup)
        run_note(&run->notes, "model_ema_decay is 1: the averages never move from where they began");
    if (recipe->bn_momentum >= 1 && !recipe->freeze[0])
        run_note(
            &run->notes,
            "bn_momentum is 1: the running statistics that evaluation uses never move from where they began (it is "
            "the share of the old ones kept; PyTorch's 0.1 is 0.9 here)");
    return EFFNET_OK;
}
