/* help_forms.h - --help for programs: `--help=man`, a page for man(1), and `--help=words`, lines for the completion of
 * command lines. Made from the tables that the parser reads, so they cannot say anything else. */
#ifndef EFFNET_CLI_HELP_FORMS_H
#define EFFNET_CLI_HELP_FORMS_H

#include "option_table.h"

#include <stddef.h>

/* What a whole number may be: "8 to 2048", "0, or 8 to 2048"; "" for another kind of option. */
void option_range(const Option *option, char *buffer, size_t size);

/* A page of section 1 in roff's man macros: effnet-VERB(1). */
void print_man_page(const VerbHelp *help, const Option *options);
/* One line an option: "--name", what its value is called ("" for a flag), the values it can have, with blanks between ("":
 * any), and its help; tabs between. */
void print_option_words(const Option *options);
/* The same of the program itself: effnet(1); and one line a verb, its name and what it does. */
void print_program_man_page(void);
void print_verb_words(void);

#endif
