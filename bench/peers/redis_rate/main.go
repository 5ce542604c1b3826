// SPDX-License-Identifier: MIT

// The peer github.com/go-redis/redis_rate, asked as bench/decide/decide.c asks weir: the same options, the
// same order of users, the same line of JSON. --outstanding N are N goroutines for each of --threads, each
// of which waits for its answers; 0 is one.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/bits"
	"math/rand"
	"os"
	"sort"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

type plan struct {
	url, name, order, admissions             string
	limit, users                             int
	windowMs, deadlineMs                     int64
	threads, outstanding, process, processes int
	rate                                     float64
	beginNs, fromNs, untilNs                 int64
}

// How many goroutines ask for each thread.
func (p *plan) each() int {
	if p.outstanding == 0 {
		return 1
	}
	return p.outstanding
}

type lane struct {
	plan       *plan
	limiter    *redis_rate.Limiter
	number     int
	draws      []int
	asked      int
	allowed    int
	denied     int
	failed     int
	maxNs      int64
	weighedNs  int64
	slots      map[int]int
	admissions [][2]int64
}

const draws = 1 << 16

func main() {
	p := planOf()
	options, err := redis.ParseURL(p.url)
	if err != nil {
		die(2, err)
	}
	lanes := make([]*lane, p.threads*p.each())
	// A connection for each question that may be on its way, as its manual advises.
	options.PoolSize = len(lanes)
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	limiter := redis_rate.NewLimiter(client)

	var all sync.WaitGroup
	for i := range lanes {
		l := &lane{plan: p, limiter: limiter, number: p.process*len(lanes) + i, slots: map[int]int{}}
		if p.order == "zipf" {
			l.draws = drawZipf(p.users, int64(l.number))
		}
		lanes[i] = l
		all.Add(1)
		go func() {
			defer all.Done()
			l.run()
		}()
	}
	sleepUntil(p.fromNs)
	cpuNs := readNs(clockProcessCPU)
	sleepUntil(p.untilNs)
	cpuNs = readNs(clockProcessCPU) - cpuNs
	all.Wait()
	tell(p, lanes, cpuNs)
}

// ---- asking ----

func (l *lane) run() {
	rule := redis_rate.Limit{Rate: l.plan.limit, Burst: l.plan.limit, Period: time.Duration(l.plan.windowMs) * time.Millisecond}
	sleepUntil(l.plan.beginNs)
	now := nowNs()
	for {
		sent := l.nextDue(now)
		if sent >= l.plan.untilNs {
			return
		}
		result, err := l.allow(rule)
		l.asked++
		now = nowNs()
		l.tally(err == nil && result.Allowed > 0, err, sent, now)
	}
}

// A caller waits for so long as its plan says; 0: for as long as the client does.
func (l *lane) allow(rule redis_rate.Limit) (*redis_rate.Result, error) {
	ctx := context.Background()
	if l.plan.deadlineMs > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(l.plan.deadlineMs)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	return l.limiter.Allow(ctx, l.user(), rule)
}

// Cold users in the order of decide.c: none comes again before all others have.
func (l *lane) user() string {
	user := 0
	switch l.plan.order {
	case "zipf":
		user = l.draws[l.asked%draws]
	case "cold":
		lanes := l.plan.threads * l.plan.each() * l.plan.processes
		user = (l.asked*lanes + l.number) % l.plan.users * 2654435761 % l.plan.users
	}
	return fmt.Sprintf("%s:%08d", l.plan.name, user)
}

func (l *lane) nextDue(now int64) int64 {
	if l.plan.rate <= 0 {
		return now
	}
	lanes := l.plan.threads * l.plan.each() * l.plan.processes
	due := l.plan.beginNs + int64(float64(l.asked*lanes+l.number)*1e9/l.plan.rate)
	if due > now && due < l.plan.untilNs {
		sleepUntil(due)
	}
	return due
}

// As weight_ns() in decide.c.
func (p *plan) weightNs(at int64) int64 {
	weight := p.windowMs * 1000000
	for _, distance := range []int64{at - p.fromNs, p.untilNs - at} {
		if distance < weight {
			weight = distance
		}
	}
	return weight
}

func (l *lane) tally(allowed bool, err error, sent, received int64) {
	if allowed && l.plan.admissions != "" {
		l.admissions = append(l.admissions, [2]int64{sent, received})
	}
	if received < l.plan.fromNs || received >= l.plan.untilNs {
		return
	}
	switch {
	case err != nil:
		l.failed++
		return
	case allowed:
		l.allowed++
		l.weighedNs += l.plan.weightNs(received)
	default:
		l.denied++
	}
	l.slots[slotOf(uint64(received-sent))]++
	if received-sent > l.maxNs {
		l.maxNs = received - sent
	}
}

// The k-th has a share in proportion to 1 / (k + 1).
func drawZipf(users int, seed int64) []int {
	shares := make([]float64, users)
	sum := 0.0
	for k := range shares {
		sum += 1 / float64(k+1)
		shares[k] = sum
	}
	random := rand.New(rand.NewSource(seed))
	drawn := make([]int, draws)
	for i := range drawn {
		at := random.Float64() * sum
		drawn[i] = sort.SearchFloat64s(shares[:users-1], at)
	}
	return drawn
}

// ---- telling ----

// As slot_of() in bench/load/histogram.c.
func slotOf(value uint64) int {
	const partBits = 7
	if value < 1<<partBits {
		return int(value)
	}
	shift := bits.Len64(value) - 1 - partBits
	return (shift+1)<<partBits + int(value>>shift) - 1<<partBits
}

func tell(p *plan, lanes []*lane, cpuNs int64) {
	sum := lane{slots: map[int]int{}}
	for _, l := range lanes {
		sum.allowed += l.allowed
		sum.denied += l.denied
		sum.failed += l.failed
		sum.weighedNs += l.weighedNs
		if l.maxNs > sum.maxNs {
			sum.maxNs = l.maxNs
		}
		for slot, count := range l.slots {
			sum.slots[slot] += count
		}
	}
	slots := [][2]int{}
	for slot, count := range sum.slots {
		slots = append(slots, [2]int{slot, count})
	}
	sort.Slice(slots, func(a, b int) bool { return slots[a][0] < slots[b][0] })
	line, err := json.Marshal(map[string]any{"who": "redis_rate", "allowed": sum.allowed, "denied": sum.denied,
		"failed": sum.failed, "weighed_ns": sum.weighedNs, "cpu_ns": cpuNs, "max_ns": sum.maxNs, "slots": slots})
	if err != nil {
		die(3, err)
	}
	fmt.Println(string(line))
	if p.admissions != "" {
		if err := writeAdmissions(p, lanes); err != nil {
			die(3, err)
		}
	}
}

func writeAdmissions(p *plan, lanes []*lane) error {
	file, err := os.Create(p.admissions)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for _, l := range lanes {
		for _, a := range l.admissions {
			fmt.Fprintf(out, "{\"user\":%q,\"limit\":%d,\"window_ns\":%d,\"allowed\":true,\"sent_ns\":%d,\"received_ns\":%d}\n",
				l.user(), p.limit, p.windowMs*1000000, a[0], a[1])
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// ---- time ----

const (
	clockProcessCPU = 2
	clockBoottime   = 7
)

func readNs(clock uintptr) int64 {
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		die(3, errno)
	}
	return t.Nano()
}

// CLOCK_BOOTTIME, as the other programs of the run; Go reads only others without a system call.
var (
	startNs = readNs(clockBoottime)
	start   = time.Now()
)

func nowNs() int64 { return startNs + int64(time.Since(start)) }

func sleepUntil(atNs int64) { time.Sleep(time.Duration(atNs - nowNs())) }

// ---- the command line ----

func planOf() *plan {
	p := &plan{}
	flag.StringVar(&p.url, "url", "", "")
	flag.StringVar(&p.name, "name", "user", "")
	flag.StringVar(&p.order, "order", "hot", "hot, zipf or cold")
	flag.StringVar(&p.admissions, "admissions", "", "")
	flag.IntVar(&p.limit, "limit", 1000, "")
	flag.IntVar(&p.users, "users", 1, "")
	flag.Int64Var(&p.windowMs, "window-ms", 1000, "")
	flag.Int64Var(&p.deadlineMs, "deadline-ms", 0, "")
	flag.IntVar(&p.threads, "threads", 1, "")
	flag.IntVar(&p.outstanding, "outstanding", 0, "")
	flag.IntVar(&p.process, "process", 0, "")
	flag.IntVar(&p.processes, "processes", 1, "")
	flag.Float64Var(&p.rate, "rate", 0, "")
	flag.Int64Var(&p.beginNs, "begin-ns", 0, "")
	flag.Int64Var(&p.fromNs, "from-ns", 0, "")
	flag.Int64Var(&p.untilNs, "until-ns", 0, "")
	flag.Parse()
	if p.url == "" || flag.NArg() > 0 || p.beginNs > p.fromNs || p.fromNs >= p.untilNs {
		flag.Usage()
		os.Exit(2)
	}
	return p
}

func die(code int, err error) {
	fmt.Fprintln(os.Stderr, "weir-bench (redis_rate):", err)
	os.Exit(code)
}
