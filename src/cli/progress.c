/* progress.c - see progress.h. */
#include "progress.h"

#include "interrupt.h"
#include "standard_streams.h"
#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PIECES = 8, PIECE = 64, PLAIN_INTERVAL_S = 10 };

/* A line in pieces, the most important first, so that a narrow window loses the last. */
typedef struct Line {
    char pieces[PIECES][PIECE];
    int count;
} Line;

__attribute__((format(printf, 2, 3))) static void add(Line *line, const char *format, ...) {
    va_list arguments;
    if (line->count == PIECES) return;
    va_start(arguments, format);
    vsnprintf(line->pieces[line->count++], PIECE, format, arguments);
    va_end(arguments);
}

void progress_begin(ProgressDisplay *display, FILE *stream) {
    *display = (ProgressDisplay){.stream = stream, .terminal = isatty(fileno(stream)), .last_seconds = -1e9};
}

void progress_begin_beside(ProgressDisplay *display) {
    progress_begin(display, stderr);
    display->quiet_steps = !display->terminal;
}

static int window_width(const ProgressDisplay *display) {
    struct winsize window;
    if (!display->terminal || ioctl(fileno(display->stream), TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return 80;
    return window.ws_col;
}

/* ends: the line stays (always so where the stream is no terminal). */
static void print_line(ProgressDisplay *display, const Line *line, bool ends) {
    int width = window_width(display) - 1, used = 0; /* the last column would wrap */
    if (display->terminal && (display->line_open || !ends)) fputs("\r\033[K", display->stream);
    for (int i = 0; i < line->count; i++) {
        int length = (int)strlen(line->pieces[i]) + (i ? 2 : 0);
        if (!ends && display->terminal && used + length > width) break;
        fprintf(display->stream, "%s%s", i ? "  " : "", line->pieces[i]);
        used += length;
    }
    if (ends || !display->terminal) fputc('\n', display->stream);
    display->line_open = display->terminal && !ends;
    fflush(display->stream);
}

static void add_accuracy(Line *line, const char *name, double top1, double top5) {
    if (top1 < 0) return;
    if (top5 >= 0)
        add(line, "%s %.2f %% (top-5 %.2f %%)", name, top1, top5);
    else
        add(line, "%s %.2f %%", name, top1);
}

static void show_epoch(ProgressDisplay *display, const effnet_progress *progress) {
    Line line = {.count = 0};
    char duration[32];
    text_duration(progress->seconds, duration, sizeof duration);
    add(&line, "epoch %d/%d", progress->epoch, progress->epochs);
    if (isfinite(progress->loss))
        add(&line, "loss %.4f", progress->loss); /* not known of an epoch of another process */
    add_accuracy(&line, "top-1", progress->top1, progress->top5);
    add_accuracy(&line, "EMA top-1", progress->ema_top1, progress->ema_top5);
    if (progress->average_precision > 0)
        add(&line, "mAP %.2f %%  F1 %.2f %%", progress->average_precision, progress->f1);
    add(&line, "%.0f images/s", progress->images_per_s);
    add(&line, "%s", duration);
    print_line(display, &line, true);
}

static void show_running(ProgressDisplay *display, const effnet_progress *progress) {
    Line line = {.count = 0};
    char left[32];
    bool evaluating = strcmp(progress->phase, "eval") == 0;
    bool counting = strcmp(progress->phase, "pack") == 0 || strcmp(progress->phase, "features") == 0 ||
                    strcmp(progress->phase, "check") == 0 || strcmp(progress->phase, "statistics") == 0;
    if (display->quiet_steps) return;
    if (!display->terminal && progress->seconds - display->last_seconds < PLAIN_INTERVAL_S) return;
    display->last_seconds = progress->seconds;
    if (progress->epochs > 0) add(&line, "epoch %d/%d", progress->epoch, progress->epochs);
    if (counting) {
        add(&line, "%lld/%lld pictures", (long long)progress->step, (long long)progress->steps);
    } else if (evaluating) {
        add(&line, "evaluating %lld/%lld", (long long)progress->step, (long long)progress->steps);
    } else {
        add(&line, "step %lld/%lld", (long long)progress->step, (long long)progress->steps);
        add(&line, "loss %.4f", progress->loss);
    }
    text_duration(progress->seconds_left, left, sizeof left);
    if (progress->seconds_left > 0) add(&line, "%s left", left);
    if (progress->images_per_s > 0) add(&line, "%.0f images/s", progress->images_per_s);
    if (!evaluating && !counting) add(&line, "lr %.3g", progress->lr);
    print_line(display, &line, false);
}

bool progress_show(void *context, const effnet_progress *progress) {
    ProgressDisplay *display = context;
    if (progress->worker > 0) { /* worker 0 shows the run */
        char safe[500];
        if (progress->message) text_for_terminal(progress->message, safe, sizeof safe);
        if (progress->message) fprintf(stderr, "warning: worker %d: %s\n", progress->worker, safe);
        return interrupt_requested();
    }
    if (progress->message) {
        char safe[500];
        text_for_terminal(progress->message, safe, sizeof safe);
        progress_end(display);
        /* nothing wrong: what was taken for what; why the run ends */
        bool remark = strcmp(progress->phase, "data") == 0 || strcmp(progress->phase, "run") == 0;
        fprintf(remark ? display->stream : stderr, "%s: %s\n", remark ? progress->phase : "warning", safe);
    }
    if (strcmp(progress->phase, "epoch") == 0)
        show_epoch(display, progress);
    else if (!progress->message)
        show_running(display, progress);
    if (interrupt_requested() && !display->stop_told) {
        progress_end(display);
        char reason[80], safe[80];
        interrupt_reason(reason, sizeof reason);
        text_for_terminal(reason, safe, sizeof safe);
        fprintf(display->stream, "%s: stopping at the end of this step; another signal (Ctrl-C) kills at once\n", safe);
        display->stop_told = true;
    }
    if (display->may_vanish) standard_stream_let_go(display->stream);
    return interrupt_requested();
}

void progress_end(ProgressDisplay *display) {
    if (display->line_open) fputc('\n', display->stream);
    display->line_open = false;
    fflush(display->stream);
}
