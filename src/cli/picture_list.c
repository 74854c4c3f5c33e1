/* picture_list.c - see picture_list.h. */
#include "picture_list.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16, LONGEST_LINE = 1 << 15, LONGEST_LIST = 1 << 30 };

struct PictureList {
    char *const *arguments;
    int count, at; /* arguments begun */
    FTS *walk;     /* of a folder; NULL: none is being read */
    int lines;     /* descriptor of a list; -1: none is being read */
    const char *lines_name;
    char block[BLOCK]; /* of the list, bytes next .. end unread */
    size_t next, end;
    bool first_line, ended; /* the list: nothing read yet; all read */
    bool found;             /* the argument that is being read named something, or said why not */
    int failure;            /* errno of the read that ended the list early; 0 */
    char *text, *rest; /* of a list that was read whole: all of it, and what is left; NULL: it is read as it comes */
    int64_t passed_over;
};

PictureList *picture_list_open(char *const *arguments, int count) {
    PictureList *list = calloc(1, sizeof *list);
    if (!list) return NULL;
    list->arguments = arguments;
    list->count = count;
    list->lines = -1;
    return list;
}

static void close_lines(PictureList *list) {
    if (list->lines > STDIN_FILENO) close(list->lines);
    list->lines = -1;
    free(list->text);
    list->text = list->rest = NULL;
}

void picture_list_close(PictureList *list) {
    if (!list) return;
    if (list->walk) fts_close(list->walk);
    close_lines(list);
    free(list);
}

int64_t picture_list_passed_over(const PictureList *list) {
    return list->passed_over;
}

static PictureListNext trouble(effnet_error *error, const char *path, const char *reason) {
    error->status = EFFNET_ERROR_IO;
    snprintf(error->message, sizeof error->message, "cannot read '%.300s': %s", path, reason);
    return PICTURE_TROUBLE;
}

static PictureListNext give(const char *text, char **path, effnet_error *error) {
    *path = strdup(text);
    return *path ? PICTURE_NEXT : trouble(error, text, "not enough memory");
}

/* ---- folders ---- */

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool named_as_picture(const char *name) {
    static const char *const endings[] = {".jpg",  ".jpeg", ".jpe", ".jfif", ".png",
                                          ".webp", ".bmp",  ".gif", ".tiff", ".tif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

static PictureListNext open_folder(PictureList *list, const char *folder, effnet_error *error) {
    char *const roots[] = {(char *)folder, NULL};
    list->walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name); /* links are followed, cycles noticed */
    return list->walk ? PICTURE_WAIT : trouble(error, folder, strerror(errno));
}

/* PICTURE_END at the folder's end. */
static PictureListNext next_of_folder(PictureList *list, char **path, effnet_error *error) {
    for (FTSENT *entry; errno = 0, (entry = fts_read(list->walk));) {
        bool hidden = entry->fts_name[0] == '.' && entry->fts_level > 0;
        if (hidden && entry->fts_info == FTS_D) fts_set(list->walk, entry, FTS_SKIP);
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
            return trouble(error, entry->fts_path, strerror(entry->fts_errno));
        if (entry->fts_info == FTS_DC) return trouble(error, entry->fts_path, "a folder that holds itself");
        bool file = entry->fts_info == FTS_F || entry->fts_info == FTS_DEFAULT || entry->fts_info == FTS_SLNONE;
        if (!file || hidden) continue;
        if (named_as_picture(entry->fts_name)) return give(entry->fts_path, path, error);
        list->passed_over++;
    }
    int reason = errno;
    char *const name = list->arguments[list->at - 1];
    fts_close(list->walk);
    list->walk = NULL;
    return reason ? trouble(error, name, strerror(reason)) : PICTURE_END;
}

/* ---- lists ---- */

/* All that is left of the list into list->text, as a text. */
static PictureListNext read_whole(PictureList *list, effnet_error *error) {
    size_t size = list->end - list->next, capacity = size + BLOCK;
    char *bytes = malloc(capacity);
    if (bytes) memcpy(bytes, list->block + list->next, size);
    for (ssize_t got = 1; bytes && got;) {
        if (size == capacity) {
            capacity *= 2;
            char *larger = capacity <= LONGEST_LIST ? realloc(bytes, capacity) : NULL;
            if (!larger) free(bytes);
            bytes = larger;
            continue;
        }
        got = read(list->lines, bytes + size, capacity - size);
        if (got < 0 && errno != EINTR) {
            int reason = errno;
            free(bytes);
            close_lines(list);
            return trouble(error, list->lines_name, strerror(reason));
        }
        if (got > 0) size += (size_t)got;
    }
    list->ended = true;
    list->next = list->end = 0;
    PictureListNext next = PICTURE_WAIT;
    if (!bytes)
        next = trouble(error, list->lines_name, "it is too long a list");
    else if (effnet_text_of_bytes(list->lines_name, bytes, size, &list->text, error) != EFFNET_OK)
        next = PICTURE_TROUBLE;
    free(bytes);
    if (next == PICTURE_TROUBLE) close_lines(list);
    list->rest = list->text;
    return next;
}

static PictureListNext open_lines(PictureList *list, const char *name, effnet_error *error) {
    bool standard = strcmp(name, "-") == 0;
    list->lines_name = standard ? "standard input" : name + 1;
    list->lines = standard ? STDIN_FILENO : open(list->lines_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    list->next = list->end = 0;
    list->first_line = true;
    list->ended = false;
    list->failure = 0;
    struct stat status;
    if (list->lines < 0) return trouble(error, list->lines_name, strerror(errno));
    if (standard) return PICTURE_WAIT;
    if (fstat(list->lines, &status) == 0 && S_ISREG(status.st_mode)) return read_whole(list, error);
    close_lines(list);
    return trouble(error, list->lines_name, "a list is a file; a pipe is read by '-'");
}

/* Appends what can be read to the block; false where nothing could be (list->ended, with the reason in list->failure
 * where it was not the end, or nothing is there yet). */
static bool fill(PictureList *list, bool wait) {
    memmove(list->block, list->block + list->next, list->end - list->next);
    list->end -= list->next;
    list->next = 0;
    struct pollfd ready = {.fd = list->lines, .events = POLLIN};
    if (!wait && poll(&ready, 1, 0) == 0) return false;
    for (;;) {
        ssize_t got = read(list->lines, list->block + list->end, BLOCK - list->end);
        if (got < 0 && errno == EINTR) continue;
        list->ended = got <= 0;
        list->failure = got < 0 ? errno : 0;
        if (got > 0) list->end += (size_t)got;
        return got > 0;
    }
}

/* A mark of UTF-16, or a zero half of its first character. */
static bool begins_wide(const char *bytes) {
    return memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0 || !bytes[0] != !bytes[1];
}

/* The line without blanks at its end and, on the first line, a UTF-8 mark. */
static char *trim(PictureList *list, char *line, size_t length) {
    while (length && strchr(" \t", line[length - 1])) length--;
    line[length] = 0;
    bool mark = list->first_line && strncmp(line, "\xEF\xBB\xBF", 3) == 0;
    list->first_line = false;
    return mark ? line + 3 : line;
}

/* A path is seen from here; one of a file that is not there, from the list's own folder, as lists of data are. */
static PictureListNext give_line(const PictureList *list, const char *line, char **path, effnet_error *error) {
    const char *slash = list->lines == STDIN_FILENO ? NULL : strrchr(list->lines_name, '/');
    char beside[8192];
    struct stat status;
    if (line[0] == '/' || !slash || stat(line, &status) == 0) return give(line, path, error);
    int folder = (int)(slash - list->lines_name) + 1;
    bool fits = snprintf(beside, sizeof beside, "%.*s%s", folder, list->lines_name, line) < (int)sizeof beside;
    return give(fits && stat(beside, &status) == 0 ? beside : line, path, error);
}

/* Lines of list->text. */
static PictureListNext next_of_text(PictureList *list, char **path, effnet_error *error) {
    while (*list->rest) {
        char *begin = list->rest;
        size_t length = strcspn(begin, "\n");
        list->rest += length + (begin[length] == '\n');
        char *line = trim(list, begin, length);
        if (*line) return give_line(list, line, path, error);
    }
    close_lines(list);
    return PICTURE_END;
}

/* Lines as they come. */
static PictureListNext next_of_lines(PictureList *list, bool wait, char **path, effnet_error *error) {
    if (list->text) return next_of_text(list, path, error);
    for (;;) {
        char *begin = list->block + list->next;
        size_t length = 0, left = list->end - list->next;
        while (length < left && begin[length] != '\n' && begin[length] != '\r') length++;
        bool newline = length < left; /* of "\r\n" the second half is an empty line, which is none */
        if (list->first_line && list->end - list->next >= 2 && begins_wide(begin)) {
            if (read_whole(list, error) == PICTURE_TROUBLE) return PICTURE_TROUBLE;
            return next_of_text(list, path, error);
        }
        if (length > LONGEST_LINE) {
            close_lines(list);
            return trouble(error, list->lines_name, "a line is too long to be a path: is this a list of paths?");
        }
        if (!newline && !list->ended) {
            if (!fill(list, wait) && !list->ended) return PICTURE_WAIT;
            continue;
        }
        if (!length && !newline) break;
        if (memchr(begin, 0, length)) {
            close_lines(list);
            return trouble(error, list->lines_name, "it holds zero bytes: wanted a text with one path a line");
        }
        char *line = trim(list, begin, length); /* over the newline, or into the byte that LONGEST_LINE leaves */
        list->next += length + newline;
        if (*line) return give_line(list, line, path, error);
    }
    close_lines(list);
    return list->failure ? trouble(error, list->lines_name, strerror(list->failure)) : PICTURE_END;
}

/* ---- all ---- */

/* The argument that was read last named nothing: who gave it meant something. */
static PictureListNext nothing_in(const char *argument, effnet_error *error) {
    if (strcmp(argument, "-") == 0) return trouble(error, "standard input", "it names no picture");
    if (argument[0] == '@') return trouble(error, argument + 1, "it names no picture");
    return trouble(error, argument, "no file in this folder has a picture's ending");
}

PictureListNext picture_list_next(PictureList *list, bool wait, char **path, effnet_error *error) {
    *path = NULL;
    for (;;) {
        bool many = list->walk || list->lines >= 0;
        PictureListNext next = list->walk ? next_of_folder(list, path, error)
                               : many     ? next_of_lines(list, wait, path, error)
                                          : PICTURE_END;
        if (next == PICTURE_NEXT || next == PICTURE_TROUBLE) list->found = true;
        if (next != PICTURE_END) return next;
        if (many && !list->found) return nothing_in(list->arguments[list->at - 1], error);
        if (list->at == list->count) return PICTURE_END;
        const char *argument = list->arguments[list->at++];
        list->found = false;
        struct stat status;
        if (strcmp(argument, "-") == 0 || argument[0] == '@')
            next = open_lines(list, argument, error);
        else if (stat(argument, &status) == 0 && S_ISDIR(status.st_mode))
            next = open_folder(list, argument, error);
        else
            return give(argument, path, error);
        if (next == PICTURE_TROUBLE) return next;
    }
}
