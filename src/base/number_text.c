/* number_text.c - see number_text.h. The C locale is set for this thread alone and for the one call; glibc has it ready,
 * so that nothing is allocated. */
#include "base/number_text.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

double number_of_text(const char *text, char **end) {
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const double value = plain ? strtod_l(text, end, plain) : strtod(text, end);
    if (plain) freelocale(plain);
    return value;
}

int number_print_list(char *buffer, size_t size, const char *format, va_list arguments) {
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t before = plain ? uselocale(plain) : (locale_t)0;
    const int length = vsnprintf(buffer, size, format, arguments);
    if (plain) {
        uselocale(before);
        freelocale(plain);
    }
    return length;
}

int number_print(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = number_print_list(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
