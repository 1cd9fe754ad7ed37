package load

// LeaveCheckpoints sets how much memory checkpoints need, in bytes, and returns what it was.
func LeaveCheckpoints(n int64) (before int64) {
	before, enough = enough, n
	return before
}
