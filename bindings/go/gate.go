// SPDX-License-Identifier: MIT

package weir

import (
	"math"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// gate: may this call still go in, and who is inside?
//
// weir_close() must not run while a call is inside. One counter, or the reader side of one
// RWMutex, would put all cores onto one cache line; so calls are counted in lanes, and a
// goroutine finds its lane by where its stack is. A lane below zero is closed.
type gate struct {
	lanes [laneCount]lane
}

type lane struct {
	calls atomic.Int64
	_     [120]byte // two cache lines: processors fetch them in pairs
}

const (
	laneBits   = 5
	laneCount  = 1 << laneBits
	laneClosed = math.MinInt64 / 2
)

// enter counts a call in. It returns nil when the gate is closed; else the caller leaves the
// lane that it got.
func (g *gate) enter() *lane {
	var here byte
	stack := uint32(uintptr(unsafe.Pointer(&here)) >> 11) // no stack is smaller than 2 KiB
	l := &g.lanes[(stack*2654435769)>>(32-laneBits)]
	if l.calls.Load() < 0 {
		return nil
	}
	if l.calls.Add(1) < 0 { // closed in between
		l.calls.Add(-1)
		return nil
	}
	return l
}

func (l *lane) leave() {
	l.calls.Add(-1)
}

// close lets nobody in any more and returns when all are out. Only one goroutine may call it.
func (g *gate) close() {
	for i := range g.lanes {
		g.lanes[i].calls.Add(laneClosed)
	}
	for i := range g.lanes {
		for tries := 0; g.lanes[i].calls.Load() != laneClosed; tries++ {
			if tries < 100 {
				runtime.Gosched()
			} else {
				time.Sleep(50 * time.Microsecond)
			}
		}
	}
}
