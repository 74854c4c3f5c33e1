/* text.c - see text.h. */
#include "text.h"

#include "verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool text_has_ending(const char *name, const char *ending) {
    const size_t length = strlen(name), tail = strlen(ending);
    return length > tail && strcasecmp(name + length - tail, ending) == 0;
}

void text_duration(double seconds, char *buffer, size_t size) {
    if (!(seconds >= 0 && seconds < 1e9)) {
        snprintf(buffer, size, "?");
        return;
    }
    int64_t whole = (int64_t)(seconds + 0.5);
    int days = (int)(whole / 86400), hours = (int)(whole / 3600 % 24), minutes = (int)(whole / 60 % 60);
    if (days)
        snprintf(buffer, size, "%dd%02dh", days, hours);
    else if (hours)
        snprintf(buffer, size, "%dh%02dm", hours, minutes);
    else if (minutes)
        snprintf(buffer, size, "%dm%02ds", minutes, (int)(whole % 60));
    else
        snprintf(buffer, size, "%ds", (int)whole);
}

bool text_to_seconds(const char *text, double *seconds) {
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const double most = 10 * 365.0 * 86400;
    *seconds = 0;
    while (*text) {
        double value = 0, unit = 0;
        size_t digits = strspn(text, "0123456789");
        for (size_t i = 0; i < digits && value <= most; i++) value = 10 * value + (text[i] - '0');
        for (int i = 0; i < 4 && digits; i++)
            if (text[digits] == units[i].unit) unit = units[i].seconds;
        if (unit == 0) return false;
        *seconds += value * unit;
        text += digits + 1;
    }
    return *seconds > 0 && *seconds <= most;
}

void text_count(int64_t count, char *buffer, size_t size) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        buffer[used++] = digits[i];
        int left = length - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-') buffer[used++] = ',';
    }
    buffer[used] = 0;
}

void text_for_terminal(const char *text, char *buffer, size_t size) {
    size_t used = 0;
    for (; *text && used + 1 < size; text++)
        buffer[used++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
    buffer[used] = 0;
}

void text_model(const effnet_model *model, char *buffer, size_t size) {
    char file[1200], step[32], of_step[48] = "";
    const char *weights = effnet_model_weights(model);
    const char *kind = strcmp(weights, "ema") == 0   ? "averaged weights (EMA)"
                       : strcmp(weights, "raw") == 0 ? "raw weights, not averaged,"
                                                     : "weights";
    text_for_terminal(effnet_model_file(model), file, sizeof file);
    text_count(effnet_model_step(model), step, sizeof step);
    if (effnet_model_step(model)) snprintf(of_step, sizeof of_step, " of step %s", step);
    snprintf(buffer, size, "%s, %s%s: %s", effnet_model_name(model), kind, of_step, file);
}

json_t *json_text(const char *text) {
    json_t *whole = json_string(text);
    if (whole) return whole;
    /* Not UTF-8: keep the ASCII and replace the rest, byte by byte. */
    char *copy = malloc(3 * strlen(text) + 1);
    if (!copy) return NULL;
    size_t used = 0;
    for (; *text; text++) {
        if ((unsigned char)*text < 0x80) {
            copy[used++] = *text;
        } else {
            memcpy(copy + used, "\xef\xbf\xbd", 3);
            used += 3;
        }
    }
    whole = json_stringn(copy, used);
    free(copy);
    return whole;
}

json_t *json_rounded(double value, int digits) {
    char text[64];
    if (!isfinite(value)) return json_null();
    snprintf(text, sizeof text, "%.*g", digits, value);
    return json_real(strtod(text, NULL));
}

void text_number(double value, int digits, char *buffer, size_t size) {
    json_t *number = json_rounded(value, digits);
    char *text = json_dumps(number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    snprintf(buffer, size, "%s", text ? text : "");
    free(text);
    json_decref(number);
}

int json_print(const char *verb, json_t *value) {
    if (!value || json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0) {
        json_decref(value);
        if (!ferror(stdout)) fprintf(stderr, "effnet %s: no memory to write JSON\n", verb); /* else main tells it */
        return EXIT_FAILED;
    }
    json_decref(value);
    putchar('\n');
    return EXIT_OK;
}
