package load

import "context"

// LeaveCheckpoints sets how much memory checkpoints need, in bytes.
func (w *Warehouse) LeaveCheckpoints(n int64) { w.enough = n }

// CheckpointAtCommit makes a checkpoint at the end of a transaction, and no other where that fails.
func (w *Warehouse) CheckpointAtCommit(ctx context.Context) error { return w.writeLogAtCommit(ctx) }
