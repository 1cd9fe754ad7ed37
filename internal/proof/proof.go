// Package proof is the proof that a warehouse keeps its promises: what must never happen, as checks of a file.
//
// It owns the statements and the checks that hold a file against them, in any state that lies between two transactions: after a sync, after a
// process that was killed, and years later. It refuses to write, to open a file, and to know HTTP or a provider: it is given something to ask,
// and how a source's payloads are read where that is to be proven too.
//
// # The statements
//
//  1. No checkpoint without its rows, no rows without their checkpoint. Every child, payload and revision has its call, with its start; every call
//     has a payload; every row a source that is recorded; an open window's position, pages and clock belong together; hashed ids belong to
//     a window that is open and has begun.
//  2. No record vanishes. The counts of each run add up; all that the runs inserted is there, but for calls of somebody who was forgotten, of which
//     there is a row each that says so; the oddities and rejects that they counted are recorded, but for rejects of such a person.
//  3. An interrupted run ends as an uninterrupted one. Children are numbered from 0 without a hole, revisions from 2 to the call's own; each field's
//     history is one chain, which ends in what the call is now; words are of those that are known; what is left of a forced reading is in order.
//     That two histories end alike takes two files: prooftest.Same compares them.
//  4. No window is called covered before it is. Each fact tells its reading, is at least a minute old, claims no greater youth than it has, and
//     overlaps no other; the ledger is as compact as its rule allows; and what sync.coverage_at shows is what the plan believes. Whether the
//     provider had more calls in a window cannot be seen on a file: tests hold it against the provider.
//  5. No older reading over a newer one. A reading belongs to one source; a try for details to a list payload that is there; and each call, read again
//     from the payloads of all its parts, is what is stored, under the hash that is stored. Times of fetching prove nothing: clocks are set back.
//  6. No unexpected response is taken for an empty page. Every payload is JSON, and every reject has its reason and its bytes. That a window was
//     not closed on such a response is proven where responses are made: in the tests of the extractors.
//  7. No secret, number or transcript where it does not belong. None of the given secrets is in any text of the schema sync but payloads, and
//     no number in what is written there for people. A sample of drift is left out: it is a piece of a record, after privacy. Logs, metrics and
//     URLs are not in the file.
//  8. No reader blocks the writer or harms it. Nothing of this is in the file: the tests of the reader prove it.
//  9. No two rows for one call. Every table's key is unique, and no call is stored a second time under an id that it had earlier.
package proof

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

// Querier is what is asked: *sql.DB, *sql.Conn, *sql.Tx, or the warehouse's own transaction. Check asks several questions: where somebody
// writes meanwhile, it must be a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Deriver reads a call from the newest payloads of its parts, as the transformer of its source does.
type Deriver interface {
	Parts(read call.Part, parts map[call.Part]extract.Record) transform.Result
}

// Options say what is known of a file beside what is in it. The zero value is right where nothing was dropped for its age and every call has one id.
type Options struct {
	// Derive returns what reads the payloads of a source, by the rules by which they were stored; nil, or nil of a source: its calls are not
	// derived again.
	Derive func(source string) Deriver

	// TwoIDs reports whether a call of the source may be known under two ids. Where two rows were found to be one call, their revisions are
	// two histories in one, so that such a source's are not held to be one chain. nil: no source.
	TwoIDs func(source string) bool

	// Secrets are texts that may be nowhere in the schema sync but in payloads.
	Secrets []string

	// Now is the present by the clock of the provider whose clock is furthest ahead; zero: whether facts lie in the future is not asked.
	Now time.Time

	// RunsSince and RawSince are the moments before which records of runs, and payloads, may have been dropped; zero: none was.
	RunsSince, RawSince time.Time

	// NewReread says that the ages at which calls are read again have been changed and no window has closed since: until one does, the ledger
	// stands as the earlier ages made it.
	NewReread bool
}

// Finding is a statement that does not hold.
type Finding struct {
	Statement int // 1 to 9
	Table     string
	What      string // what was found and what it means, in lower case
	Count     int64
	Examples  []string // ids, at most a few; one that might be a phone number is not shown
}

// String is the finding in a line.
func (f Finding) String() string {
	s := fmt.Sprintf("statement %d: %s: %s (%d", f.Statement, f.Table, f.What, f.Count)
	if len(f.Examples) > 0 {
		s += ": " + strings.Join(f.Examples, ", ")
	}
	return s + ")"
}

// maxExamples is how many examples a finding names.
const maxExamples = 3

// Check holds a warehouse against the statements, and returns what does not hold, by statement. The error is nil where all could be asked.
func Check(ctx context.Context, q Querier, o Options) ([]Finding, error) {
	p := &prover{q: q, o: o}
	steps := []func(context.Context) error{p.readSources, p.askAll, p.checkLedgers, p.checkSecrets, p.checkCalls}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("check the warehouse: %w", err)
		}
	}
	slices.SortStableFunc(p.findings, func(a, b Finding) int { return a.Statement - b.Statement })
	return p.findings, nil
}

// prover is one check of one file.
type prover struct {
	q        Querier
	o        Options
	sources  []source
	findings []Finding
}

// check is one thing that must hold. Its statement is the one that it proves.
type check struct {
	statement int
	table     string
	what      string
}

// condition is SQL that is true of a row where a check fails.
type condition struct {
	fails string
	check check
}

// question holds each of some rows against conditions. All questions about a table are one where that can be: planning one takes longer than
// looking through a small table.
type question struct {
	about      string // the table without whose rows there is nothing to look at, where it often has none
	rows       string // a table, or a query in brackets
	example    string // names a row
	conditions []condition
}

// sql selects the rows that fail, and which of the conditions they fail, as the bits of a number.
func (q question) sql(nth int) string {
	bits := make([]string, len(q.conditions))
	for i, c := range q.conditions {
		bits[i] = fmt.Sprintf("CASE WHEN %s THEN %d ELSE 0 END", c.fails, 1<<i)
	}
	return fmt.Sprintf("SELECT %d, bits, example FROM (SELECT (%s)::BIGINT AS bits, %s AS example FROM %s) WHERE bits <> 0",
		nth, strings.Join(bits, " + "), q.example, q.rows)
}

// questions are what SQL alone can tell, those that are asked at once together.
func questions(oneID []string, o Options) [][]question {
	calls := append([]question{callQuestion(oneID), belongingQuestion(), historyQuestion(oneID)}, wordQuestions()...)
	ledger := append(windowQuestions(o.Now), keyQuestion())
	records := append(recordQuestions(oneID, o.RunsSince, o.RawSince), detailQuestion(), sourceQuestion(), suppressedQuestion())
	return [][]question{append(calls, payloadQuestions(o.RawSince)...), append(ledger, records...)}
}

func (p *prover) askAll(ctx context.Context) error {
	rounds := questions(p.oneID(), p.o)
	empty, err := p.empty(ctx, slices.Concat(rounds...))
	if err != nil {
		return err
	}
	for _, together := range rounds {
		together = slices.DeleteFunc(together, func(q question) bool { return empty[q.about] })
		if err := p.ask(ctx, together); err != nil {
			return err
		}
	}
	return nil
}

// empty are the tables without rows of those that questions are about.
func (p *prover) empty(ctx context.Context, all []question) (map[string]bool, error) {
	counts := make(map[string]string)
	for _, q := range all {
		if q.about != "" {
			counts[q.about] = fmt.Sprintf("SELECT '%[1]s' FROM %[1]s HAVING count(*) = 0", q.about)
		}
	}
	rows, err := p.q.QueryContext(ctx, strings.Join(slices.Sorted(maps.Values(counts)), " UNION ALL "))
	if err != nil {
		return nil, fmt.Errorf("look which tables have rows: %w", err)
	}
	defer rows.Close()
	empty := make(map[string]bool)
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return nil, fmt.Errorf("look which tables have rows: %w", err)
		}
		empty[table] = true
	}
	return empty, rows.Err()
}

// ask asks some questions at once and notes what they find.
func (p *prover) ask(ctx context.Context, together []question) error {
	selects := make([]string, len(together))
	for i, q := range together {
		selects[i] = q.sql(i)
	}
	rows, err := p.q.QueryContext(ctx, strings.Join(selects, "\nUNION ALL\n"))
	if err != nil {
		return fmt.Errorf("look into the tables: %w", err)
	}
	defer rows.Close()
	found := make(map[check]*tally)
	for rows.Next() {
		var nth int
		var bits int64
		var example sql.NullString
		if err := rows.Scan(&nth, &bits, &example); err != nil {
			return fmt.Errorf("look into the tables: %w", err)
		}
		for i, c := range together[nth].conditions {
			if bits&(1<<i) == 0 {
				continue
			}
			if found[c.check] == nil {
				found[c.check] = new(tally)
			}
			found[c.check].add(example.String)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look into the tables: %w", err)
	}
	for _, q := range together {
		for _, c := range q.conditions {
			if t := found[c.check]; t != nil {
				p.note(c.check, t)
				delete(found, c.check) // two questions may be about one check
			}
		}
	}
	return nil
}

// tally counts what a check finds, and keeps the first examples in the order of their names, so that a finding reads the same every time.
type tally struct {
	count    int64
	examples []string
}

func (t *tally) add(example string) {
	t.count++
	at, known := slices.BinarySearch(t.examples, example)
	if !known && at < maxExamples {
		t.examples = slices.Insert(t.examples, at, example)
		t.examples = t.examples[:min(len(t.examples), maxExamples)]
	}
}

// note records a finding.
func (p *prover) note(c check, t *tally) {
	f := Finding{Statement: c.statement, Table: c.table, What: c.what, Count: t.count}
	for _, e := range t.examples {
		if e = shown(e); !slices.Contains(f.Examples, e) {
			f.Examples = append(f.Examples, e)
		}
	}
	p.findings = append(p.findings, f)
}

// errReadOnly says that a check was about to write.
var errReadOnly = errors.New("a check of the warehouse never writes")
