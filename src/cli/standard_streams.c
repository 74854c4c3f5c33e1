/* standard_streams.c - see standard_streams.h. */
#include "standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Opened the wrong way round: reading what was closed, and writing to it, are errors still. */
void standard_streams_open(void) {
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
            if (open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) != descriptor) return;
}

void standard_stream_let_go(FILE *stream) {
    errno = 0;
    if (fflush(stream) == 0 && !ferror(stream)) return;
    if (errno != EPIPE && errno != EIO && errno != EBADF && errno != ENXIO && errno != ECONNRESET) return;
    if (!freopen("/dev/null", "w", stream)) return; /* then it stays as it was: its errors are looked at in the end */
}
