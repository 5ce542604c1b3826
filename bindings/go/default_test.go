// SPDX-License-Identifier: MIT

package weir_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir"
)

// The default limiter is opened once in a process, so each case is a process: this test's own
// program, told by a variable to be the child.
const childVariable = "WEIR_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

func child() {
	first := weir.Allow("ann", 1, time.Hour)
	second := weir.Allow("ann", 1, time.Hour)
	l, err := weir.Default()
	again, _ := weir.Default()
	fmt.Println(first, second, l != nil, l == again, errors.Is(err, weir.ErrBadURL), l.Allow("bob", 1, time.Hour))
	if l != nil {
		l.Close()
		fmt.Println(weir.Allow("cid", 1, time.Hour))
	}
}

func TestDefaultLimiter(t *testing.T) {
	state := t.TempDir() // where "file:" is
	for _, c := range []struct {
		name  string
		store []string
		out   string
		logs  int
	}{
		{"unset", nil, "true false true true false true\nfalse\n", 0},
		{"again", nil, "false false true true false false\nfalse\n", 0}, // what "unset" took is remembered
		{"empty", []string{"WEIR_STORE=", "XDG_STATE_HOME=" + t.TempDir()}, "true false true true false true\nfalse\n", 0},
		{"memory", []string{"WEIR_STORE=memory:"}, "true false true true false true\nfalse\n", 0},
		{"unusable", []string{"WEIR_STORE=gopher://ann:secret@nowhere"}, "false false false true true false\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			var out, logged strings.Builder
			run := exec.Command(self)
			for _, variable := range os.Environ() {
				if !strings.HasPrefix(variable, weir.StoreVariable+"=") {
					run.Env = append(run.Env, variable)
				}
			}
			run.Env = append(append(run.Env, childVariable+"=1", "XDG_STATE_HOME="+state), c.store...)
			run.Stdout, run.Stderr = &out, &logged
			if err := run.Run(); err != nil {
				t.Fatal(err, logged.String())
			}
			if out.String() != c.out {
				t.Errorf("got  %q\nwant %q", out.String(), c.out)
			}
			if n := strings.Count(logged.String(), "weir"); (n > 0) != (c.logs > 0) || strings.Count(logged.String(), "\n") != c.logs {
				t.Errorf("logged %q", logged.String())
			}
			if strings.Contains(logged.String(), "secret") {
				t.Errorf("the log tells a password: %q", logged.String())
			}
			if c.logs > 0 && !strings.Contains(logged.String(), weir.StoreVariable) {
				t.Errorf("the log does not say where to look: %q", logged.String())
			}
		})
	}
}
