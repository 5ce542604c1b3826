// SPDX-License-Identifier: MIT

// Package weir answers one question: may this user act now?
//
//	if !weir.Allow("ann", 100, time.Minute) {
//		http.Error(w, "too many requests", http.StatusTooManyRequests)
//		return
//	}
//
// In no window of a minute, however placed, does ann act more than 100 times, whatever the number
// of goroutines that ask. The decision is made in this process by the C library libweir, in well
// under a microsecond, and allocates nothing.
//
// Allow works on a default limiter, in a file that outlives the process and that all programs of this
// user share. The environment variable WEIR_STORE names another store for it ("memory:" for this process
// alone), and Open makes a limiter of your own:
//
//	limiter, err := weir.Open("memory:")
//	if err != nil { ... }
//	defer limiter.Close()
//	decision, err := limiter.Decide(weir.Request{User: "ann", Limit: 100, Window: time.Minute})
//
// Decide tells more than Allow: how many are left, when to come back, and whether the request made
// sense at all. A Batch asks many questions with one crossing into C.
//
// All methods of a Limiter may be called by any number of goroutines, also while and after it is
// closed.
package weir

// #include "call.h"
import "C"

import (
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// What a request may ask for.
const (
	LimitMax     = 1 << 40
	WindowMin    = time.Microsecond
	WindowMax    = 10 * 365 * 24 * time.Hour
	UserBytesMax = 65536
	RulesMax     = 64 // requests that one DecideAll may join
)

// Never is a RetryAfter that means: this request can never pass, however long you wait.
const Never time.Duration = math.MaxInt64

// An Algorithm is how a limiter counts.
type Algorithm uint32

const (
	Strict Algorithm = C.WEIR_STRICT // a sliding window: never above the limit in any window
	GCRA   Algorithm = C.WEIR_GCRA   // a leaky bucket: up to Burst + Limit in some window
	Fixed  Algorithm = C.WEIR_FIXED  // aligned windows: up to twice the limit in some window
)

func (a Algorithm) String() string { return nameOf(uint32(a), "strict", "gcra", "fixed") }

// How tells how a decision was reached.
type How uint8

const (
	HowNone     How = C.WEIR_HOW_NONE     // no decision: see the status
	HowStrict   How = C.WEIR_HOW_STRICT   // Strict, from the user's own counter
	HowGCRA     How = C.WEIR_HOW_GCRA     // GCRA, from the user's own counter
	HowFixed    How = C.WEIR_HOW_FIXED    // Fixed, from the user's own counter
	HowOverflow How = C.WEIR_HOW_OVERFLOW // from a counter shared with others, for lack of room
	HowSketch   How = C.WEIR_HOW_SKETCH   // Strict, from a sketch: never above the limit, but may deny too much
)

func (h How) String() string {
	return nameOf(uint32(h), "none", "strict", "gcra", "fixed", "overflow", "sketch")
}

func nameOf(value uint32, names ...string) string {
	if int64(value) < int64(len(names)) {
		return names[value]
	}
	return "unknown"
}

// A Request is one question. User, Limit and Window are all that a plain one needs.
type Request struct {
	User      string        // any bytes, up to UserBytesMax; the empty user is a user
	Limit     int64         // 0 to LimitMax; 0 always denies
	Window    time.Duration // WindowMin to WindowMax
	Cost      int64         // permits to take, all or none; 0 means 1
	Peek      bool          // only look, as if for one permit; Cost must be 0
	Algorithm Algorithm     // Strict unless said otherwise
	Burst     int64         // GCRA: permits that may pass at once; 0: as many as Limit. Others: 0
	Deadline  time.Duration // how long a decision may wait for a store; 0: the store's default
}

// permits is the cost as C has it, where 0 means to look, and whether the request makes sense.
func (r *Request) permits() (cost C.uint64_t, flags C.uint32_t) {
	if r.Cost < 0 || r.Deadline < 0 || (r.Peek && r.Cost != 0) {
		return 0, C.WEIR_GO_REFUSE
	}
	if r.Cost == 0 && !r.Peek {
		return 1, 0
	}
	return C.uint64_t(r.Cost), 0
}

// A Decision is one answer. It is about 40 bytes, holds no pointer, and its zero value denies.
type Decision struct {
	Allowed    bool
	How        How
	Status     Status        // OK, or why there is no answer; the rest then means nothing
	Remaining  int64         // permits that could be taken at this instant, after this decision
	RetryAfter time.Duration // denied: the same request passes after so long, or Never. Allowed: 0
	ResetAfter time.Duration // after so long all permits are back, if nobody takes any
}

// Err is nil, or why there is no answer.
func (d *Decision) Err() error { return d.Status.Err() }

// A Limiter counts on one store. Open makes one.
type Limiter struct {
	handle C.weir_go_handle // never changes; gate says whether it may be used
	gate   gate
	closed atomic.Bool
}

// An Option changes what Open makes.
type Option func(*C.weir_options)

// UsersMax bounds how many counters are held at once, and with it the memory: about 76 bytes each.
// One user under two windows is two counters. Without it, or with 0: 10,000,000.
func UsersMax(users uint64) Option {
	return func(o *C.weir_options) { o.users_max = C.uint64_t(users) }
}

// ClockErrorPPM says how wrong the rate of the host's clock may be, 0 to 100,000 parts per
// million. Windows are lengthened by as much, so that they hold in true time.
func ClockErrorPPM(ppm uint64) Option {
	return func(o *C.weir_options) { o.clock_error_ppm = C.uint64_t(ppm) }
}

// BytesMax bounds the bytes of the table, or of the file; UsersMax is lowered to it. Without it, or with
// 0, there is no such bound.
func BytesMax(bytes uint64) Option {
	return func(o *C.weir_options) { o.bytes_max = C.uint64_t(bytes) }
}

// DurablePower makes a new file survive power losses: of each user at most unrecordedMax permits (0: 16) may be
// answered before they are on the disk, and every user is charged as many after a power loss.
func DurablePower(unrecordedMax uint64) Option {
	return func(o *C.weir_options) {
		o.durability = C.WEIR_DURABILITY_POWER
		o.unrecorded_max = C.uint64_t(unrecordedMax)
	}
}

// SketchLimitMax is the largest limit that a "sketch:" will be asked about; the smaller, the more users fit.
// Without it, or with 0: 255, which is the most.
func SketchLimitMax(limit uint64) Option {
	return func(o *C.weir_options) { o.limit_max = C.uint64_t(limit) }
}

// WallError says how wrong the wall clock may be, for a file after a start of the machine. Without it,
// or with 0, the wall clock is not trusted, and time stands still for counters while the machine is off.
func WallError(most time.Duration) Option {
	return func(o *C.weir_options) { o.wall_error_ns = C.int64_t(most) }
}

// Open makes a limiter on the store that url names: "file:/path" is a file that any number of processes
// share and that survives them, "file:" the same in its default place, and "memory:" is in this process
// and gone when it is closed. An error is an *OpenError and wraps one of the Err constants.
func Open(url string, options ...Option) (*Limiter, error) {
	if strings.IndexByte(url, 0) >= 0 {
		return nil, &OpenError{ErrBadURL, "the store URL holds a NUL byte"}
	}
	c := C.weir_options{size: C.sizeof_weir_options}
	for _, option := range options {
		option(&c)
	}
	cURL := C.CString(url)
	defer C.free(unsafe.Pointer(cURL))

	var trouble C.weir_error
	handle := C.weir_go_open(cURL, &c, &trouble)
	if handle == 0 {
		return nil, &OpenError{Status(trouble.status), C.GoString(&trouble.text[0])}
	}
	l := &Limiter{handle: handle}
	runtime.SetFinalizer(l, (*Limiter).Close) // for those who forget
	return l, nil
}

// Close gives back what the limiter holds, after the calls that are inside have returned. From then
// on Allow denies and everything else answers ErrClosed. Close may be called again; it returns nil.
func (l *Limiter) Close() error {
	if l == nil || l.handle == 0 || !l.closed.CompareAndSwap(false, true) {
		return nil
	}
	runtime.SetFinalizer(l, nil)
	l.gate.close()
	C.weir_go_close(l.handle)
	return nil
}

// enter is nil when the limiter is closed, was never opened, or is nil.
func (l *Limiter) enter() *lane {
	if l == nil || l.handle == 0 {
		return nil
	}
	return l.gate.enter()
}

// Allow reports whether the user may act now, and counts the act if so: at most limit acts, this
// one included, were then admitted in the last window. It is false, too, when limit or window is
// out of range, when userID is longer than UserBytesMax, and after Close; Decide tells these
// apart.
func (l *Limiter) Allow(userID string, limit int, window time.Duration) bool {
	lane := l.enter()
	if lane == nil {
		return false
	}
	// A negative limit becomes one far above LimitMax, which the library refuses.
	allowed := C.weir_go_allow(l.handle, bytesOf(userID), C.size_t(len(userID)),
		C.uint64_t(limit), C.int64_t(window))
	lane.leave()
	return bool(allowed)
}

// Decide answers one request. The error is nil whether it is allowed or denied; otherwise it says
// which field is at fault, nothing is counted, and Allowed is false.
func (l *Limiter) Decide(r Request) (Decision, error) {
	lane := l.enter()
	if lane == nil {
		return Decision{Status: ErrClosed}, ErrClosed
	}
	cost, flags := r.permits()
	a := C.weir_go_decide(l.handle, bytesOf(r.User), C.size_t(len(r.User)),
		C.uint64_t(r.Limit), C.int64_t(r.Window), cost, C.uint64_t(r.Burst),
		C.int64_t(r.Deadline), C.uint32_t(r.Algorithm), flags)
	lane.leave()
	d := Decision{
		Allowed:    bool(a.allowed),
		How:        How(a.how),
		Status:     Status(a.status),
		Remaining:  int64(a.remaining),
		RetryAfter: time.Duration(a.retry_after_ns),
		ResetAfter: time.Duration(a.reset_after_ns),
	}
	return d, d.Status.Err()
}

// Reset forgets what the request's user has used under the request's Window and Algorithm; its
// other fields are not looked at.
func (l *Limiter) Reset(r Request) error {
	lane := l.enter()
	if lane == nil {
		return ErrClosed
	}
	status := C.weir_go_reset(l.handle, bytesOf(r.User), C.size_t(len(r.User)),
		C.int64_t(r.Window), C.uint32_t(r.Algorithm))
	lane.leave()
	return Status(status).Err()
}

// Stats is what a limiter has done since it was opened, and what it holds; that of a file is what all
// processes have done since it was created.
type Stats struct {
	Allowed        uint64 // decisions
	Denied         uint64 // decisions, those for lack of room not included
	Refused        uint64 // requests that got no answer
	Overflowed     uint64 // decisions made on a shared counter, allowed or denied
	Users          uint64 // counters held now
	UsersMax       uint64 // the bound
	UsersForgotten uint64 // counters whose place was reused
	MemoryBytes    uint64 // memory that the table can touch at its present size
	UsersMended    uint64 // file: counters that a killed process was changing, put back as they were
	UsersDamaged   uint64 // file: counters that a disk or a stranger spoiled, full for a window since
	Processes      uint32 // that have the file open, or were killed and not missed yet; else 1
	Stuck          bool   // file: there was no room on the disk when the table wanted to grow
}

// Stats is a snapshot, and not of one instant under load.
func (l *Limiter) Stats() (Stats, error) {
	lane := l.enter()
	if lane == nil {
		return Stats{}, ErrClosed
	}
	s := C.weir_statistics{size: C.sizeof_weir_statistics}
	status := C.weir_go_stats(l.handle, &s)
	lane.leave()
	return Stats{
		Allowed:        uint64(s.allowed),
		Denied:         uint64(s.denied),
		Refused:        uint64(s.refused),
		Overflowed:     uint64(s.overflowed),
		Users:          uint64(s.users),
		UsersMax:       uint64(s.users_max),
		UsersForgotten: uint64(s.users_forgotten),
		MemoryBytes:    uint64(s.memory_bytes),
		UsersMended:    uint64(s.users_mended),
		UsersDamaged:   uint64(s.users_damaged),
		Processes:      uint32(s.processes),
		Stuck:          bool(s.is_stuck),
	}, Status(status).Err()
}

// An Explanation is what a rule means in numbers.
type Explanation struct {
	WorstWindow uint64        // the most that is admitted in any window
	Burst       uint64        // the most that can pass at one instant
	Cell        time.Duration // Strict: a permit is held at most this much longer than the window
	Quantum     uint64        // Strict: up to Quantum - 1 may be missing from the limit
	Interval    time.Duration // GCRA: time between two permits at the even rate
	UserBytes   uint64        // memory a user takes
	IsStrict    bool          // WorstWindow <= Limit
}

// Explain tells what the rule in r means; its User and Cost are not looked at.
func Explain(r Request) (Explanation, error) {
	c := C.weir_request_for(nil, 0, C.uint64_t(r.Limit), C.int64_t(r.Window))
	c.burst = C.uint64_t(r.Burst)
	c.algorithm = C.uint32_t(r.Algorithm)
	e := C.weir_explanation{size: C.sizeof_weir_explanation}
	status := C.weir_explain(&c, &e)
	return Explanation{
		WorstWindow: uint64(e.worst_window),
		Burst:       uint64(e.burst),
		Cell:        time.Duration(e.cell_ns),
		Quantum:     uint64(e.quantum),
		Interval:    time.Duration(e.interval_ns),
		UserBytes:   uint64(e.user_bytes),
		IsStrict:    bool(e.is_strict),
	}, Status(status).Err()
}

// Version is the version of the C library that runs, such as "0.1.0".
func Version() string { return C.GoString(C.weir_version()) }

// bytesOf is where a string's bytes are. unsafe.StringData says the same from Go 1.20 on; this
// also builds with the Go 1.19 of Debian 12. As a *C.char, and not a void pointer, it spares cgo
// its check of what the memory holds.
func bytesOf(s string) *C.char {
	return *(**C.char)(unsafe.Pointer(&s))
}
