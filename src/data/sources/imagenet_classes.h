/* imagenet_classes.h - the 1,000 classes of ImageNet-1k by label, WordNet id and name. */
#ifndef EFFNET_DATA_SOURCES_IMAGENET_CLASSES_H
#define EFFNET_DATA_SOURCES_IMAGENET_CLASSES_H

enum { IMAGENET_CLASSES = 1000 };

/* "n01440764" and "tench" of label 0; `label` in 0 .. 999. Static. */
const char *imagenet_wordnet_id(int label);
const char *imagenet_name(int label);
/* The label of a WordNet id or a name; -1 where there is none, or two of that name (crane, maillot). */
int imagenet_find(const char *text);
/* A text that only this class has: its name, or "crane (n02012849)". Written into buffer. */
void imagenet_describe(int label, char *buffer, int size);

#endif
