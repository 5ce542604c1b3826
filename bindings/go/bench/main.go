// SPDX-License-Identifier: MIT

// Command bench turns what go test -bench printed, any number of times over, into JSON lines: one
// for each benchmark, with the median over the rounds and how far they lie apart. See run.sh.
//
// It is a module of its own, so that package weir depends on nothing: beside this command it holds
// the library that Go programs use today, as a peer to measure against.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
)

type result struct {
	Name     string  `json:"name"`
	Rounds   int     `json:"rounds"`
	MedianNS float64 `json:"median_ns"`
	MinNS    float64 `json:"min_ns"`
	MaxNS    float64 `json:"max_ns"`
	SpreadPC float64 `json:"spread_percent"` // between the quartiles, of the median
	Allocs   float64 `json:"allocs_per_op"`
}

func main() {
	log.SetFlags(0)
	var names []string
	rounds, allocs := map[string][]float64{}, map[string]float64{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, ns, allocated, ok := parse(lines.Text())
		if !ok {
			continue
		}
		if rounds[name] == nil {
			names = append(names, name)
		}
		rounds[name] = append(rounds[name], ns)
		if allocated > allocs[name] {
			allocs[name] = allocated
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if len(names) == 0 {
		log.Fatal("bench: no result of a benchmark in the input")
	}
	out := json.NewEncoder(os.Stdout)
	for _, name := range names {
		r := summary(name, rounds[name])
		r.Allocs = allocs[name]
		if err := out.Encode(r); err != nil {
			log.Fatal(err)
		}
	}
}

// parse reads a line such as "BenchmarkAllowHot-2  1000  98.3 ns/op  0 B/op  0 allocs/op".
func parse(line string) (name string, ns, allocs float64, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", 0, 0, false
	}
	name = strings.TrimPrefix(fields[0], "Benchmark")
	if dash := strings.LastIndexByte(name, '-'); dash > 0 {
		name = name[:dash]
	}
	for i := 3; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i-1], 64)
		if err != nil {
			return "", 0, 0, false
		}
		switch fields[i] {
		case "ns/op":
			ns, ok = value, true
		case "allocs/op":
			allocs = value
		}
	}
	return name, ns, allocs, ok
}

func summary(name string, ns []float64) result {
	sort.Float64s(ns)
	at := func(part float64) float64 { // linear between neighbours
		x := part * float64(len(ns)-1)
		low := int(x)
		if low+1 >= len(ns) {
			return ns[low]
		}
		return ns[low] + (x-float64(low))*(ns[low+1]-ns[low])
	}
	median := at(0.5)
	r := result{Name: name, Rounds: len(ns), MedianNS: round(median), MinNS: ns[0], MaxNS: ns[len(ns)-1]}
	if median > 0 {
		r.SpreadPC = round(100 * (at(0.75) - at(0.25)) / median)
	}
	return r
}

func round(x float64) float64 { return float64(int64(x*10+0.5)) / 10 }
