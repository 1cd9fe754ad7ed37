package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"syncd/bench/peers"
	"syncd/internal/fakeapi"
)

// contender is a way to keep the calls in a file: syncd, or a script.
type contender struct {
	name     string
	database string
	load     func(context.Context) (taken, error) // everything, into a new file
	again    func(context.Context) (taken, error) // everything once more, into the same
	count    func(context.Context) (int64, error)

	first, second, peaks samples
}

// againstPeers measures syncd and the two scripts at one provider, as whole processes.
func againstPeers(ctx context.Context, l lab) (_ []row, err error) {
	calls := l.scaled(300_000, 500)
	if err := peers.Install(ctx); err != nil {
		return nil, err
	}
	s, err := serve(ctx, l, serving{Provider: fakeapi.Voicy, Calls: calls})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	syncd, err := l.install(s, fakeapi.Voicy)
	if err != nil {
		return nil, err
	}
	all := []*contender{syncdAs(syncd), scriptAs(l, s, peers.Decent), scriptAs(l, s, peers.Tuned)}
	// The first round prepares the answers, and is forgotten.
	for round := range l.Rounds + 1 {
		l.say("round %d of %d: %s calls", round, l.Rounds, grouped(calls))
		if err := contend(ctx, round, all); err != nil {
			return nil, err
		}
		if round > 0 {
			continue
		}
		for _, c := range all {
			c.first, c.second, c.peaks = nil, nil, nil
		}
		if err := s.prepared(ctx); err != nil {
			return nil, err
		}
	}
	if err := agree(ctx, all, int64(calls)); err != nil {
		return nil, err
	}
	asked, err := s.asked(ctx)
	if err != nil {
		return nil, err
	}
	return peerRows(all[0], all[1], all[2], calls), asked.check()
}

// contend has each contender load everything, and then each read everything again.
func contend(ctx context.Context, round int, all []*contender) error {
	var loads, rereads []func() error
	for _, c := range all {
		loads = append(loads, func() error {
			if err := remove(c.database); err != nil {
				return err
			}
			t, err := c.load(ctx)
			c.first.add(t.wall)
			c.peaks = append(c.peaks, float64(t.peak))
			return err
		})
		rereads = append(rereads, func() error {
			t, err := c.again(ctx)
			c.second.add(t.wall)
			return err
		})
	}
	if err := inTurns(round, loads...); err != nil {
		return err
	}
	return inTurns(round, rereads...)
}

// agree fails where a contender has not got every call: then it was not faster but did less.
func agree(ctx context.Context, all []*contender, calls int64) error {
	for _, c := range all {
		n, err := c.count(ctx)
		if err != nil {
			return fmt.Errorf("count the calls of %s: %w", c.name, err)
		}
		if n != calls {
			return fmt.Errorf("%s has %d calls of %d", c.name, n, calls)
		}
	}
	return nil
}

func syncdAs(i *installation) *contender {
	return &contender{
		name: "syncd", database: i.database, count: i.count,
		load: func(ctx context.Context) (taken, error) { return i.backfill(ctx) },
		again: func(ctx context.Context) (taken, error) {
			t, err := i.backfill(ctx, "--force")
			if err != nil {
				return t, err
			}
			n, err := i.written(ctx)
			if err == nil && n != 0 {
				err = fmt.Errorf("forced to read again what has not changed, syncd wrote %d rows", n)
			}
			return t, err
		},
	}
}

func scriptAs(l lab, s *server, script peers.Script) *contender {
	since, until := quarter()
	o := peers.Options{
		URL: s.URL, Key: key, Database: l.path(string(script) + ".duckdb"), State: l.path(string(script) + ".json"), Since: since, Until: until,
	}
	// Without its state a script reads everything, whether or not it has a file.
	run := func(ctx context.Context) (taken, error) {
		if err := os.Remove(o.State); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return taken{}, err
		}
		r, err := peers.Run(ctx, script, o)
		return taken{wall: r.Wall, cpu: r.CPU, peak: r.Peak}, err
	}
	return &contender{
		name: string(script) + ".mjs", database: o.Database, load: run, again: run,
		count: func(ctx context.Context) (int64, error) { return peers.Count(ctx, o.Database) },
	}
}

func peerRows(ours, decent, tuned *contender, calls int) []row {
	of := " of " + grouped(calls) + " calls: how many times as fast as "
	beside := func(c *contender, mine, theirs samples) string {
		return "syncd " + mine.seconds() + "; " + c.name + " " + theirs.seconds()
	}
	first := func(c *contender, b *bar) row {
		return row{What: "a first load" + of + c.name, Unit: times, Figures: c.first.over(ours.first), Bar: b, Beside: beside(c, ours.first, c.first) +
			"; memory " + megabytes.format(ours.peaks.median()) + " and " + megabytes.format(c.peaks.median())}
	}
	again := func(c *contender, b *bar) row {
		return row{What: "reading all again" + of + c.name, Unit: times, Figures: c.second.over(ours.second), Bar: b, Beside: beside(c, ours.second, c.second)}
	}
	return []row{first(decent, atLeast(3, 5)), again(decent, atLeast(5, 10)), first(tuned, atLeast(0.7, 1)), again(tuned, atLeast(1.5, 3))}
}
