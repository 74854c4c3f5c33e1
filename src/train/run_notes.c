/* run_notes.c - see run_notes.h. */
#include "train/run_notes.h"

#include "base/number_text.h"

#include <stdarg.h>
#include <stdio.h>

void run_note(RunNotes *notes, const char *format, ...) {
    if (notes->count == RUN_NOTES) return;
    va_list arguments;
    va_start(arguments, format);
    number_print_list(notes->texts[notes->count++], RUN_NOTE_BYTES, format, arguments);
    va_end(arguments);
}
