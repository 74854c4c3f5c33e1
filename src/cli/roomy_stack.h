/* roomy_stack.h - the program with a stack that suffices, whatever `ulimit -s` says. */
#ifndef EFFNET_CLI_ROOMY_STACK_H
#define EFFNET_CLI_ROOMY_STACK_H

/* run(argc, argv). Where the limit is small, on a thread with a stack of its own, and with more for every thread to come,
 * those of other libraries among them. */
int roomy_stack_run(int (*run)(int argc, char **argv), int argc, char **argv);

#endif
