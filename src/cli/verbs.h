/* verbs.h - the verbs' functions and exit statuses. */
#ifndef EFFNET_CLI_VERBS_H
#define EFFNET_CLI_VERBS_H

#include "effnet.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* What the program is, in a few words. */
#ifdef EFFNET_INFERENCE_ONLY
#define PROGRAM_ABOUT "EfficientNet, run"
#else
#define PROGRAM_ABOUT "EfficientNet trained, evaluated and run"
#endif

/* argv[0] is the verb. Returns the exit status. */
#define VERB(name, arguments, about)  int verb_##name(int argc, char **argv);
#define WHOLE(name, arguments, about) int verb_##name(int argc, char **argv);
#include "verbs.def"
#undef VERB
#undef WHOLE

typedef struct Verb {
    const char *name, *arguments, *about;
    int (*run)(int argc, char **argv);
} Verb;

/* The table, ended by a row whose name is NULL. */
extern const Verb verb_table[];

/* Prints "effnet VERB: MESSAGE" on standard error and returns the exit status that the error calls for. */
int report(const char *verb, const effnet_error *error);

#endif
