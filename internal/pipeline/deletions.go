package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"
	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// # Calls that the provider has deleted
//
// No provider tells what it deleted. But a window that is read whole and by one process returns every call in it that is still there; one that the
// warehouse has, from an earlier reading of it or from one that did not come to its end, and that did not come back is a candidate. A list may leave a call out for a moment, and a call's start
// may have moved out of the window, so a candidate is asked for by its id: only where the provider itself says that there is no such call
// is it marked. A few at a time are believed; that a twentieth of a window is gone at once looks more like another account, or a filter that
// changed its meaning, and is left to a person.

// vanishedLimit is how many calls of a window may be gone at once without a person: as many as this, or a twentieth of the window's calls.
const vanishedLimit = 20

// closeRead closes a window whose count agrees, with what it tells of calls that are gone.
func (r *reader) closeRead(ctx context.Context, rd *reading) error {
	if rd.earlier && rd.whole() {
		if err := r.settle(); err != nil { // what the window before has stored may lie in this one
			return err
		}
		if err := r.findGone(ctx, rd); err != nil {
			return r.leaveOpen(ctx, rd, err)
		}
	}
	rd.closing = true
	return nil
}

// leaveOpen keeps what was read of a window that cannot be closed, to be read again from its start.
func (r *reader) leaveOpen(ctx context.Context, rd *reading, err error) error {
	if errors.Is(err, errVanished) {
		rd.failed(err, r.now())
	}
	if cerr := r.commit(ctx, rd, r.restartWindow); cerr != nil {
		return errors.Join(cerr, err)
	}
	return err
}

// findGone asks for every call of the window that this reading did not return.
func (r *run) findGone(ctx context.Context, rd *reading) error {
	candidates, stored, err := r.unseen(ctx, rd)
	if err != nil || len(candidates) == 0 {
		return err
	}
	limit := max(vanishedLimit, stored/20)
	if len(candidates) > limit && !r.options.AcceptDeletions {
		return fmt.Errorf("%s: %s: %w: %d of its %d calls are no longer listed, and nothing was marked; if they were deleted, run 'syncd backfill %s --from %s --to %s --force --accept-deletions', if not, check the key and base_url",
			r.source.Name, rd.window.Span, errVanished, len(candidates), stored, r.source.Name,
			secondText(rd.window.Since), secondText(rd.window.Until.Add(time.Second-time.Microsecond)))
	}
	// Taken before the first is asked for: a list that is asked for later may tell that a call has come back.
	rd.goneReading = r.Warehouse.NextReading()
	rd.batch.readings = append(rd.batch.readings, rd.goneReading)
	for _, c := range candidates {
		if !r.source.Transform.OwnID(c.ID) {
			continue // whether it is there cannot be asked
		}
		rec, err := r.source.Extract.Detail(ctx, extract.Single, c.ID)
		switch {
		case err == nil:
			r.takeSingle(rd, rec)
		case isClass(err, extract.Missing):
			rd.gone = append(rd.gone, c)
		case isClass(err, extract.Permanent):
			// A key may be let list calls and not read single ones. Where the key is refused altogether, the next list tells.
			r.Log.Warn("calls are no longer listed, and whether they are there may not be asked", zap.String("source", r.source.Name), zap.Error(err))
			return nil
		case isClass(err, extract.Malformed, extract.Lost):
			r.Log.Warn("a call is no longer listed, and whether it is there cannot be told", zap.String("source", r.source.Name), zap.Error(err))
		default:
			return err
		}
	}
	return nil
}

// secondText writes a bound as a command takes it, cut to the second.
func secondText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// unseen lists the calls of the window that the warehouse has and that this reading did not return, and counts all that it has.
func (r *run) unseen(ctx context.Context, rd *reading) (candidates []load.Ref, stored int, err error) {
	err = r.write(ctx, func(tx *load.Tx) error {
		live, err := tx.LiveIDs(ctx, r.source.Name, rd.window.Since, rd.window.Until)
		for _, c := range live {
			if _, ok := rd.ids[xxh3.HashString(c.ID)]; !ok {
				candidates = append(candidates, c)
			}
		}
		stored = len(live)
		return err
	})
	return candidates, stored, err
}

// takeSingle takes a call that was asked for by its id into the batch.
func (r *run) takeSingle(rd *reading, rec extract.Record) {
	b := &rd.batch
	b.records++
	result := r.source.Transform.Parts(call.PartDetail, map[call.Part]extract.Record{call.PartDetail: rec})
	if out := result.Suppressed; out != nil {
		// The call that was asked for is here, whatever the answer calls it.
		out.IDs = append(out.IDs, rec.ID)
		b.suppressed = append(b.suppressed, *out)
		return
	}
	if result.Reject != nil {
		b.rejects = append(b.rejects, *result.Reject)
		return
	}
	result.Observation.Reading = rd.goneReading
	b.observations = append(b.observations, &result.Observation)
}
