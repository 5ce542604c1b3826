/* SPDX-License-Identifier: MIT
 *
 * resp_protocol: RESP2 and RESP3 on a connection. */
#ifndef WEIR_SERVER_RESP_PROTOCOL_H
#define WEIR_SERVER_RESP_PROTOCOL_H

#include "server/protocol.h"

extern const struct protocol resp_protocol;

#endif
