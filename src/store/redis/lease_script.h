/* SPDX-License-Identifier: MIT
 *
 * lease_script: the text of lease.lua, which the build puts into a C file (cmake/WeirRedis.cmake). */
#ifndef WEIR_STORE_REDIS_LEASE_SCRIPT_H
#define WEIR_STORE_REDIS_LEASE_SCRIPT_H

extern const char lease_script[];

#endif
