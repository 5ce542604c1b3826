// SPDX-License-Identifier: MIT

package weir

// #include "call.h"
import "C"

import (
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// A Batch asks many questions with one crossing into C, one reading of the clock and with memory
// prefetched. Its zero value is ready. Cleared and filled again, it allocates nothing once it has
// reached its size. A Batch is for one goroutine at a time and must not be copied.
//
//	var batch weir.Batch
//	for {
//		batch.Clear()
//		for _, p := range packets {
//			batch.Add(weir.Request{User: p.Source, Limit: 100, Window: time.Second})
//		}
//		if err := batch.DecideMany(limiter); err != nil { ... }
//		for i, p := range packets {
//			if batch.Decision(i).Allowed { ... }
//		}
//	}
type Batch struct {
	arena    *arena
	count    int // requests added
	users    int // bytes of users added
	decided  int // decisions that Decision may give
	isClosed bool
}

// arena is memory of C's, so that requests may point at users without a Go pointer in sight. It is
// an object of its own because a finalizer wants one.
type arena struct {
	requests  []C.weir_request
	decisions []C.weir_decision
	users     []byte
}

// Add puts a request at the end. The user's bytes are copied.
func (b *Batch) Add(r Request) {
	if b.arena == nil {
		b.arena = &arena{}
		runtime.SetFinalizer(b.arena, (*arena).free)
	}
	a := b.arena
	if b.count == len(a.requests) {
		a.growRequests()
	}
	cost, flags := r.permits()
	// Field by field: the pointer is C's to set, and the reserve stays zero.
	c := &a.requests[b.count]
	c.user_bytes = C.size_t(len(r.User))
	c.limit = C.uint64_t(r.Limit)
	c.window_ns = C.int64_t(r.Window)
	c.cost = cost
	c.burst = C.uint64_t(r.Burst)
	c.deadline_ns = C.int64_t(r.Deadline)
	c.algorithm = C.uint32_t(r.Algorithm)
	c.flags = flags
	b.count++

	if len(r.User) > UserBytesMax {
		return // refused by its length; see weir_go_place_users
	}
	if len(r.User) > len(a.users)-b.users {
		a.growUsers(b.users + len(r.User))
	}
	b.users += copy(a.users[b.users:], r.User)
}

// Len is how many requests were added since Clear.
func (b *Batch) Len() int { return b.count }

// Clear empties the batch and keeps its memory.
func (b *Batch) Clear() { b.count, b.users, b.decided, b.isClosed = 0, 0, 0, false }

// DecideMany decides the requests in order, each for itself. The error is nil if each got an
// answer, else the first Status that is not OK; each Decision has its own.
func (b *Batch) DecideMany(l *Limiter) error {
	return b.decide(l, func(l *Limiter, a *arena) C.weir_status {
		return C.weir_go_decide_many(l.handle, a.requestsAt(), C.size_t(b.count), a.usersAt(), &a.decisions[0])
	})
}

// DecideAll decides up to RulesMax requests together: all are admitted, or none counts anything.
// Each Decision tells what its own rule said, so that when one rule denies the others say Allowed
// although nothing was taken. With an error nothing was counted. An empty batch is allowed: no
// rule stands against it.
func (b *Batch) DecideAll(l *Limiter) (allowed bool, err error) {
	err = b.decide(l, func(l *Limiter, a *arena) C.weir_status {
		return C.weir_go_decide_all(l.handle, a.requestsAt(), C.size_t(b.count), a.usersAt(), &a.decisions[0])
	})
	if err != nil {
		return false, err
	}
	for i := 0; i < b.count; i++ {
		if !bool(b.arena.decisions[i].allowed) {
			return false, nil
		}
	}
	return true, nil
}

func (b *Batch) decide(l *Limiter, call func(*Limiter, *arena) C.weir_status) error {
	b.decided = b.count
	lane := l.enter()
	b.isClosed = lane == nil
	if b.isClosed {
		return ErrClosed
	}
	status := OK
	if b.count > 0 {
		status = Status(call(l, b.arena))
		runtime.KeepAlive(b.arena)
	}
	lane.leave()
	return status.Err()
}

// Decision is the answer to the request that was added as number i, counted from 0. It panics
// if that one has not been decided.
func (b *Batch) Decision(i int) Decision {
	if uint(i) >= uint(b.decided) {
		panic("weir: Batch.Decision of a request that was not decided")
	}
	if b.isClosed {
		return Decision{Status: ErrClosed}
	}
	d := decisionOf(&b.arena.decisions[i])
	runtime.KeepAlive(b.arena)
	return d
}

func decisionOf(c *C.weir_decision) Decision {
	return Decision{
		Allowed:    bool(c.allowed) && c.status == C.WEIR_OK,
		How:        How(c.how),
		Status:     Status(c.status),
		Remaining:  int64(c.remaining),
		RetryAfter: time.Duration(c.retry_after_ns),
		ResetAfter: time.Duration(c.reset_after_ns),
	}
}

func (a *arena) requestsAt() C.weir_go_requests {
	return C.weir_go_requests(uintptr(unsafe.Pointer(&a.requests[0])))
}

func (a *arena) usersAt() *C.char { return (*C.char)(startOf(a.users)) }

func startOf(bytes []byte) unsafe.Pointer {
	if len(bytes) == 0 {
		return nil
	}
	return unsafe.Pointer(&bytes[0])
}

func (a *arena) growRequests() {
	old := len(a.requests)
	size := 2 * old
	if size == 0 {
		size = 32
	}
	var requests, decisions unsafe.Pointer
	if old > 0 {
		requests, decisions = unsafe.Pointer(&a.requests[0]), unsafe.Pointer(&a.decisions[0])
	}
	requests = grow(requests, old*C.sizeof_weir_request, size*C.sizeof_weir_request)
	decisions = grow(decisions, old*C.sizeof_weir_decision, size*C.sizeof_weir_decision)
	a.requests = unsafe.Slice((*C.weir_request)(requests), size)
	a.decisions = unsafe.Slice((*C.weir_decision)(decisions), size)
}

func (a *arena) growUsers(need int) {
	size := 2 * len(a.users)
	if size < need {
		size = need
	}
	if size < 1024 {
		size = 1024
	}
	a.users = unsafe.Slice((*byte)(grow(startOf(a.users), len(a.users), size)), size)
}

func grow(memory unsafe.Pointer, oldBytes, newBytes int) unsafe.Pointer {
	grown := C.weir_go_grow(memory, C.size_t(oldBytes), C.size_t(newBytes))
	if grown == nil {
		panic("weir: out of memory") // as Go does when its own heap cannot grow
	}
	return grown
}

func (a *arena) free() {
	if len(a.requests) > 0 {
		C.free(unsafe.Pointer(&a.requests[0]))
		C.free(unsafe.Pointer(&a.decisions[0]))
	}
	C.free(startOf(a.users))
	*a = arena{}
}

var batches = sync.Pool{New: func() interface{} { return new(Batch) }}

// pooledMax is the size above which a batch is not kept for reuse: the collector does not see
// memory of C's, and one large call should not hold on to it.
const (
	pooledRequestsMax = 4096
	pooledUsersMax    = 1 << 20
)

// DecideMany decides independent requests, in order. The error is nil if each got an answer, else
// the first Status that is not OK; each Decision has its own. A Batch of one's own saves the
// allocation of the result.
func (l *Limiter) DecideMany(requests []Request) ([]Decision, error) {
	b := borrowBatch(requests)
	defer returnBatch(b)
	err := b.DecideMany(l)
	return b.decisions(), err
}

// DecideAll decides up to RulesMax requests together, as Batch.DecideAll does: all are admitted,
// or none counts anything.
//
//	allowed, decisions, err := limiter.DecideAll(
//		weir.Request{User: "ann", Limit: 10, Window: time.Second},
//		weir.Request{User: "ann", Limit: 1000, Window: 24 * time.Hour})
func (l *Limiter) DecideAll(requests ...Request) (allowed bool, decisions []Decision, err error) {
	b := borrowBatch(requests)
	defer returnBatch(b)
	allowed, err = b.DecideAll(l)
	return allowed, b.decisions(), err
}

func borrowBatch(requests []Request) *Batch {
	b := batches.Get().(*Batch)
	b.Clear()
	for i := range requests {
		b.Add(requests[i])
	}
	return b
}

func returnBatch(b *Batch) {
	a := b.arena
	if a != nil && (len(a.requests) > pooledRequestsMax || len(a.users) > pooledUsersMax) {
		runtime.SetFinalizer(a, nil)
		a.free()
		b.arena = nil
	}
	batches.Put(b)
}

func (b *Batch) decisions() []Decision {
	decisions := make([]Decision, b.decided)
	for i := range decisions {
		decisions[i] = b.Decision(i)
	}
	return decisions
}
