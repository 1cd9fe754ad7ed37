package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"syncd/internal/config"
	"syncd/internal/disk"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/proof"
	"syncd/internal/transform"
)

// The verdicts of a check.
const (
	verdictOK      = "ok"
	verdictWrong   = "wrong"
	verdictSkipped = "skipped" // it could not be asked
)

// doctorCheck is one thing that was looked at.
type doctorCheck struct {
	Name     string   `json:"name"` // stays the same from one version to the next, so that a script can go by it
	Verdict  string   `json:"verdict"`
	Detail   string   `json:"detail"`
	Advice   string   `json:"advice,omitempty"`
	Count    int64    `json:"count,omitempty"`
	Examples []string `json:"examples,omitempty"`
}

// promises are the names of the statements that package proof checks, from 1 on.
func promises() []string {
	return []string{"rows and their checkpoints", "no record vanishes", "histories", "coverage", "newest readings", "payloads", "no secrets", "", "one row for one call"}
}

// leastRoom is the room below which a disk is nearly full: DuckDB wants some for its log and what outgrows memory.
const leastRoom = 256 << 20

// longestLog is how long a write-ahead log may be before a checkpoint is overdue, in bytes: twice what a writer lets it become.
const longestLog = 2 * load.LongestLog

// look is how a warehouse is looked at.
type look struct {
	config *config.Config
	at     time.Time
	live   *load.Status // what the process that holds the warehouse says of its sources; nil: the file that is looked at tells
	fixed  bool         // what could be put right was
}

// into holds an open warehouse, or a copy of it, against its promises.
func (l look) into(ctx context.Context, w *load.Warehouse) ([]doctorCheck, error) {
	o := proofOptions{c: l.config, now: l.at}
	var findings []proof.Finding
	var key doctorCheck
	if err := w.Write(ctx, func(tx *load.Tx) error {
		asked, err := o.of(ctx, tx)
		if err != nil {
			return err
		}
		if findings, err = proof.Check(ctx, tx, asked); err != nil {
			return err
		}
		key, err = forgetKeyCheck(ctx, tx, l.config.Warehouse.Path)
		return err
	}); err != nil {
		return nil, err
	}
	var checks []doctorCheck
	for i, name := range promises() {
		if name == "" {
			continue // it is proven without the file
		}
		checks = append(checks, promiseChecks(name, findings, i+1, l.fixed)...)
	}
	for _, why := range o.skipped {
		checks = append(checks, doctorCheck{Name: "skipped", Verdict: verdictSkipped, Detail: why})
	}
	if l.live == nil {
		status, err := w.Status(ctx, l.at)
		if err != nil {
			return nil, err
		}
		l.live = &status
	}
	bloat, err := w.Bloat(ctx)
	if err != nil {
		return nil, err
	}
	return append(append(checks, ledgerChecks(*l.live)...), key, bloatCheck(bloat)), nil
}

// forgetKeyCheck is the key by which those who were forgotten are kept out. It lies beside the warehouse, also where the copy for readers is looked at.
func forgetKeyCheck(ctx context.Context, tx *load.Tx, warehouse string) (doctorCheck, error) {
	check := doctorCheck{Name: "forget key", Verdict: verdictOK}
	kept, err := pipeline.ForgetKey(ctx, tx, warehouse)
	switch {
	case err == nil && kept == 0:
		check.Detail = "nobody is kept out"
	case err == nil:
		check.Detail = load.ForgetKeyPath(warehouse)
	case pipeline.NeedsPerson(err):
		check.Verdict, check.Detail = verdictWrong, err.Error()
		check.Advice = "put " + load.ForgetKeyPath(warehouse) + " back, readable and writable for you alone; nothing is read from any provider until then"
	default:
		return check, err
	}
	return check, nil
}

// promiseChecks are what was found of a promise, a check for each finding, or one that is well.
func promiseChecks(name string, findings []proof.Finding, statement int, fixed bool) []doctorCheck {
	var checks []doctorCheck
	for _, f := range findings {
		if f.Statement == statement {
			checks = append(checks, doctorCheck{Name: name, Verdict: verdictWrong, Detail: f.Table + ": " + f.What, Advice: advise(f, fixed), Count: f.Count, Examples: f.Examples})
		}
	}
	if len(checks) == 0 {
		checks = append(checks, doctorCheck{Name: name, Verdict: verdictOK})
	}
	return checks
}

// ledgerChecks are the holes of the ledger, a check for each source.
func ledgerChecks(s load.Status) []doctorCheck {
	var checks []doctorCheck
	for _, src := range s.Sources {
		c := doctorCheck{Name: "ledger of " + src.Source, Verdict: verdictOK, Count: src.Missing.Stretches}
		switch {
		case src.Missing.Stretches > 0:
			newest := src.Missing.Newest[0]
			c.Verdict, c.Advice = verdictWrong, src.Advice
			c.Detail = fmt.Sprintf("%s missing, the newest from %s to %s", hours(src.Missing.Seconds), stamp(newest.Since), stamp(newest.Until))
			if newest.Error != "" {
				c.Detail += ": " + newest.Error
			}
			if c.Advice == "" {
				c.Advice = "run 'syncd sync " + src.Source + "'"
			}
		case src.FailingWindows > 0:
			c.Verdict, c.Detail = verdictWrong, fmt.Sprintf("%d windows fail; sync.windows tells why", src.FailingWindows)
			c.Advice = "run 'syncd sync " + src.Source + "'"
		}
		checks = append(checks, c)
	}
	return checks
}

func hours(seconds float64) string { return fmt.Sprintf("%.1f h", seconds/3600) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// tooEmpty is the share of a file that may hold nothing.
const tooEmpty = 0.10

// spared is how many bytes must be to be had for a compaction to be worth it by itself.
const spared = 16 << 20

func bloatCheck(b load.Bloat) doctorCheck {
	c := doctorCheck{Name: "bloat", Verdict: verdictOK, Detail: fmt.Sprintf("%s, of which about %.0f %% hold nothing", megabytes(b.Bytes), 100*b.Share())}
	if isBloated(b) {
		c.Verdict, c.Advice = verdictWrong, fmt.Sprintf("run 'syncd doctor --fix', which gives about %s back", megabytes(b.Empty()))
	}
	return c
}

func isBloated(b load.Bloat) bool { return b.Share() > tooEmpty && b.Empty() >= spared }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

// diskChecks are the room beside the warehouse, and its log.
func diskChecks(path string) []doctorCheck {
	room, log := doctorCheck{Name: "disk", Verdict: verdictSkipped, Detail: "how much room there is cannot be told here"}, doctorCheck{Name: "log", Verdict: verdictOK}
	size := sizeOfFile(path)
	if free, known := disk.Free(filepath.Dir(path)); known {
		room.Verdict, room.Detail = verdictOK, megabytes(free)+" of room"
		switch {
		case free < leastRoom:
			room.Verdict, room.Advice = verdictWrong, "make room: syncd stops writing where there is none"
		case free < size:
			room.Detail += fmt.Sprintf(", too little for a compaction, which may take %s", megabytes(size))
		}
	}
	n := sizeOfFile(path + ".wal")
	log.Detail = megabytes(n)
	if n > longestLog {
		log.Verdict, log.Advice = verdictWrong, "run 'syncd sync', which writes it into the file"
	}
	return []doctorCheck{room, log}
}

func sizeOfFile(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// copyCheck is the copy for readers. held says whether some process has the warehouse, and makes it.
func copyCheck(c *config.Config, s *copyStatus, held bool) doctorCheck {
	check := doctorCheck{Name: "copy for readers", Verdict: verdictOK, Detail: "none is wanted"}
	switch {
	case c.Warehouse.Publish == "":
	case s == nil:
		check.Verdict, check.Detail, check.Advice = verdictWrong, "the process that has the warehouse makes none", "restart it: warehouse.publish was set after it was started"
	case s.Error != "":
		check.Verdict, check.Detail, check.Advice = verdictWrong, s.Error, "mend that: readers see what there was before"
	case s.PublishedAt == nil && held:
		check.Detail = "the first one is about to be made"
	case s.PublishedAt == nil:
		check.Verdict, check.Detail, check.Advice = verdictWrong, "there is none", "run 'syncd sync', which makes it"
	case s.Behind && !held:
		check.Verdict, check.Detail, check.Advice = verdictWrong, "it is of "+stamp(*s.PublishedAt)+", and the warehouse has changed since", "run 'syncd sync', which makes it anew"
	default:
		check.Detail = fmt.Sprintf("of %s, %s", stamp(*s.PublishedAt), megabytes(s.SizeBytes))
	}
	return check
}

// proofOptions says what is known of a warehouse beside what is in it.
type proofOptions struct {
	c       *config.Config
	now     time.Time
	skipped []string
	secrets []string
}

// of reads from a warehouse what its promises are held against.
func (o *proofOptions) of(ctx context.Context, tx *load.Tx) (proof.Options, error) {
	stored, began, err := storedRules(ctx, tx)
	if err != nil {
		return proof.Options{}, err
	}
	readers, two := o.readers(stored), make(map[string]bool)
	for _, s := range o.c.Sources {
		two[s.Name] = hasTwoIDs(s.Provider)
	}
	options := proof.Options{
		Derive: func(source string) proof.Deriver {
			if to := readers[source]; to != nil {
				return to
			}
			return nil
		},
		TwoIDs: func(source string) bool { two, known := two[source]; return two || !known }, Secrets: o.secrets, Now: o.now.Add(5 * time.Minute),
	}
	if oldest := o.now.Add(-keepRuns); began.Before(oldest) {
		options.RunsSince = oldest
	}
	if o.c.Warehouse.KeepRaw > 0 {
		options.RawSince = o.now.Add(-o.c.Warehouse.KeepRaw)
	}
	return options, nil
}

// hasTwoIDs reports whether a provider may show a call under one id at first and under another later.
func hasTwoIDs(provider string) bool { return provider == "millis" }

// readers are what derives calls again, of the sources whose records are read by the rules by which they were stored. The secrets that are to be had are
// noted; without one, as the daemon has them and a person's shell need not, what takes it is skipped.
func (o *proofOptions) readers(stored map[string]string) map[string]*transform.Transformer {
	all := make(map[string]*transform.Transformer)
	hashKey, err := o.c.Secrets(os.LookupEnv, nil)
	if err != nil {
		o.skipped = append(o.skipped, "calls are not derived again: the key of privacy.phone_numbers is not at hand")
		return all
	}
	var keyless, others []string
	for _, s := range o.c.Sources {
		if key, err := o.c.Secrets(os.LookupEnv, []config.Source{s}); err == nil {
			o.secrets = append(o.secrets, key.APIKeys[s.Name].Reveal())
		} else {
			keyless = append(keyless, s.Name)
		}
		options := meaning(o.c, s, hashKey.HashKey)
		if was, known := stored[s.Name]; known && was != rules(o.c.Privacy, hashKey.HashKey, options.Credit) {
			others = append(others, s.Name)
			continue
		}
		if to, err := transform.New(options); err == nil { // the configuration was checked
			all[s.Name] = to
		}
	}
	if len(keyless) > 0 {
		o.skipped = append(o.skipped, "no key at hand to look for in the file: "+strings.Join(keyless, ", "))
	}
	if len(others) > 0 {
		o.skipped = append(o.skipped, "calls are not derived again, as the rules of privacy or credit have changed since they were stored: "+strings.Join(others, ", "))
	}
	return all
}

// storedRules are the rules by which the calls of each source were stored, and when the warehouse was made.
func storedRules(ctx context.Context, tx *load.Tx) (stored map[string]string, began time.Time, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT source, rules, (SELECT min(applied_at) FROM sync.schema_versions) FROM sync.sources`)
	if err != nil {
		return nil, began, fmt.Errorf("read by what rules calls were stored: %w", err)
	}
	defer rows.Close()
	stored = make(map[string]string)
	for rows.Next() {
		var source string
		var rule sql.NullString
		if err := rows.Scan(&source, &rule, &began); err != nil {
			return nil, began, fmt.Errorf("read by what rules calls were stored: %w", err)
		}
		if rule.Valid {
			stored[source] = rule.String
		}
	}
	return stored, began, rows.Err()
}

// wrongOnes are the checks that are wrong.
func wrongOnes(checks []doctorCheck) []doctorCheck {
	var wrong []doctorCheck
	for _, c := range checks {
		if c.Verdict == verdictWrong {
			wrong = append(wrong, c)
		}
	}
	return wrong
}
