/* SPDX-License-Identifier: MIT
 *
 * login: what of a store's URL may be shown?
 *
 *     redis://ann:secret@host:6379/0     with three stars for ann:secret
 *
 * Everything up to the last @ is hidden, whether or not the URL is one that somebody understands: passwords
 * are typed without %XX for the @ : / ? in them, and schemes without their slashes. So are the values of the
 * options secret and sentinel-password behind a ?, with the host before them if there is an @ in them. The
 * paths of file: hold no login. */
#ifndef WEIR_BASE_LOGIN_H
#define WEIR_BASE_LOGIN_H

#include <stddef.h>

/* Writes the URL as it may be shown, cut to `room` bytes with a NUL at the end. Returns `shown`. */
const char *login_hide(const char *url, char *shown, size_t room);

#endif
