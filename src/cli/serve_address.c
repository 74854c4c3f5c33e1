/* serve_address.c - see serve_address.h. */
#include "serve_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

bool serve_resolve(const char *address, int port, struct sockaddr_storage *out, char *problem, size_t size) {
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    int failed = getaddrinfo(address, service, &hints, &found);
    if (failed) {
        snprintf(problem, size, "'%.80s' is no address to listen at: %s", address, gai_strerror(failed));
        return false;
    }
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

bool serve_is_loopback(const char *address) {
    struct sockaddr_storage place;
    char ignored[300];
    if (!serve_resolve(address, 0, &place, ignored, sizeof ignored)) return false;
    if (place.ss_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&place)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)&place)->sin_addr.s_addr) >> 24 == 127;
}
