/* plan_text.c - see plan_text.h. */
#include "plan_text.h"

#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHART_ROWS = 6, CLASSES_SHOWN = 12 };

static void add_number(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, value == value ? json_rounded(value, 6) : json_null());
}

static json_t *classes_to_json(const effnet_plan *plan) {
    json_t *classes = json_array();
    for (int c = 0; plan->class_names && c < plan->num_classes; c++) {
        json_t *class = json_object();
        json_object_set_new(class, "name", json_text(plan->class_names[c]));
        json_object_set_new(class, "training", json_integer(plan->counts[0][c]));
        json_object_set_new(class, "evaluation", json_integer(plan->counts[1][c]));
        json_array_append_new(classes, class);
    }
    return classes;
}

static int print_json(const char *verb, const effnet_plan *plan, int64_t runs) {
    json_t *object = json_object(), *rates = json_array(), *warnings = json_array(), *mean = json_array(),
           *std = json_array();
    json_object_set_new(object, "model", json_text(plan->model));
    const struct {
        const char *key;
        int64_t value;
    } integers[] = {
        {"resolution", plan->resolution},
        {"resolution_width", plan->resolution_width},
        {"num_classes", plan->num_classes},
        {"parameters", plan->parameters},
        {"training_pictures", plan->pictures[0]},
        {"evaluation_pictures", plan->pictures[1]},
        {"batch_size", plan->batch_size},
        {"steps_per_epoch", plan->steps_per_epoch},
        {"steps", plan->steps},
        {"epochs", plan->epochs},
        {"evaluations", plan->evaluations},
        {"runs", runs},
        {"steps_timed", plan->steps_timed},
        {"memory_bytes", plan->memory_bytes},
        {"cache_bytes", plan->cache_bytes},
        {"memory_limit", plan->memory_limit},
        {"memory_free", plan->memory_free},
        {"checkpoint_bytes", plan->checkpoint_bytes},
        {"disk_bytes", plan->disk_bytes},
    };
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        json_object_set_new(object, integers[i].key, json_integer(integers[i].value));
    add_number(object, "seconds", plan->seconds);
    add_number(object, "step_seconds", plan->step_seconds);
    add_number(object, "images_per_s", plan->images_per_s);
    add_number(object, "data_wait", plan->data_wait);
    add_number(object, "evaluation_seconds", plan->evaluation_seconds);
    for (int i = 0; i < EFFNET_PLAN_POINTS; i++) json_array_append_new(rates, json_rounded(plan->lr[i], 6));
    for (int c = 0; c < 3 && plan->input_mean[c] == plan->input_mean[c]; c++) {
        json_array_append_new(mean, json_rounded(plan->input_mean[c], 4));
        json_array_append_new(std, json_rounded(plan->input_std[c], 4));
    }
    for (int i = 0; i < plan->num_warnings; i++) json_array_append_new(warnings, json_text(plan->warnings[i]));
    json_object_set_new(object, "lr", rates);
    json_object_set_new(object, "input_mean", mean);
    json_object_set_new(object, "input_std", std);
    json_object_set_new(object, "classes", classes_to_json(plan));
    json_object_set_new(object, "warnings", warnings);
    return json_print(verb, object);
}

static void print_bytes(const char *label, int64_t bytes) {
    if (bytes >= 1 << 30)
        printf("%-10s %.1f GiB", label, (double)bytes / 0x1p30);
    else
        printf("%-10s %.0f MiB", label, (double)bytes / 0x1p20);
}

static bool utf8_terminal(void) {
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8");
    }
    return false;
}

/* Columns of eighths, a row of text at a time, the largest rate at the top. */
static void draw_schedule(const effnet_plan *plan) {
    static const char *const eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", " ", " ", ".", ".", ":", ":", "|", "|"};
    const char *const *marks = utf8_terminal() ? eighths : plain;
    double most = 0;
    char peak[32], last[32];
    for (int i = 0; i < EFFNET_PLAN_POINTS; i++) most = plan->lr[i] > most ? plan->lr[i] : most;
    text_number(most, 3, peak, sizeof peak);
    text_number(plan->lr[EFFNET_PLAN_POINTS - 1], 3, last, sizeof last);
    for (int row = CHART_ROWS - 1; most > 0 && row >= 0; row--) {
        printf("%-10s ", row == CHART_ROWS - 1 ? "lr" : "");
        for (int i = 0; i < EFFNET_PLAN_POINTS; i++) {
            double filled = plan->lr[i] / most * CHART_ROWS * 8 - row * 8;
            fputs(marks[filled >= 8 ? 8 : filled > 0 ? (int)filled : 0], stdout);
        }
        printf("%s%s\n",
               row == CHART_ROWS - 1 ? " "
               : row == 0            ? " ends at "
                                     : "",
               row == CHART_ROWS - 1 ? peak
               : row == 0            ? last
                                     : "");
    }
}

static void print_classes(const effnet_plan *plan) {
    if (!plan->class_names) return;
    printf("\n%-32s %10s %10s\n", "class", "training", "evaluation");
    for (int c = 0; c < plan->num_classes; c++) {
        if (plan->num_classes > CLASSES_SHOWN && c == CLASSES_SHOWN - 1) {
            printf("... %d more (--json has them all)\n", plan->num_classes - c);
            return;
        }
        char name[128], training[32], evaluation[32];
        text_for_terminal(plan->class_names[c], name, sizeof name);
        text_count(plan->counts[0][c], training, sizeof training);
        text_count(plan->counts[1][c], evaluation, sizeof evaluation);
        printf("%-32s %10s %10s\n", name, training, evaluation);
    }
}

static void print_text(const effnet_plan *plan, int64_t runs) {
    char parameters[32], pictures[32], others[32], steps[32], time[32], evaluation[32];
    text_count(plan->parameters, parameters, sizeof parameters);
    text_count(plan->pictures[0], pictures, sizeof pictures);
    text_count(plan->pictures[1], others, sizeof others);
    text_count(plan->steps, steps, sizeof steps);
    text_duration(plan->seconds, time, sizeof time);
    printf("%-10s %s at %dx%d, %d classes, %s parameters\n", "model", plan->model, plan->resolution,
           plan->resolution_width, plan->num_classes, parameters);
    printf("%-10s %s for training", "pictures", pictures);
    if (plan->pictures[1]) printf(", %s for evaluation", others);
    printf("\n%-10s %s of %lld pictures, %lld an epoch, %lld epochs\n", "steps", steps, (long long)plan->batch_size,
           (long long)plan->steps_per_epoch, (long long)plan->epochs);
    printf("%-10s %s: %.0f images/s, %.3g s a step (%d timed%s)", "time", time, plan->images_per_s, plan->step_seconds,
           plan->steps_timed, plan->class_names ? "" : ", on noise, without reading pictures");
    if (plan->evaluation_seconds > 0) {
        text_duration(plan->evaluation_seconds, evaluation, sizeof evaluation);
        printf(", %lld evaluations of %s", (long long)plan->evaluations, evaluation);
    }
    printf("\n");
    if (runs > 1) {
        text_duration((double)runs * plan->seconds, time, sizeof time);
        printf("%-10s %lld, one after the other: %s\n", "runs", (long long)runs, time);
    }
    print_bytes("memory", plan->memory_bytes);
    if (plan->cache_bytes) printf(", %.0f MiB of it pictures kept decoded", (double)plan->cache_bytes / 0x1p20);
    printf("; %.1f GiB are free\n", (double)plan->memory_free / 0x1p30);
    print_bytes("disk", plan->disk_bytes);
    printf(", checkpoints of %.0f MiB\n", (double)plan->checkpoint_bytes / 0x1p20);
    draw_schedule(plan);
    print_classes(plan);
    if (plan->num_warnings) printf("\n");
    for (int i = 0; i < plan->num_warnings; i++) {
        char safe[1000];
        text_for_terminal(plan->warnings[i], safe, sizeof safe);
        printf("warning: %s\n", safe);
    }
}

/* How many runs the recipe asks for, of which one is planned. */
static int64_t count_runs(const effnet_recipe *recipe) {
    int64_t most = 1;
    static const char *const keys[] = {"seeds", "folds"};
    for (int i = 0; i < 2; i++) {
        char text[32];
        if (effnet_recipe_get(recipe, keys[i], text, sizeof text, NULL) != EFFNET_OK) continue;
        const int64_t count = strtoll(text, NULL, 10);
        if (count > most) most = count;
    }
    return most;
}

int plan_and_print(const char *verb, const effnet_recipe *recipe, const effnet_train_options *train, int64_t pictures,
                   bool json) {
    const effnet_plan_options options = {.struct_size = sizeof options, .train = train, .pictures = pictures};
    effnet_plan plan = {.struct_size = sizeof plan};
    const int64_t runs = count_runs(recipe);
    effnet_error error;
    int status = EXIT_OK;
    if (effnet_plan_run(recipe, &options, &plan, &error) != EFFNET_OK)
        status = report(verb, &error);
    else if (json)
        status = print_json(verb, &plan, runs);
    else
        print_text(&plan, runs);
    effnet_plan_free(&plan);
    return status;
}
