/* shard_source.c - see shard_source.h. */
#include "data/sources/shard_source.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

effnet_status shard_source_create(const SourceMethods *methods, const NameList *paths, size_t size, ShardSource **out,
                                  effnet_error *err) {
    *out = NULL;
    ShardSource *source = calloc(1, size);
    if (!source) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", paths->names[0]);
    source->dataset.methods = methods;
    effnet_status status = EFFNET_OK;
    for (int i = 0; status == EFFNET_OK && i < paths->count; i++)
        status = shard_files_add(&source->files, paths->names[i], err);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = source;
    return EFFNET_OK;
}

void shard_source_release(Dataset *dataset) {
    ShardSource *source = (ShardSource *)dataset;
    shard_files_free(&source->files);
    free(source->members);
    free(source->names);
}

effnet_status shard_source_add(ShardSource *source, const Member *member, const char *name, effnet_error *err) {
    size_t bytes = name ? strlen(name) + 1 : 0, count = (size_t)source->dataset.size;
    if (bytes > source->names_capacity - source->names_used) {
        size_t capacity = 2 * source->names_capacity + bytes + 4096;
        char *larger = realloc(source->names, capacity);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %zu names", count);
        source->names = larger;
        source->names_capacity = capacity;
    }
    if (count == source->capacity) {
        size_t capacity = 2 * count + 256;
        Member *larger = realloc(source->members, capacity * sizeof *larger);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for %zu pictures", capacity);
        source->members = larger;
        source->capacity = capacity;
    }
    source->members[count] = *member;
    source->members[count].name = source->names_used;
    if (bytes) memcpy(source->names + source->names_used, name, bytes);
    source->names_used += bytes;
    source->dataset.size++;
    return EFFNET_OK;
}

static int compare_members(const void *a, const void *b, void *context) {
    const Member *left = a, *right = b;
    const char *names = context;
    if (left->label != right->label) return left->label < right->label ? -1 : 1;
    int order = strcmp(names + left->name, names + right->name);
    if (order) return order;
    if (left->file != right->file) return left->file < right->file ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

void shard_source_sort(ShardSource *source) {
    if (source->dataset.size > 1)
        qsort_r(source->members, (size_t)source->dataset.size, sizeof *source->members, compare_members, source->names);
}

effnet_status shard_source_name_classes(ShardSource *source, NameSet *set, effnet_error *err) {
    int *map;
    effnet_status status = name_set_sort(set, &map, err);
    if (status == EFFNET_OK) {
        for (int64_t i = 0; i < source->dataset.size; i++) source->members[i].label = map[source->members[i].label];
        source->dataset.own_classes = set->list;
        source->dataset.classes_named = true;
        set->list = (NameList){0};
        free(map);
    }
    name_set_free(set);
    return status;
}

effnet_status path_beside(char *out, size_t size, const char *file, const char *name, effnet_error *err) {
    const char *slash = strrchr(file, '/');
    int folder = slash ? (int)(slash - file) + 1 : 0;
    if ((size_t)snprintf(out, size, "%.*s%s", folder, file, name) >= size)
        return fail(err, EFFNET_ERROR_ARGUMENT, "path too long: '%.80s.../%.80s'", file, name);
    return EFFNET_OK;
}

/* "0:daisy", "1:dandelion", as TF-Slim writes labels.txt: without the numbers, where every line has its own. */
static void strip_numbers(NameList *names) {
    char wanted[16];
    for (int i = 0; i < names->count; i++) {
        int length = snprintf(wanted, sizeof wanted, "%d:", i);
        if (strncmp(names->names[i], wanted, (size_t)length) != 0) return;
    }
    for (int i = 0; i < names->count; i++) {
        const char *name = strchr(names->names[i], ':') + 1;
        memmove(names->names[i], name, strlen(name) + 1);
    }
}

effnet_status shard_source_number_classes(ShardSource *source, effnet_error *err) {
    static const char *const files[] = {"label.labels.txt", "labels.txt"};
    Dataset *dataset = &source->dataset;
    int64_t most = -1;
    for (int64_t i = 0; i < dataset->size; i++)
        if (most < 0 || source->members[i].label > source->members[most].label) most = i;
    int classes = most < 0 ? 0 : source->members[most].label + 1;
    for (int i = 0; i < 2; i++) {
        char path[SOURCE_PATH_BYTES], name[SOURCE_PATH_BYTES];
        TRY(path_beside(path, sizeof path, source->files.files[0].path, files[i], err));
        if (!path_exists(path)) continue;
        TRY(name_list_read(path, &dataset->own_classes, err));
        strip_numbers(&dataset->own_classes);
        TRY(name_list_check_unique(&dataset->own_classes, path, err));
        dataset->classes_named = true;
        if (dataset->own_classes.count >= classes) return EFFNET_OK;
        dataset_describe(dataset, most, name, sizeof name);
        return fail(err, EFFNET_ERROR_FORMAT, "label %d of '%s' is out of range: '%s' names %d classes, 0 to %d",
                    classes - 1, name, path, dataset->own_classes.count, dataset->own_classes.count - 1);
    }
    return name_list_count(&dataset->own_classes, classes, err);
}

effnet_status shard_source_finish(ShardSource *source, effnet_error *err) {
    const Dataset *dataset = &source->dataset;
    if (dataset->size == 0)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s'%s holds no picture with a label%s%s", source->files.files[0].path,
                    source->files.count > 1 ? " and the files after it" : "", dataset->lost ? ": " : "",
                    dataset_loss(dataset, 0) ? dataset_loss(dataset, 0) : "");
    if (dataset->size > UINT32_MAX)
        return fail(err, EFFNET_ERROR_FORMAT, "'%s' and the files after it hold %lld pictures; allowed are %u",
                    source->files.files[0].path, (long long)dataset->size, UINT32_MAX);
    return EFFNET_OK;
}

int shard_source_label(const Dataset *dataset, int64_t index) {
    return ((const ShardSource *)dataset)->members[index].label;
}

void shard_source_describe_number(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    const ShardSource *source = (const ShardSource *)dataset;
    const Member *member = &source->members[index];
    snprintf(buffer, size, "%s#%u", source->files.files[member->file].path, member->number);
}

void shard_source_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    const ShardSource *source = (const ShardSource *)dataset;
    const Member *member = &source->members[index];
    snprintf(buffer, size, "%s: %s", source->files.files[member->file].path, source->names + member->name);
}

effnet_status shard_source_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                 effnet_error *err) {
    const ShardSource *source = (const ShardSource *)dataset;
    const Member *member = &source->members[index];
    const ShardFile *file = &source->files.files[member->file];
    TRY(decoder_reserve_file(decoder, member->size, file->path, err));
    TRY(shard_file_read(file, member->offset, decoder->file, member->size, err));
    *out = (Blob){.bytes = decoder->file, .size = member->size};
    return EFFNET_OK;
}
