/* SPDX-License-Identifier: MIT
 *
 * URLs and redirections of any bytes: what is taken has hosts, ports and texts that end; what is refused says
 * why. */
#include <stdint.h>
#include <stdlib.h>

#include "store/cassandra/contact.h"
#include "store/redis/slot.h"
#include "store/redis/trouble.h"
#include "store/redis/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true) abort();
}

static void check_hosts(const struct url_host *hosts, unsigned count) {
    must(count > 0 && count <= URL_HOSTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        must(hosts[i].name[0] != '\0' && hosts[i].port != 0);
        must(memchr(hosts[i].name, '\0', sizeof hosts[i].name) != NULL);
    }
}

static void check_url(struct view text) {
    struct url url;
    char       problem[URL_PROBLEM_BYTES_MAX] = "";
    if (!url_parse(text, &url, problem)) {
        must(problem[0] != '\0' && memchr(problem, '\0', sizeof problem) != NULL);
        return;
    }
    check_hosts(url.hosts, url.host_count);
    must(url.kind != URL_STANDALONE || url.host_count == 1);
    must((url.kind == URL_SENTINEL) == (url.name[0] != '\0'));
    must(url.database <= URL_DATABASE_MAX);
}

static void check_contact(struct view text) {
    struct contact contact;
    char           problem[URL_PROBLEM_BYTES_MAX] = "";
    if (!contact_parse(text, &contact, problem)) {
        must(problem[0] != '\0' && memchr(problem, '\0', sizeof problem) != NULL);
        return;
    }
    check_hosts(contact.hosts, contact.host_count);
    must(memchr(contact.keyspace, '\0', sizeof contact.keyspace) != NULL);
    must(memchr(contact.keyspace, '"', sizeof contact.keyspace) == NULL); /* it is quoted later */
    must(memchr(contact.datacenter, '\0', sizeof contact.datacenter) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view text = {.data = (const char *)data, .bytes = size};
    uint16_t    slot, port;
    struct view host;
    check_url(text);
    check_contact(text);
    must(slot_of(text) < SLOT_COUNT);
    must(trouble_text(trouble_of(text)) != NULL);
    if (trouble_redirect_parse(text, &slot, &host, &port))
        must(slot < SLOT_COUNT && port != 0 && host.bytes < size);
    return 0;
}
