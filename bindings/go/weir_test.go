// SPDX-License-Identifier: MIT

package weir_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir"
)

// The mission's function, to the letter.
var (
	_ func(userID string, limit int, window time.Duration) bool = weir.Allow
	_ func(userID string, limit int, window time.Duration) bool = (*weir.Limiter)(nil).Allow
)

// Long enough that nothing comes back during a test, however slow the machine.
const long = 24 * time.Hour

func TestAllowAdmitsTheLimitAndNoMore(t *testing.T) {
	l := open(t)
	for i := 0; i < 100; i++ {
		if allowed := l.Allow("ann", 60, long); allowed != (i < 60) {
			t.Fatalf("act %d: allowed %v", i, allowed)
		}
	}
	if !l.Allow("bob", 60, long) {
		t.Error("bob is denied for what ann did")
	}
	if !l.Allow("ann", 60, 2*long) {
		t.Error("another window is another counter")
	}
}

func TestPermitsComeBackWhenTheWindowHasPassed(t *testing.T) {
	l := open(t)
	for try := 0; try < 20; try++ { // a machine that stalls for a whole window shows nothing
		r := weir.Request{User: fmt.Sprint("try ", try), Limit: 2, Window: 50 * time.Millisecond}
		if !decide(t, l, r).Allowed {
			t.Fatal("the first is denied")
		}
		decide(t, l, r)
		denied := decide(t, l, r)
		if denied.Allowed {
			continue
		}
		if denied.RetryAfter <= 0 || denied.RetryAfter > 51*time.Millisecond {
			t.Fatalf("retry after %v", denied.RetryAfter)
		}
		time.Sleep(denied.RetryAfter)
		if d := decide(t, l, r); !d.Allowed {
			t.Errorf("denied after waiting for as long as it said: %+v", d)
		}
		return
	}
	t.Error("20 times in a row, three acts in 50 ms were allowed where two may be")
}

func TestDecideTellsAllItKnows(t *testing.T) {
	l := open(t)
	r := weir.Request{User: "ann", Limit: 10, Window: time.Hour}

	d := decide(t, l, r)
	if !d.Allowed || d.Remaining != 9 || d.RetryAfter != 0 || d.How != weir.HowStrict {
		t.Errorf("first: %+v", d)
	}
	if d.ResetAfter <= 59*time.Minute || d.ResetAfter > 61*time.Minute {
		t.Errorf("reset after %v", d.ResetAfter)
	}

	r.Cost = 9
	if d := decide(t, l, r); !d.Allowed || d.Remaining != 0 {
		t.Errorf("the rest at once: %+v", d)
	}

	r.Cost = 2
	d = decide(t, l, r)
	if d.Allowed || d.Remaining != 0 || d.RetryAfter <= 0 || d.RetryAfter == weir.Never {
		t.Errorf("too many now: %+v", d)
	}

	r.Cost = 11
	if d := decide(t, l, r); d.Allowed || d.RetryAfter != weir.Never {
		t.Errorf("more than the limit: %+v", d)
	}
}

func TestPeekCountsNothing(t *testing.T) {
	l := open(t)
	r := weir.Request{User: "ann", Limit: 1, Window: long}
	look := r
	look.Peek = true
	for i := 0; i < 5; i++ {
		if d := decide(t, l, look); !d.Allowed || d.Remaining != 1 {
			t.Fatalf("look %d: %+v", i, d)
		}
	}
	if d := decide(t, l, r); !d.Allowed {
		t.Errorf("looking took the permit: %+v", d)
	}
	if d := decide(t, l, look); d.Allowed || d.Remaining != 0 {
		t.Errorf("a look after it is used up: %+v", d)
	}
}

func TestAlgorithmsSayWhoTheyAre(t *testing.T) {
	l := open(t)
	for algorithm, how := range map[weir.Algorithm]weir.How{
		weir.Strict: weir.HowStrict, weir.GCRA: weir.HowGCRA, weir.Fixed: weir.HowFixed,
	} {
		d := decide(t, l, weir.Request{User: "ann", Limit: 5, Window: long, Algorithm: algorithm})
		if !d.Allowed || d.How != how || d.How.String() != algorithm.String() {
			t.Errorf("%v: %+v", algorithm, d)
		}
	}

	burst := weir.Request{User: "bob", Limit: 1, Window: long, Algorithm: weir.GCRA, Burst: 3}
	for i := 0; i < 4; i++ {
		if d := decide(t, l, burst); d.Allowed != (i < 3) {
			t.Errorf("burst of 3, act %d: %+v", i, d)
		}
	}
	if weir.Algorithm(77).String() != "unknown" || weir.How(77).String() != "unknown" {
		t.Error("an unknown value has a wrong name")
	}
}

func TestResetGivesPermitsBack(t *testing.T) {
	l := open(t)
	r := weir.Request{User: "a\x00b", Limit: 1, Window: long}
	decide(t, l, r)
	if d := decide(t, l, r); d.Allowed {
		t.Fatal("not used up")
	}
	if err := l.Reset(r); err != nil {
		t.Fatal(err)
	}
	if d := decide(t, l, r); !d.Allowed {
		t.Errorf("still denied: %+v", d)
	}
	if err := l.Reset(weir.Request{User: "ann", Window: 0}); !errors.Is(err, weir.ErrBadWindow) {
		t.Errorf("a window of 0: %v", err)
	}
}

// Each row is a request that gets no answer, by every road.
var refusals = []struct {
	name string
	r    weir.Request
	want weir.Status
}{
	{"negative limit", weir.Request{User: "u", Limit: -1, Window: long}, weir.ErrBadLimit},
	{"smallest limit", weir.Request{User: "u", Limit: math.MinInt64, Window: long}, weir.ErrBadLimit},
	{"limit above 2^40", weir.Request{User: "u", Limit: weir.LimitMax + 1, Window: long}, weir.ErrBadLimit},
	{"largest limit", weir.Request{User: "u", Limit: math.MaxInt64, Window: long}, weir.ErrBadLimit},
	{"window of 0", weir.Request{User: "u", Limit: 1}, weir.ErrBadWindow},
	{"negative window", weir.Request{User: "u", Limit: 1, Window: -1}, weir.ErrBadWindow},
	{"smallest window", weir.Request{User: "u", Limit: 1, Window: math.MinInt64}, weir.ErrBadWindow},
	{"window below 1us", weir.Request{User: "u", Limit: 1, Window: weir.WindowMin - 1}, weir.ErrBadWindow},
	{"window above 10 years", weir.Request{User: "u", Limit: 1, Window: weir.WindowMax + 1}, weir.ErrBadWindow},
	{"user above 64 KiB", weir.Request{User: strings.Repeat("u", weir.UserBytesMax+1), Limit: 1, Window: long}, weir.ErrBadUser},
	{"huge user", weir.Request{User: strings.Repeat("u", 16<<20), Limit: 1, Window: long}, weir.ErrBadUser},
	{"negative cost", weir.Request{User: "u", Limit: 1, Window: long, Cost: -1}, weir.ErrBadRequest},
	{"peek with a cost", weir.Request{User: "u", Limit: 1, Window: long, Cost: 1, Peek: true}, weir.ErrBadRequest},
	{"negative deadline", weir.Request{User: "u", Limit: 1, Window: long, Deadline: -1}, weir.ErrBadRequest},
	{"unknown algorithm", weir.Request{User: "u", Limit: 1, Window: long, Algorithm: 77}, weir.ErrBadAlgorithm},
	{"burst without GCRA", weir.Request{User: "u", Limit: 1, Window: long, Burst: 1}, weir.ErrBadBurst},
	{"negative burst", weir.Request{User: "u", Limit: 1, Window: long, Algorithm: weir.GCRA, Burst: -1}, weir.ErrBadBurst},
}

func TestRefusedRequestsSayWhyByEveryRoad(t *testing.T) {
	l := open(t)
	good := weir.Request{User: "u", Limit: 1, Window: long}
	for _, c := range refusals {
		check := func(road string, d weir.Decision, err error) {
			t.Helper()
			if !errors.Is(err, c.want) {
				t.Errorf("%s, %s: error %v, want %v", c.name, road, err, c.want)
			}
			if d.Allowed || d.Status != c.want || d.How != weir.HowNone || !errors.Is(d.Err(), c.want) {
				t.Errorf("%s, %s: %+v", c.name, road, d)
			}
		}
		d, err := l.Decide(c.r)
		check("Decide", d, err)

		ds, err := l.DecideMany([]weir.Request{c.r})
		check("DecideMany", ds[0], err)

		allowed, ds, err := l.DecideAll(good, c.r)
		check("DecideAll", ds[1], err)
		if allowed {
			t.Errorf("%s: DecideAll allowed it", c.name)
		}
	}
	if d := decide(t, l, good); !d.Allowed {
		t.Error("a refused request took a permit")
	}
	if s := stats(t, l); s.Refused == 0 || s.Allowed == 0 {
		t.Errorf("%+v", s)
	}
}

func TestAllowDeniesWhatCannotBeAnswered(t *testing.T) {
	l := open(t)
	for _, c := range refusals {
		if c.r.Cost != 0 || c.r.Burst != 0 || c.r.Deadline != 0 || c.r.Algorithm != 0 {
			continue // Allow cannot say these
		}
		limit := int(c.r.Limit)
		if int64(limit) != c.r.Limit {
			continue // int has 32 bits here
		}
		if l.Allow(c.r.User, limit, c.r.Window) {
			t.Errorf("%s: allowed", c.name)
		}
	}
	if l.Allow("u", 0, long) {
		t.Error("a limit of 0 allowed")
	}
}

func TestAGoodRequestBesideABadOneIsStillAnswered(t *testing.T) {
	l := open(t)
	ds, err := l.DecideMany([]weir.Request{
		{User: "a", Limit: 1, Window: long},
		{User: strings.Repeat("x", weir.UserBytesMax+1), Limit: 1, Window: long},
		{User: "b", Limit: 1, Window: 0},
		{User: "a", Limit: 1, Window: long},
		{User: "c", Limit: 1, Window: long},
	})
	if !errors.Is(err, weir.ErrBadUser) {
		t.Errorf("the first that is at fault is the user: %v", err)
	}
	want := []weir.Decision{
		{Allowed: true}, {Status: weir.ErrBadUser}, {Status: weir.ErrBadWindow}, {Allowed: false}, {Allowed: true},
	}
	for i, d := range ds {
		if d.Allowed != want[i].Allowed || d.Status != want[i].Status {
			t.Errorf("%d: %+v, want %+v", i, d, want[i])
		}
	}
}

// Users that a C string, a hash of text or a careless copy would confuse.
func TestUsersAreBytesAndNeverCut(t *testing.T) {
	users := []string{
		"", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "a\x00c", "\x00a", "\xff\xfe", "\xff", "\xc3\x28",
		"é", "e\u0301", "ann\n", "ann", " ann", strings.Repeat("\x00", weir.UserBytesMax),
		strings.Repeat("k", weir.UserBytesMax), strings.Repeat("k", weir.UserBytesMax-1),
		strings.Repeat("k", weir.UserBytesMax-1) + "l", strings.Repeat("k", weir.UserBytesMax-1) + "\x00",
	}
	roads := map[string]func(*weir.Limiter, string) bool{
		"Allow": func(l *weir.Limiter, user string) bool { return l.Allow(user, 1, long) },
		"Decide": func(l *weir.Limiter, user string) bool {
			return decide(t, l, weir.Request{User: user, Limit: 1, Window: long}).Allowed
		},
		"DecideMany": func(l *weir.Limiter, user string) bool {
			ds, err := l.DecideMany([]weir.Request{{User: user, Limit: 1, Window: long}})
			return err == nil && ds[0].Allowed
		},
	}
	for road, allow := range roads {
		l := open(t)
		for _, user := range users {
			if !allow(l, user) {
				t.Errorf("%s: %.20q (%d bytes) is taken for another user", road, user, len(user))
			}
		}
		for other := range roads {
			for _, user := range users {
				if roads[other](l, user) {
					t.Errorf("%.20q (%d bytes) is not the same user in %s and %s", user, len(user), road, other)
				}
			}
		}
	}

	// All in one batch: each must find its own bytes.
	var batch weir.Batch
	for round := 0; round < 2; round++ {
		for _, user := range users {
			batch.Add(weir.Request{User: user, Limit: 1, Window: long})
		}
	}
	if err := batch.DecideMany(open(t)); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < batch.Len(); i++ {
		if batch.Decision(i).Allowed != (i < len(users)) {
			t.Errorf("in a batch: %d: %+v", i, batch.Decision(i))
		}
	}
}

func TestDecideAllChargesAllOrNone(t *testing.T) {
	l := open(t)
	second := weir.Request{User: "ann", Limit: 10, Window: long}
	day := weir.Request{User: "ann", Limit: 3, Window: 2 * long}
	for i := 0; i < 5; i++ {
		allowed, ds, err := l.DecideAll(second, day)
		if err != nil || allowed != (i < 3) {
			t.Fatalf("%d: allowed %v, %v", i, allowed, err)
		}
		if len(ds) != 2 || !ds[0].Allowed || ds[1].Allowed != allowed {
			t.Fatalf("%d: %+v", i, ds)
		}
	}
	second.Peek = true
	if d := decide(t, l, second); d.Remaining != 7 {
		t.Errorf("%d left of 10 after three admissions", d.Remaining)
	}
}

func TestDecideAllHasABound(t *testing.T) {
	l := open(t)
	rules := make([]weir.Request, weir.RulesMax)
	for i := range rules {
		rules[i] = weir.Request{User: fmt.Sprint(i), Limit: 1, Window: long}
	}
	if allowed, _, err := l.DecideAll(rules...); !allowed || err != nil {
		t.Errorf("%d rules: %v, %v", len(rules), allowed, err)
	}
	rules = append(rules, weir.Request{User: "one more", Limit: 1, Window: long})
	allowed, ds, err := l.DecideAll(rules...)
	if allowed || err == nil {
		t.Errorf("%d rules: %v, %v", len(rules), allowed, err)
	}
	for i, d := range ds {
		if d.Allowed || d.Err() == nil {
			t.Fatalf("rule %d: %+v", i, d)
		}
	}
	if d := decide(t, l, rules[weir.RulesMax]); !d.Allowed {
		t.Error("a refused call took a permit")
	}
}

func TestEmptyBatchesAreFine(t *testing.T) {
	l := open(t)
	var batch weir.Batch
	if err := batch.DecideMany(l); err != nil {
		t.Error(err)
	}
	if allowed, err := batch.DecideAll(l); !allowed || err != nil {
		t.Error(allowed, err)
	}
	if ds, err := l.DecideMany(nil); len(ds) != 0 || err != nil {
		t.Error(ds, err)
	}
	if allowed, ds, err := l.DecideAll(); !allowed || len(ds) != 0 || err != nil {
		t.Error(allowed, ds, err)
	}
}

func TestABatchForgetsWhatItHeld(t *testing.T) {
	l := open(t)
	var batch weir.Batch
	// A request with everything set, then a plain one in the same place.
	batch.Add(weir.Request{User: "ann", Limit: 1, Window: long, Cost: -1, Algorithm: weir.GCRA, Burst: 7, Deadline: time.Second})
	if err := batch.DecideMany(l); !errors.Is(err, weir.ErrBadRequest) {
		t.Error(err)
	}
	batch.Clear()
	batch.Add(weir.Request{User: "b", Limit: 1, Window: long})
	if err := batch.DecideMany(l); err != nil || !batch.Decision(0).Allowed {
		t.Error(err, batch.Decision(0))
	}
	if batch.Decision(0).How != weir.HowStrict {
		t.Error(batch.Decision(0))
	}
	defer func() {
		if recover() == nil {
			t.Error("a decision that was not made was given out")
		}
	}()
	batch.Clear()
	batch.Decision(0)
}

func TestLargeBatches(t *testing.T) {
	l := open(t)
	const count = 10000
	requests := make([]weir.Request, count)
	for i := range requests {
		requests[i] = weir.Request{User: strings.Repeat("u", i%300) + fmt.Sprint(i%(count/2)), Limit: 1, Window: long}
	}
	// The second half asks for other users unless length and number agree; count what a map says.
	seen := map[string]bool{}
	ds, err := l.DecideMany(requests)
	if err != nil || len(ds) != count {
		t.Fatal(len(ds), err)
	}
	for i, d := range ds {
		if d.Allowed == seen[requests[i].User] {
			t.Fatalf("%d: %+v", i, d)
		}
		seen[requests[i].User] = true
	}
}

func TestOneHotUserAmongManyGoroutines(t *testing.T) {
	l := open(t)
	const limit, goroutines, each = 10000, 32, 1000
	var allowed atomic.Int64
	together(goroutines, func(g int) {
		var batch weir.Batch
		for i := 0; i < each; i++ {
			switch (g + i) % 3 {
			case 0:
				if l.Allow("hot", limit, long) {
					allowed.Add(1)
				}
			case 1:
				if d, err := l.Decide(weir.Request{User: "hot", Limit: limit, Window: long}); err == nil && d.Allowed {
					allowed.Add(1)
				}
			case 2:
				batch.Clear()
				batch.Add(weir.Request{User: "hot", Limit: limit, Window: long})
				if batch.DecideMany(l) == nil && batch.Decision(0).Allowed {
					allowed.Add(1)
				}
			}
		}
	})
	// A limit above 512 is counted in quanta, and up to one quantum may be missing; see Explain.
	e, err := weir.Explain(weir.Request{Limit: limit, Window: long})
	if err != nil {
		t.Fatal(err)
	}
	if n := allowed.Load(); n > limit || n < limit-int64(e.Quantum-1) {
		t.Errorf("%d of %d admitted; the quantum is %d", n, limit, e.Quantum)
	}
}

func TestASmallLimitIsExactAmongManyGoroutines(t *testing.T) {
	l := open(t)
	for _, limit := range []int{1, 2, 7, 100} {
		var allowed atomic.Int64
		together(64, func(int) {
			for i := 0; i < 50; i++ {
				if l.Allow(fmt.Sprint("limit ", limit), limit, long) {
					allowed.Add(1)
				}
			}
		})
		if n := allowed.Load(); n != int64(limit) {
			t.Errorf("%d of %d admitted", n, limit)
		}
	}
}

func TestManyUsersAmongManyGoroutines(t *testing.T) {
	l := open(t)
	const users, limit = 2000, 3
	counts := make([]atomic.Int64, users)
	together(16, func(g int) {
		for i := 0; i < users; i++ {
			u := (i*7 + g*131) % users
			if l.Allow(fmt.Sprint("user ", u), limit, long) {
				counts[u].Add(1)
			}
		}
	})
	for u := range counts {
		if n := counts[u].Load(); n != limit {
			t.Fatalf("user %d: %d of %d admitted", u, n, limit)
		}
	}
	if s := stats(t, l); s.Users != users || s.Allowed != users*limit || s.Denied != users*(16-limit) {
		t.Errorf("%+v", s)
	}
}

func TestStats(t *testing.T) {
	l := open(t, weir.UsersMax(5000))
	s := stats(t, l)
	if s.Allowed != 0 || s.Denied != 0 || s.Users != 0 || s.UsersMax < 5000 || s.MemoryBytes == 0 {
		t.Errorf("new: %+v", s)
	}
	l.Allow("ann", 1, long)
	l.Allow("ann", 1, long)
	l.Allow("ann", -1, long)
	s = stats(t, l)
	if s.Allowed != 1 || s.Denied != 1 || s.Refused != 1 || s.Users != 1 {
		t.Errorf("%+v", s)
	}
}

func TestExplain(t *testing.T) {
	e, err := weir.Explain(weir.Request{Limit: 100, Window: time.Minute})
	if err != nil || !e.IsStrict || e.WorstWindow != 100 || e.Quantum != 1 || e.UserBytes == 0 {
		t.Errorf("%+v, %v", e, err)
	}
	e, err = weir.Explain(weir.Request{Limit: 100, Window: time.Minute, Algorithm: weir.GCRA})
	if err != nil || e.IsStrict || e.WorstWindow <= 100 {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err = weir.Explain(weir.Request{Limit: -1, Window: time.Minute}); !errors.Is(err, weir.ErrBadLimit) {
		t.Error(err)
	}
	if _, err = weir.Explain(weir.Request{Limit: 1}); !errors.Is(err, weir.ErrBadWindow) {
		t.Error(err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		url     string
		options []weir.Option
		want    weir.Status
	}{
		{"", nil, weir.ErrBadURL},
		{"gopher://nowhere", nil, weir.ErrBadURL},
		{"memory:\x00", nil, weir.ErrBadURL},
		{"memory:\x00//more", nil, weir.ErrBadURL},
		{strings.Repeat("x", 1<<20), nil, weir.ErrBadURL},
		{"memory:", []weir.Option{weir.ClockErrorPPM(100001)}, weir.ErrBadOptions},
	} {
		l, err := weir.Open(c.url, c.options...)
		if l != nil || !errors.Is(err, c.want) {
			t.Errorf("%.20q: %v, %v", c.url, l, err)
		}
		var open *weir.OpenError
		if !errors.As(err, &open) || open.Text == "" || open.Error() != "weir: "+open.Text {
			t.Errorf("%.20q: %#v", c.url, err)
		}
	}
}

func TestAfterClose(t *testing.T) {
	l, err := weir.Open("memory:")
	if err != nil {
		t.Fatal(err)
	}
	l.Allow("ann", 5, long)
	for i := 0; i < 3; i++ {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	var none *weir.Limiter
	for _, l := range []*weir.Limiter{l, none, new(weir.Limiter)} {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		r := weir.Request{User: "ann", Limit: 5, Window: long}
		if l.Allow("ann", 5, long) {
			t.Error("a closed limiter allows")
		}
		if d, err := l.Decide(r); d.Allowed || d.Status != weir.ErrClosed || !errors.Is(err, weir.ErrClosed) {
			t.Error(d, err)
		}
		ds, err := l.DecideMany([]weir.Request{r, r})
		if len(ds) != 2 || ds[1].Allowed || ds[1].Status != weir.ErrClosed || !errors.Is(err, weir.ErrClosed) {
			t.Error(ds, err)
		}
		allowed, ds, err := l.DecideAll(r)
		if allowed || len(ds) != 1 || ds[0].Status != weir.ErrClosed || !errors.Is(err, weir.ErrClosed) {
			t.Error(allowed, ds, err)
		}
		if err := l.Reset(r); !errors.Is(err, weir.ErrClosed) {
			t.Error(err)
		}
		if _, err := l.Stats(); !errors.Is(err, weir.ErrClosed) {
			t.Error(err)
		}
	}
	if !strings.Contains(weir.ErrClosed.Error(), "closed") {
		t.Error(weir.ErrClosed)
	}
}

// Close in the middle of everything, from several goroutines at once: whoever is inside gets an
// answer, whoever comes later is told.
func TestCloseWhileInUse(t *testing.T) {
	for round := 0; round < 50; round++ {
		l, err := weir.Open("memory:", weir.UsersMax(1000))
		if err != nil {
			t.Fatal(err)
		}
		var started, stopped sync.WaitGroup
		for g := 0; g < 8; g++ {
			started.Add(1)
			stopped.Add(1)
			go func(g int) {
				defer stopped.Done()
				var batch weir.Batch
				user := fmt.Sprint("user ", g)
				r := weir.Request{User: user, Limit: weir.LimitMax, Window: long}
				batch.Add(r)
				started.Done()
				for i := 0; ; i++ {
					var err error
					var allowed bool
					switch i % 5 {
					case 0:
						allowed = l.Allow(user, weir.LimitMax, long)
						if !allowed {
							_, err = l.Stats()
						}
					case 1:
						var d weir.Decision
						d, err = l.Decide(r)
						allowed = d.Allowed
					case 2:
						err = batch.DecideMany(l)
						allowed = batch.Decision(0).Allowed
					case 3:
						allowed, _, err = l.DecideAll(r)
					case 4:
						err = l.Reset(r)
						allowed = err == nil
					}
					if allowed != (err == nil) {
						t.Errorf("road %d: allowed %v, %v", i%5, allowed, err)
					}
					if err != nil {
						if !errors.Is(err, weir.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			}(g)
		}
		started.Wait()
		together(3, func(int) { l.Close() })
		stopped.Wait()
	}
}

// Limiters and batches that nobody closes are given back by the collector.
func TestForgottenLimitersAreCollected(t *testing.T) {
	for i := 0; i < 200; i++ {
		l, err := weir.Open("memory:", weir.UsersMax(100))
		if err != nil {
			t.Fatal(err)
		}
		var batch weir.Batch
		batch.Add(weir.Request{User: "ann", Limit: 1, Window: long})
		if err := batch.DecideMany(l); err != nil || !batch.Decision(0).Allowed {
			t.Fatal(err)
		}
		if i%20 == 0 {
			runtime.GC()
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	l := open(t)
	user := strings.Repeat("ann", 20)
	r := weir.Request{User: user, Limit: 5, Window: long}
	bad := weir.Request{User: user, Limit: 5}
	users := []string{"ann", user, "bob"}
	var batch weir.Batch
	fill := func() {
		batch.Clear()
		for i := 0; i < 256; i++ {
			batch.Add(weir.Request{User: users[i%3], Limit: 5, Window: long})
		}
	}
	fill()
	for name, call := range map[string]func(){
		"Allow":           func() { l.Allow(user, 5, long) },
		"default Allow":   func() { weir.Allow(user, 5, long) },
		"Decide":          func() { l.Decide(r) },
		"Decide, refused": func() { l.Decide(bad) },
		"Batch": func() {
			fill()
			if batch.DecideMany(l) != nil || batch.Decision(255).Allowed {
				t.Error(batch.Decision(255))
			}
		},
	} {
		call()
		if n := testing.AllocsPerRun(200, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestVersion(t *testing.T) {
	if parts := strings.Split(weir.Version(), "."); len(parts) != 3 {
		t.Errorf("%q", weir.Version())
	}
}

func decide(t testing.TB, l *weir.Limiter, r weir.Request) weir.Decision {
	t.Helper()
	d, err := l.Decide(r)
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return d
}

func stats(t testing.TB, l *weir.Limiter) weir.Stats {
	t.Helper()
	s, err := l.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// together runs a function in many goroutines that start at once, and waits for them.
func together(count int, run func(number int)) {
	var ready, done sync.WaitGroup
	ready.Add(1)
	for i := 0; i < count; i++ {
		done.Add(1)
		go func(i int) {
			defer done.Done()
			ready.Wait()
			run(i)
		}(i)
	}
	ready.Done()
	done.Wait()
}
