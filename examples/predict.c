/* predict.c - classify pictures with a model that `effnet train` made.
 *
 *   cc predict.c $(pkg-config --cflags --libs effnet) -o predict
 *   ./predict runs/fashion-mnist-b0/checkpoints/best shoe.png */
#include <effnet.h>

#include <stdio.h>

enum { TOP = 3 };

int main(int argc, char **argv) {
    effnet_model *model = NULL;
    effnet_error error;
    int failed = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: predict CHECKPOINT PICTURE...\n");
        return 2;
    }
    if (effnet_model_open(argv[1], NULL, &model, &error) != EFFNET_OK) {
        fprintf(stderr, "predict: %s\n", error.message);
        return 1;
    }
    int count = effnet_model_classes(model) < TOP ? effnet_model_classes(model) : TOP;
    for (int i = 2; i < argc; i++) {
        effnet_prediction best[TOP];
        if (effnet_predict_file(model, argv[i], best, count, &error) != EFFNET_OK) {
            fprintf(stderr, "predict: %s\n", error.message);
            failed = 1;
            continue;
        }
        printf("%s:", argv[i]);
        for (int k = 0; k < count; k++) printf("  %s %.1f %%", best[k].label, 100.0 * (double)best[k].probability);
        printf("\n");
    }
    effnet_model_free(model);
    return failed;
}
