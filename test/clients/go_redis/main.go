// SPDX-License-Identifier: MIT

// go-redis against a weir server: the handshake of its pool, RESP2 and RESP3, pipelines, many goroutines.
// Says nothing when all is well.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

func check(holds bool, format string, values ...any) {
	if !holds {
		fmt.Fprintf(os.Stderr, format+"\n", values...)
		os.Exit(1)
	}
}

func main() {
	ctx := context.Background()
	for _, protocol := range []int{2, 3} {
		client := redis.NewClient(&redis.Options{Addr: os.Args[1], Protocol: protocol, ClientName: "go", PoolSize: 16})
		user := fmt.Sprintf("go%d", protocol)

		check(client.Ping(ctx).Err() == nil, "ping: %v", client.Ping(ctx).Err())
		for i, want := range []int64{1, 1, 0} {
			got, err := client.Do(ctx, "WEIR.ALLOW", user, 2, 60000).Int64()
			check(err == nil && got == want, "%s: question %d: %d, %v", user, i, got, err)
		}

		cell, err := client.Do(ctx, "CL.THROTTLE", user, 15, 30, 60).Int64Slice()
		check(err == nil && fmt.Sprint(cell) == "[0 16 15 -1 2]", "cl.throttle: %v, %v", cell, err)

		decision, err := client.Do(ctx, "WEIR.DECIDE", user, 2, "1m").Result()
		check(err == nil, "weir.decide: %v", err)
		_, isMap := decision.(map[any]any)
		check(isMap == (protocol == 3), "weir.decide in RESP%d is a %T", protocol, decision)

		err = client.Set(ctx, "a", "b", 0).Err()
		check(err != nil && strings.Contains(err.Error(), "unknown command"), "set: %v", err)

		commands, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i := 0; i < 500; i++ {
				pipe.Do(ctx, "WEIR.ALLOW", user+"pipe", 100, 60000)
			}
			return nil
		})
		sum := int64(0)
		for _, command := range commands {
			n, _ := command.(*redis.Cmd).Int64()
			sum += n
		}
		check(err == nil && sum == 100, "pipeline: %d, %v", sum, err)

		var admitted int64
		var all sync.WaitGroup
		for i := 0; i < 32; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for j := 0; j < 50; j++ {
					n, err := client.Do(ctx, "WEIR.ALLOW", user+"crowd", 777, 60000).Int64()
					check(err == nil, "crowd: %v", err)
					atomic.AddInt64(&admitted, n)
				}
			}()
		}
		all.Wait()
		check(admitted == 777, "crowd: %d admitted of a limit of 777", admitted)
		check(client.Close() == nil, "close")
	}
}
