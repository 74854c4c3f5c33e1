/* number_text.h - numbers as text with a decimal point, whatever the locale of the program around the library says. */
#ifndef EFFNET_BASE_NUMBER_TEXT_H
#define EFFNET_BASE_NUMBER_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* strtod in the C locale. */
double number_of_text(const char *text, char **end);
/* snprintf and vsnprintf in the C locale: for every text that holds a number with decimals. */
int number_print(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int number_print_list(char *buffer, size_t size, const char *format, va_list arguments);

#endif
