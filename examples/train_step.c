/* train_step.c - teach a small EfficientNet to tell bright pictures from dark ones, batch by batch, then ask it.
 *
 *   cc train_step.c $(pkg-config --cflags --libs effnet) -o train_step */
#include <effnet.h>

#include <stdio.h>

enum { SIDE = 32, BATCH = 16, STEPS = 100, PIXELS = SIDE * SIDE * 3 };

static int say(const effnet_error *error) {
    fprintf(stderr, "train_step: %s\n", error->message);
    return 1;
}

int main(void) {
    static float images[BATCH * PIXELS]; /* (N, H, W, 3), normalised */
    static int32_t labels[BATCH];
    static const char *const settings[][2] = {{"resolution", "32"}, {"batch_size", "16"},   {"warmup_epochs", "0"},
                                              {"lr", "0.0005"},     {"drop_path", "0"},     {"drop", "0"},
                                              {"clip_grad", "1"},   {"bn_momentum", "0.8"}, {"epochs", "1"},
                                              {"sched", "cosine"},  {"init_dense", "zeros"}}; /* few classes */
    effnet_recipe *recipe = NULL;
    effnet_trainer *trainer = NULL;
    effnet_model *model = NULL;
    effnet_error error;
    double loss = 0;
    if (effnet_recipe_open(NULL, &recipe, &error) != EFFNET_OK) return say(&error);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (effnet_recipe_set(recipe, settings[i][0], settings[i][1], &error) != EFFNET_OK) return say(&error);
    const effnet_trainer_options options = {.struct_size = sizeof options, .num_classes = 2, .steps_per_epoch = STEPS};
    if (effnet_trainer_create(recipe, &options, &trainer, &error) != EFFNET_OK) return say(&error);
    for (int n = 0; n < BATCH; n++) {
        labels[n] = n % 2;
        for (int p = 0; p < PIXELS; p++) images[n * PIXELS + p] = (n % 2 ? 1.0f : -1.0f) + (float)(n * p % 7) * 0.1f;
    }
    for (int step = 1; step <= STEPS; step++) {
        if (effnet_trainer_step(trainer, images, labels, BATCH, &loss, NULL, &error) != EFFNET_OK) return say(&error);
        if (step % 20 == 0) printf("step %d  loss %.4f\n", step, loss);
    }
    float logits[BATCH][2];
    if (effnet_trainer_model(trainer, false, &model, &error) != EFFNET_OK) return say(&error);
    if (effnet_logits(model, images, BATCH, &logits[0][0], &error) != EFFNET_OK) return say(&error);
    int right = 0;
    for (int n = 0; n < BATCH; n++) right += (logits[n][1] > logits[n][0]) == labels[n];
    printf("%d of %d right\n", right, BATCH);
    effnet_model_free(model);
    effnet_trainer_free(trainer);
    effnet_recipe_free(recipe);
    return 0;
}
