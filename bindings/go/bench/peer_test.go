// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// peer is what one writes around x/time/rate to limit by user: a map and a mutex. It forgets
// nobody, which a real one would have to.
type peer struct {
	mutex    sync.Mutex
	limiters map[string]*rate.Limiter
}

func newPeer() *peer { return &peer{limiters: map[string]*rate.Limiter{}} }

func (p *peer) Allow(user string, limit int, window time.Duration) bool {
	p.mutex.Lock()
	l := p.limiters[user]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(float64(limit)/window.Seconds()), limit)
		p.limiters[user] = l
	}
	p.mutex.Unlock()
	return l.Allow()
}

const (
	many   = 1 << 20
	plenty = 1 << 40 // a limit that is never reached
)

func BenchmarkPeerRateHot(b *testing.B) {
	p := newPeer()
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if !p.Allow("ann", plenty, time.Hour) {
			b.Fatal("denied")
		}
	}
}

func BenchmarkPeerRateHotDenied(b *testing.B) {
	p := newPeer()
	p.Allow("ann", 1, 24*time.Hour)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if p.Allow("ann", 1, 24*time.Hour) {
			b.Fatal("allowed")
		}
	}
}

func BenchmarkPeerRateMany(b *testing.B) {
	p, users := manyUsers()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if !p.Allow(users[i%many], plenty, time.Hour) {
			b.Fatal("denied")
		}
	}
}

var manyOnce struct {
	sync.Once
	peer  *peer
	users []string
}

// manyUsers is the same as that of package weir's benchmarks.
func manyUsers() (*peer, []string) {
	manyOnce.Do(func() {
		manyOnce.peer, manyOnce.users = newPeer(), make([]string, many)
		for i := range manyOnce.users {
			manyOnce.users[i] = fmt.Sprintf("user-%08d", i)
		}
		rand.New(rand.NewSource(1)).Shuffle(many, func(i, j int) {
			manyOnce.users[i], manyOnce.users[j] = manyOnce.users[j], manyOnce.users[i]
		})
		for _, user := range manyOnce.users {
			manyOnce.peer.Allow(user, plenty, time.Hour)
		}
	})
	return manyOnce.peer, manyOnce.users
}

func BenchmarkPeerRateParallel(b *testing.B) {
	p := newPeer()
	var number atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		user := fmt.Sprint("user ", number.Add(1))
		for pb.Next() {
			p.Allow(user, plenty, time.Hour)
		}
	})
}

func BenchmarkPeerRateParallelHot(b *testing.B) {
	p := newPeer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Allow("ann", plenty, time.Hour)
		}
	})
}
