/* help_forms.c - see help_forms.h. */
#include "help_forms.h"

#include "verbs.h"

#include <stdio.h>
#include <string.h>

void option_range(const Option *option, char *buffer, size_t size) {
    buffer[0] = 0;
    if (option->kind != OPTION_INTEGER && option->kind != OPTION_SIZE) return;
    snprintf(buffer, size, "%s%lld to %lld%s", option->or_zero ? "0, or " : "", (long long)option->least,
             (long long)option->most, option->kind == OPTION_SIZE ? ", or height x width: 224x320" : "");
}

/* A text for roff: no line of it is a request, no character an escape, and dashes are those of options. */
static void print_roff(const char *text, size_t length) {
    bool begins = true;
    for (size_t i = 0; i < length; i++) {
        if (begins && (text[i] == '.' || text[i] == '\'')) printf("\\&");
        begins = text[i] == '\n';
        if (text[i] == '\\')
            printf("\\e");
        else if (text[i] == '-')
            printf("\\-");
        else
            putchar(text[i]);
    }
}

static void print_roff_text(const char *text) {
    print_roff(text, strlen(text));
}

static void begin_page(const char *title, const char *name, const char *about) {
    printf(".TH \"%s\" \"1\" \"\" \"effnet %s\" \"User Commands\"\n.SH NAME\n", title, effnet_version());
    print_roff_text(name);
    printf(" \\- ");
    print_roff_text(about);
    printf("\n.SH SYNOPSIS\n");
}

/* Lines as they are: help texts are broken for a terminal, some of them in columns. */
static void print_lines(const char *text) {
    printf(".nf\n");
    print_roff_text(text);
    printf("%s.fi\n", *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
}

void print_man_page(const VerbHelp *help, const Option *options) {
    char title[60], name[60];
    const Verb *verb = verb_table;
    while (strcmp(verb->name, help->verb) != 0) verb++;
    snprintf(title, sizeof title, "effnet-%s", verb->name);
    snprintf(name, sizeof name, "effnet %s", verb->name);
    begin_page(title, title, verb->about);
    printf(".B ");
    print_roff_text(name);
    putchar('\n');
    print_roff_text(verb->arguments);
    putchar('\n');
    if (help->text) {
        printf(".SH DESCRIPTION\n");
        print_lines(help->text + strspn(help->text, "\n"));
    }
    printf(".SH OPTIONS\n");
    for (const Option *option = options; option->name; option++) {
        char range[80];
        option_range(option, range, sizeof range);
        printf(".TP\n.B \\-\\-");
        print_roff_text(option->name);
        if (option->argument) {
            putchar(' ');
            print_roff_text(option->argument);
        }
        putchar('\n');
        print_roff_text(option->help);
        if (*range) printf(" (%s)", range);
        if (option->kind == OPTION_LIST) printf("; may be given more than once");
        putchar('\n');
    }
    printf(".SH EXAMPLES\n");
    print_lines(help->examples);
    printf(".SH \"SEE ALSO\"\n.BR effnet (1)\n");
}

void print_option_words(const Option *options) {
    for (const Option *option = options; option->name; option++) {
        printf("--%s\t%s\t", option->name, option->argument ? option->argument : "");
        for (const char *c = option->kind == OPTION_CHOICE ? option->choices : ""; *c; c++)
            putchar(*c == '|' ? ' ' : *c);
        printf("\t%s\n", option->help);
    }
    printf("--help\t\t\tthis text\n");
}

void print_program_man_page(void) {
    begin_page("effnet", "effnet", PROGRAM_ABOUT);
    printf(".B effnet\nVERB ...\n.SH VERBS\n");
    for (const Verb *verb = verb_table; verb->name; verb++) {
        printf(".TP\n.B ");
        print_roff_text(verb->name);
        putchar(' ');
        print_roff_text(verb->arguments);
        putchar('\n');
        print_roff_text(verb->about);
        putchar('\n');
    }
    printf(".SH \"EXIT STATUS\"\n.TP\n.B 0\nsuccess\n.TP\n.B 1\na failed run\n.TP\n.B 2\nwrong usage\n.TP\n.B 130\n"
           "stopped by a signal or by \\-\\-time\\-limit, checkpoint written\n.SH \"SEE ALSO\"\n");
    for (const Verb *verb = verb_table; verb->name; verb++)
        printf(".BR effnet\\-%s (1)%s\n", verb->name, verb[1].name ? "," : "");
}

void print_verb_words(void) {
    for (const Verb *verb = verb_table; verb->name; verb++) printf("%s\t%s\n", verb->name, verb->about);
}
