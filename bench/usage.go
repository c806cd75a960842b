package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// metrics are the figures of one run; a name ends in its unit.
type metrics map[string]float64

// usage is what a process has spent so far. Softirq work done in the
// process's own context counts as its time on this kernel.
type usage struct {
	at     time.Time
	cpu    float64
	busy   float64 // of the whole machine
	allocs uint64
	bytes  uint64
	slept  int64 // voluntary context switches
}

func used() usage {
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return usage{time.Now(), cpuSeconds(), machineBusy(), ms.Mallocs, ms.TotalAlloc, ru.Nvcsw}
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	var ru unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Nano()+ru.Stime.Nano()) / 1e9
}

// machineBusy is the CPU time that all processors have spent other than idle.
func machineBusy() float64 {
	b, _ := os.ReadFile("/proc/stat")
	l, _, _ := strings.Cut(string(b), "\n")
	var t float64
	for i, f := range strings.Fields(l) {
		if v, err := strconv.ParseFloat(f, 64); err == nil && i != 4 && i != 5 && i < 8 {
			t += v
		}
	}
	return t / 100
}

// cpus adds to m the processors that this process used, and all others did, and
// how often a thread of this process went to sleep.
func (m metrics) cpus(u0, u1 usage) metrics {
	sec := u1.at.Sub(u0.at).Seconds()
	m["cpus"] = (u1.cpu - u0.cpu) / sec
	m["sleeps_per_s"] = float64(u1.slept-u0.slept) / sec
	m["others_cpus"] = max(0, (u1.busy-u0.busy)/sec-m["cpus"])
	return m
}

// memory is what this process and the kernel hold, after a collection.
func memory() (heap, stacks, slab float64) {
	runtime.GC()
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	b, _ := os.ReadFile("/proc/meminfo")
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.Fields(l); len(f) > 1 && f[0] == "Slab:" {
			slab, _ = strconv.ParseFloat(f[1], 64)
		}
	}
	return float64(ms.HeapAlloc), float64(ms.StackInuse), slab * 1024
}

// rss is the process's resident set in bytes.
func rss() float64 {
	b, _ := os.ReadFile("/proc/self/statm")
	f := strings.Fields(string(b))
	n, _ := strconv.ParseFloat(f[1], 64)
	return n * float64(os.Getpagesize())
}
