/* recipe.c - defaults, --set, contradictions, and the recipe written back. Reading is in parse.c. */
#include "recipe/recipe.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "recipe/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void recipe_defaults(Recipe *recipe) {
    memset(recipe, 0, sizeof *recipe);
    int count;
    const Key *keys = key_table(&count);
    for (int i = 0; i < count; i++) {
        const Key *key = &keys[i];
        void *field = (char *)recipe + key->offset;
        if (!key->name) continue;
        switch (key->kind) {
        case KIND_STRING:
            memcpy(field, key->text, strlen(key->text));
            break;
        case KIND_INTEGER:
            *(int64_t *)field = (int64_t)key->initial[0];
            break;
        case KIND_SIZE:
            *(PictureSize *)field = (PictureSize){(int)key->initial[0], (int)key->initial[0]};
            break;
        case KIND_NUMBER:
            *(double *)field = key->initial[0];
            break;
        case KIND_SWITCH:
            *(bool *)field = key->initial[0] != 0;
            break;
        case KIND_CHOICE:
            *(int *)field = (int)key->initial[0];
            break;
        case KIND_CHANNELS:
            ((ChannelValues *)field)->count = key->count;
            memcpy(((ChannelValues *)field)->values, key->initial, (size_t)key->count * sizeof(double));
            break;
        case KIND_LIST:
            memcpy(field, key->initial, (size_t)key->count * sizeof(double));
            break;
        }
    }
    memcpy(recipe->name, "default", sizeof "default");
}

/* "0.1, 0.2,0.3" or "[0.1, 0.2, 0.3]", cut in place at the commas; returns how many, at most `limit`. */
static int split_list(char *text, ValueText *values, int limit) {
    size_t length = strlen(text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text[length - 1] = 0;
        text++;
    }
    int count = 0;
    for (char *rest = text; rest && count < limit;) {
        char *item = strsep(&rest, ",");
        item += strspn(item, " ");
        size_t size = strlen(item);
        while (size && item[size - 1] == ' ') item[--size] = 0;
        values[count++] = (ValueText){.text = item, .length = size};
    }
    return count;
}

effnet_status recipe_set(Recipe *recipe, const char *key_name, const char *value, effnet_error *err) {
    char where[100], shown[80], copy[KEY_TEXT];
    text_for_message(key_name, strlen(key_name), shown, sizeof shown);
    snprintf(where, sizeof where, "--set %s", shown);
    const Key *key = key_find(key_name);
    if (!key) return key_unknown(key_name, where, err);
    ValueText whole = {.text = value, .length = strlen(value)};
    if (key->kind != KIND_LIST && key->kind != KIND_CHANNELS)
        return key_assign(key, recipe, &whole, 1, false, where, err);
    ValueText values[KEY_MAX_VALUES + 1]; /* one more, to see that there are too many */
    if (whole.length >= sizeof copy) return key_assign(key, recipe, &whole, 1, false, where, err);
    memcpy(copy, value, whole.length + 1);
    int count = split_list(copy, values, KEY_MAX_VALUES + 1);
    return key_assign(key, recipe, values, count, true, where, err);
}

effnet_status recipe_get(const Recipe *recipe, const char *key_name, char *buffer, size_t size, effnet_error *err) {
    char text[KEY_TEXT];
    const Key *key = key_find(key_name);
    if (!key) return key_unknown(key_name, "the recipe", err);
    key_format(key, recipe, text, sizeof text);
    if (strlen(text) >= size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the value of %s has %zu bytes and the buffer %zu; %d always suffice",
                    key->name, strlen(text) + 1, size, KEY_TEXT);
    memcpy(buffer, text, strlen(text) + 1);
    return EFFNET_OK;
}

/* Where LARS and LAMB differ from the others in decay: LARS's trust ratio is a formula of the gradient with its decay,
 * LAMB adds it to the update that the ratio scales. */
static effnet_status check_decay_mode(const Recipe *recipe, effnet_error *err) {
    const bool lamb = recipe->opt == OPTIMIZER_LAMB, lars = recipe->opt == OPTIMIZER_LARS;
    const bool in_gradient = recipe->decay_mode == DECAY_MODE_L2 || recipe->decay_mode == DECAY_MODE_HALF_L2;
    if (recipe->decay_mode == DECAY_MODE_UPDATE && !lamb)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "decay_mode is update, which only opt: lamb has; write l2, half_l2 or decoupled, or change opt");
    if (recipe->weight_decay == 0) return EFFNET_OK;
    if (lamb && in_gradient)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "opt: lamb takes no weight decay into its gradients; write decay_mode: update (as published) or "
                    "decoupled");
    if (lars && !in_gradient)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "opt: lars takes its weight decay into the gradients; write decay_mode: l2 (as published) or "
                    "half_l2");
    return EFFNET_OK;
}

/* Who is a device (replicas), and how much of a share goes forward at once (accumulate). */
static effnet_status check_parts(const Recipe *recipe, effnet_error *err) {
    if (recipe->batch_size % recipe->replicas != 0)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "batch_size %lld is not a multiple of replicas %lld; change one, so that the shares are equal",
                    (long long)recipe->batch_size, (long long)recipe->replicas);
    if (recipe->batch_size / recipe->replicas % recipe->accumulate != 0)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "%s %lld is not a multiple of accumulate %lld; change one, so that the parts are equal",
                    recipe->replicas > 1 ? "batch_size / replicas" : "batch_size",
                    (long long)(recipe->batch_size / recipe->replicas), (long long)recipe->accumulate);
    bool devices = recipe->masks == MASKS_FLAX || recipe->bn_sync != BN_SYNC_NONE;
    if (devices && recipe_parts(recipe) > 1)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "accumulate is %lld with %s, which is about devices: those are `replicas` now, and accumulate only "
                    "saves memory; write replicas: %lld and accumulate: 1, or accumulate_bn: full",
                    (long long)recipe->accumulate, recipe->masks == MASKS_FLAX ? "masks: flax" : "bn_sync",
                    (long long)(recipe->replicas * recipe->accumulate));
    int64_t group = recipe_bn_group(recipe, recipe->replicas);
    if (recipe->replicas % group != 0)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "bn_sync: tpu_groups makes groups of %lld replicas, and replicas is %lld; change replicas to a "
                    "multiple",
                    (long long)group, (long long)recipe->replicas);
    return EFFNET_OK;
}

effnet_status recipe_need_batch(const Recipe *recipe, const char *who, effnet_error *err) {
    if (recipe->batch_size > 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "batch_size is auto, which %s cannot find: give a number", who);
}

effnet_status recipe_check_series(const Recipe *recipe, effnet_error *err) {
    if (recipe->folds == 1) return fail(err, EFFNET_ERROR_FORMAT, "folds is 1; allowed: 0 (none), or 2 and more");
    if (recipe->folds && recipe->seeds > 1)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "folds is %lld and seeds is %lld; give one of them, and run the other with another seed",
                    (long long)recipe->folds, (long long)recipe->seeds);
    if (recipe->folds && recipe->val_split[0])
        return fail(err, EFFNET_ERROR_FORMAT,
                    "val_split is '%.40s' and folds is %lld, which says what is evaluated on: leave one out",
                    recipe->val_split, (long long)recipe->folds);
    return EFFNET_OK;
}

/* mean and std have a number for each channel, or are averaged; operations on colours want colours, or one grey. */
effnet_status recipe_check_channels(const Recipe *recipe, effnet_error *err) {
    const ChannelValues *const lists[] = {&recipe->mean, &recipe->std};
    const char *const names[] = {"mean", "std"};
    for (int i = 0; i < 2; i++)
        if (lists[i]->count != recipe->in_chans && lists[i]->count != 1 && lists[i]->count != 3)
            return fail(
                err, EFFNET_ERROR_FORMAT,
                "%s has %lld numbers and in_chans is %lld; give one a channel, or one or three whose average is "
                "every channel's",
                names[i], (long long)lists[i]->count, (long long)recipe->in_chans);
    if (recipe->in_chans == 1 || recipe->in_chans == 3) return EFFNET_OK;
    const char *const found = recipe->aa[0]                ? "aa"
                              : recipe->color_jitter > 0   ? "color_jitter"
                              : recipe->grayscale_prob > 0 ? "grayscale_prob"
                                                           : NULL;
    if (found)
        return fail(
            err, EFFNET_ERROR_FORMAT,
            "%s is for pictures of red, green and blue, or of grey, and in_chans is %lld; leave it out (reprob, "
            "mixup, cutmix, hflip and the random crop are for any)",
            found, (long long)recipe->in_chans);
    return EFFNET_OK;
}

effnet_status recipe_check(const Recipe *recipe, effnet_error *err) {
    enum { LEAST_SIDE = 8 }; /* nothing can be told apart in fewer pixels, and five halvings leave none of them */
    TRY(check_parts(recipe, err));
    TRY(recipe_check_series(recipe, err));
    TRY(recipe_check_channels(recipe, err));
    const PictureSize input = recipe->resolution;
    if (input.height != 0 && (input.height < LEAST_SIDE || input.width < LEAST_SIDE))
        return fail(err, EFFNET_ERROR_FORMAT,
                    "resolution is %dx%d; allowed: 0 (the model's own), or sides of %d to 2048", input.height,
                    input.width, (int)LEAST_SIDE);
    if (recipe->scale[0] > recipe->scale[1])
        return fail(err, EFFNET_ERROR_FORMAT, "scale is [%g, %g]; write the smaller share first", recipe->scale[0],
                    recipe->scale[1]);
    if (recipe->ratio[0] > recipe->ratio[1])
        return fail(err, EFFNET_ERROR_FORMAT, "ratio is [%g, %g]; write the smaller ratio first", recipe->ratio[0],
                    recipe->ratio[1]);
    if (recipe->drop < 0 && recipe->drop != -1)
        return fail(err, EFFNET_ERROR_FORMAT, "drop is %g; allowed: 0 to 0.999, or -1 for the model's own",
                    recipe->drop);
    if (recipe->nesterov && recipe->opt != OPTIMIZER_SGD && recipe->opt != OPTIMIZER_LARS)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "nesterov is true, which only opt: sgd and lars have; remove it or change opt");
    if (recipe->nesterov && recipe->momentum == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "nesterov is true and momentum is 0; give a momentum, such as 0.9");
    TRY(check_decay_mode(recipe, err));
    if (recipe->sched == SCHEDULE_COSINE &&
        recipe->warmup_epochs * (double)recipe->decay_begin >= (double)recipe->epochs)
        return fail(err, EFFNET_ERROR_FORMAT,
                    "the cosine would begin at epoch %g (warmup_epochs, decay_begin), and there are %lld epochs; begin "
                    "it sooner",
                    recipe->warmup_epochs * (double)recipe->decay_begin, (long long)recipe->epochs);
    const bool lr_known = recipe->lr > 0 || recipe->batch_size > 0; /* batch_size: auto */
    if (recipe->sched != SCHEDULE_CONSTANT && lr_known && recipe->min_lr > recipe_learning_rate(recipe))
        return fail(err, EFFNET_ERROR_FORMAT, "min_lr is %g, above the learning rate of %g that it is the floor of",
                    recipe->min_lr, recipe_learning_rate(recipe));
    return EFFNET_OK;
}

/* A text in YAML's double quotes; key_assign let in only what needs these three escapes. */
static void write_quoted(const char *text, FILE *stream) {
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', stream);
        if (*text == '\t')
            fputs("\\t", stream);
        else
            fputc(*text, stream);
    }
    fputc('"', stream);
}

effnet_status recipe_write(const Recipe *recipe, FILE *stream, effnet_error *err) {
    int count;
    const Key *keys = key_table(&count);
    char text[KEY_TEXT];
    fprintf(stream, "# every key of recipe '%s', as it was used\n", recipe->name);
    for (int i = 0; i < count; i++) {
        if (!keys[i].name) {
            fprintf(stream, "# %s\n", keys[i].help);
            continue;
        }
        key_format(&keys[i], recipe, text, sizeof text);
        fprintf(stream, "%s: ", keys[i].name);
        if (keys[i].kind == KIND_STRING)
            write_quoted(text, stream);
        else
            fputs(text, stream);
        fputc('\n', stream);
    }
    if (fflush(stream) != 0 || ferror(stream))
        return fail(err, EFFNET_ERROR_IO, "cannot write the recipe: %s", strerror(errno));
    return EFFNET_OK;
}

effnet_status recipe_save(const Recipe *recipe, const char *path, uint32_t *sum, effnet_error *err) {
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (!memory) return fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    effnet_status result = recipe_write(recipe, memory, err);
    bool whole = fclose(memory) == 0;
    if (result == EFFNET_OK && !whole) result = fail(err, EFFNET_ERROR_MEMORY, "no memory to write '%s'", path);
    AtomicFile file = {0};
    if (result == EFFNET_OK) result = atomic_file_open(&file, path, err);
    if (result == EFFNET_OK) {
        if (sum) *sum = crc32c(0, text, size);
        fwrite(text, 1, size, file.stream);
        result = atomic_file_commit(&file, err);
    }
    free(text);
    return result;
}

void recipe_visit_keys(effnet_key_visitor *visit, void *context) {
    static const char *const types[] = {"text", "whole number", "size", "number", "switch", "choice", "list", "list"};
    int count;
    const Key *keys = key_table(&count);
    const char *section = "";
    Recipe defaults;
    recipe_defaults(&defaults);
    for (int i = 0; i < count; i++) {
        char value[KEY_TEXT], allowed[KEY_TEXT];
        if (!keys[i].name) {
            section = keys[i].help;
            continue;
        }
        key_format(&keys[i], &defaults, value, sizeof value);
        key_allowed(&keys[i], allowed, sizeof allowed);
        visit(context, section, keys[i].name, types[keys[i].kind], value, allowed, keys[i].help);
    }
}

const char *recipe_warning(const Recipe *recipe) {
    if (recipe->batch_size > 4096 && recipe->opt != OPTIMIZER_LARS && recipe->opt != OPTIMIZER_LAMB)
        return "batch_size is above 4096, the largest of the published runs with RMSProp; beyond it opt: lars or lamb "
               "are "
               "used (docs/scaling.md)";
    return NULL;
}

double recipe_learning_rate(const Recipe *recipe) {
    if (recipe->lr != 0) return recipe->lr;
    return recipe->lr_base * (double)recipe->batch_size / (double)recipe->lr_base_size;
}

double recipe_smoothing(const Recipe *recipe) {
    return recipe->smoothing_applied ? recipe->smoothing : 0;
}

/* Source: timm, data/loader.py, adapt_to_chs. */
ChannelValues channel_values_for(const ChannelValues *given, int channels) {
    if (given->count == channels) return *given;
    ChannelValues made = {.count = channels};
    double sum = 0;
    for (int c = 0; c < given->count; c++) sum += given->values[c];
    for (int c = 0; c < channels; c++) made.values[c] = sum / (double)given->count;
    return made;
}

void recipe_normalisation(const Recipe *recipe, int channels, double mean[MOST_CHANNELS], double std[MOST_CHANNELS]) {
    const ChannelValues means = channel_values_for(&recipe->mean, channels),
                        deviations = channel_values_for(&recipe->std, channels);
    for (int c = 0; c < MOST_CHANNELS; c++) {
        const bool used = c < channels;
        mean[c] = used && recipe->normalize ? means.values[c] : 0;
        std[c] = !used ? 0 : recipe->normalize ? deviations.values[c] : 1 / 255.0;
    }
}

int64_t recipe_steps_per_epoch(const Recipe *recipe, int64_t pictures) {
    int64_t whole = pictures / recipe->batch_size;
    return whole + (recipe->train_remainder == TRAIN_REMAINDER_WRAP && pictures % recipe->batch_size != 0);
}

int64_t recipe_bn_group(const Recipe *recipe, int64_t devices) {
    if (recipe->bn_sync == BN_SYNC_ALL) return devices;
    if (recipe->bn_sync != BN_SYNC_TPU_GROUPS || devices <= 8) return 1;
    return devices / 8 > 8 ? devices / 8 : 8;
}

int64_t recipe_parts(const Recipe *recipe) {
    return recipe->accumulate_bn == ACCUMULATE_BN_FULL ? 1 : recipe->accumulate;
}

int64_t recipe_part(const Recipe *recipe) {
    return recipe->batch_size / recipe->replicas / recipe_parts(recipe);
}

effnet_status recipe_class_names(const Recipe *recipe, int count, char ***out, effnet_error *err) {
    size_t table = (size_t)count * sizeof(char *);
    char **names = malloc(table + RECIPE_TEXT); /* the pointers, then the text that they point into */
    *out = NULL;
    if (!names) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names of %d classes", count);
    char *rest = (char *)names + table, *name;
    memcpy(rest, recipe->class_names, RECIPE_TEXT);
    int found = 0;
    bool empty = false;
    while ((name = strsep(&rest, ","))) {
        name += strspn(name, " ");
        size_t length = strlen(name);
        while (length && name[length - 1] == ' ') name[--length] = 0;
        empty = empty || length == 0;
        if (found < count) names[found] = name;
        found++;
    }
    if (found == count && !empty) {
        *out = names;
        return EFFNET_OK;
    }
    free(names);
    return fail(err, EFFNET_ERROR_FORMAT, "class_names has %d names%s; %d are needed, one a class, commas between",
                found, empty ? ", some of them empty" : "", count);
}
