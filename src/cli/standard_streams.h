/* standard_streams.h - standard input, output and error as this program finds them: closed, or gone on the way. */
#ifndef EFFNET_CLI_STANDARD_STREAMS_H
#define EFFNET_CLI_STANDARD_STREAMS_H

#include <stdio.h>

/* Opens what of the descriptors 0, 1 and 2 is closed, so that no file of ours gets such a number and what is printed
 * lands in it. Printing to them fails as before. */
void standard_streams_open(void);
/* After a write that failed because nobody is there any more (a closed pipe, a terminal that hung up), the stream goes
 * to /dev/null; another error (a full disk) stays. For output that a run can do without. */
void standard_stream_let_go(FILE *stream);

#endif
