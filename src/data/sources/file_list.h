/* file_list.h - which files a user means: one, a folder of them, a pattern, or a list in a file; and which of them
 * belong to a split. Internal to data/. */
#ifndef EFFNET_DATA_SOURCES_FILE_LIST_H
#define EFFNET_DATA_SOURCES_FILE_LIST_H

#include "data/sources/class_names.h"

/* `root`: "@FILE", a text file of paths (relative ones from its own folder), one a line; a file; a folder, of which the
 * files directly in it are taken, but those whose name begins with a dot; or a pattern of the shell's ("train-*").
 * Sorted bytewise, unless from "@FILE". */
effnet_status file_list_read(const char *root, NameList *out, effnet_error *err);
/* Those whose file name has the word `split`: "train" is one of train-00001-of-01024, imagenet-train-000.tar, train.csv
 * and ILSVRC2012_img_train.tar, and not of training.tar. CIFAR's data_batch_1.bin counts as "train". */
effnet_status file_list_of_split(const NameList *all, const char *split, NameList *out, effnet_error *err);

#endif
