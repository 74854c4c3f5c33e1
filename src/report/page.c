/* page.c - see page.h. */
#include "report/page.h"

#include "base/text_file.h"
#include "data/sources/dataset.h"
#include "report/page_style.h"
#include "report/thumbnail.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

void *numbers_begin(void) {
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return plain ? (void *)uselocale(plain) : NULL;
}

void numbers_end(void *kept) {
    if (!kept) return;
    locale_t plain = uselocale((locale_t)kept);
    if (plain != LC_GLOBAL_LOCALE) freelocale(plain);
}

void page_text(FILE *out, const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        const size_t length = text_utf8_length((const char *)at);
        switch (*at) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            if (length == 0 || *at < 32 || *at == 127)
                fputs("\xEF\xBF\xBD", out); /* U+FFFD */
            else
                fwrite(at, 1, length, out);
        }
        at += length ? length : 1;
    }
}

void page_begin(FILE *out, const char *title, const char *about) {
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          out);
    page_text(out, title);
    fprintf(out, "</title>\n<style>%s</style></head>\n<body><main><header><h1>", page_style);
    page_text(out, title);
    fputs("</h1><p>", out);
    page_text(out, about);
    fputs("</p></header>\n", out);
}

void page_end(FILE *out) {
    fprintf(out, "<footer>effnet %s</footer></main></body></html>\n", effnet_version());
}

void page_section(FILE *out, const char *heading, const char *explanation) {
    fputs("<section><h2>", out);
    page_text(out, heading);
    fputs("</h2>", out);
    if (explanation) {
        fputs("<p>", out);
        page_text(out, explanation);
        fputs("</p>", out);
    }
    fputc('\n', out);
}

void page_section_end(FILE *out) {
    fputs("</section>\n", out);
}

void page_tiles_begin(FILE *out) {
    fputs("<div class=\"tiles\">", out);
}

void page_tile(FILE *out, const char *label, const char *number, const char *note) {
    fputs("<div class=\"tile\"><span>", out);
    page_text(out, label);
    fputs("</span><b>", out);
    page_text(out, number);
    fputs("</b><span>", out);
    page_text(out, note);
    fputs("</span></div>", out);
}

void page_tiles_end(FILE *out) {
    fputs("</div>\n", out);
}

/* ---- pictures ---- */

static void write_base64(FILE *out, const uint8_t *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (i + 1 < size) group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size) group |= bytes[i + 2];
        fputc(digits[group >> 18], out);
        fputc(digits[group >> 12 & 63], out);
        fputc(i + 1 < size ? digits[group >> 6 & 63] : '=', out);
        fputc(i + 2 < size ? digits[group & 63] : '=', out);
    }
}

void page_picture(FILE *out, const Dataset *dataset, int64_t index, int side) {
    Thumbnail small;
    effnet_error unread;
    bool read = thumbnail_make(dataset, index, side, &small, &unread) == EFFNET_OK;
    fputs("<div>", out);
    if (read) {
        bool tiny = small.height <= 64 && small.width <= 64;
        fprintf(out, "<img alt=\"\"%s src=\"data:image/jpeg;base64,",
                tiny ? " style=\"image-rendering:pixelated\"" : "");
        write_base64(out, small.jpeg, small.size);
        fputs("\">", out);
        free(small.jpeg);
    }
    fputs("</div>", out);
}
