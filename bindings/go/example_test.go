// SPDX-License-Identifier: MIT

package weir_test

import (
	"errors"
	"fmt"
	"time"

	"weir"
)

func ExampleAllow() {
	for i := 0; i < 4; i++ {
		fmt.Println(weir.Allow("ann", 3, time.Minute))
	}
	// Output:
	// true
	// true
	// true
	// false
}

func ExampleOpen() {
	limiter, err := weir.Open("memory:", weir.UsersMax(100000))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()

	fmt.Println(limiter.Allow("ann", 1, time.Hour), limiter.Allow("ann", 1, time.Hour))
	// Output: true false
}

func ExampleLimiter_Decide() {
	limiter, err := weir.Open("memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()

	request := weir.Request{User: "ann", Limit: 10, Window: time.Hour, Cost: 8}
	first, _ := limiter.Decide(request)
	second, _ := limiter.Decide(request)
	fmt.Println(first.Allowed, first.Remaining, first.How)
	fmt.Println(second.Allowed, second.Remaining, second.RetryAfter > 59*time.Minute)

	request.Cost = 11
	never, _ := limiter.Decide(request)
	fmt.Println(never.RetryAfter == weir.Never)

	request.Window = -time.Second
	_, err = limiter.Decide(request)
	fmt.Println(errors.Is(err, weir.ErrBadWindow))
	// Output:
	// true 2 strict
	// false 2 true
	// true
	// true
}

// Two rules at once: 10 a minute and 12 an hour. When one denies, the other is not charged.
func ExampleLimiter_DecideAll() {
	limiter, err := weir.Open("memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()

	admitted := 0
	for i := 0; i < 20; i++ {
		allowed, _, err := limiter.DecideAll(
			weir.Request{User: "ann", Limit: 10, Window: time.Minute},
			weir.Request{User: "ann", Limit: 12, Window: time.Hour})
		if err != nil {
			fmt.Println(err)
			return
		}
		if allowed {
			admitted++
		}
	}
	hour, _ := limiter.Decide(weir.Request{User: "ann", Limit: 12, Window: time.Hour, Peek: true})
	fmt.Println(admitted, "admitted;", hour.Remaining, "left in the hour")
	// Output: 10 admitted; 2 left in the hour
}

func ExampleBatch() {
	limiter, err := weir.Open("memory:")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()

	var batch weir.Batch
	for _, user := range []string{"ann", "bob", "ann"} {
		batch.Add(weir.Request{User: user, Limit: 1, Window: time.Hour})
	}
	if err := batch.DecideMany(limiter); err != nil {
		fmt.Println(err)
		return
	}
	for i := 0; i < batch.Len(); i++ {
		fmt.Println(batch.Decision(i).Allowed)
	}
	// Output:
	// true
	// true
	// false
}

func ExampleExplain() {
	for _, algorithm := range []weir.Algorithm{weir.Strict, weir.Fixed} {
		e, err := weir.Explain(weir.Request{Limit: 100, Window: time.Minute, Algorithm: algorithm})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(algorithm, e.IsStrict, e.WorstWindow)
	}
	// Output:
	// strict true 100
	// fixed false 200
}
