// SPDX-License-Identifier: MIT

package weir_test

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
	"weir/internal/crossing"
)

// The names are what bench/run.sh prints. Crossing and InC are the references: what the crossing
// costs with next to nothing behind it, and what the decision costs without the crossing.

const many = 1 << 20

func BenchmarkCrossingEmpty(b *testing.B) {
	for i := 0; i < b.N; i++ {
		crossing.Nothing()
	}
}

func BenchmarkCrossingClock(b *testing.B) {
	for i := 0; i < b.N; i++ {
		crossing.Clock()
	}
}

func BenchmarkInCClock(b *testing.B) { crossing.Clocks(b.N) }

func BenchmarkInCDecideHot(b *testing.B) {
	if crossing.Decisions(b.N, weir.LimitMax, time.Hour) != b.N {
		b.Fatal("not everything was allowed")
	}
}

func BenchmarkAllowHot(b *testing.B) {
	l := open(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if !l.Allow("ann", weir.LimitMax, time.Hour) {
			b.Fatal("denied")
		}
	}
}

func BenchmarkAllowHotDenied(b *testing.B) {
	l := open(b)
	l.Allow("ann", 1, 24*time.Hour)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if l.Allow("ann", 1, 24*time.Hour) {
			b.Fatal("allowed")
		}
	}
}

func BenchmarkAllowDefault(b *testing.B) {
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		weir.Allow("bench", weir.LimitMax, time.Hour)
	}
}

func BenchmarkDecideHot(b *testing.B) {
	l := open(b)
	r := weir.Request{User: "ann", Limit: weir.LimitMax, Window: time.Hour}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if d, err := l.Decide(r); err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}

// BenchmarkAllowMany asks for a million users in random order, one crossing each.
func BenchmarkAllowMany(b *testing.B) {
	l, users := manyUsers(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if !l.Allow(users[i%many], weir.LimitMax, time.Hour) {
			b.Fatal("denied")
		}
	}
}

// BenchmarkBatchHot and BenchmarkBatchMany count a decision, and not a batch, as one operation.
func BenchmarkBatchHot(b *testing.B) {
	for _, size := range []int{1, 32, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			benchmarkBatch(b, open(b), []string{"ann"}, size)
		})
	}
}

func BenchmarkBatchMany(b *testing.B) {
	l, users := manyUsers(b)
	for _, size := range []int{32, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchmarkBatch(b, l, users, size) })
	}
}

func benchmarkBatch(b *testing.B, l *weir.Limiter, users []string, size int) {
	var batch weir.Batch
	allowed := 0
	next := 0
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += size {
		batch.Clear()
		for i := 0; i < size; i++ {
			batch.Add(weir.Request{User: users[next], Limit: weir.LimitMax, Window: time.Hour})
			if next++; next == len(users) {
				next = 0
			}
		}
		if err := batch.DecideMany(l); err != nil {
			b.Fatal(err)
		}
		for i := 0; i < size; i++ {
			if batch.Decision(i).Allowed {
				allowed++
			}
		}
	}
	if allowed < b.N {
		b.Fatal(allowed, "of", b.N, "allowed")
	}
}

// BenchmarkDecideMany is the convenient form, which allocates its result.
func BenchmarkDecideMany(b *testing.B) {
	for _, size := range []int{32, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l := open(b)
			requests := make([]weir.Request, size)
			for i := range requests {
				requests[i] = weir.Request{User: "ann", Limit: weir.LimitMax, Window: time.Hour}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += size {
				if _, err := l.DecideMany(requests); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParallelAllow gives each goroutine a user of its own.
func BenchmarkParallelAllow(b *testing.B) {
	l := open(b)
	var number atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		user := fmt.Sprint("user ", number.Add(1))
		for p.Next() {
			l.Allow(user, weir.LimitMax, time.Hour)
		}
	})
}

// BenchmarkParallelAllowHot has all goroutines ask for one user.
func BenchmarkParallelAllowHot(b *testing.B) {
	l := open(b)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			l.Allow("ann", weir.LimitMax, time.Hour)
		}
	})
}

func open(tb testing.TB, options ...weir.Option) *weir.Limiter {
	tb.Helper()
	l, err := weir.Open("memory:", options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

var manyOnce struct {
	sync.Once
	limiter *weir.Limiter
	users   []string
}

// manyUsers is a limiter that already knows a million users, and their names in random order. It is
// made once, so that what is measured is asking and not growing.
func manyUsers(tb testing.TB) (*weir.Limiter, []string) {
	tb.Helper()
	manyOnce.Do(func() {
		l, err := weir.Open("memory:")
		if err != nil {
			tb.Fatal(err)
		}
		users := make([]string, many)
		for i := range users {
			users[i] = fmt.Sprintf("user-%08d", i)
		}
		rand.New(rand.NewSource(1)).Shuffle(many, func(i, j int) { users[i], users[j] = users[j], users[i] })
		for _, user := range users {
			l.Allow(user, weir.LimitMax, time.Hour)
		}
		manyOnce.limiter, manyOnce.users = l, users
	})
	if manyOnce.limiter == nil {
		tb.Fatal("no limiter to measure")
	}
	return manyOnce.limiter, manyOnce.users
}
