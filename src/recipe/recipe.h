/* recipe.h - a training run as data: one struct made from keys.def, read from YAML, changed by key=value,
 * written back whole. An unknown or doubled key, a wrong type or a value out of range is an error that names
 * file, line, key, what is allowed and, for a misspelt key, the nearest one. */
#ifndef EFFNET_RECIPE_RECIPE_H
#define EFFNET_RECIPE_RECIPE_H

#include "base/error.h"
#include "recipe/recipe_struct.h"

#include <stdio.h>

void recipe_defaults(Recipe *recipe);
effnet_status recipe_read(const char *path, Recipe *recipe, effnet_error *err);
/* From text in memory (`name` stands for the file in messages): read_file is this plus reading; fuzzed. */
effnet_status recipe_parse(const char *name, const char *text, size_t size, Recipe *recipe, effnet_error *err);
effnet_status recipe_set(Recipe *recipe, const char *key, const char *value, effnet_error *err);
/* The value of a key as text that recipe_set takes back; an error where `size` bytes do not hold it. */
effnet_status recipe_get(const Recipe *recipe, const char *key, char *buffer, size_t size, effnet_error *err);
/* Contradictions between keys (e.g. batch_size not divisible by replicas * accumulate). Called by read and by train. */
effnet_status recipe_check(const Recipe *recipe, effnet_error *err);
/* An error where batch_size is auto: 0 in the struct, found by run_fit_batch alone. */
effnet_status recipe_need_batch(const Recipe *recipe, const char *who, effnet_error *err);
/* Its part on in_chans, mean, std and what needs colours. */
effnet_status recipe_check_channels(const Recipe *recipe, effnet_error *err);
/* Its part on seeds, folds and val_split. */
effnet_status recipe_check_series(const Recipe *recipe, effnet_error *err);
/* Every key with its value, as YAML that recipe_read takes back to the same struct. */
effnet_status recipe_write(const Recipe *recipe, FILE *stream, effnet_error *err);
/* The same to a file, whole or not at all; *sum, where it is not NULL: the file's CRC-32C. */
effnet_status recipe_save(const Recipe *recipe, const char *path, uint32_t *sum, effnet_error *err);
void recipe_visit_keys(effnet_key_visitor *visit, void *context);

/* The names in class_names, which must be `count`; one block, freed by free(). */
effnet_status recipe_class_names(const Recipe *recipe, int count, char ***out, effnet_error *err);

/* lr, or lr_base * batch_size / lr_base_size where lr is 0. */
double recipe_learning_rate(const Recipe *recipe);
/* What is worth a warning before a run begins, as one sentence; NULL: nothing. */
const char *recipe_warning(const Recipe *recipe);
/* smoothing, or 0 where it is not applied. */
double recipe_smoothing(const Recipe *recipe);
/* The numbers of `given`, or where these are of another number of channels their average for each of `channels`. */
ChannelValues channel_values_for(const ChannelValues *given, int channels);
/* What input = (pixel / 255 - mean) / std uses for each of `channels`, the rest 0: mean and std, or, where normalize is
 * false, 0 and 1/255, which leave
 * the levels 0..255. */
void recipe_normalisation(const Recipe *recipe, int channels, double mean[MOST_CHANNELS], double std[MOST_CHANNELS]);
/* Optimizer steps of an epoch of `pictures` pictures, by train_remainder. */
int64_t recipe_steps_per_epoch(const Recipe *recipe, int64_t pictures);
/* How many of `devices` share the moments of batch norm: 1, or for tpu_groups max(8, devices / 8) above 8 devices (Tan
 * and Le's TpuBatchNormalization), or all. */
int64_t recipe_bn_group(const Recipe *recipe, int64_t devices);
/* Parts that a replica's share is computed in: accumulate, or 1 where accumulate_bn is full. */
int64_t recipe_parts(const Recipe *recipe);
/* Pictures that go forward at once: batch_size / replicas / parts. */
int64_t recipe_part(const Recipe *recipe);

#endif
