/* SPDX-License-Identifier: MIT
 *
 * opinion: what does the doctor say of one thing? For tests of what it says of each kind of store. */
#ifndef WEIR_TEST_OPINION_H
#define WEIR_TEST_OPINION_H

#include <string.h>

#include "cmd/doctor_finding.h"
#include "support/check.h"

/* The worst that is said of it; NULL: nothing is. */
static inline const struct doctor_finding *opinion_of(const struct doctor_opinion *opinion,
                                                      const char                  *name) {
    const struct doctor_finding *worst = NULL;
    for (unsigned i = 0; i < opinion->finding_count; i++) {
        const struct doctor_finding *finding = &opinion->findings[i];
        if (strcmp(finding->name, name) != 0) continue;
        if (worst == NULL || finding->level > worst->level) worst = finding;
    }
    return worst;
}

/* It is so, nothing else is worse, and there is a remedy unless it is fine. */
static inline void opinion_check(const struct doctor_opinion *opinion, const char *name,
                                 enum doctor_level level) {
    const struct doctor_finding *finding = opinion_of(opinion, name);
    CHECK_SAYS(finding != NULL, "nothing is said of %s", name);
    CHECK_EQ(finding->level, level);
    CHECK_EQ(finding->remedy[0] == '\0', level == DOCTOR_FINE);
    CHECK_EQ(opinion->level, level);
}

#endif
