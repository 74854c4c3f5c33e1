/* interrupt.h - when a run is asked to stop: a signal, or its time limit. The run finishes its step, writes a
 * checkpoint and ends; a second signal ends it at once. */
#ifndef EFFNET_CLI_INTERRUPT_H
#define EFFNET_CLI_INTERRUPT_H

#include <stdbool.h>
#include <stddef.h>

/* From here on SIGINT, SIGTERM, SIGQUIT, SIGHUP (but where it is ignored, as under nohup), SIGUSR1 and SIGXCPU ask, and
 * after one has asked the next kills as usual. Those that come twice for one cause (a closed terminal, a batch system,
 * a limit on processor time) kill only some seconds later, SIGXCPU never. SIGPIPE is ignored: who watches may go. */
void interrupt_install(void);
/* Where a signal ends the program at once: what is half written as PATH and `ending` is removed before. Not what was there
 * before this call. */
void interrupt_removes(const char *path, const char *ending);
/* Asks by itself once `seconds` have passed from now. `text`: how the user wrote it, for interrupt_reason. */
void interrupt_after(double seconds, const char *text);
bool interrupt_requested(void);
/* "SIGHUP", "the time limit of 2h". */
void interrupt_reason(char *buffer, size_t size);

#endif
