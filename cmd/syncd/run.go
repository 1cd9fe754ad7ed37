package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/server"
)

func newRun(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "be the daemon: every source on its schedule, until told to stop",
		Long: `run reads every source on its schedule, settles calls as they change, fetches their
details and fills in history in the background, until SIGINT or SIGTERM. Other
commands hand their work to it while it runs.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, all, err := a.configured(nil)
			if err != nil {
				return err
			}
			return a.runDaemon(cmd.Context(), c, all)
		},
	}
}

// runDaemon opens the warehouse and is the daemon until ctx ends.
func (a *app) runDaemon(ctx context.Context, c *config.Config, all []pipeline.Source) (err error) {
	log, err := a.newLog(c.Log, a.term.err)
	if err != nil {
		return err
	}
	w, copies, err := a.openWhenFree(ctx, c)
	if err != nil {
		return err
	}
	// Whatever was committed is brought into the file, however this ends: the next to open it finds no log to replay.
	defer func() {
		err = errors.Join(err, w.Checkpoint(context.WithoutCancel(ctx)), w.Close())
	}()
	p := newPipeline(w, log)
	h := &holder{pipeline: p, config: c, sources: all, copies: copies, askers: make(askers, mostAskers), activity: newActivity(copies.look), since: time.Now(), turn: newTurn(),
		served: make(chan error, 1)}
	if err := sayRemoved(ctx, w, c, log); err != nil {
		return err
	}
	if err := keepHouse(ctx, w, c, time.Now()); err != nil {
		return err
	}
	d := newDaemon(h, log)
	together, ctx := errgroup.WithContext(ctx)
	h.leaving = ctx.Done()
	h.serve(ctx, log)
	defer func() { err = errors.Join(err, h.Close()) }()
	if c.Server.HTTP != "" {
		if err := serveHTTP(ctx, together, h, log); err != nil {
			return err
		}
	}
	log.Info("syncd runs", zap.String("version", version()), zap.Int("sources", len(all)), zap.String("warehouse", c.Warehouse.Path), zap.String("http", c.Server.HTTP))
	copying := copies.start(ctx, 0)
	together.Go(func() error { return d.run(ctx) })
	err = errors.Join(together.Wait(), copying())
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*parting)
	defer cancel()
	h.askers.drain(leaving)
	log.Info("syncd has stopped")
	return err
}

// sayRemoved says of each source that the configuration has had and has no more what status says of it. Whether a source is configured is kept in
// the warehouse, so that it is said once and not at every start; if the process dies before it is said, status says it still.
func sayRemoved(ctx context.Context, w *load.Warehouse, c *config.Config, log *zap.Logger) error {
	var removed []string
	if err := w.Write(ctx, func(tx *load.Tx) (err error) {
		removed, err = tx.KeepConfigured(ctx, namesOf(c.Sources))
		return err
	}); err != nil {
		return err
	}
	for _, name := range removed {
		log.Warn("source is not in the configuration (removed, or renamed): its rows stay, and nothing is asked for it", zap.String("source", name))
	}
	return nil
}

// serveHTTP serves health and status on the configured address.
func serveHTTP(ctx context.Context, together *errgroup.Group, h *holder, log *zap.Logger) error {
	s, err := server.New(h.config.Server.HTTP, h, h.config.Query.Timeout)
	if err != nil {
		return err
	}
	s.Report = func(err error) { log.Warn("http", zap.Error(err)) }
	if err := s.Listen(ctx); err != nil {
		return err
	}
	together.Go(func() error { return s.Serve(ctx) })
	return nil
}

// openWhenFree opens the warehouse, and waits for a command that holds it. A daemon that holds it is an error: it would be waited for
// without end.
func (a *app) openWhenFree(ctx context.Context, c *config.Config) (*load.Warehouse, *publisher, error) {
	wait := a.waiting("to run")
	for {
		copies := newPublisher(c, time.Now)
		w, err := load.Open(ctx, warehouseOptions(c.Warehouse))
		if !errors.Is(err, load.ErrBusy) {
			return w, copies.of(w), err
		}
		r, serr := askStatus(ctx, c)
		if serr == nil && r.Process != nil && r.Process.Daemon {
			return nil, nil, fmt.Errorf("syncd runs on this warehouse already, as process %d; 'syncd status' shows what it does", r.Process.PID)
		}
		if serr != nil && !errors.Is(serr, control.ErrNobody) {
			return nil, nil, serr
		}
		if err := wait(ctx, err); err != nil {
			return nil, nil, err
		}
	}
}
