/* progress.h - a run as a person watches it. On a terminal one line is rewritten in place, cut to the window's width;
 * elsewhere (a file, a pipe) a plain line comes every ten seconds. Ends of epochs and warnings are lines that stay. */
#ifndef EFFNET_CLI_PROGRESS_H
#define EFFNET_CLI_PROGRESS_H

#include "effnet.h"

#include <stdio.h>

typedef struct ProgressDisplay {
    FILE *stream;
    bool terminal;       /* stream is one */
    bool quiet_steps;    /* no running line, only lines that stay */
    bool line_open;      /* a rewritten line stands on the terminal */
    bool stop_told;      /* that a stop was asked for */
    bool may_vanish;     /* nobody needs to read it: see standard_streams.h */
    double last_seconds; /* of the run, at the last plain line */
} ProgressDisplay;

void progress_begin(ProgressDisplay *display, FILE *stream);
/* Where standard output carries the result: on standard error, and no running lines where that is no terminal. */
void progress_begin_beside(ProgressDisplay *display);
/* An effnet_progress_function; context is a ProgressDisplay. Returns true once a stop is asked for (interrupt.h). */
bool progress_show(void *context, const effnet_progress *progress);
/* Leaves the cursor on a fresh line. */
void progress_end(ProgressDisplay *display);

#endif
