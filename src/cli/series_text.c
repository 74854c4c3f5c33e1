/* series_text.c - see series_text.h. */
#include "series_text.h"

#include "standard_streams.h"
#include "text.h"
#include "verbs.h"

#include <stdio.h>
#include <string.h>

bool series_is_record(const char *report) {
    static const char name[] = "series.json";
    const size_t length = strlen(report), ending = sizeof name - 1;
    return length >= ending && strcmp(report + length - ending, name) == 0;
}

static double number_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void print_runs(const json_t *record) {
    json_t *run;
    size_t i;
    json_array_foreach(json_object_get(record, "runs"), i, run) {
        const char *name = json_string_value(json_object_get(run, "name")),
                   *setting = json_string_value(json_object_get(run, "setting"));
        char images[32], safe[64];
        text_count(json_integer_value(json_object_get(run, "images")), images, sizeof images);
        text_for_terminal(setting ? setting : "", safe, sizeof safe);
        printf("%-11s %6.2f %% of %s pictures, %s, best %.2f %% after step %lld\n", name ? name : "",
               number_of(run, "accuracy"), images, safe, number_of(run, "best"),
               (long long)json_integer_value(json_object_get(run, "best_step")));
    }
}

static void print_text(const json_t *record, const char *path) {
    char duration[32], images[32];
    text_duration(number_of(record, "seconds"), duration, sizeof duration);
    printf("done: %zu runs in %s\n", json_array_size(json_object_get(record, "runs")), duration);
    print_runs(record);
    printf("mean        %6.2f %%, standard deviation %.2f, from %.2f to %.2f\n", number_of(record, "mean"),
           number_of(record, "deviation"), number_of(record, "least"), number_of(record, "most"));
    if (json_object_get(record, "images")) {
        text_count(json_integer_value(json_object_get(record, "images")), images, sizeof images);
        printf("together    %6.2f %% of %s pictures (95 %%: %.1f to %.1f), each by the run that did not train on it\n",
               number_of(record, "together"), images, number_of(record, "together_low"),
               number_of(record, "together_high"));
    }
    printf("record      %s\n", path);
}

int series_print(const char *verb, const char *path, bool json) {
    json_t *record = json_load_file(path, 0, NULL);
    if (!record) {
        fprintf(stderr, "effnet %s: cannot read '%s'\n", verb, path);
        return EXIT_FAILED;
    }
    if (json) {
        json_object_set_new(record, "record", json_text(path));
        return json_print(verb, record);
    }
    print_text(record, path);
    json_decref(record);
    standard_stream_let_go(stdout);
    return EXIT_OK;
}
