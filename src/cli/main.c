/* main.c - the program effnet: finds the verb and runs it.
 *
 * Includes effnet.h and nothing else of the library. Exit status: 0, 1 for a failed run, 2 for wrong usage, 130 where
 * a signal or the time limit ended a run; one line on standard error says what was wrong and what to do. */
#include "help_forms.h"
#include "options.h"
#include "roomy_stack.h"
#include "standard_streams.h"
#include "text.h"
#include "verbs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define VERB(name_, arguments_, about_) {.name = #name_, .arguments = arguments_, .about = about_, .run = verb_##name_},
#ifdef EFFNET_INFERENCE_ONLY
#define WHOLE(name_, arguments_, about_)
#define BEGIN  "  effnet predict model.safetensors picture.png\n  effnet serve model.safetensors\n\n"
#define STATUS "Exit status: 0; 1 a picture that cannot be read, or another failure; 2 wrong usage.\n"
#else
#define WHOLE VERB
#define BEGIN                                                                                                          \
    "  effnet train recipes/fashion-mnist-b0.yaml --out runs/fashion\n"                                                \
    "  effnet predict runs/fashion/checkpoints/best picture.png\n\n"
#define STATUS                                                                                                         \
    "Exit status: 0; 1 a failed run; 2 wrong usage; 130 stopped by a signal (Ctrl-C)\n"                                \
    "or by --time-limit, checkpoint written.\n"
#endif

const Verb verb_table[] = {
#include "verbs.def"
    {0},
};
#undef VERB
#undef WHOLE

int report(const char *verb, const effnet_error *error) {
    char safe[sizeof error->message];
    text_for_terminal(error->message, safe, sizeof safe);
    fflush(stdout); /* both may be one file: what was said before stands before it there, and the reason last */
    fprintf(stderr, "effnet %s: %s\n", verb, safe);
    return error->status == EFFNET_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

static const Verb *find_verb(const char *name) {
    for (const Verb *verb = verb_table; verb->name; verb++)
        if (strcmp(verb->name, name) == 0) return verb;
    return NULL;
}

/* Whether it is a verb that only the whole program has, where this one runs models and nothing else. */
static bool is_left_out(const char *name) {
#define VERB(name_, arguments_, about_)
#define WHOLE(name_, arguments_, about_) #name_,
    static const char *const whole[] = {
#include "verbs.def"
        NULL};
#undef VERB
#undef WHOLE
    for (int i = 0; whole[i]; i++)
        if (strcmp(whole[i], name) == 0) return true;
    return false;
}

static int unknown_verb(const char *name) {
    const char *names[sizeof verb_table / sizeof *verb_table] = {NULL};
    char safe[60];
    if (is_left_out(name)) {
        fprintf(stderr, "effnet: this program runs models and nothing else; '%s' is a verb of the whole one\n", name);
        return EXIT_USAGE;
    }
    for (int i = 0; verb_table[i].name; i++) names[i] = verb_table[i].name;
    const char *nearest = nearest_name(name, names);
    text_for_terminal(name, safe, sizeof safe);
    if (nearest)
        fprintf(stderr, "effnet: unknown verb '%s'; nearest: '%s'\n", safe, nearest);
    else
        fprintf(stderr, "effnet: unknown verb '%s'; 'effnet help' lists the verbs\n", safe);
    return EXIT_USAGE;
}

int verb_help(int argc, char **argv) {
    if (argc > 2) return usage_error("help", "one verb at a time, not %d", argc - 1);
    if (argc == 2 && strcmp(argv[1], "--help=man") == 0) return print_program_man_page(), EXIT_OK;
    if (argc == 2 && strcmp(argv[1], "--help=words") == 0) return print_verb_words(), EXIT_OK;
    if (argc == 2 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "help") != 0) {
        const Verb *verb = find_verb(argv[1]);
        char *help[] = {argv[1], "--help", NULL};
        return verb ? verb->run(2, help) : unknown_verb(argv[1]);
    }
    printf("effnet %s: " PROGRAM_ABOUT "\n\nusage: effnet VERB ...\n\n", effnet_version());
    for (const Verb *verb = verb_table; verb->name; verb++) printf("  %-10s %s\n", verb->name, verb->about);
    printf("\n'effnet VERB --help' tells a verb's options, with examples. To begin:\n\n" BEGIN STATUS);
    return EXIT_OK;
}

/* Output that did not reach its place (a full disk) is a failure like any other, and told once, here. */
static int finish(int status) {
    const bool failed_before = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) == 0 && !failed_before) return status;
    fprintf(stderr, "effnet: cannot write to standard output: %s\n",
            errno ? strerror(errno) : "no room, or nobody reads it");
    return status == EXIT_OK ? EXIT_FAILED : status;
}

int main(int argc, char **argv) {
    standard_streams_open();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f`: an error of that write, with a message, no sudden end */
    if (argc < 2) {
        fprintf(stderr, "effnet: no verb given; 'effnet help' lists the verbs\n");
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    const Verb *verb = find_verb(name);
    return verb ? finish(roomy_stack_run(verb->run, argc - 1, argv + 1)) : unknown_verb(argv[1]);
}
