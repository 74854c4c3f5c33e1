/* serve_address.h - where a server listens: a name or number becomes a socket's address. */
#ifndef EFFNET_CLI_SERVE_ADDRESS_H
#define EFFNET_CLI_SERVE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* "127.0.0.1", "::1", "localhost"; false: `problem` says why. */
bool serve_resolve(const char *address, int port, struct sockaddr_storage *out, char *problem, size_t size);
/* Whether nobody but this machine reaches it. */
bool serve_is_loopback(const char *address);

#endif
