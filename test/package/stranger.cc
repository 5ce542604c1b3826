// SPDX-License-Identifier: MIT
//
// The header in a C++ program, with the warnings that a careful stranger has on.
#include <weir.h>

#include <cstdio>
#include <cstring>

int main() {
    weir_options options = WEIR_OPTIONS_DEFAULT;
    options.users_max = 1000;
    weir *w = weir_open("memory:", &options, nullptr);
    if (w == nullptr) return 2;

    weir_request request = weir_request_for("ann", std::strlen("ann"), 1, WEIR_HOUR);
    weir_decision decision;
    if (weir_decide(w, &request, &decision) != WEIR_OK || !decision.allowed) return 3;
    if (weir_decide(w, &request, &decision) != WEIR_OK || decision.allowed) return 4;
    weir_close(w);
    std::printf("%s\n", weir_version());
    return 0;
}
