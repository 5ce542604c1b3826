// SPDX-License-Identifier: MIT

package weir

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestEveryStatusOfTheHeaderIsKnown(t *testing.T) {
	known := []Status{
		OK, ErrNoMemory, ErrBadURL, ErrBadOptions, ErrBadUser, ErrBadLimit, ErrBadWindow, ErrBadBurst,
		ErrBadAlgorithm, ErrBadRequest, ErrStoreDown, ErrDamaged, ErrUnsupported,
		ErrStoreFailed, ErrForked,
	}
	if len(known) != statusCount {
		t.Errorf("weir.h has %d statuses, this package %d", statusCount, len(known))
	}
	texts := map[string]Status{}
	for _, s := range append(known, ErrClosed) {
		text := s.Error()
		if !strings.HasPrefix(text, "weir: ") || len(text) < len("weir: ")+3 {
			t.Errorf("%d: %q", s, text)
		}
		if other, taken := texts[text]; taken {
			t.Errorf("%d and %d both say %q", s, other, text)
		}
		texts[text] = s

		if s == OK {
			if s.Err() != nil {
				t.Error("OK is an error")
			}
			continue
		}
		wrapped := fmt.Errorf("login: %w", s.Err())
		for _, other := range known {
			if errors.Is(wrapped, other) != (other == s) {
				t.Errorf("errors.Is(%v, %v)", wrapped, other)
			}
		}
	}
	if text := Status(12345).Error(); text == "" {
		t.Error("a status of a later library has no text")
	}
}
