/* model_card.h - what a reader of weights must know; goes into __metadata__ of their file (card.h). */
#ifndef EFFNET_TRAIN_MODEL_CARD_H
#define EFFNET_TRAIN_MODEL_CARD_H

#include "model/network.h"
#include "recipe/evaluation_transform.h"

typedef struct ModelCard {
    ModelConfig config;
    EvaluationTransform transform; /* its size is the network's input */
    bool several;                  /* trained on pictures of several labels: each class is a yes or no of its own */
    char **class_names;            /* num_classes, or NULL */
    int64_t step;                  /* optimizer steps behind the weights; 0 where unknown */
    int64_t pictures;              /* trained on, and their listing (data_listing.h); "" where unknown */
    char listing[41];
    char evaluated_listing[41]; /* of the pictures that its accuracies are of */
    char *origin;               /* where the weights come from, in sentences, one a line; NULL: not told */
} ModelCard;

#endif
