/* loader.c - a ring of batches between worker threads and the engine.
 *
 *      released         given          filling                        released + slots
 *  ... | taken, free    | with the     | workers make these, oldest   |
 *      |                | caller       | first, in parts of PART      |
 *
 * Invariants, under the mutex:
 *  1. Step s lives in slot s % slots; a slot is opened for step s only when step s - slots was released.
 *  2. A slot's `pending` counts its pictures not yet made; at 0 the slot is ready and no worker touches it.
 *  3. Workers claim parts in order of (step, place): with any number of workers, the oldest batch is made first.
 *  4. Between opening and releasing, `indices` of a slot do not change, and each place of `images`, `labels` and
 *     `kept` is written by the one worker that claimed it, without the mutex.
 *  5. In evaluation no step beyond the current pass is opened: the next pass begins when its end was handed out.
 *
 * What a place of a batch holds is a function of (seed, epoch, place) and the files (batch_order.h), never of a worker.
 * In training a picture that cannot be read is replaced by the next one of the data set, in evaluation it is left out
 * and the batch closed up. After loader_create nothing is allocated here; workers' decoders grow to the largest picture
 * met. */
#include "data/feed/loader.h"
#include "base/memory.h"
#include "base/threads.h"
#include "data/feed/bad_pictures.h"
#include "data/feed/batch_order.h"
#include "data/feed/picture_cache.h"
#include "data/sources/source.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_AHEAD = 4,
    MOST_AHEAD = 1024,
    MOST_WORKERS = 1024,
    PART = 8,                    /* pictures claimed at once */
    SCALED_LEAST = 2,            /* a scaled crop keeps twice the input's side: docs/data.md has what it costs */
    MOST_REPLACED = 1000,        /* bad pictures in a row after which the data itself must be gone */
    STREAM_AUGMENT = 0x6175676D, /* "augm": apart from the other uses of the seed */
    STREAM_MIX = 0x6D697865,     /* "mixe" */
};

typedef struct Slot {
    int64_t step;
    int size, pending;
    float *images;     /* (batch, H, W, channels), or NULL: */
    uint8_t *pixels;   /* (batch, H, W, channels), of the same pictures as bytes */
    int32_t *labels;   /* (batch) */
    int32_t *others;   /* (batch) where batches are mixed, like the next two; else NULL */
    float *shares;     /* (batch) */
    float *targets;    /* (batch, classes) where a picture may have several labels */
    float *spare;      /* an image */
    uint32_t *indices; /* (batch) pictures of the data set */
    bool *kept;        /* (batch) false: left out */
    int failed_place;  /* first place whose picture stops the run, or INT_MAX */
    effnet_error failure;
} Slot;

typedef struct Worker {
    Loader *loader;
    pthread_t thread;
    Decoder decoder;
    PreprocessBuffers buffers;
} Worker;

struct Loader {
    LoaderOptions options;
    BatchOrder order;    /* filled from under the mutex */
    size_t image_floats; /* values of a picture */
    RandomKey augment_key, mix_key;
    PictureCache *cache; /* or NULL */
    BadPictures *bad;
    int num_workers;
    Worker *workers;
    int num_slots;
    Slot *slots;
    pthread_mutex_t mutex;
    pthread_cond_t work, ready;
    atomic_bool stopping;
    int64_t open_step; /* the next step to claim from, place open_place; its slot is open if open_place > 0 */
    int open_place;
    int64_t released;  /* steps before this one are free */
    int64_t next_step; /* handed out next */
    int64_t pass_end;  /* evaluation: first step of the next pass */
    bool at_end;       /* evaluation: the end of a pass was handed out, and nothing since */
    bool broken;       /* a failure was handed out, and is again at every call */
    effnet_error failure;
};

/* ---- making pictures (no mutex) ---- */

typedef struct Crop {
    const PreprocessOptions *options;
    RandomKey key;
} Crop;

static PictureCrop choose_crop(const void *context, int height, int width) {
    const Crop *crop = context;
    return preprocess_crop(crop->options, height, width, &crop->key);
}

static bool augments(const LoaderOptions *options) {
    return options->training && !options->plain;
}

/* Training decodes only what its crop needs, unless the whole is to be cached. */
static effnet_status get_region(Loader *loader, Worker *worker, uint32_t index, const RandomKey *key, Region *out,
                                effnet_error *err) {
    const LoaderOptions *options = &loader->options;
    Picture picture;
    const RandomKey *drawn = augments(options) ? key : NULL;
    if (loader->cache && picture_cache_find(loader->cache, index, &picture)) {
        *out = region_of_picture(&picture, preprocess_crop(&options->preprocess, picture.height, picture.width, drawn));
        return EFFNET_OK;
    }
    bool keep = loader->cache && !picture_cache_is_full(loader->cache);
    if (!keep && drawn && preprocess_box_is_inside(&options->preprocess)) {
        const Crop crop = {.options = &options->preprocess, .key = *key};
        /* the other ways of resizing skip pixels when they shrink, and would see others */
        bool scaled = options->decode == DECODE_SCALED && options->preprocess.transform.resize == RESIZE_PILLOW;
        const TensorShape input = options->preprocess.transform.input;
        const RegionRequest request = {.choose = choose_crop,
                                       .context = &crop,
                                       .least_height = scaled ? SCALED_LEAST * input.height : 0,
                                       .least_width = scaled ? SCALED_LEAST * input.width : 0};
        return dataset_read_region(options->dataset, index, &worker->decoder, &request, out, err);
    }
    TRY(dataset_read_with(options->dataset, index, &worker->decoder, &picture, err));
    if (keep) picture_cache_add(loader->cache, index, &picture);
    *out = region_of_picture(&picture, preprocess_crop(&options->preprocess, picture.height, picture.width, drawn));
    return EFFNET_OK;
}

static RandomKey augment_key(const Loader *loader, int64_t step, int place, uint32_t index) {
    uint32_t repetition, pass = (uint32_t)batch_order_pass(&loader->order, step, place, &repetition);
    RandomKey key = random_fold_in(random_fold_in(loader->augment_key, pass), index);
    return repetition ? random_fold_in(key, repetition) : key;
}

/* Picture `index` into a place of a slot. */
static effnet_status make_one(Loader *loader, Worker *worker, Slot *slot, int place, uint32_t index,
                              effnet_error *err) {
    const LoaderOptions *options = &loader->options;
    Region region;
    RandomKey key = augment_key(loader, slot->step, place, index);
    TRY(get_region(loader, worker, index, &key, &region, err));
    const size_t at = (size_t)place * loader->image_floats;
    if (slot->pixels)
        TRY(preprocess_region_levels(&options->preprocess, &region, key, &worker->buffers, slot->pixels + at, err));
    else
        TRY(preprocess_region(&options->preprocess, &region, augments(options) ? &key : NULL, &worker->buffers,
                              slot->images + at, err));
    slot->labels[place] = dataset_label(options->dataset, index);
    if (slot->targets) {
        const int classes = dataset_num_classes(options->dataset);
        dataset_targets(options->dataset, index, slot->targets + (size_t)place * (size_t)classes, classes);
    }
    slot->kept[place] = true;
    return EFFNET_OK;
}

/* A picture's own fault, not the machine's. */
static bool may_skip(const Loader *loader, effnet_status status) {
    bool own_fault = status == EFFNET_ERROR_IO || status == EFFNET_ERROR_FORMAT || status == EFFNET_ERROR_UNSUPPORTED;
    return own_fault && loader->options.bad_images == BAD_IMAGES_SKIP;
}

/* Fills a place, skipping what cannot be read where the options say so. */
static effnet_status make_place(Loader *loader, Worker *worker, Slot *slot, int place, effnet_error *err) {
    uint32_t index = slot->indices[place];
    char name[256], why[sizeof err->message] = "";
    slot->kept[place] = false;
    for (uint32_t tries = 0; tries < loader->order.pictures && tries < MOST_REPLACED; tries++) {
        if (!bad_pictures_has(loader->bad, index)) {
            effnet_status status = make_one(loader, worker, slot, place, index, err);
            if (status == EFFNET_OK || !may_skip(loader, status)) return status;
            bad_pictures_add(loader->bad, index, err->message);
            snprintf(why, sizeof why, "%s", err->message);
        }
        if (!loader->options.training || atomic_load_explicit(&loader->stopping, memory_order_relaxed))
            return EFFNET_OK;
        index = index + 1 < loader->order.pictures ? index + 1 : 0;
    }
    dataset_describe(loader->options.dataset, slot->indices[place], name, sizeof name);
    return fail(err, EFFNET_ERROR_IO, "cannot read '%s' nor any picture after it: is the data still there?%s%s", name,
                *why ? " The last one: " : "", why);
}

/* ---- handing out work (mutex held) ---- */

static void open_slot(Loader *loader, Slot *slot, int64_t step) {
    slot->step = step;
    slot->size = slot->pending = slot->failed_place = batch_order_size(&loader->order, step);
    batch_order_fill(&loader->order, step, slot->indices);
}

static bool may_open(const Loader *loader) {
    if (loader->open_step >= loader->released + loader->num_slots) return false;
    return loader->options.training || loader->open_step < loader->pass_end;
}

/* Waits for a part of a batch; false when the loader stops. */
static bool claim(Loader *loader, Slot **slot, int *first, int *count) {
    bool claimed = false;
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stopping && !may_open(loader)) pthread_cond_wait(&loader->work, &loader->mutex);
    if (!loader->stopping) {
        *slot = &loader->slots[loader->open_step % loader->num_slots];
        if (loader->open_place == 0) open_slot(loader, *slot, loader->open_step);
        *first = loader->open_place;
        *count = (*slot)->size - *first < PART ? (*slot)->size - *first : PART;
        loader->open_place += *count;
        if (loader->open_place == (*slot)->size) {
            loader->open_step++;
            loader->open_place = 0;
        }
        claimed = true;
    }
    pthread_mutex_unlock(&loader->mutex);
    return claimed;
}

/* Picture i was mixed with picture size - 1 - i (mix_batch): the rows (classes) of `size` pictures likewise. */
static void mix_targets(float *targets, const float *shares, int size, size_t classes) {
    for (int i = 0; i < (size + 1) / 2; i++) {
        const int j = size - 1 - i;
        float *one = targets + (size_t)i * classes, *other = targets + (size_t)j * classes;
        for (size_t c = 0; c < classes; c++) {
            const float a = one[c], b = other[c];
            one[c] = shares[i] * a + (1 - shares[i]) * b;
            other[c] = shares[j] * b + (1 - shares[j]) * a;
        }
    }
}

/* The last worker of a batch mixes it; nobody else touches the slot then. */
static void mix_slot(const Loader *loader, Slot *slot) {
    const LoaderOptions *options = &loader->options;
    const int mixes = options->mixes > 0 && slot->size % options->mixes == 0 ? options->mixes : 1;
    const int size = slot->size / mixes;
    for (int m = 0; m < mixes; m++) {
        RandomKey key = loader->mix_key;
        uint32_t number = (uint32_t)(options->process * mixes + m); /* of the run's replicas */
        if (number) key = random_fold_in(key, number);
        key = random_fold_in(random_fold_in(key, (uint32_t)(slot->step >> 32)), (uint32_t)slot->step);
        const int at = m * size;
        mix_batch(&options->mix, key, size, options->preprocess.transform.input,
                  slot->images + (size_t)at * loader->image_floats, slot->spare, slot->labels + at, slot->others + at,
                  slot->shares + at);
        const size_t classes = (size_t)dataset_num_classes(options->dataset);
        if (slot->targets) mix_targets(slot->targets + (size_t)at * classes, slot->shares + at, size, classes);
    }
}

static void *worker_main(void *argument) {
    Worker *worker = argument;
    Loader *loader = worker->loader;
    Slot *slot;
    int first, count;
    pthread_setname_np(pthread_self(), "effnet-loader"); /* for top -H, and bench/loader_share.sh */
    while (claim(loader, &slot, &first, &count)) {
        effnet_error err;
        effnet_status status = EFFNET_OK;
        int place = first;
        for (; place < first + count && status == EFFNET_OK; place++) {
            if (atomic_load_explicit(&loader->stopping, memory_order_relaxed)) return NULL;
            status = make_place(loader, worker, slot, place, &err);
        }
        pthread_mutex_lock(&loader->mutex);
        if (status != EFFNET_OK && place - 1 < slot->failed_place) { /* the first place's, whoever came first */
            slot->failed_place = place - 1;
            slot->failure = err;
        }
        if (slot->others && slot->pending == count) {
            pthread_mutex_unlock(&loader->mutex);
            mix_slot(loader, slot);
            pthread_mutex_lock(&loader->mutex);
        }
        slot->pending -= count;
        if (slot->pending == 0) pthread_cond_signal(&loader->ready);
        pthread_mutex_unlock(&loader->mutex);
    }
    return NULL;
}

/* ---- the caller's side ---- */

/* Closes up what was left out. */
static void close_up(const Loader *loader, Slot *slot) {
    int size = 0;
    for (int i = 0; i < slot->size; i++) {
        if (!slot->kept[i]) continue;
        if (size < i) {
            memcpy(slot->images + (size_t)size * loader->image_floats, slot->images + (size_t)i * loader->image_floats,
                   loader->image_floats * sizeof *slot->images);
            slot->labels[size] = slot->labels[i];
            const size_t classes = (size_t)dataset_num_classes(loader->options.dataset);
            if (slot->targets)
                memcpy(slot->targets + (size_t)size * classes, slot->targets + (size_t)i * classes,
                       classes * sizeof *slot->targets);
            slot->indices[size] = slot->indices[i];
        }
        size++;
    }
    slot->size = size;
}

/* The slot handed out before is free again. Mutex held. */
static void release_previous(Loader *loader) {
    if (loader->released == loader->next_step) return;
    loader->released = loader->next_step;
    pthread_cond_broadcast(&loader->work);
}

effnet_status loader_next(Loader *loader, Batch *out, effnet_error *err) {
    *out = (Batch){0};
    pthread_mutex_lock(&loader->mutex);
    while (!loader->broken && !out->size) { /* again only where an evaluation batch was left out whole */
        release_previous(loader);
        if (!loader->options.training && loader->next_step == loader->pass_end) {
            loader->at_end = !loader->at_end || !loader->order.steps; /* a process without a share has no passes */
            if (loader->at_end) break;
            loader->pass_end += loader->order.steps; /* the caller came back: another pass */
            pthread_cond_broadcast(&loader->work);
        }
        Slot *slot = &loader->slots[loader->next_step % loader->num_slots];
        while (slot->step != loader->next_step || slot->pending) pthread_cond_wait(&loader->ready, &loader->mutex);
        loader->next_step++;
        if (slot->failed_place < slot->size) {
            loader->broken = true;
            loader->failure = slot->failure;
            break;
        }
        if (!loader->options.training) close_up(loader, slot);
        *out = (Batch){.size = slot->size,
                       .images = slot->images,
                       .pixels = slot->pixels,
                       .labels = slot->labels,
                       .others = slot->others,
                       .shares = slot->shares,
                       .targets = slot->targets,
                       .pictures = loader->options.training ? NULL : slot->indices};
    }
    bool broken = loader->broken;
    pthread_mutex_unlock(&loader->mutex);
    return broken ? fail(err, loader->failure.status, "%s", loader->failure.message) : EFFNET_OK;
}

int64_t loader_steps_per_epoch(const Loader *loader) {
    return loader->order.steps;
}

int64_t loader_skipped(const Loader *loader) {
    return bad_pictures_count(loader->bad);
}

bool loader_take_warning(Loader *loader, char *buffer, size_t size) {
    return bad_pictures_take(loader->bad, buffer, size);
}

/* ---- making and ending a loader ---- */

effnet_status loader_options_from_recipe(const Recipe *recipe, TensorShape input, const Dataset *dataset, bool training,
                                         LoaderOptions *out, effnet_error *err) {
    *out = (LoaderOptions){.dataset = dataset,
                           .training = training,
                           .mix = mix_from_recipe(recipe),
                           .repeats = (int)recipe->aug_repeats,
                           .batch = (int)recipe->batch_size,
                           .mixes = (int)recipe->replicas,
                           .workers = (int)recipe->workers,
                           .wrap = recipe->train_remainder == TRAIN_REMAINDER_WRAP,
                           .balanced = recipe->sampler == SAMPLER_BALANCED,
                           .drop_remainder = recipe->eval_remainder == EVAL_REMAINDER_DROP,
                           .seed = (uint64_t)recipe->seed,
                           .bad_images = recipe->bad_images,
                           .decode = recipe->decode,
                           .cache = recipe->cache};
    preprocess_from_recipe(recipe, input, &out->preprocess);
    return preprocess_augment_from_recipe(recipe, &out->preprocess, err);
}

static BatchShape shape_of(const LoaderOptions *options) {
    return (BatchShape){.training = options->training,
                        .wrap = options->wrap,
                        .balanced = options->training && options->balanced,
                        .drop_remainder = options->drop_remainder,
                        .batch = options->batch,
                        .repeats = options->repeats,
                        .process = options->process,
                        .processes = options->processes};
}

static effnet_status check_options(const LoaderOptions *options, effnet_error *err) {
    if (options->workers < 0 || options->workers > MOST_WORKERS)
        return fail(err, EFFNET_ERROR_ARGUMENT, "workers is %d; allowed are 0 (every processor) to %d",
                    options->workers, (int)MOST_WORKERS);
    if (options->ahead < 0 || options->ahead > MOST_AHEAD)
        return fail(err, EFFNET_ERROR_ARGUMENT, "ahead is %d; allowed are 0 to %d", options->ahead, (int)MOST_AHEAD);
    const BatchShape shape = shape_of(options);
    if (options->first_step < 0) return fail(err, EFFNET_ERROR_ARGUMENT, "first_step is negative");
    TRY(batch_shape_check(&shape, dataset_size(options->dataset), err));
    return preprocess_check(&options->preprocess, err);
}

static bool mixes(const LoaderOptions *options) {
    return options->training && !mix_is_empty(&options->mix);
}

/* Whether batches are bytes, where those are asked for. */
static bool gives_bytes(const LoaderOptions *options) {
    return options->bytes && augments(options) && !mixes(options) && preprocess_gives_levels(&options->preprocess);
}

static effnet_status create_slot(Loader *loader, Slot *slot, effnet_error *err) {
    size_t batch = (size_t)loader->options.batch, values;
    void *block;
    slot->step = -1;
    if (!size_multiply(batch, loader->image_floats, &values))
        return fail(err, EFFNET_ERROR_MEMORY, "a batch of %zu pictures is too large", batch);
    const bool bytes = gives_bytes(&loader->options);
    TRY(memory_allocate(values, bytes ? 1 : sizeof *slot->images, "a batch of pictures", &block, err));
    if (bytes)
        slot->pixels = block;
    else
        slot->images = block;
    TRY(memory_allocate(batch, sizeof *slot->labels, "a batch's labels", &block, err));
    slot->labels = block;
    if (mixes(&loader->options)) {
        TRY(memory_allocate(batch, sizeof *slot->others, "a batch's second labels", &block, err));
        slot->others = block;
        TRY(memory_allocate(batch, sizeof *slot->shares, "a batch's shares", &block, err));
        slot->shares = block;
        TRY(memory_allocate(loader->image_floats, sizeof *slot->spare, "an image to mix", &block, err));
        slot->spare = block;
    }
    if (dataset_has_sets(loader->options.dataset) || loader->options.targets)
        TRY(memory_allocate_floats(batch, (size_t)dataset_num_classes(loader->options.dataset), "a batch's targets",
                                   &slot->targets, err));
    TRY(memory_allocate(batch, sizeof *slot->indices, "a batch's indices", &block, err));
    slot->indices = block;
    TRY(memory_allocate(batch, sizeof *slot->kept, "a batch's marks", &block, err));
    slot->kept = block;
    return EFFNET_OK;
}

/* Signals are the main thread's business: the workers block all but those that mean a broken program. */
static int start_thread(Worker *worker) {
    sigset_t blocked, before;
    sigfillset(&blocked);
    const int broken[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) sigdelset(&blocked, broken[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int failed = thread_start(&worker->thread, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* What the data set lost while it was opened counts like bad pictures. */
static effnet_status take_losses(Loader *loader, effnet_error *err) {
    const Dataset *dataset = loader->options.dataset;
    int64_t lost = dataset_lost(dataset);
    if (lost && loader->options.bad_images != BAD_IMAGES_SKIP)
        return fail(err, EFFNET_ERROR_FORMAT, "%s (bad_images: stop)",
                    dataset_loss(dataset, 0) ? dataset_loss(dataset, 0) : "data lost");
    const char *stray;
    int64_t strays = dataset_strays(dataset, &stray);
    if (strays && loader->options.bad_images != BAD_IMAGES_SKIP)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "%lld files of the data are no pictures, the first is '%s' (bad_images: stop): take them away, or "
                    "set bad_images to skip",
                    (long long)strays, stray);
    for (int i = 0; dataset_loss(dataset, i); i++, lost--) bad_pictures_note(loader->bad, 1, dataset_loss(dataset, i));
    bad_pictures_note(loader->bad, lost, NULL);
    return EFFNET_OK;
}

static effnet_status fill_loader(Loader *loader, effnet_error *err) {
    LoaderOptions *options = &loader->options;
    void *block;
    int workers = options->workers ? options->workers : processors_available();
    const BatchShape shape = shape_of(options);
    TRY(batch_order_create(&loader->order, options->dataset, &shape, options->seed, err));
    loader->image_floats = shape_floats(options->preprocess.transform.input);
    loader->augment_key = random_fold_in(random_key(options->seed), STREAM_AUGMENT);
    loader->mix_key = random_fold_in(random_key(options->seed), STREAM_MIX);
    loader->open_step = loader->released = loader->next_step = options->training ? options->first_step : 0;
    loader->pass_end = loader->order.steps;
    TRY(bad_pictures_create(loader->order.pictures, &loader->bad, err));
    TRY(take_losses(loader, err));
    bool scaled = options->training && options->decode == DECODE_SCALED;
    if (options->cache && !scaled && !options->dataset->in_memory)
        TRY(picture_cache_create(loader->order.pictures, picture_cache_default_budget(options->reserved),
                                 &loader->cache, err));
    /* One slot is with the caller while `ahead` others wait or are being made. */
    int slots = (options->ahead ? options->ahead : DEFAULT_AHEAD) + 1;
    TRY(memory_allocate((size_t)slots, sizeof *loader->slots, "the ring of batches", &block, err));
    loader->slots = block;
    loader->num_slots = slots;
    for (int i = 0; i < slots; i++) TRY(create_slot(loader, &loader->slots[i], err));
    TRY(memory_allocate((size_t)workers, sizeof *loader->workers, "the loader's workers", &block, err));
    loader->workers = block;
    for (int i = 0; i < workers; i++) {
        loader->workers[i].loader = loader;
        loader->workers[i].decoder.channels = decoded_channels(options->preprocess.transform.input);
        loader->workers[i].decoder.upright = options->preprocess.transform.exif_orientation;
        int failed = start_thread(&loader->workers[i]);
        if (failed)
            return fail(err, EFFNET_ERROR_MEMORY, "cannot start loader thread %d of %d: %s", i + 1, workers,
                        strerror(failed));
        loader->num_workers = i + 1;
    }
    return EFFNET_OK;
}

effnet_status loader_create(const LoaderOptions *options, Loader **out, effnet_error *err) {
    *out = NULL;
    TRY(check_options(options, err));
    Loader *loader = calloc(1, sizeof *loader);
    if (!loader) return fail(err, EFFNET_ERROR_MEMORY, "no memory for a loader");
    loader->options = *options;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    effnet_status status = fill_loader(loader, err);
    if (status != EFFNET_OK) {
        loader_free(loader);
        return status;
    }
    *out = loader;
    return EFFNET_OK;
}

void loader_cache_bytes(const Loader *loader, size_t *now, size_t *expected) {
    *now = loader->cache ? picture_cache_bytes(loader->cache) : 0;
    *expected = loader->cache ? picture_cache_expected_bytes(loader->cache) : 0;
}

void loader_free(Loader *loader) {
    if (!loader) return;
    pthread_mutex_lock(&loader->mutex);
    atomic_store_explicit(&loader->stopping, true, memory_order_relaxed);
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->num_workers; i++) {
        pthread_join(loader->workers[i].thread, NULL);
        decoder_release(&loader->workers[i].decoder);
        preprocess_release(&loader->workers[i].buffers);
    }
    for (int i = 0; i < loader->num_slots; i++) {
        memory_free(loader->slots[i].images);
        memory_free(loader->slots[i].pixels);
        memory_free(loader->slots[i].labels);
        memory_free(loader->slots[i].others);
        memory_free(loader->slots[i].shares);
        memory_free(loader->slots[i].targets);
        memory_free(loader->slots[i].spare);
        memory_free(loader->slots[i].indices);
        memory_free(loader->slots[i].kept);
    }
    memory_free(loader->slots);
    memory_free(loader->workers);
    batch_order_release(&loader->order);
    picture_cache_free(loader->cache);
    bad_pictures_free(loader->bad);
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
    free(loader);
}
