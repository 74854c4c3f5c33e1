/* weights_source.c - see weights_source.h. */
#include "weights_source.h"

#include "hub/hub.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLAIN_INTERVAL_S = 10, SHOWN_INTERVAL_MS = 100, SMALL_FILE = 1 << 20 /* nobody waits for it */ };

typedef struct Display {
    bool terminal;
    double last; /* seconds of the download at the last line */
} Display;

/* "12.3 of 21.4 MB, 5.1 MB/s, 2s left" */
static void describe(const HubProgress *progress, char *out, size_t size) {
    char left[32], rate[24], done[24], total[24];
    const double bytes = (double)(progress->done - progress->here), rest = (double)(progress->total - progress->done);
    const double speed = progress->seconds > 0 ? bytes / progress->seconds : 0;
    text_number((double)progress->done * 1e-6, 3, done, sizeof done);
    text_number((double)progress->total * 1e-6, 3, total, sizeof total);
    text_number(speed * 1e-6, 3, rate, sizeof rate);
    text_duration(speed > 0 ? rest / speed : 0, left, sizeof left);
    if (progress->ended) text_duration(progress->seconds, left, sizeof left);
    snprintf(out, size, "%s of %s MB, %s MB/s, %s%s", done, total, rate, left, progress->ended ? "" : " left");
}

static void show(void *context, const HubProgress *progress) {
    Display *display = context;
    char text[200];
    const double wait = display->terminal ? SHOWN_INTERVAL_MS * 1e-3 : PLAIN_INTERVAL_S;
    if (progress->total < SMALL_FILE || (!progress->ended && progress->seconds < display->last + wait)) return;
    display->last = progress->ended ? 0 : progress->seconds;
    describe(progress, text, sizeof text);
    if (display->terminal) fputs("\r\033[K", stderr);
    fprintf(stderr, "%s %s: %s", progress->repository, progress->file, text);
    if (progress->here && progress->ended) fputs(", an earlier download gone on with", stderr);
    if (!display->terminal || progress->ended) fputc('\n', stderr);
    fflush(stderr);
}

static void tell(void *context, const char *sentence) {
    char safe[1200];
    (void)context;
    text_for_terminal(sentence, safe, sizeof safe);
    fprintf(stderr, "effnet: warning: %s\n", safe);
}

/* Something that is here, or that would be a file's name if it were: not to be looked for elsewhere. */
static bool is_local(const char *source) {
    static const char *const endings[] = {".safetensors", ".pth", ".tar",   ".pt",  ".bin",
                                          ".ckpt",        ".h5",  ".keras", ".onnx"};
    char first[WEIGHTS_PATH];
    struct stat status;
    if (lstat(source, &status) == 0 || !hub_is_name(source)) return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (text_has_ending(source, endings[i])) return true;
    /* "runs/mistyped": a folder that is here was meant */
    snprintf(first, sizeof first, "%.*s", (int)strcspn(source, "/"), source);
    return stat(first, &status) == 0 && S_ISDIR(status.st_mode);
}

effnet_status weights_source_resolve(const char *source, bool offline, char path[WEIGHTS_PATH], effnet_error *error) {
    Display display = {.terminal = isatty(STDERR_FILENO)};
    const HubOptions options = {.offline = offline, .progress = show, .note = tell, .context = &display};
    if (!is_local(source)) return hub_weights(source, &options, path, WEIGHTS_PATH, error);
    if ((size_t)snprintf(path, WEIGHTS_PATH, "%s", source) < WEIGHTS_PATH) return EFFNET_OK;
    error->status = EFFNET_ERROR_ARGUMENT;
    snprintf(error->message, sizeof error->message, "path too long: '%.80s...'", source);
    return EFFNET_ERROR_ARGUMENT;
}

effnet_status weights_source_replace(const char **source, bool offline, char path[WEIGHTS_PATH], effnet_error *error) {
    if (!*source) return EFFNET_OK;
    effnet_status status = weights_source_resolve(*source, offline, path, error);
    *source = path;
    return status;
}
