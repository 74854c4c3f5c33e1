/* verb_verify.c - effnet verify: is an exported file what was exported? */
#include "common_options.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>

static int print_json(const char *file, const effnet_verification *told) {
    json_t *object = json_object();
    json_object_set_new(object, "file", json_text(file));
    json_object_set_new(object, "model", json_text(told->model));
    json_object_set_new(object, "num_classes", json_integer(told->num_classes));
    json_object_set_new(object, "checksum", json_boolean(told->has_checksum));
    json_object_set_new(object, "golden", json_boolean(told->has_golden));
    json_object_set_new(object, "worst", json_real(told->worst));
    json_object_set_new(object, "largest", json_real(told->largest));
    return json_print("verify", object);
}

int verb_verify(int argc, char **argv) {
    static const VerbHelp help = {
        .verb = "verify",
        .text = "FILE is an OUT.onnx or OUT.gguf of 'effnet export', or a .safetensors file. Its checksum is held "
                "against its bytes;\n"
                "its weights are run on the golden picture in its metadata and must give the logits that were written\n"
                "with it. What ONNX Runtime makes of the same picture can be compared by docs/deploy.md's few lines.\n",
        .examples = "  effnet verify mine.onnx\n",
    };
    bool json = false;
    const Option options[] = {OPTION_ROW_JSON(&json, "one JSON object"), {0}};
    CommandLine line;
    int status = parse_options(&help, options, argc, argv, &line);
    if (status != PARSED) return status;
    if (line.count == 0) return usage_error("verify", "no FILE given");
    if (line.count > 1) return usage_error("verify", "unexpected argument '%.60s'", line.arguments[1]);
    effnet_verification told = {.struct_size = sizeof told};
    effnet_error error;
    if (effnet_verify(line.arguments[0], &told, &error) != EFFNET_OK) return report("verify", &error);
    if (json) return print_json(line.arguments[0], &told);
    char name[600], worst[32], largest[32];
    text_for_terminal(line.arguments[0], name, sizeof name);
    text_number(told.worst, 7, worst, sizeof worst);
    text_number(told.largest, 4, largest, sizeof largest);
    printf("%s: %s, %d classes: checksum %s", name, told.model, told.num_classes, told.has_checksum ? "right" : "none");
    if (told.has_golden)
        printf("; the golden picture's logits within %s (the largest is %s)\n", worst, largest);
    else
        printf("; no golden picture in it, every weight read\n");
    return EXIT_OK;
}
