package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"syncd/bench/ctas"
	"syncd/internal/fakeapi"
)

// loading is a provider's records, ready to be loaded by syncd from memory and by the reference from a file.
type loading struct {
	lab
	answers *answers
	calls   int
	records string // the file
	size    int64  // of it

	first, forced, reference samples // seconds
	written                  samples // rows that the forced reading wrote
	file, referenceFile      samples // bytes for each byte of records
}

// fromMemory measures the way from pages in memory to a file that is whole.
func fromMemory(ctx context.Context, l lab, p population) ([]row, error) {
	m := loading{lab: l, calls: p.sized(l), records: l.path("calls.ndjson")}
	if err := m.prepare(ctx, p.provider); err != nil {
		return nil, fmt.Errorf("prepare the answers: %w", err)
	}
	for round := range l.Rounds {
		l.say("round %d of %d: %s calls", round+1, l.Rounds, grouped(m.calls))
		if err := m.round(ctx, round); err != nil {
			return nil, err
		}
	}
	return m.rows(p.provider), m.answers.asked().check()
}

// prepare asks every question once, and forces it once again.
func (m *loading) prepare(ctx context.Context, p fakeapi.Provider) (err error) {
	m.answers = newAnswers(p, m.calls)
	if m.size, err = m.answers.write(m.records); err != nil {
		return err
	}
	database := m.path("prepare.duckdb")
	for _, force := range []bool{false, true} {
		if _, _, err := mirror(ctx, m.answers, database, force); err != nil {
			return err
		}
	}
	m.answers.prepared()
	// What DuckDB does once in a process is no more the reference's to pay than ours.
	if _, _, err := reference(ctx, p, m.records, m.path("prepare-ctas.duckdb")); err != nil {
		return err
	}
	return remove(database)
}

func (m *loading) round(ctx context.Context, round int) error {
	return inTurns(round,
		func() error { return m.ours(ctx, m.path("syncd"+strconv.Itoa(round)+".duckdb")) },
		func() error {
			took, file, err := reference(ctx, m.answers.provider, m.records, m.path("ctas"+strconv.Itoa(round)+".duckdb"))
			m.reference, m.referenceFile = append(m.reference, took), append(m.referenceFile, float64(file)/float64(m.size))
			return err
		})
}

// ours loads everything into a new file, and then forces all of it to be read again.
func (m *loading) ours(ctx context.Context, database string) error {
	runtime.GC() // what the reference, or the round before, left behind is not this one's to clean up
	took, run, err := mirror(ctx, m.answers, database, false)
	if err != nil {
		return err
	}
	if run.Inserted != int64(m.calls) {
		return fmt.Errorf("%d calls were inserted of %d", run.Inserted, m.calls)
	}
	info, err := os.Stat(database)
	if err != nil {
		return err
	}
	m.first.add(took)
	m.file = append(m.file, float64(info.Size())/float64(m.size))
	took, run, err = mirror(ctx, m.answers, database, true)
	if err != nil {
		return err
	}
	if run.Unchanged < int64(m.calls) {
		return fmt.Errorf("%d calls were read again of %d", run.Unchanged, m.calls)
	}
	m.forced.add(took)
	m.written = append(m.written, float64(run.Inserted+run.Updated))
	return remove(database)
}

// reference has DuckDB load the records into a new file, and returns the seconds that it took and the file's size.
func reference(ctx context.Context, p fakeapi.Provider, records, database string) (seconds float64, size int64, err error) {
	t, err := ctas.Load(ctx, ctas.Options{Provider: string(p), Source: string(p), NDJSON: records, Database: database})
	if err != nil {
		return 0, 0, err
	}
	info, err := os.Stat(database)
	if err != nil {
		return 0, 0, err
	}
	return t.Total().Seconds(), info.Size(), remove(database)
}

// remove removes a warehouse with what may lie beside it: the disk is not to fill up with what was measured.
func remove(database string) error {
	beside, err := filepath.Glob(database + "*")
	if err != nil {
		return err
	}
	for _, path := range beside {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

func (m *loading) rows(p fakeapi.Provider) []row {
	what := grouped(m.calls) + " calls (" + megabytes.format(float64(m.size)) + ")"
	sizes := map[fakeapi.Provider]*bar{fakeapi.Millis: atMost(0.38, 0.32), fakeapi.Voicy: atMost(0.75, 0.6)}
	return []row{
		{What: what + " from memory: throughput as a share of CTAS's", Unit: share, Figures: m.reference.over(m.first), Bar: atLeast(0.45, 0.75),
			Beside: "syncd " + m.first.seconds() + ", " + m.first.rate(m.calls) + "; CTAS " + m.reference.seconds()},
		{What: "forced again: rows written", Unit: countOf, Figures: m.written, Bar: atMost(0, 0)},
		{What: "forced again: time, against the first", Unit: times, Figures: m.forced.over(m.first), Bar: atMost(0.6, 0.35),
			Beside: m.forced.seconds() + ", " + m.forced.rate(m.calls)},
		{What: "the file, against the records", Unit: times, Figures: m.file, Bar: sizes[p],
			Beside: megabytes.format(m.file.median()*float64(m.size)) + "; CTAS's " + megabytes.format(m.referenceFile.median()*float64(m.size))},
	}
}
