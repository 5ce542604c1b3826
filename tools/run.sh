#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A first look: starts a server, asks it with a client that is not ours, replays a real log, and
# leaves the server running with the lines to type next.
#
# usage: tools/run.sh            (after tools/build.sh release)
#        tools/run.sh --stop     ends the server that an earlier run left
set -eu
cd "$(dirname "$0")/.."

weir=build/release/weir
folder=build/run
pid_file=$folder/weir.pid
port_file=$folder/weir.port
log=$folder/weir.log

say() { printf '%s\n' "$*"; }
# What a command of the tour is, then what it says.
show() { printf '\n$ %s\n' "$*"; "$@"; }

# The process that an earlier run left, or nothing: a number in a file may by now be anybody's, so
# the program behind it must be ours too.
running_pid() {
    [ -f "$pid_file" ] || return 0
    pid=$(cat "$pid_file")
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
    "$PWD/$weir" | "$PWD/$weir (deleted)") say "$pid" ;;
    esac
}

stop() {
    pid=$(running_pid)
    [ -n "$pid" ] || { rm -f "$pid_file" "$port_file"; return 0; }
    kill -TERM "$pid"
    tries=0
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -eq 100 ]; then
            say "run: the server $pid did not stop within 10 seconds; its log is $log" >&2
            exit 1
        fi
        sleep 0.1
    done
    rm -f "$pid_file" "$port_file"
}

# Starts on the port; false if it is taken. Any other trouble ends the script.
start() {
    : >"$log"
    setsid "$weir" serve --listen "127.0.0.1:$1" --store "file:$folder/limits.weir" >>"$log" 2>&1 </dev/null &
    pid=$!
    tries=0
    while [ $tries -lt 100 ]; do
        if ! kill -0 "$pid" 2>/dev/null; then
            grep -qi 'in use' "$log" && return 1
            cat "$log" >&2
            say "run: the server ended at once" >&2
            exit 1
        fi
        if [ "$(redis-cli -h 127.0.0.1 -p "$1" ping 2>/dev/null)" = PONG ] && kill -0 "$pid" 2>/dev/null &&
           [ -s "$log" ]; then
            say "$pid" >"$pid_file"
            say "$1" >"$port_file"
            return 0
        fi
        sleep 0.1
        tries=$((tries + 1))
    done
    kill "$pid" 2>/dev/null || true
    cat "$log" >&2
    say "run: the server does not answer on 127.0.0.1:$1 after 10 seconds" >&2
    exit 1
}

[ "${1-}" != --stop ] || { stop; exit 0; }
[ $# -eq 0 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }

mkdir -p "$folder"
stop
rm -f "$folder/limits.weir" # the tour begins with nobody
port=7400
while ! start $port; do
    say "run: 127.0.0.1:$port is taken by another program; trying the next"
    port=$((port + 1))
    [ $port -le 7420 ] || { say "run: no free port from 7400 to 7420" >&2; exit 1; }
done

say "weir serves on 127.0.0.1:$port (process $(cat $pid_file), log $log)."
say
say "Three a minute for ann, asked four times with redis-cli: 1 means go on, 0 means refuse."
for _ in 1 2 3 4; do
    show redis-cli -p $port WEIR.ALLOW ann 3 60000
done

say
say "What would ten a minute for each address have done to a real access log?"
show $weir replay test/data/apache-access.log --limit 10/1m

cat <<END

The server is still running. What you may type next:

  redis-cli -p $port WEIR.ALLOW ann 3 60000       1 yes, 0 no
  redis-cli -p $port WEIR.DECIDE ann 3 60000      what is left, and when to come back
  $weir allow ann 3/1m -s file:$folder/limits.weir; echo \$?
                                    the same count, from a shell: 0 yes, 1 no
  $weir top $folder/limits.weir     what the file holds, and who has it open
  $weir explain 100/1h              what a rule means in numbers
  $weir help                        the other verbs

  $weir replay test/data/apache-access.log --limit 10/1m --suggest
  $weir replay test/data/apache-access.log --limit 10/1m --decisions $folder/decisions.jsonl
  $weir judge $folder/decisions.jsonl          does the promise hold?

A program in C: include/weir.h begins with one, and is the manual. In Go: bindings/go.
To stop the server: tools/run.sh --stop
END
