// SPDX-License-Identifier: MIT
//
// What does a decision of the Rust `governor` crate, keyed, cost?
//
// Measured as `weir bench` measures weir (src/cmd/bench_loop.c): the same user names, prepared outside the
// timed stretch in chunks that fit the cache; CPU time of the thread; several rounds; median, least, most.
// Prints one JSON document with the same names of rows.

use std::num::NonZeroU32;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

const CHUNK: usize = 1024;
const USER_FIRST: u64 = 10_000_000;
const VERSION: &str = "0.10.4";

struct Options {
    users: u64,
    seconds: f64,
    rounds: usize,
    threads: usize,
}

// ---- clocks and numbers, as on the other side ----

fn clock_ns(id: libc::clockid_t) -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let failed = unsafe { libc::clock_gettime(id, &mut t) };
    assert!(failed == 0);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// What taking the time itself adds to a chunk.
fn timing_overhead_ns() -> u64 {
    let mut least = u64::MAX;
    for _ in 0..1000 {
        let start = cpu_ns();
        least = least.min(cpu_ns() - start);
    }
    least
}

/// SplitMix64, as src/base/random.h.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }
}

fn user_name(user: u64) -> String {
    format!("user:{}", USER_FIRST + user)
}

/// Puts another user's digits into a name, without a new allocation.
fn user_rename(name: &mut String, user: u64) {
    let mut rest = USER_FIRST + user;
    let digits = unsafe { &mut name.as_bytes_mut()[5..] };
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

// ---- the timed stretches: CPU nanoseconds a decision ----

type Limiter = DefaultKeyedRateLimiter<String>;

fn limiter_of(limit: u32, window: Duration) -> Limiter {
    let quota = Quota::with_period(window / limit).unwrap().allow_burst(NonZeroU32::new(limit).unwrap());
    RateLimiter::keyed(quota)
}

fn run_clock(seconds: f64, overhead: u64) -> f64 {
    stretch(seconds, overhead, || {
        for _ in 0..CHUNK {
            std::hint::black_box(clock_ns(libc::CLOCK_BOOTTIME));
        }
    }, || {})
}

/// Repeats "prepare, then a timed chunk" for so long.
fn stretch(seconds: f64, overhead: u64, mut chunk: impl FnMut(), mut prepare: impl FnMut()) -> f64 {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut spent, mut done) = (0u64, 0u64);
    while done == 0 || Instant::now() < until {
        prepare();
        let start = cpu_ns();
        chunk();
        spent += (cpu_ns() - start).saturating_sub(overhead);
        done += CHUNK as u64;
    }
    spent as f64 / done as f64
}

fn run_hot(limiter: &Limiter, user: u64, expect: Option<bool>, seconds: f64, overhead: u64) -> f64 {
    let name = user_name(user);
    let mut allowed = 0u64;
    let mut asked = 0u64;
    let ns = stretch(seconds, overhead, || {
        for _ in 0..CHUNK {
            allowed += limiter.check_key(std::hint::black_box(&name)).is_ok() as u64;
        }
        asked += CHUNK as u64;
    }, || {});
    match expect {
        Some(true) => assert!(allowed == asked, "a request that must pass was denied"),
        Some(false) => assert!(allowed * 100 < asked, "requests that must be denied passed"),
        None => {}
    }
    ns
}

fn run_uniform(limiter: &Limiter, users: u64, seed: u64, seconds: f64, overhead: u64) -> f64 {
    let mut random = Random(seed);
    let names = std::cell::RefCell::new((0..CHUNK as u64).map(|i| user_name(i % users)).collect::<Vec<_>>());
    let mut allowed = 0u64;
    let ns = stretch(seconds, overhead, || {
        for name in names.borrow().iter() {
            allowed += limiter.check_key(name).is_ok() as u64;
        }
    }, || {
        for name in names.borrow_mut().iter_mut() {
            user_rename(name, random.below(users));
        }
    });
    assert!(allowed > 0);
    ns
}

/// The same on several pinned threads at once: nanoseconds between decisions of all threads together.
fn run_together(threads: usize, work: impl Fn(usize) -> f64 + Send + Sync + 'static) -> f64 {
    let work = Arc::new(work);
    let barrier = Arc::new(Barrier::new(threads));
    let handles: Vec<_> = (0..threads)
        .map(|index| {
            let (work, barrier) = (work.clone(), barrier.clone());
            std::thread::spawn(move || {
                pin(index);
                barrier.wait();
                work(index)
            })
        })
        .collect();
    1.0 / handles.into_iter().map(|h| 1.0 / h.join().unwrap()).sum::<f64>()
}

fn pin(index: usize) {
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, std::mem::size_of_val(&allowed), &mut allowed);
        let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|&c| libc::CPU_ISSET(c, &allowed)).collect();
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpus[index % cpus.len()], &mut one);
        libc::sched_setaffinity(0, std::mem::size_of_val(&one), &one);
    }
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}

// ---- the rounds ----

fn options() -> Options {
    let mut o = Options { users: 1_000_000, seconds: 0.2, rounds: 5, threads: 2 };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut pairs = arguments.chunks(2);
    while let Some([name, value]) = pairs.next() {
        match name.as_str() {
            "--users" => o.users = value.parse().expect("--users"),
            "--seconds" => o.seconds = value.parse().expect("--seconds"),
            "--rounds" => o.rounds = value.parse().expect("--rounds"),
            "--threads" => o.threads = value.parse().expect("--threads"),
            other => panic!("what is '{other}'? known: --users --seconds --rounds --threads"),
        }
    }
    assert!(arguments.len() % 2 == 0, "an option lacks its value");
    assert!(o.users > 0 && o.users < 90_000_000 && o.rounds > 0 && o.threads > 0);
    o
}

fn main() {
    let o = options();
    let overhead = timing_overhead_ns();
    let roomy = 1_000_000_000u32;

    let before = resident_bytes();
    let full = Arc::new(limiter_of(roomy, Duration::from_secs(1)));
    for user in 0..o.users {
        assert!(full.check_key(&user_name(user)).is_ok());
    }
    let bytes_per_user = (resident_bytes() - before) as f64 / o.users as f64;
    let tight = Arc::new(limiter_of(1, Duration::from_secs(3600)));
    let _ = tight.check_key(&user_name(0));
    let hot = Arc::new(limiter_of(roomy, Duration::from_secs(1)));

    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    let mut note = |name: String, ns: f64| match rows.iter_mut().find(|r| r.0 == name) {
        Some(row) => row.1.push(ns),
        None => rows.push((name, vec![ns])),
    };
    for round in 0..o.rounds {
        let (s, seed, users) = (o.seconds, 1 + round as u64, o.users);
        // Each on threads of its own, pinned alike, so that no row inherits another's place.
        note("clock".into(), run_together(1, move |_| run_clock(s, overhead)));
        let h = hot.clone();
        note("hot/allow".into(), run_together(1, move |_| run_hot(&h, 0, Some(true), s, overhead)));
        let t = tight.clone();
        note("hot/deny".into(), run_together(1, move |_| run_hot(&t, 0, Some(false), s, overhead)));
        let f = full.clone();
        note(format!("{users}/uniform/allow"), run_together(1, move |_| run_uniform(&f, users, seed, s, overhead)));
        if o.threads > 1 {
            let (h, n) = (hot.clone(), o.threads);
            note(format!("hot/distinct/{n} threads"),
                 run_together(n, move |i| run_hot(&h, 1 + i as u64, Some(true), s, overhead)));
            let h = hot.clone();
            note(format!("hot/same/{n} threads"), run_together(n, move |_| run_hot(&h, 0, None, s, overhead)));
            let f = full.clone();
            note(format!("{users}/uniform/{n} threads"),
                 run_together(n, move |i| run_uniform(&f, users, seed * 1000 + i as u64, s, overhead)));
        }
    }
    print_rows(&o, bytes_per_user, rows);
}

fn print_rows(o: &Options, bytes_per_user: f64, rows: Vec<(String, Vec<f64>)>) {
    let lines: Vec<String> = rows
        .into_iter()
        .map(|(name, mut ns)| {
            ns.sort_by(|a, b| a.total_cmp(b));
            let median = (ns[(ns.len() - 1) / 2] + ns[ns.len() / 2]) / 2.0;
            format!("{{\"name\":\"{name}\",\"median_ns\":{median:.2},\"min_ns\":{:.2},\"max_ns\":{:.2}}}",
                    ns[0], ns[ns.len() - 1])
        })
        .collect();
    println!("{{\"peer\":\"governor\",\"version\":\"{VERSION}\",\"users\":{},\"rounds\":{},\"bytes_per_user\":{bytes_per_user:.1},\"rows\":[{}]}}",
             o.users, o.rounds, lines.join(","));
}
