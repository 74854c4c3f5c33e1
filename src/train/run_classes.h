/* run_classes.h - the names of a run's outputs, and rows of another classifier taken over by name. Internal to train/.
 */
#ifndef EFFNET_TRAIN_RUN_CLASSES_H
#define EFFNET_TRAIN_RUN_CLASSES_H

#include "train/run.h"

/* The names of the data's classes for the card, one block that free() frees: pointers into the data set, or, for
 * outputs beyond its classes (num_classes), their numbers. NULL where memory runs out. */
char **run_class_names(const Dataset *dataset, int num_classes);
/* Reads --init into the state. Where both name their classes, the classifier's rows go by name, whatever their order
 * and number, and a class that the file lacks begins afresh; else a classifier of the same shape is taken as it is.
 * What was done becomes a note. */
effnet_status run_read_initial(Run *run, effnet_error *err);

#endif
