// SPDX-License-Identifier: MIT

package weir

import (
	"errors"
	"log"
	"os"
	"sync"
	"time"
)

// StoreVariable is the environment variable that names the default limiter's store.
const StoreVariable = "WEIR_STORE"

var standard struct {
	once    sync.Once
	limiter *Limiter
	err     error
}

// Allow reports whether the user may act now on the default limiter, and counts the act if so. See
// Limiter.Allow and Default.
func Allow(userID string, limit int, window time.Duration) bool {
	standard.once.Do(openStandard)
	return standard.limiter.Allow(userID, limit, window)
}

// Default is the limiter that Allow uses. It is opened once, by whoever comes first: on the
// store that WEIR_STORE names, or, when that is unset or empty, on "file:", the file in its default
// place that all programs of this user share.
//
// A WEIR_STORE that cannot be opened is an error here and stays one; it is logged once, and Allow
// then denies everyone, since a limit that is not counted is no limit. A program that would
// rather not start asks first:
//
//	if _, err := weir.Default(); err != nil {
//		log.Fatal(err)
//	}
func Default() (*Limiter, error) {
	standard.once.Do(openStandard)
	return standard.limiter, standard.err
}

// openStandard leaves limiter nil when it fails; a nil limiter denies. The log gets the status
// alone: the error's full text may quote the URL, which may hold a password.
func openStandard() {
	url := os.Getenv(StoreVariable)
	if url == "" {
		url = "file:"
	}
	standard.limiter, standard.err = Open(url)
	if standard.err != nil {
		log.Printf("%v (%s); weir.Allow denies everyone, weir.Default tells more", errors.Unwrap(standard.err), StoreVariable)
	}
}
