/* text_file.h - every text that comes from outside (recipes, lists, tables, labels, names of classes) is read here: a
 * UTF-8 mark at its beginning is passed over, UTF-16 becomes UTF-8, and a line ends with '\n' whatever system wrote it.
 */
#ifndef EFFNET_BASE_TEXT_FILE_H
#define EFFNET_BASE_TEXT_FILE_H

#include "base/error.h"

/* The whole file as UTF-8 without a mark, a zero byte after it, freed with free(). Zero bytes, half a UTF-16 character
 * and what begins like another kind of file are errors that say what it is. At most `limit` bytes are read. Bytes that
 * are no UTF-8 are kept: names of files may have any. */
effnet_status text_file_read(const char *path, size_t limit, char **out, size_t *size, effnet_error *err);
/* The same of bytes in memory; `name` stands for the file in messages. */
effnet_status text_of_bytes(const char *name, const char *bytes, size_t length, char **out, size_t *size,
                            effnet_error *err);
/* Takes blanks and tabs off both ends, in place; returns the first byte that is none. */
char *text_trim(char *text);
/* "; it is the same as 'NAME' but for Unicode normalisation (...)" where `a` and `b` differ in bytes and are equal once
 * composed (NFC); else "". */
void text_normalisation_hint(const char *a, const char *b, char *out, size_t size);

/* The length of the UTF-8 character that `text` begins with; 0 where it begins with none (RFC 3629: no overlong forms, no
 * surrogates). */
size_t text_utf8_length(const char *text);
/* The same with "\\xff" for each byte that is no UTF-8: others stay others. The caller frees it; NULL: no memory. */
char *text_escaped(const char *text);
/* The same for comparing: letter case, blanks around it, width and composition left out (NFKC_Casefold). The caller frees
 * it; NULL: no UTF-8, no memory, or no utf8proc. */
char *text_folded(const char *text);

#endif
