/* test_onnx_runtime.c - ONNX Runtime computes the same logits from an exported file: B0 and Lite0 at 64 x 64, batch
 * norm folded and kept, each with batches of three and of one. Skipped (77) where no Python with onnxruntime is found:
 * EFFNET_PYTHON, /work/venv/bin/python, python3. */
#include "format/safetensors.h"
#include "onnx_example.h"
#include "scratch_folder.h"

#include <sys/wait.h>
#include <unistd.h>

enum { FILES = 4, IMAGES = 3, SIDE = 64 };

static int run_script(const char *python, char *const *arguments) {
    char *command[2 * FILES + 3] = {(char *)python, EFFNET_SOURCE_DIR "/tests/golden/check_onnx.py"};
    for (int i = 0; i < 2 * FILES; i++) command[i + 2] = arguments[i];
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        execvp(python, command);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 1;
    return WEXITSTATUS(status);
}

/* model.onnx twice, folded and kept, and the logits they must give. */
static void write_example(const ScratchFolder *folder, const char *name, char *paths[4]) {
    ModelConfig config;
    effnet_error err = {0};
    onnx_example_must(model_config_by_name(name, &config, &err), &err);
    config.input = (TensorShape){SIDE, SIDE, 3};
    config.num_classes = 10;
    OnnxExample example = onnx_example_make(&config, IMAGES);
    const char *const endings[4] = {".folded.onnx", ".safetensors", ".kept.onnx", ".safetensors"};
    for (int i = 0; i < 4; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s%s", folder->path, name, endings[i]);
        paths[i] = strdup(path);
        if (!paths[i]) exit(1);
    }
    onnx_example_write(&example, paths[0], false);
    onnx_example_write(&example, paths[2], true);
    SafetensorsEntry entries[2] = {
        {"images", 4, (int[]){IMAGES, SIDE, SIDE, 3}, example.images, IMAGES * SIDE * SIDE * 3},
        {"logits", 2, (int[]){IMAGES, 10}, example.logits, IMAGES * 10}};
    onnx_example_must(safetensors_write(paths[1], entries, 2, NULL, &err), &err);
    onnx_example_free(&example);
}

int main(void) {
    const char *pythons[] = {getenv("EFFNET_PYTHON"), "/work/venv/bin/python", "python3"};
    ScratchFolder folder = scratch_folder_create();
    char *paths[2 * FILES];
    write_example(&folder, "efficientnet_b0", paths);
    write_example(&folder, "efficientnet_lite0", paths + 4);
    int result = 77;
    for (int i = 0; i < 3 && (result == 77 || result == 127); i++)
        if (pythons[i] && *pythons[i]) result = run_script(pythons[i], paths);
    if (result == 127) result = 77;
    if (result == 77) printf("skipped: no Python with onnxruntime, numpy and safetensors; name one in EFFNET_PYTHON\n");
    for (int i = 0; i < 2 * FILES; i++) free(paths[i]);
    scratch_folder_remove(&folder);
    return result;
}
