/* interrupt.h - Ctrl-C: the first asks the run to stop at the end of its step, the second kills. */
#ifndef EFFNET_CLI_INTERRUPT_H
#define EFFNET_CLI_INTERRUPT_H

#include <stdbool.h>

/* From here on SIGINT and SIGTERM ask; each asks once and then kills as usual. */
void interrupt_install(void);
bool interrupt_requested(void);

#endif
