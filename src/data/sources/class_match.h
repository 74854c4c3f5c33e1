/* class_match.h - the classes of a data set put in the order of a model that was trained elsewhere: by name, by
 * ImageNet's names and WordNet ids, by number; or refused. */
#ifndef EFFNET_DATA_SOURCES_CLASS_MATCH_H
#define EFFNET_DATA_SOURCES_CLASS_MATCH_H

#include "data/sources/dataset.h"

/* Renumbers the data set's classes (dataset_use_classes) as the model's `count` outputs. `names`: of the outputs, or
 * NULL where the model names none. In this order: the data names no classes (IDX, CIFAR's binary files): by number the
 * model has each of the data's names the model is ImageNet's 1,000 (it names none, or those) and the data's names are
 * all WordNet ids or names of theirs the model names none and the data's names are numbers of its outputs, or are as
 * many as its outputs Otherwise an error that says what both have. `data` stands for the data set in messages. */
effnet_status classes_match(Dataset *dataset, const char *const *names, int count, const char *data, effnet_error *err);

#endif
