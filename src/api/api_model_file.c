/* api_model_file.c - which file of weights a path means: a file, a checkpoint's folder, a run's, or a mark that names a
 * checkpoint. */
#include "api/handles.h"

#include "base/file.h"
#include "train/checkpoint_marker.h"

#include <string.h>

bool model_is_file(const char *text) {
    static const char ending[] = ".safetensors";
    const size_t length = strlen(text), end = sizeof ending - 1;
    char target[1024];
    effnet_error ignored;
    if (path_is_folder(text) || (length > end && strcmp(text + length - end, ending) == 0)) return true;
    return checkpoint_marker_follow(text, target, sizeof target, &ignored) == EFFNET_OK && strcmp(text, target) != 0;
}

/* FOLDER/ema.safetensors, or raw.safetensors where asked for or where no average was kept. */
static bool weights_in_folder(const char *folder, bool raw, char *out, size_t size) {
    effnet_error ignored;
    if (!raw && path_join(out, size, folder, "ema.safetensors", &ignored) == EFFNET_OK && path_exists(out)) return true;
    return path_join(out, size, folder, "raw.safetensors", &ignored) == EFFNET_OK && path_exists(out);
}

static bool is_in(const char *folder, const char *name) {
    char path[1100];
    effnet_error ignored;
    return path_join(path, sizeof path, folder, name, &ignored) == EFFNET_OK && path_exists(path);
}

effnet_status model_find_file(const char *path, bool raw, char *out, size_t size, effnet_error *err) {
    static const char *const below[] = {"checkpoints/best", "checkpoints/last"};
    char named[1024], folder[1024], target[1024];
    TRY(checkpoint_marker_follow(path, named, sizeof named, err));
    path = named;
    if (!path_is_folder(path)) {
        if ((size_t)snprintf(out, size, "%s", path) >= size)
            return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s...'", path);
        return EFFNET_OK;
    }
    if (weights_in_folder(path, raw, out, size)) return EFFNET_OK;
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        TRY(path_join(folder, sizeof folder, path, below[i], err));
        TRY(checkpoint_marker_follow(folder, target, sizeof target, err));
        if (weights_in_folder(target, raw, out, size)) return EFFNET_OK;
    }
    if (is_in(path, "series.json"))
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' holds several runs: name one of them, such as '%s/%s'", path, path,
                    is_in(path, "fold-1") ? "fold-1" : "seed-1");
    return fail(
        err, EFFNET_ERROR_FORMAT,
        "'%s' is not a checkpoint: there is no ema.safetensors or raw.safetensors in it, nor in checkpoints/best; "
        "give a folder that 'effnet train' wrote, or a .safetensors file",
        path);
}
