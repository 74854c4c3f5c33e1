/* predict_explain.c - see predict_explain.h. */
#include "predict_explain.h"

#include "options.h"
#include "output_file.h"
#include "text.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool named_as_picture(const char *path) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

/* The class of that label, or of that number where none is called so; -2: neither. */
static int find_class(const effnet_model *model, const char *name) {
    const int classes = effnet_model_classes(model);
    for (int c = 0; c < classes; c++)
        if (strcmp(effnet_model_label(model, c), name) == 0) return c;
    char *end;
    errno = 0;
    const long number = strtol(name, &end, 10);
    return *name >= '0' && *name <= '9' && !*end && !errno && number < classes ? (int)number : -2;
}

int explainer_begin(Explainer *explainer, effnet_model *model, const char *out, const char *class_name,
                    char *const *images, int image_count) {
    const char *only = image_count == 1 ? images[0] : NULL;
    const bool several = !only || *only == '@' || strcmp(only, "-") == 0 || is_folder(only);
    *explainer = (Explainer){.model = model,
                             .out = out,
                             .folder = is_folder(out) || !named_as_picture(out),
                             .class_index = class_name ? find_class(model, class_name) : -1};
    if (explainer->class_index < -1)
        return usage_error("predict",
                           "--class is '%.60s', which is neither a class of this model nor a number below %d",
                           class_name, effnet_model_classes(model));
    if (several && !explainer->folder)
        return usage_error("predict", "--explain '%.60s' is one picture; of several, give a folder", out);
    if (explainer->folder && mkdir(out, 0777) != 0 && !(errno == EEXIST && is_folder(out))) {
        fprintf(stderr, "effnet predict: cannot make the folder '%s': %s\n", out, strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

int explainer_draw(Explainer *explainer, const char *image) {
    char path[2100], name[300], shown[2200];
    const char *slash = strrchr(image, '/');
    snprintf(name, sizeof name, "%.200s", slash ? slash + 1 : image);
    char *dot = strrchr(name, '.');
    if (dot && dot > name) *dot = 0;
    explainer->drawn++;
    const int length = explainer->folder ? snprintf(path, sizeof path, "%s/%06lld-%s.png", explainer->out,
                                                    (long long)explainer->drawn, name)
                                         : snprintf(path, sizeof path, "%s", explainer->out);
    if (length >= (int)sizeof path) {
        fprintf(stderr, "effnet predict: the path '%.80s...' is too long\n", explainer->out);
        return EXIT_FAILED;
    }
    if (output_is_input("predict", path, image)) return EXIT_FAILED;
    const effnet_picture picture = {.path = image};
    effnet_prediction of;
    effnet_error error;
    if (effnet_explain_save(explainer->model, &picture, explainer->class_index, path, &of, &error) != EFFNET_OK)
        return report("predict", &error);
    text_for_terminal(path, shown, sizeof shown);
    text_for_terminal(of.label, name, sizeof name);
    fprintf(stderr, "effnet predict: %s: where '%s' is seen\n", shown, name);
    return EXIT_OK;
}
