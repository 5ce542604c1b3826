/* SPDX-License-Identifier: MIT */
#include "cmd/store.h"

#include <stdlib.h>
#include <string.h>

#include "api/place.h"
#include "base/login.h"
#include "cmd/command.h"
#include "cmd/terminal.h"

static const char file_scheme[] = "file:";

static bool is_file(const char *url) { return strncmp(url, file_scheme, strlen(file_scheme)) == 0; }

const char *store_default(void) {
    const char *url = getenv("WEIR_STORE");
    return url != NULL && url[0] != '\0' ? url : file_scheme;
}

int store_complain(const char *verb, const weir_error *error) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain(verb, "%s", terminal_quote(view_of(error->text), quoted));
    bool is_usage = error->status == WEIR_BAD_URL || error->status == WEIR_BAD_OPTIONS;
    return is_usage ? COMMAND_USAGE : COMMAND_TROUBLE;
}

const char *store_doctor(const char *text, const char *more) {
    return strstr(text, "see weir doctor") != NULL ? "" : more;
}

weir *store_open(const char *verb, const char *url, const weir_options *options, int *code) {
    weir_error error = {.status = WEIR_OK};
    weir      *w     = weir_open(url, options, &error);
    if (w == NULL) *code = store_complain(verb, &error);
    return w;
}

const char *store_name(const char *url, char name[STORE_NAME_BYTES_MAX]) {
    weir_error error;
    size_t     scheme_bytes = strlen(file_scheme);
    if (is_file(url) && place_find_file(url + scheme_bytes, name + scheme_bytes, &error)) {
        memcpy(name, file_scheme, scheme_bytes);
    } else {
        (void)login_hide(url, name, STORE_NAME_BYTES_MAX);
    }
    return name;
}

bool store_file(const char *verb, const char *word, char found[FILE_PATH_BYTES_MAX], int *code) {
    const char *url   = word != NULL ? word : store_default();
    weir_error  error = {.status = WEIR_OK};
    if (is_file(url)) {
        url += strlen(file_scheme);
    } else if (word == NULL || strcmp(word, "memory:") == 0 || strstr(word, "://") != NULL) {
        char shown[STORE_NAME_BYTES_MAX], quoted[TERMINAL_QUOTE_BYTES_MAX];
        login_hide(url, shown, sizeof shown);
        terminal_complain(verb, "'%s' is not a file; name one, such as /var/lib/weir/limits.weir",
                          terminal_quote(view_of(shown), quoted));
        *code = COMMAND_USAGE;
        return false;
    }
    /* A path that is empty by mistake is not the default place. */
    if (word != NULL && word[0] == '\0') {
        terminal_complain(verb, "the name of the file is empty; leave it out for the default one");
        *code = COMMAND_USAGE;
        return false;
    }
    if (place_find_file(url, found, &error)) return true;
    *code = store_complain(verb, &error);
    return false;
}
