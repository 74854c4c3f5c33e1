/* text.h - text as a person or a JSON reader sees it: durations, counts, and names that came from outside. */
#ifndef EFFNET_CLI_TEXT_H
#define EFFNET_CLI_TEXT_H

#include "effnet.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "42s", "3m12s", "1h05m", "2d03h" */
void text_duration(double seconds, char *buffer, size_t size);
/* "90s", "30m", "2h", "1d12h" as seconds; false where it is no such text, or nothing, or more than ten years. */
bool text_to_seconds(const char *text, double *seconds);
/* 5288548 -> "5,288,548" */
void text_count(int64_t count, char *buffer, size_t size);
/* Whether a file's name has that ending, in small letters or capitals. */
bool text_has_ending(const char *name, const char *ending);
/* Control bytes become '?', so that a file's name cannot steer the terminal. */
void text_for_terminal(const char *text, char *buffer, size_t size);

/* "efficientnet_b0, averaged weights (EMA) of step 1,234: runs/a/checkpoints/best/ema.safetensors" */
void text_model(const effnet_model *model, char *buffer, size_t size);

/* What a model's file says of it, for a person: a line each of the model, its classes, how pictures are prepared and
 * where the weights come from. */
void text_print_card(const effnet_model *model, FILE *stream);
/* The same into a JSON object: classes, preprocessing, origin. */
void text_card_to_json(const effnet_model *model, json_t *object);

/* A JSON string; bytes that are not UTF-8 become U+FFFD. */
json_t *json_text(const char *text);
/* The same digits as text, with a decimal point in every locale. */
void text_number(double value, int digits, char *buffer, size_t size);
/* A number with the digits that mean something, so that 0.1f prints as 0.1. */
json_t *json_rounded(double value, int digits);
/* Prints one JSON value and a newline on standard output and releases it. Returns the exit status. */
int json_print(const char *verb, json_t *value);

#endif
