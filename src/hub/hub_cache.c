/* hub_cache.c - see hub_cache.h. Layout: huggingface_hub's file_download.py and constants.py (0.20 to 1.x). */
#include "hub/hub_cache.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_WORD = 96, MOST_REF = 64 };

/* ---- names ---- */

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

bool hub_word_is_safe(const char *word) {
    size_t length = strlen(word), dots = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_letter(word[i])) return false;
        dots += word[i] == '.';
    }
    return length > 0 && length <= MOST_WORD && dots < length;
}

bool hub_is_commit(const char *text) {
    return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

static bool copy_word(const char *from, size_t length, char out[HUB_WORD]) {
    if (length == 0 || length > MOST_WORD) return false;
    memcpy(out, from, length);
    out[length] = 0;
    return hub_word_is_safe(out);
}

bool hub_name_parse(const char *text, HubName *out) {
    *out = (HubName){.revision = "main"};
    if (strncmp(text, "hf-hub:", 7) == 0 || strncmp(text, "hf_hub:", 7) == 0) text += 7;
    const char *slash = strchr(text, '/'), *at = strchr(text, '@');
    if (!slash || (at && at < slash)) return false;
    const char *end = at ? at : text + strlen(text);
    return copy_word(text, (size_t)(slash - text), out->owner) &&
           copy_word(slash + 1, (size_t)(end - slash - 1), out->name) && !strstr(out->owner, "--") &&
           !strstr(out->name, "--") && (!at || copy_word(at + 1, strlen(at + 1), out->revision));
}

/* ---- where ---- */

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static effnet_status find_root(char out[HUB_PATH], effnet_error *err) {
    const char *cache = environment("HF_HUB_CACHE"), *home = environment("HF_HOME"),
               *general = environment("XDG_CACHE_HOME"), *user = environment("HOME");
    int length;
    if (!cache) cache = environment("HUGGINGFACE_HUB_CACHE");
    if (cache)
        length = snprintf(out, HUB_PATH, "%s", cache);
    else if (home)
        length = snprintf(out, HUB_PATH, "%s/hub", home);
    else if (general)
        length = snprintf(out, HUB_PATH, "%s/huggingface/hub", general);
    else if (user)
        length = snprintf(out, HUB_PATH, "%s/.cache/huggingface/hub", user);
    else
        return fail(err, EFFNET_ERROR_ARGUMENT, "there is no HOME to keep a cache in; set HF_HUB_CACHE to a folder");
    if (length < HUB_PATH - 400) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "the cache's path is too long: '%.80s...'", out);
}

effnet_status hub_cache_find(const HubName *name, HubCache *out, effnet_error *err) {
    *out = (HubCache){0};
    TRY(find_root(out->root, err));
    bool fits =
        snprintf(out->folder, HUB_PATH, "%s/models--%s--%s", out->root, name->owner, name->name) < HUB_PATH &&
        snprintf(out->locks, HUB_PATH, "%s/.locks/models--%s--%s", out->root, name->owner, name->name) < HUB_PATH;
    snprintf(out->revision, sizeof out->revision, "%s", name->revision);
    return fits ? EFFNET_OK : fail(err, EFFNET_ERROR_ARGUMENT, "the cache's path is too long: '%.80s...'", out->root);
}

/* folder/part/name */
static effnet_status inside(const HubCache *cache, const char *part, const char *name, const char *ending, char *out,
                            size_t size, effnet_error *err) {
    if ((size_t)snprintf(out, size, "%s/%s/%s%s", cache->folder, part, name, ending) < size) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_ARGUMENT, "the cache's path is too long: '%.80s...'", cache->folder);
}

/* ---- commits ---- */

bool hub_cache_commit(const HubCache *cache, char commit[HUB_WORD]) {
    char path[HUB_PATH], *text;
    size_t size;
    if (hub_is_commit(cache->revision)) {
        snprintf(commit, HUB_WORD, "%s", cache->revision);
        return true;
    }
    if (inside(cache, "refs", cache->revision, "", path, sizeof path, NULL) != EFFNET_OK ||
        file_read(path, MOST_REF, &text, &size, NULL) != EFFNET_OK)
        return false;
    snprintf(commit, HUB_WORD, "%.*s", (int)strcspn(text, " \r\n"), text);
    free(text);
    return hub_is_commit(commit);
}

effnet_status hub_cache_note_commit(const HubCache *cache, const char *commit, effnet_error *err) {
    char folder[HUB_PATH], path[HUB_PATH], before[HUB_WORD];
    AtomicFile file;
    if (hub_is_commit(cache->revision) || (hub_cache_commit(cache, before) && strcmp(before, commit) == 0))
        return EFFNET_OK;
    TRY(inside(cache, "refs", "", "", folder, sizeof folder, err));
    TRY(folder_create(folder, err));
    TRY(inside(cache, "refs", cache->revision, "", path, sizeof path, err));
    TRY(atomic_file_open(&file, path, err));
    fputs(commit, file.stream);
    effnet_status status = atomic_file_commit(&file, err);
    /* Another process may have written the same at the same time, and renamed what was ours */
    return hub_cache_commit(cache, before) && strcmp(before, commit) == 0 ? EFFNET_OK : status;
}

/* ---- files ---- */

bool hub_cache_file(const HubCache *cache, const char *commit, const char *file, char *path, size_t size) {
    char part[HUB_WORD + 16];
    struct stat status;
    snprintf(part, sizeof part, "snapshots/%s", commit);
    return inside(cache, part, file, "", path, size, NULL) == EFFNET_OK && stat(path, &status) == 0 &&
           S_ISREG(status.st_mode) && status.st_size > 0;
}

effnet_status hub_cache_blob(const HubCache *cache, const char *checksum, const char *ending, char *path, size_t size,
                             effnet_error *err) {
    TRY(inside(cache, "blobs", "", "", path, size, err));
    TRY(folder_create(path, err));
    return inside(cache, "blobs", checksum, ending, path, size, err);
}

effnet_status hub_cache_link(const HubCache *cache, const char *commit, const char *file, const char *checksum,
                             effnet_error *err) {
    char part[HUB_WORD + 16], folder[HUB_PATH], path[HUB_PATH], beside[HUB_PATH], target[HUB_WORD + 16], old[HUB_WORD],
        ending[32];
    snprintf(ending, sizeof ending, ".%ld.tmp", (long)getpid()); /* another process may be making the same */
    snprintf(part, sizeof part, "snapshots/%s", commit);
    snprintf(target, sizeof target, "../../blobs/%s", checksum);
    TRY(inside(cache, part, "", "", folder, sizeof folder, err));
    TRY(folder_create(folder, err));
    TRY(inside(cache, part, file, "", path, sizeof path, err));
    TRY(inside(cache, part, file, ending, beside, sizeof beside, err));
    ssize_t length = readlink(path, old, sizeof old - 1);
    if (length > 0 && (size_t)length == strlen(target) && memcmp(old, target, (size_t)length) == 0) return EFFNET_OK;
    unlink(beside);
    if (symlink(target, beside) == 0 && rename(beside, path) == 0) return EFFNET_OK;
    return fail(err, EFFNET_ERROR_IO, "cannot make the link '%s': %s; set HF_HUB_CACHE to a folder that can hold links",
                path, strerror(errno));
}

/* ---- one process at a time ---- */

effnet_status hub_cache_lock(const HubCache *cache, const char *checksum, void (*wait)(void *context), void *context,
                             int *descriptor, effnet_error *err) {
    char path[HUB_PATH];
    TRY(folder_create(cache->locks, err));
    if ((size_t)snprintf(path, sizeof path, "%s/%s.lock", cache->locks, checksum) >= sizeof path)
        return fail(err, EFFNET_ERROR_ARGUMENT, "the cache's path is too long: '%.80s...'", cache->locks);
    *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*descriptor < 0) return fail(err, EFFNET_ERROR_IO, "cannot open '%s': %s", path, strerror(errno));
    if (flock(*descriptor, LOCK_EX | LOCK_NB) == 0) return EFFNET_OK;
    if (wait) wait(context);
    int got;
    while ((got = flock(*descriptor, LOCK_EX)) != 0 && errno == EINTR) {
    }
    if (got == 0) return EFFNET_OK;
    int reason = errno;
    close(*descriptor);
    *descriptor = -1;
    return fail(err, EFFNET_ERROR_IO, "cannot lock '%s': %s", path, strerror(reason));
}
