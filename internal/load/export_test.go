package load

// LeaveCheckpoints sets how much memory checkpoints need, in bytes.
func (w *Warehouse) LeaveCheckpoints(n int64) { w.enough = n }
