/* loader.h - batches made ahead of the engine by threads of its own.
 *
 * Which pictures a batch holds is batch_order.h's: a permutation keyed by (seed, epoch), shared out over processes. A
 * picture's augmentation is keyed by (seed, epoch, index, its repetition), the mixing of a batch by (seed, step,
 * replica): batches do not depend on the number of workers, nor on where a run was resumed. */
#ifndef EFFNET_DATA_FEED_LOADER_H
#define EFFNET_DATA_FEED_LOADER_H

#include "data/transform/augment_mix.h"
#include "data/sources/dataset.h"
#include "data/transform/preprocess.h"

typedef struct Loader Loader;

typedef struct LoaderOptions {
    const Dataset *dataset; /* not owned */
    PreprocessOptions preprocess;
    MixOptions mix;      /* training */
    bool training;       /* shuffle, augment */
    bool plain;          /* training: shuffled, but each picture as evaluation sees it, not augmented */
    bool wrap;           /* training: batches go on from one pass into the next */
    bool balanced;       /* training: as many places for each class in an epoch */
    bool drop_remainder; /* evaluation: no partial last batch */
    int repeats;         /* training: times a picture stands in a row, augmented differently; 0: 1 */
    int batch;           /* pictures a step, of this process */
    int process;         /* which of `processes` that share the run, from 0: makes its part of each step's pictures */
    int processes;       /* 0: 1 */
    int mixes;           /* training: equal neighbouring parts of this process's batch (its replicas) that are mixed
                            each in itself; 0: 1 */
    int workers;         /* 0: one for each processor */
    int ahead;           /* batches made ahead; 0: 4 */
    uint64_t seed;
    int64_t first_step; /* training: the global step to begin at (resume); step s is in epoch s /
                           steps_per_epoch */
    int bad_images;     /* BAD_IMAGES_SKIP: replaced in training by the next picture, left out in evaluation */
    int decode;       /* DECODE_SCALED: parts of large pictures are decoded at a smaller scale, and nothing is cached */
    bool cache;       /* keep decoded pictures in memory where they fit in a quarter of it */
    int64_t reserved; /* bytes that others will take: the cache leaves them free */
    bool targets;     /* rows of targets even where each picture has one label */
    bool bytes;       /* for a device, which normalises by itself: bytes where pictures have whole levels to the end
                         (preprocess_gives_levels, nothing mixed) */
} LoaderOptions;

typedef struct Batch {
    int size;              /* images in it; 0 at the end of an evaluation: the call after that begins another one */
    const float *images;   /* (size, H, W, channels) normalised, or NULL: */
    const uint8_t *pixels; /* (size, H, W, channels); every batch of a loader is the same kind */
    int32_t *labels;       /* (size) */
    int32_t *others;       /* NULL, or the target of n is shares[n] * labels[n] + (1 - shares[n]) * others[n] */
    float *shares;
    float *targets;           /* (size, classes), mixed already; of data with several labels a picture, else NULL */
    const uint32_t *pictures; /* (size) which of the data set they are; evaluation alone, else NULL */
} Batch;

/* Everything that a recipe says; the rest is zero. For evaluation in training, and for what it shows. */
effnet_status loader_options_from_recipe(const Recipe *recipe, TensorShape input, const Dataset *dataset, bool training,
                                         LoaderOptions *out, effnet_error *err);
effnet_status loader_create(const LoaderOptions *options, Loader **out, effnet_error *err);
void loader_free(Loader *loader);                     /* stops the workers, whatever they are doing */
int64_t loader_steps_per_epoch(const Loader *loader); /* of evaluation: this process's, which may be 0 */
/* Waits for the next batch; it belongs to the loader and stays valid until the next call. */
effnet_status loader_next(Loader *loader, Batch *out, effnet_error *err);
/* Pictures that could not be read so far, each counted once. */
int64_t loader_skipped(const Loader *loader);
/* Bytes of decoded pictures that are kept now, and that will be after a whole epoch, as far as can be told. */
void loader_cache_bytes(const Loader *loader, size_t *now, size_t *expected);
/* Copies the oldest message not yet taken; false where there is none. */
bool loader_take_warning(Loader *loader, char *buffer, size_t size);

#endif
