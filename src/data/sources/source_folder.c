/* source_folder.c - a folder with one folder a class, pictures anywhere below it: cats/1.jpg, cats/2019/x.png. Classes
 * are numbered by their names in bytewise order, pictures by class and then by path in that order, so that the numbers
 * do not depend on the file system.
 *
 * A picture is a file called .jpg, .jpeg, .jpe, .jfif, .png, .webp or .bmp, or any other file that begins like one; the
 * rest, and names that begin with a dot, are passed over. A class folder without a picture is an error, since it would
 * make a class that cannot be learnt.
 *
 * Paths are kept as one block of bytes, relative to the folder: ImageNet's 1.28 million take about 60 MB. */
#include "data/sources/source.h"
#include "data/picture/decode_formats.h"
#include "data/picture/decode.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/memory.h"
#include "base/text_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = SOURCE_PATH_BYTES, DEEPEST = 16 };

typedef struct Entry {
    size_t path; /* offset into `paths` */
    int label;
} Entry;

typedef struct FolderSource {
    Dataset dataset;
    char *folder;
    char *paths; /* relative paths, each ended by a zero byte */
    size_t paths_used, paths_capacity;
    Entry *entries;
    size_t entries_capacity;
} FolderSource;

/* ---- reading folders ---- */

typedef enum FileKind { KIND_OTHER, KIND_FILE, KIND_FOLDER } FileKind;

/* Follows symbolic links. A link that leads nowhere counts as a file: reading it gives the error. */
static FileKind kind_of(const char *path, int type) {
    if (type == DT_REG) return KIND_FILE;
    if (type == DT_DIR) return KIND_FOLDER;
    if (type != DT_LNK && type != DT_UNKNOWN) return KIND_OTHER;
    struct stat status;
    if (stat(path, &status) != 0) return KIND_FILE;
    return S_ISDIR(status.st_mode) ? KIND_FOLDER : S_ISREG(status.st_mode) ? KIND_FILE : KIND_OTHER;
}

static bool is_picture(const char *path) {
    return name_is_picture(path) || file_begins_like_picture(path);
}

/* A picture by its name's ending, of a kind that is not read. */
static bool name_is_strange_picture(const char *name) {
    static const char *const endings[] = {".jxl", ".jp2", ".psd", ".svg", ".tga", ".ppm", ".pgm",
                                          ".dng", ".cr2", ".nef", ".arw", ".ico", ".dcm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

/* Folders that systems put beside people's own: a zip file's from macOS, a network drive's previews, a disk's rests. */
static bool name_is_systems(const char *name) {
    static const char *const names[] = {
        "__MACOSX",    "@eaDir",   "lost+found", "$RECYCLE.BIN", "System Volume Information",
        "__pycache__", "#recycle", "@Recycle"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

/* The files or the folders directly below `folder`, sorted; what is neither becomes a loss of `dataset` (NULL: it does
 * not matter). */
static effnet_status list_folder(const char *folder, NameList *files, NameList *folders, Dataset *dataset,
                                 effnet_error *err) {
    DIR *stream = opendir(folder);
    if (!stream) return file_cannot_open(folder, errno, err);
    effnet_status status = EFFNET_OK;
    while (status == EFFNET_OK) {
        errno = 0;
        const struct dirent *item = readdir(stream);
        if (!item && errno)
            status = fail(err, EFFNET_ERROR_IO, "cannot read the folder '%s': %s", folder, strerror(errno));
        if (!item) break;
        if (item->d_name[0] == '.') {
            bool other = strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0;
            if (other && dataset) status = dataset_pass_over(dataset, item->d_name, true, err);
            continue;
        }
        char path[PATH_BYTES];
        status = path_join(path, sizeof path, folder, item->d_name, err);
        if (status != EFFNET_OK) break;
        FileKind kind = kind_of(path, item->d_type);
        if (kind == KIND_OTHER && dataset)
            dataset_lose(dataset, "cannot read '%.400s': it is no file but a pipe, a socket or a device", path);
        if (kind == KIND_FOLDER && name_is_systems(item->d_name)) {
            if (dataset)
                dataset_tell(dataset, "the folder '%.400s' is the system's, not a class: it is passed over", path);
            continue;
        }
        NameList *list = kind == KIND_FILE ? files : kind == KIND_FOLDER ? folders : NULL;
        if (list) status = name_list_add(list, item->d_name, err);
    }
    closedir(stream);
    if (files) name_list_sort(files);
    if (folders) name_list_sort(folders);
    return status;
}

/* ---- collecting the pictures of a class ---- */

static effnet_status add_picture(FolderSource *source, const char *relative, int label, effnet_error *err) {
    size_t bytes = strlen(relative) + 1, count = (size_t)source->dataset.size;
    if (source->paths_used + bytes > source->paths_capacity) {
        size_t capacity = 2 * source->paths_capacity + bytes + 4096;
        char *larger = realloc(source->paths, capacity);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names in '%s'", source->folder);
        source->paths = larger;
        source->paths_capacity = capacity;
    }
    if (count == source->entries_capacity) {
        size_t capacity = 2 * count + 256;
        Entry *larger = realloc(source->entries, capacity * sizeof *larger);
        if (!larger) return fail(err, EFFNET_ERROR_MEMORY, "no memory for the names in '%s'", source->folder);
        source->entries = larger;
        source->entries_capacity = capacity;
    }
    memcpy(source->paths + source->paths_used, relative, bytes);
    source->entries[count] = (Entry){.path = source->paths_used, .label = label};
    source->paths_used += bytes;
    source->dataset.size++;
    return EFFNET_OK;
}

/* A folder being walked and those above it, to notice a symbolic link that leads back to one of them. */
typedef struct Walked {
    const struct Walked *above;
    dev_t device;
    ino_t number;
} Walked;

static effnet_status enter_folder(const char *path, int depth, Walked *walked, effnet_error *err) {
    struct stat status;
    if (stat(path, &status) != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot open the folder '%s': %s", path, strerror(errno));
    walked->device = status.st_dev;
    walked->number = status.st_ino;
    for (const Walked *above = walked->above; above; above = above->above)
        if (above->device == walked->device && above->number == walked->number)
            return fail(err, EFFNET_ERROR_IO, "'%s' is a link that leads back to a folder it stands in: remove it",
                        path);
    if (depth > DEEPEST)
        return fail(err, EFFNET_ERROR_IO, "'%s' is more than %d folders deep; allowed are %d", path, (int)DEEPEST,
                    (int)DEEPEST);
    return EFFNET_OK;
}

/* `relative`: from the source's folder. *ignored counts files that are no pictures. */
static effnet_status collect(FolderSource *source, const char *relative, int label, int depth, const Walked *above,
                             int64_t *ignored, effnet_error *err) {
    char path[PATH_BYTES];
    Walked walked = {.above = above};
    TRY(path_join(path, sizeof path, source->folder, relative, err));
    TRY(enter_folder(path, depth, &walked, err));
    NameList files = {0}, folders = {0};
    int64_t before = source->dataset.size;
    effnet_status status = list_folder(path, &files, &folders, &source->dataset, err);
    for (int i = 0; status == EFFNET_OK && i < files.count; i++) {
        char below[PATH_BYTES];
        status = path_join(below, sizeof below, relative, files.names[i], err);
        if (status == EFFNET_OK) status = path_join(path, sizeof path, source->folder, below, err);
        if (status != EFFNET_OK) break;
        if (is_picture(path))
            status = add_picture(source, below, label, err);
        else if (name_is_strange_picture(path))
            dataset_lose(&source->dataset, "'%.350s' is of a kind that is not read: convert it to PNG or JPEG", path);
        else
            status = dataset_pass_over(&source->dataset, path, false, err);
        *ignored += source->dataset.size == before;
        before = source->dataset.size;
    }
    for (int i = 0; status == EFFNET_OK && i < folders.count; i++) {
        char below[PATH_BYTES];
        status = path_join(below, sizeof below, relative, folders.names[i], err);
        if (status == EFFNET_OK) status = collect(source, below, label, depth + 1, &walked, ignored, err);
    }
    name_list_free(&files);
    name_list_free(&folders);
    return status;
}

static effnet_status collect_class(FolderSource *source, const char *name, int label, effnet_error *err) {
    int64_t before = source->dataset.size, ignored = 0;
    TRY(collect(source, name, label, 0, NULL, &ignored, err));
    if (source->dataset.size > before) return EFFNET_OK;
    return fail(
        err, EFFNET_ERROR_IO,
        "the class folder '%s/%s' holds no JPEG, PNG, WebP, BMP, GIF, TIFF or HEIC picture (%lld other files): fill "
        "it or remove it",
        source->folder, name, (long long)ignored);
}

/* ---- the methods of a source ---- */

static void full_path(const FolderSource *source, int64_t index, char *buffer, size_t size) {
    snprintf(buffer, size, "%s/%s", source->folder, source->paths + source->entries[index].path);
}

static void folder_describe(const Dataset *dataset, int64_t index, char *buffer, size_t size) {
    full_path((const FolderSource *)dataset, index, buffer, size);
}

static effnet_status folder_fetch(const Dataset *dataset, int64_t index, Decoder *decoder, Blob *out,
                                  effnet_error *err) {
    char path[2 * PATH_BYTES];
    full_path((const FolderSource *)dataset, index, path, sizeof path);
    TRY(decoder_load(decoder, path, &out->size, err));
    out->bytes = decoder->file;
    return EFFNET_OK;
}

static int folder_label(const Dataset *dataset, int64_t index) {
    return ((const FolderSource *)dataset)->entries[index].label;
}

static void folder_release(Dataset *dataset) {
    FolderSource *source = (FolderSource *)dataset;
    free(source->folder);
    free(source->paths);
    free(source->entries);
}

static const SourceMethods folder_methods = {
    .fetch = folder_fetch, .label = folder_label, .describe = folder_describe, .release = folder_release};

/* ---- opening ---- */

static effnet_status fill(FolderSource *source, const char *class_folder, NameList *found, effnet_error *err) {
    NameList *classes = &source->dataset.own_classes;
    NameList loose = {0};
    effnet_status status = list_folder(source->folder, &loose, found, &source->dataset, err);
    for (int i = 0; status == EFFNET_OK && i < loose.count; i++) {
        if (name_is_picture(loose.names[i]) || name_is_strange_picture(loose.names[i]))
            dataset_lose(&source->dataset, "'%.300s/%.100s' stands in no class folder", source->folder, loose.names[i]);
        else
            status = dataset_pass_over(&source->dataset, loose.names[i], false, err);
    }
    char first[PATH_BYTES] = "";
    const char *known = NULL;
    if (status == EFFNET_OK && !found->count && loose.count &&
        path_join(first, sizeof first, source->folder, loose.names[0], NULL) == EFFNET_OK)
        known = file_kind_at(first);
    name_list_free(&loose);
    TRY(status);
    TRY(list_folder(class_folder, NULL, classes, NULL, err));
    if (!found->count)
        return fail(err, EFFNET_ERROR_IO,
                    "'%s' holds no class folders: wanted one folder of pictures for each class%s%s%s%s", source->folder,
                    known ? "; '" : "", known ? first : "", known ? "' in it is " : "", known ? known : "");
    for (int i = 0; i < found->count; i++) {
        int label = name_list_find(classes, found->names[i]);
        char hint[400] = "";
        for (int c = 0; label < 0 && c < classes->count && !*hint; c++)
            text_normalisation_hint(found->names[i], classes->names[c], hint, sizeof hint);
        if (label < 0)
            return fail(err, EFFNET_ERROR_FORMAT,
                        "'%s' has a class folder '%.100s' that '%s' has not: add it there or remove it%s",
                        source->folder, found->names[i], class_folder, hint);
        TRY(collect_class(source, found->names[i], label, err));
    }
    return EFFNET_OK;
}

/* Every class has the same folders below it and no picture beside them: then what was taken for classes may be splits
 * under names that are not known. */
static effnet_status tell_nested(FolderSource *source, effnet_error *err) {
    NameSet pairs = {0}, below = {0};
    effnet_status status = EFFNET_OK;
    bool nested = source->dataset.size > 0;
    int ignored;
    for (int64_t i = 0; status == EFFNET_OK && nested && i < source->dataset.size; i++) {
        char pair[PATH_BYTES];
        snprintf(pair, sizeof pair, "%s", source->paths + source->entries[i].path);
        char *first = strchr(pair, '/'), *second = first ? strchr(first + 1, '/') : NULL;
        nested = second != NULL;
        if (!nested) break;
        *second = 0;
        status = name_set_add(&pairs, pair, &ignored, err);
        if (status == EFFNET_OK) status = name_set_add(&below, first + 1, &ignored, err);
    }
    const int classes = source->dataset.own_classes.count, folders = below.list.count;
    if (status == EFFNET_OK && nested && classes > 1 && folders > 1 && pairs.list.count == classes * folders)
        dataset_tell(
            &source->dataset,
            "each of the %d classes has the same %d folders ('%.60s', ...) and no picture beside them: if those "
            "are the classes and '%.60s' is a split, name the splits by train_split and val_split",
            classes, folders, below.list.names[0], source->dataset.own_classes.names[0]);
    name_set_free(&pairs);
    name_set_free(&below);
    return status;
}

effnet_status source_folder_open(const char *folder, const char *class_folder, Dataset **out, effnet_error *err) {
    *out = NULL;
    FolderSource *source = calloc(1, sizeof *source);
    if (!source) return fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", folder);
    source->dataset.methods = &folder_methods;
    source->dataset.classes_named = true;
    source->folder = strdup(folder);
    NameList found = {0};
    effnet_status status = source->folder ? fill(source, class_folder ? class_folder : folder, &found, err)
                                          : fail(err, EFFNET_ERROR_MEMORY, "no memory to open '%s'", folder);
    name_list_free(&found);
    if (status == EFFNET_OK) status = tell_nested(source, err);
    if (status != EFFNET_OK) {
        dataset_free(&source->dataset);
        return status;
    }
    *out = &source->dataset;
    return EFFNET_OK;
}
