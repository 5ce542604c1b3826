// SPDX-License-Identifier: MIT

package weir_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"weir"
)

// FuzzDecide asks the same question by every road, each on a limiter of its own, and wants one
// answer: an error for the same reason, or the same admission. The seeds run with every go test.
//
//	go test -fuzz FuzzDecide -fuzztime 30s .
func FuzzDecide(f *testing.F) {
	for _, s := range []struct {
		user                                 string
		limit, window, cost, burst, deadline int64
		algorithm                            uint32
		peek                                 bool
	}{
		{"ann", 100, int64(time.Minute), 0, 0, 0, 0, false},
		{"", 1, 1000, 1, 0, 0, 0, false},
		{"\x00\xff", 0, int64(time.Hour), 1, 0, 0, 0, true},
		{"ann", -1, -1, -1, -1, -1, 9, true},
		{"ann", weir.LimitMax, int64(weir.WindowMax), weir.LimitMax, 0, 1, 0, false},
		{"ann", weir.LimitMax + 1, int64(weir.WindowMax) + 1, math.MaxInt64, math.MaxInt64, math.MaxInt64, 1, false},
		{"ann", 1, 1, 1, weir.LimitMax, 0, 1, false},
		{"ann", 10, int64(time.Second), 11, 20, 0, 1, false},
		{"ann", 10, int64(time.Second), 3, 0, 0, 2, false},
		{"ann", math.MinInt64, math.MinInt64, math.MinInt64, math.MinInt64, math.MinInt64, math.MaxUint32, false},
	} {
		f.Add(s.user, s.limit, s.window, s.cost, s.burst, s.deadline, s.algorithm, s.peek)
	}
	f.Fuzz(func(t *testing.T, user string, limit, window, cost, burst, deadline int64, algorithm uint32, peek bool) {
		r := weir.Request{
			User: user, Limit: limit, Window: time.Duration(window), Cost: cost, Peek: peek,
			Algorithm: weir.Algorithm(algorithm), Burst: burst, Deadline: time.Duration(deadline),
		}
		small := weir.UsersMax(64)
		one, err := open(t, small).Decide(r)
		many, manyErr := open(t, small).DecideMany([]weir.Request{r})
		allowed, all, allErr := open(t, small).DecideAll(r)

		if !errors.Is(manyErr, err) || !errors.Is(allErr, err) {
			t.Fatalf("%+v: %v, %v, %v", r, err, manyErr, allErr)
		}
		for _, d := range []weir.Decision{one, many[0], all[0]} {
			if d.Allowed != one.Allowed || d.Status != one.Status || d.How != one.How || d.Remaining != one.Remaining {
				t.Fatalf("%+v: %+v and %+v", r, one, d)
			}
		}
		if allowed != one.Allowed {
			t.Fatalf("%+v: DecideAll allowed %v", r, allowed)
		}
		check(t, r, one, err)

		if cost == 0 && !peek && burst == 0 && deadline == 0 && algorithm == 0 && int64(int(limit)) == limit {
			if open(t, small).Allow(user, int(limit), time.Duration(window)) != one.Allowed {
				t.Fatalf("%+v: Allow and Decide disagree", r)
			}
		}
	})
}

// check is what holds of the first answer that a new limiter gives.
func check(t *testing.T, r weir.Request, d weir.Decision, err error) {
	t.Helper()
	if err != nil {
		if d.Allowed || d.Status == weir.OK {
			t.Fatalf("%+v: %+v with %v", r, d, err)
		}
		return
	}
	room := r.Limit
	if r.Algorithm == weir.GCRA && r.Burst > 0 && r.Limit > 0 {
		room = r.Burst
	}
	if d.Remaining < 0 || d.Remaining > room || d.RetryAfter < 0 || d.ResetAfter < 0 {
		t.Fatalf("%+v: %+v", r, d)
	}
	if d.Allowed != (d.RetryAfter == 0) {
		t.Fatalf("%+v: allowed %v, retry after %v", r, d.Allowed, d.RetryAfter)
	}
	if r.Cost > room && d.RetryAfter != weir.Never {
		t.Fatalf("%+v: more than there ever is, and yet %+v", r, d)
	}
	if d.Allowed && r.Cost > room {
		t.Fatalf("%+v: %+v", r, d)
	}
}
