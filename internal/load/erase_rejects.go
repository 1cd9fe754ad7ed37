package load

import (
	"context"
	"fmt"
	"slices"
)

// EraseRejects erases the rejects of a source of whose payloads that is asked for.
//
// It is one transaction with [Tx.EraseCalls].
func (tx *Tx) EraseRejects(ctx context.Context, source string, gone func(payload string) bool, erased Erased) error {
	return tx.eraseRejects(ctx, Elsewhere{
		Holds:  func(string) bool { return false },
		Reject: func(of, payload string) bool { return of == source && gone(payload) },
	}, erased)
}

func (tx *Tx) eraseRejects(ctx context.Context, e Elsewhere, erased Erased) error {
	const table, source, payload = "sync.rejects", 0, 1
	var found []int64
	if err := tx.eachText(ctx, textTable{name: table, columns: []string{"source", "payload", "detail", "reason"}}, "true", func(row int64, texts []string) error {
		if slices.ContainsFunc(texts[payload:], e.Holds) || e.Reject(texts[source], texts[payload]) {
			found = append(found, row)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("look through %s: %w", table, err)
	}
	return tx.change(ctx, table, `DELETE FROM `+table, found, erased)
}

// eraseRenormalizing takes out how far a source has been rebuilt where that tells what must go. What was rebuilt already is then rebuilt once more, which
// changes nothing of it.
func (tx *Tx) eraseRenormalizing(ctx context.Context, e Elsewhere, erased Erased) error {
	found, err := tx.holding(ctx, positions, e.Holds, "rebuilt_by", "drift", "call_id")
	if err != nil {
		return err
	}
	return tx.change(ctx, positions, `DELETE FROM `+positions, found, erased)
}
