// SPDX-License-Identifier: MIT

package weir

// #include "call.h"
import "C"

// A Status is why a request got no answer. It is an error, and the constants below are what to
// compare with:
//
//	if errors.Is(err, weir.ErrBadWindow) { ... }
//
// A denial is an answer and never an error.
type Status uint32

// Every status of the C library, and ErrClosed, which only Go needs.
const (
	OK              Status = C.WEIR_OK
	ErrNoMemory     Status = C.WEIR_NO_MEMORY
	ErrBadURL       Status = C.WEIR_BAD_URL
	ErrBadOptions   Status = C.WEIR_BAD_OPTIONS
	ErrBadUser      Status = C.WEIR_BAD_USER
	ErrBadLimit     Status = C.WEIR_BAD_LIMIT
	ErrBadWindow    Status = C.WEIR_BAD_WINDOW
	ErrBadBurst     Status = C.WEIR_BAD_BURST
	ErrBadAlgorithm Status = C.WEIR_BAD_ALGORITHM
	ErrBadRequest   Status = C.WEIR_BAD_REQUEST
	ErrStoreDown    Status = C.WEIR_STORE_DOWN
	ErrDamaged      Status = C.WEIR_DAMAGED
	ErrUnsupported  Status = C.WEIR_UNSUPPORTED
	ErrStoreFailed  Status = C.WEIR_STORE_FAILED
	ErrForked       Status = C.WEIR_FORKED

	// ErrClosed is what a limiter answers after Close, and what a nil *Limiter answers.
	ErrClosed Status = 1<<31 - 1
)

const statusCount = C.WEIR_GO_STATUS_COUNT

// Error is the C library's text for the status.
func (s Status) Error() string {
	if s == ErrClosed {
		return "weir: the limiter is closed"
	}
	return "weir: " + C.GoString(C.weir_status_text(C.weir_status(s)))
}

// Err is nil for OK and the status itself otherwise.
func (s Status) Err() error {
	switch s {
	case OK:
		return nil
	case ErrClosed:
		return ErrClosed // a constant in an interface takes no memory; other statuses are small
	}
	return s
}

// An OpenError is why Open failed. It wraps the Status, and its text names the value at fault.
type OpenError struct {
	Status Status
	Text   string
}

func (e *OpenError) Error() string { return "weir: " + e.Text }

// Unwrap gives the Status, for errors.Is.
func (e *OpenError) Unwrap() error { return e.Status }
