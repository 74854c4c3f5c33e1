/* finetune_recipe.c - see finetune_recipe.h.
 *
 * For every size: AdamW with rates that fall by layer, a short warm-up and a cosine to 0; batch norm by the running
 * statistics of the trained model, which a few hundred pictures can only spoil; decay off the weights but not off vectors;
 * photographs turned as their cameras say. The classifier is at its optimum for the trained features when such a run
 * begins (probe.h), so the rate is that of the features: 0.0004 for 16 pictures, growing with the root of the batch.
 *
 * By size: few pictures want many epochs, a crop that leaves most of a picture, and augmentation that does not hide what
 * little there is; many pictures, fewer epochs and stronger augmentation. */
#include "train/finetune_recipe.h"
#include "train/from_recipe.h"

#include <math.h>

/* From so many training pictures on. */
static const struct Size {
    int64_t pictures;
    int batch, epochs;
    double least_crop; /* share of a picture's area */
    const char *policy;
    double erased;
} sizes[] = {
    {0, 16, 8, 0.4, "", 0},
    {500, 16, 8, 0.35, "", 0},
    {2000, 32, 6, 0.3, "rand-m5-mstd0.5-inc1", 0.1},
    {10000, 64, 4, 0.25, "rand-m7-mstd0.5-inc1", 0.2},
    {50000, 64, 3, 0.2, "rand-m7-mstd0.5-inc1", 0.2},
};

static const struct Size *size_of(int64_t pictures) {
    int at = 0;
    for (int i = 0; i < (int)(sizeof sizes / sizeof sizes[0]); i++)
        if (pictures >= sizes[i].pictures) at = i;
    return &sizes[at];
}

void finetune_recipe(const ModelCard *card, int64_t pictures, Recipe *out) {
    const struct Size *size = size_of(pictures);
    recipe_defaults(out);
    recipe_from_card(card, out);
    snprintf(out->name, sizeof out->name, "finetune");
    out->exif_orientation = true;
    out->batch_size = size->batch;
    while (out->batch_size > 1 && out->batch_size > pictures) out->batch_size /= 2;
    out->eval_batch_size = 64;
    out->epochs = size->epochs;
    out->train_remainder = TRAIN_REMAINDER_WRAP;
    out->scale[0] = size->least_crop;
    snprintf(out->aa, sizeof out->aa, "%s", size->policy);
    out->aa_ops = AA_OPS_PILLOW;
    out->reprob = size->erased;
    out->opt = OPTIMIZER_ADAMW;
    out->opt_eps = 1e-8;
    out->weight_decay = 0.05;
    out->decay_mode = DECAY_MODE_DECOUPLED;
    out->decay_mask = DECAY_MASK_NO_BN_BIAS;
    out->lr = 0.0001 * sqrt((double)out->batch_size);
    out->sched = SCHEDULE_COSINE;
    out->warmup_epochs = 1;
    out->layer_decay = 0.8;
    snprintf(out->freeze, sizeof out->freeze, "bn");
    out->drop_path = 0.1;
    out->model_ema = false;
    out->log_interval = 10;
    out->checkpoint_keep = 1;
}
