/* file_list.c - see file_list.h. */
#include "data/sources/file_list.h"
#include "data/sources/shard_source.h"
#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static effnet_status read_folder(const char *root, NameList *out, effnet_error *err) {
    DIR *stream = opendir(root);
    if (!stream) return file_cannot_open(root, errno, err);
    effnet_status status = EFFNET_OK;
    const struct dirent *item;
    while (status == EFFNET_OK && (item = readdir(stream))) {
        char path[SOURCE_PATH_BYTES];
        if (item->d_name[0] == '.' || item->d_type == DT_DIR) continue;
        status = path_join(path, sizeof path, root, item->d_name, err);
        if (status == EFFNET_OK && is_file(path)) status = name_list_add(out, path, err);
    }
    closedir(stream);
    name_list_sort(out);
    return status;
}

static effnet_status read_list(const char *list, NameList *out, effnet_error *err) {
    NameList lines = {0};
    effnet_status status = name_list_read(list, &lines, err);
    for (int i = 0; status == EFFNET_OK && i < lines.count; i++) {
        char path[SOURCE_PATH_BYTES];
        const char *line = lines.names[i];
        if (!line[0]) continue;
        if (line[0] == '/')
            status = name_list_add(out, line, err);
        else if ((status = path_beside(path, sizeof path, list, line, err)) == EFFNET_OK)
            status = name_list_add(out, path, err);
    }
    name_list_free(&lines);
    if (status == EFFNET_OK && !out->count)
        status = fail(err, EFFNET_ERROR_FORMAT, "'%s' lists no file: wanted one path a line", list);
    return status;
}

static effnet_status read_pattern(const char *pattern, NameList *out, effnet_error *err) {
    glob_t found;
    int code = glob(pattern, 0, NULL, &found);
    if (code == GLOB_NOSPACE) return fail(err, EFFNET_ERROR_MEMORY, "no memory to look for '%s'", pattern);
    if (code != 0)
        return fail(err, EFFNET_ERROR_IO, "cannot open '%s': No such file or directory, nor any that it matches",
                    pattern);
    effnet_status status = EFFNET_OK;
    for (size_t i = 0; status == EFFNET_OK && i < found.gl_pathc; i++)
        if (is_file(found.gl_pathv[i])) status = name_list_add(out, found.gl_pathv[i], err);
    globfree(&found);
    name_list_sort(out);
    return status;
}

effnet_status file_list_read(const char *root, NameList *out, effnet_error *err) {
    if (root[0] == '@') return read_list(root + 1, out, err);
    if (path_is_folder(root)) return read_folder(root, out, err);
    if (path_exists(root)) {
        int descriptor;
        TRY(file_open(root, &descriptor, NULL, err)); /* a pipe or a device is refused by its kind */
        close(descriptor);
        return name_list_add(out, root, err);
    }
    if (strpbrk(root, "*?[")) return read_pattern(root, out, err);
    return fail(err, EFFNET_ERROR_IO, "cannot open the data folder '%s': %s", root, strerror(errno));
}

static bool has_word(const char *name, const char *word) {
    size_t length = strlen(word);
    for (const char *at = strcasestr(name, word); at; at = strcasestr(at + 1, word))
        if ((at == name || !isalnum((unsigned char)at[-1])) && !isalpha((unsigned char)at[length])) return true;
    return false;
}

effnet_status file_list_of_split(const NameList *all, const char *split, NameList *out, effnet_error *err) {
    for (int i = 0; i < all->count; i++) {
        const char *slash = strrchr(all->names[i], '/'), *name = slash ? slash + 1 : all->names[i];
        bool cifar = strcmp(split, "train") == 0 && strncmp(name, "data_batch_", 11) == 0;
        if (cifar || has_word(name, split)) TRY(name_list_add(out, all->names[i], err));
    }
    return EFFNET_OK;
}
