/* SPDX-License-Identifier: MIT
 *
 * URLs and redirections of any bytes: what is taken has hosts, ports and texts that end; what is refused says
 * why. */
#include <stdint.h>
#include <stdlib.h>

#include "store/redis/slot.h"
#include "store/redis/trouble.h"
#include "store/redis/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true) abort();
}

static void check_url(struct view text) {
    struct url url;
    char       problem[URL_PROBLEM_BYTES_MAX] = "";
    if (!url_parse(text, &url, problem)) {
        must(problem[0] != '\0' && memchr(problem, '\0', sizeof problem) != NULL);
        return;
    }
    must(url.host_count > 0 && url.host_count <= URL_HOSTS_MAX);
    must(url.kind != URL_STANDALONE || url.host_count == 1);
    must((url.kind == URL_SENTINEL) == (url.name[0] != '\0'));
    must(url.database <= URL_DATABASE_MAX);
    for (unsigned i = 0; i < url.host_count; i++) {
        must(url.hosts[i].name[0] != '\0' && url.hosts[i].port != 0);
        must(memchr(url.hosts[i].name, '\0', sizeof url.hosts[i].name) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view text = {.data = (const char *)data, .bytes = size};
    uint16_t    slot, port;
    struct view host;
    check_url(text);
    must(slot_of(text) < SLOT_COUNT);
    must(trouble_text(trouble_of(text)) != NULL);
    if (trouble_redirect_parse(text, &slot, &host, &port))
        must(slot < SLOT_COUNT && port != 0 && host.bytes < size);
    return 0;
}
