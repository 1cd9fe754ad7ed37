package proof

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"syncd/internal/checkpoint"
)

// windowQuestions hold the rows of the ledger one by one and beside each other.
//
// A fact that merged has the earlier read_at of its parts and the smaller age, so read_at − until may be less than its age, and never more.
func windowQuestions(now time.Time) []question {
	future := "false"
	if !now.IsZero() {
		future = "epoch_us(until) + 1000 * age_ms > " + micros(now)
	}
	return []question{
		{rows: `(SELECT *, max(until) FILTER (state = 'closed') OVER
				(PARTITION BY source ORDER BY since, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS read_until FROM sync.windows)`,
			example: `source || '/' || window_id`, conditions: []condition{
				{`state NOT IN ('open', 'closed') OR since >= until`, check{4, "sync.windows", "a window that is neither open nor closed, or holds no time"}},
				{`state = 'closed' AND (read_at IS NULL OR age_ms IS NULL OR position IS NOT NULL OR pages IS NOT NULL OR total IS NOT NULL
					OR attempt <> 0 OR failures <> 0 OR error IS NOT NULL OR retry_at IS NOT NULL)`,
					check{4, "sync.windows", "a fact that does not tell its reading, or still tells of a window that is read: what it proves is not known"}},
				{`state = 'closed' AND (age_ms < 60000 OR epoch_us(read_at) - epoch_us(until) >= 1000 * (age_ms + 1))`,
					check{4, "sync.windows", "a fact that claims what was too young to be listed, or that is younger than its reading makes it"}},
				{`state = 'closed' AND since < read_until`, check{4, "sync.windows", "two facts overlap: one of them says what the other has replaced"}},
				{`state = 'closed' AND ` + future, check{4, "sync.windows", "a fact about calls of the future: nobody will read them"}},
				{`state = 'open' AND (pages IS NULL OR pages < 0 OR (pages = 0) <> (position IS NULL) OR (pages = 0) <> (read_at IS NULL)
					OR pages = 0 AND total IS NOT NULL OR total < 0 OR age_ms IS NOT NULL)`,
					check{1, "sync.windows", "an open window whose position, pages, total and clock do not belong together: it would go on from elsewhere than its rows"}},
				{`state = 'open' AND (attempt < 0 OR failures < 0 OR (failures > 0 OR retry_at IS NOT NULL) AND error IS NULL)`,
					check{1, "sync.windows", "an open window that failed and does not say why"}},
				{hasNumber("error"), numberCheck()},
			}},
		{about: "sync.window_ids", rows: `(SELECT window_id, i.n, w.window_id IS NULL AS strange
			FROM (SELECT window_id, id_hash, count(*) AS n FROM sync.window_ids GROUP BY window_id, id_hash) AS i
			LEFT JOIN (SELECT window_id FROM sync.windows WHERE state = 'open' AND pages > 0) AS w USING (window_id))`,
			example: `'window ' || window_id`, conditions: []condition{
				{`strange`, check{1, "sync.window_ids", "ids of a window that is not being read"}},
				{`n > 1`, check{9, "sync.window_ids", "an id of a reading is there twice: its count would never agree"}},
			}},
		{about: "sync.forced", rows: `(SELECT *, max(until) OVER (PARTITION BY source ORDER BY since, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS left_until FROM sync.forced)`,
			example: "source", conditions: []condition{{`since >= until OR since < asked_since OR until > asked_until OR since < left_until`,
				check{3, "sync.forced", "what is left to be read again is in disorder: some would be read twice, or what nobody asked for"}}}},
	}
}

// source is what is recorded of a source.
type source struct {
	name    string
	start   time.Time
	reread  string
	largest time.Duration
}

func (p *prover) readSources(ctx context.Context) error {
	rows, err := p.q.QueryContext(ctx, `SELECT source, start, coalesce(reread, ''), coalesce(largest_age_ms, 0) FROM sync.sources ORDER BY source`)
	if err != nil {
		return fmt.Errorf("read the sources: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s source
		var largest int64
		if err := rows.Scan(&s.name, &s.start, &s.reread, &largest); err != nil {
			return fmt.Errorf("read the sources: %w", err)
		}
		s.start, s.largest = s.start.UTC(), time.Duration(largest)*time.Millisecond
		p.sources = append(p.sources, s)
	}
	return rows.Err()
}

// oneID names the sources whose calls are known under one id alone.
func (p *prover) oneID() []string {
	var names []string
	for _, s := range p.sources {
		if p.o.TwoIDs == nil || !p.o.TwoIDs(s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// ages are the ages of reread, as recorded.
func (s source) ages() ([]time.Duration, error) {
	var ages []time.Duration
	for text := range strings.SplitSeq(s.reread, ", ") {
		if text == "" {
			continue
		}
		age, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("source %s: reread: %w", s.name, err)
		}
		ages = append(ages, age)
	}
	return ages, nil
}

// reader is a Querier as the ledger wants it.
type reader struct{ Querier }

func (reader) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errReadOnly
}

// ledgerChecks are that the ledger is as compact as it can be, and that it is shown as it is.
func ledgerChecks() (loose, differs check) {
	return check{4, "sync.windows", "the ledger is not as compact as its rule makes it: facts that prove nothing, or neighbours that are one"},
		check{4, "sync.coverage_at", "what is shown as covered is not what the plan takes for covered: a gap is hidden, or one is shown that is none"}
}

// checkLedgers holds the ledgers against the rules of their own package: they are as compact as these make them, and the two ways to say
// what they prove, the plan's and the one that is shown, say the same.
func (p *prover) checkLedgers(ctx context.Context) error {
	books := make(map[string]checkpoint.Book)
	end := time.Unix(0, 0).UTC()
	for _, s := range p.sources {
		book, err := checkpoint.LoadTx(ctx, reader{p.q}, s.name)
		if err != nil {
			return err
		}
		books[s.name] = book
		for _, f := range book.Facts {
			end = latest(end, f.Until)
		}
		end = latest(end, s.start)
	}
	end = end.Add(time.Minute) // a moment after all that is known, so that all of it is shown
	shown, err := p.coverage(ctx, end)
	if err != nil {
		return err
	}
	var looseIn, differIn tally
	for _, s := range p.sources {
		facts := books[s.name].Facts
		if ok, err := compact(s, facts); err != nil {
			return err
		} else if !ok && !p.o.NewReread {
			looseIn.add(s.name)
		}
		if !agrees(s, facts, shown[s.name], end) {
			differIn.add(s.name)
		}
	}
	loose, differs := ledgerChecks()
	if looseIn.count > 0 {
		p.note(loose, &looseIn)
	}
	if differIn.count > 0 {
		p.note(differs, &differIn)
	}
	return nil
}

// compact reports whether the facts of a source are as compact as its ages allow.
func compact(s source, facts []checkpoint.Fact) (bool, error) {
	ages, err := s.ages()
	if err != nil {
		return false, err
	}
	return slices.EqualFunc(facts, checkpoint.Compact(slices.Clone(facts), ages), func(a, b checkpoint.Fact) bool {
		// The ledger keeps ages in whole milliseconds.
		return a.Equal(b.Span) && a.ReadAt.Equal(b.ReadAt) && a.Age.Milliseconds() == b.Age.Milliseconds()
	}), nil
}

// covered is what sync.coverage_at shows of a source: what was read at all, what was read at the largest age, and what is neither.
type covered struct{ fresh, settled, missing []checkpoint.Span }

func (p *prover) coverage(ctx context.Context, end time.Time) (map[string]*covered, error) {
	rows, err := p.q.QueryContext(ctx, `SELECT source, epoch_us(since), epoch_us(until), state FROM sync.coverage_at(make_timestamptz(`+micros(end)+`))
		ORDER BY source, since`)
	if err != nil {
		return nil, fmt.Errorf("ask what is covered: %w", err)
	}
	defer rows.Close()
	all := make(map[string]*covered)
	for rows.Next() {
		var name, state string
		var since, until int64
		if err := rows.Scan(&name, &since, &until, &state); err != nil {
			return nil, fmt.Errorf("ask what is covered: %w", err)
		}
		c := all[name]
		if c == nil {
			c = new(covered)
			all[name] = c
		}
		s := checkpoint.Span{Since: time.UnixMicro(since).UTC(), Until: time.UnixMicro(until).UTC()}
		switch state {
		case "settled":
			c.settled, c.fresh = join(c.settled, s), join(c.fresh, s)
		case "settling":
			c.fresh = join(c.fresh, s)
		default:
			c.missing = join(c.missing, s)
		}
	}
	return all, rows.Err()
}

// agrees holds what is shown against what the plan believes, at age 0 and at the largest.
func agrees(s source, facts []checkpoint.Fact, c *covered, end time.Time) bool {
	if c == nil {
		c = new(covered)
	}
	for _, f := range facts {
		if !f.Since.Before(f.Until) {
			return true // such a fact is a finding of its own
		}
	}
	wanted := checkpoint.Span{Since: s.start, Until: end}
	missing := checkpoint.Missing(facts, 0, wanted)
	shown := slices.EqualFunc(c.missing, missing, checkpoint.Span.Equal)
	return (shown || len(c.missing) == 0) && slices.EqualFunc(c.fresh, proven(facts, 0), checkpoint.Span.Equal) &&
		slices.EqualFunc(c.settled, proven(facts, s.largest), checkpoint.Span.Equal)
}

// proven are the stretches that facts prove for an age, oldest first.
func proven(facts []checkpoint.Fact, age time.Duration) []checkpoint.Span {
	var all, joined []checkpoint.Span
	for _, f := range facts {
		if s := f.Proves(age); !s.Empty() {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b checkpoint.Span) int { return a.Since.Compare(b.Since) })
	for _, s := range all {
		joined = join(joined, s)
	}
	return joined
}

// join adds a stretch that begins no earlier than those before it.
func join(spans []checkpoint.Span, s checkpoint.Span) []checkpoint.Span {
	if n := len(spans); n > 0 && !spans[n-1].Until.Before(s.Since) {
		spans[n-1].Until = latest(spans[n-1].Until, s.Until)
		return spans
	}
	return append(spans, s)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
