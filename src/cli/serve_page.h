/* serve_page.h - the page of `effnet serve`: a picture is dropped on it, chosen or pasted, and its classes appear. Whole in
 * itself: nothing is loaded from elsewhere, as its policy says. */
#ifndef EFFNET_CLI_SERVE_PAGE_H
#define EFFNET_CLI_SERVE_PAGE_H

#define SERVE_PAGE_POLICY                                                                                              \
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "   \
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

extern const char serve_page[];

#endif
