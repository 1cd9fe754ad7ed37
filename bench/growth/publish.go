package growth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"syncd/internal/load"
)

// Published is what one copy for readers took while commits went on.
type Published struct {
	load.Publication
	Between time.Duration // the longest that a commit took while the copy was made, its own work included
	Commits int           // how many there were meanwhile
}

// Publish changes a hundred calls and has a copy for readers made by the binary, while a hundred more are committed ten times a second, rounds times.
func Publish(ctx context.Context, path, binary string, rounds int) (all []Published, err error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	for range rounds {
		for range 10 {
			if _, err := s.commit(ctx, Batch{Size: 100, Updated: 0.5}); err != nil {
				return all, err
			}
		}
		one, err := s.publish(ctx, path+".read.duckdb", binary)
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *session) publish(ctx context.Context, to, binary string) (p Published, err error) {
	beside, stop := context.WithCancel(ctx)
	var committing sync.WaitGroup
	var failed error
	committing.Go(func() {
		for beside.Err() == nil {
			took, err := s.commit(ctx, Batch{Size: 100, Updated: 0.5})
			if err != nil {
				failed = err
				return
			}
			p.Between, p.Commits = max(p.Between, took.wall), p.Commits+1
			select {
			case <-time.After(100 * time.Millisecond):
			case <-beside.Done():
			}
		}
	})
	p.Publication, err = s.w.Publish(ctx, load.Publishing{Path: to, Now: time.Now, Copy: func(ctx context.Context, c load.Copy) (done load.Copied, err error) {
		asked, err := json.Marshal(c)
		if err != nil {
			return done, err
		}
		cmd := exec.CommandContext(ctx, binary, "aside", "copy") //nolint:gosec // the binary that is measured
		in, err := cmd.StdinPipe()
		if err != nil {
			return done, err
		}
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Start(); err != nil {
			return done, err
		}
		_, werr := in.Write(asked) // it stays open: the other process ends with it
		if err := cmd.Wait(); err != nil {
			return done, fmt.Errorf("%w: %s", errors.Join(err, werr), said.String())
		}
		return done, json.Unmarshal(out.Bytes(), &done)
	}})
	stop()
	committing.Wait()
	return p, errors.Join(err, failed)
}
