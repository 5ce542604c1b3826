/* SPDX-License-Identifier: MIT
 *
 * A program of somebody else's, whose own functions happen to be named as ours are inside. If the
 * archive let its inside names out, these would silently take the place of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

#define TRAP(name)                                                                                 \
    void name(void);                                                                               \
    void name(void) {                                                                              \
        fprintf(stderr, "libweir called the stranger's %s()\n", #name);                            \
        exit(3);                                                                                   \
    }
#include "names.h" /* TRAP(window_admit) and so on: written by the test from our own objects */

int main(void) {
    weir *w = weir_open("memory:", NULL, NULL);
    if (w == NULL) return 2;
    for (int i = 0; i < 3; i++) {
        if (!weir_allow(w, "ann", 3, WEIR_HOUR)) return 4;
    }
    if (weir_allow(w, "ann", 3, WEIR_HOUR)) return 5;
    if (!weir_allow(w, "bob", 3, WEIR_HOUR)) return 6;
    weir_close(w);
    printf("%s\n", weir_version());
    return 0;
}
