package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"syncd/internal/checkpoint"
	"syncd/internal/load"
	"syncd/internal/repair"
)

// doctorArgs are what the doctor is asked. Without Fix it looks, where only the process that holds the warehouse can.
type doctorArgs struct {
	Fix     bool `json:"fix"`
	Compact bool `json:"compact"`
}

// doctorRepair is what was put right.
type doctorRepair struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// doctor is the chore that looks, heals, compacts and looks again.
func doctor() chore[doctorArgs, doctorReport] {
	return chore[doctorArgs, doctorReport]{command: "doctor", looks: func(args doctorArgs) bool { return !args.Fix }, do: examineAndFix}
}

func examineAndFix(ctx context.Context, h *holder, args doctorArgs, tell func(choreProgress)) (doctorReport, error) {
	w, c := h.pipeline.Warehouse, h.config
	r := doctorReport{At: h.pipeline.Now().UTC(), Looked: c.Warehouse.Path}
	var unmended []doctorCheck
	if args.Fix {
		found, err := look{config: c, at: r.At}.into(ctx, w)
		if err != nil {
			return r, err
		}
		r.Found = wrongOnes(found)
		m := mending{w: w, now: r.At, tell: tell, kept: &keptRows{path: w.Path() + keptMark + r.At.Format("20060102T150405.000Z") + keptEnd}}
		o := proofOptions{c: c, now: r.At}
		o.readers(nil) // for the secrets alone
		err = m.mend(ctx, len(r.Found) > 0, o.secrets)
		r.Repairs, r.Removed = m.done, m.kept.name()
		if err := errors.Join(err, m.kept.close()); err != nil {
			return r, err
		}
		if r.Compacted, err = m.compact(ctx, args.Compact); ctx.Err() != nil {
			return r, ctx.Err()
		} else if err != nil {
			unmended = append(unmended, doctorCheck{Name: "compaction", Verdict: verdictWrong, Detail: err.Error(), Advice: "the warehouse goes on as it was; try again when that is mended"})
		}
	}
	var err error
	if r.Checks, err = (look{config: c, at: h.pipeline.Now(), fixed: args.Fix}).into(ctx, w); err != nil {
		return r, err
	}
	r.Checks = append(append(append(r.Checks, diskChecks(c.Warehouse.Path)...), copyCheck(c, h.copies.tell(), true)), unmended...)
	return r, nil
}

// The names of the files in which removed rows are kept are the warehouse's with these and between them the time.
const (
	keptMark = ".removed-"
	keptEnd  = ".ndjson"
)

// mending puts right what can be. Each repair is a transaction of its own: if the process dies, those that were committed are done, and the next --fix does
// the others.
type mending struct {
	w        *load.Warehouse
	now      time.Time
	tell     func(choreProgress)
	kept     *keptRows
	done     []doctorRepair
	redacted bool
}

func (m *mending) mend(ctx context.Context, wrong bool, secrets []string) error {
	if !wrong {
		return nil
	}
	all := repair.All(m.now.Add(5 * time.Minute)) // a provider's clock may be ahead
	for i, r := range all {
		m.tell(choreProgress{What: "repairs", Done: int64(i), Total: int64(len(all))})
		if err := m.in(ctx, r.Name, r.Table, func(tx *load.Tx) (int64, error) {
			n, err := r.Do(ctx, tx, m.kept)
			if err == nil && r.Removes() {
				err = m.kept.sync()
			}
			return n, err
		}); err != nil {
			return err
		}
	}
	if err := m.in(ctx, "merged facts that are one, and dropped those that prove nothing", "sync.windows", func(tx *load.Tx) (int64, error) {
		return compactLedgers(ctx, tx)
	}); err != nil {
		return err
	}
	before := len(m.done)
	err := m.in(ctx, "took secrets and numbers out of texts", "sync", func(tx *load.Tx) (int64, error) { return repair.Redact(ctx, tx, secrets) })
	m.redacted = len(m.done) > before
	return err
}

// in does one repair in a transaction, and notes what it did.
func (m *mending) in(ctx context.Context, name, table string, do func(*load.Tx) (int64, error)) error {
	var n int64
	err := m.w.Write(ctx, func(tx *load.Tx) (err error) {
		if n, err = do(tx); n > 0 {
			tx.NewEpoch()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	if n > 0 {
		m.done = append(m.done, doctorRepair{Name: name, Table: table, Rows: n})
	}
	return nil
}

// compactLedgers brings the ledger of every source into the form that its ages allow.
func compactLedgers(ctx context.Context, tx *load.Tx) (dropped int64, err error) {
	ages, err := checkpoint.AgesTx(ctx, tx)
	if err != nil {
		return 0, err
	}
	for source, of := range ages {
		n, err := checkpoint.CompactTx(ctx, tx, source, of)
		if err != nil {
			return dropped, err
		}
		dropped += n
	}
	return dropped, nil
}

// compact compacts the file where it holds much that is nothing, or somebody asks for it. What was taken out of texts is gone from the file only then:
// what DuckDB no longer uses stays in it.
func (m *mending) compact(ctx context.Context, asked bool) (*load.Compacted, error) {
	b, err := m.w.Bloat(ctx)
	if err != nil {
		return nil, err
	}
	if !asked && !m.redacted && !isBloated(b) {
		return nil, nil
	}
	done, err := m.w.Compact(ctx, load.Compaction{Tell: func(done, total int64) {
		m.tell(choreProgress{What: "MB written", Done: done >> 20, Total: total >> 20})
	}})
	if err != nil {
		return nil, err
	}
	return &done, nil
}

// keptRows is the file to which rows are written before they go. There is none until there is a row.
type keptRows struct {
	path string
	file *os.File
}

// Write implements io.Writer.
func (k *keptRows) Write(p []byte) (n int, err error) {
	if k.file == nil {
		if k.file, err = os.OpenFile(k.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return 0, err
		}
	}
	return k.file.Write(p)
}

// sync has the rows on the disk.
func (k *keptRows) sync() error {
	if k.file == nil {
		return nil
	}
	return k.file.Sync()
}

func (k *keptRows) close() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}

// name is where the rows are; "" where there are none.
func (k *keptRows) name() string {
	if k.file == nil {
		return ""
	}
	return k.path
}
