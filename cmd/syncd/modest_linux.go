package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// beModest has this process give way to the one that has the warehouse: for processors, and where memory is so short that one of the two must end.
// A system that does not allow it is no reason to do nothing.
func beModest() {
	for done := map[string]bool{}; ; { // a thread has a priority of its own, which those that it starts have, too
		threads, err := os.ReadDir("/proc/self/task")
		before := len(done)
		for _, thread := range threads {
			id, _ := strconv.Atoi(thread.Name()) // they are numbers all
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, 10)
			done[thread.Name()] = true
		}
		if err != nil || len(done) == before {
			break
		}
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600)
}

// beside is what this process may take beside DuckDB's memory, in bytes.
const beside = 1 << 30

// boundMemory has the system refuse this process more memory than DuckDB may have and something beside it: some of what DuckDB makes, such as one very
// long text, does not heed its own limit.
func boundMemory(limit int64) {
	most := uint64(limit) + beside //nolint:gosec // it is no negative number
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})
}

// executable is this program, even where another version has been put in its place since it was started.
func executable() (string, error) { return "/proc/self/exe", nil }
