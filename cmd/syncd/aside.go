package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/load"
)

// # Work in another process
//
// Two things are not done in the process that has the warehouse: copying its file, as opening it once more and closing it again would give DuckDB's
// lock on it away, and answering SQL, as one statement could take its memory or stop it. They are done by this binary as another process, which is
// asked over its standard input and answers on its standard output. The input stays open for as long as the answer is wanted: when the asking process
// ends, however it ends, the other one sees it and ends, too.

const (
	asideCopy  = "copy"
	asideQuery = "query"
)

// parting is how long a process that is told to end has for tidying up.
const parting = time.Second

// newAside is the command of the other process. People have no use for it.
func newAside(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "aside " + asideCopy + "|" + asideQuery,
		Short:  "a part of syncd's own work, done in a process of its own",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			beModest()
			switch args[0] {
			case asideCopy:
				return doAsked(cmd, a.term.out, makeCopy)
			case asideQuery:
				return doAsked(cmd, a.term.out, answerQuestion)
			}
			return usageError{fmt.Errorf("there is no work called %q", args[0])}
		},
	}
}

// asideError is how an error comes from the other process.
type asideError struct {
	Message string `json:"message"`
	Usage   bool   `json:"usage,omitempty"`   // what was asked is at fault
	Missing bool   `json:"missing,omitempty"` // there was no file then; there may be by now
}

func (e *asideError) Error() string { return e.Message }

// doAsked reads what is asked, has it done for as long as somebody waits for it, and writes the answer.
func doAsked[Question any](cmd *cobra.Command, out io.Writer, do func(context.Context, Question, io.Writer) error) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	in := json.NewDecoder(cmd.InOrStdin())
	var q Question
	if err := in.Decode(&q); err != nil {
		return fmt.Errorf("read what is asked: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(in.Buffered(), cmd.InOrStdin())) // it ends when nobody waits any more, be it with an error
		cancel()
		time.Sleep(parting)
		os.Exit(exitFailed)
	}()
	err := do(ctx, q, out)
	if err == nil {
		return nil
	}
	told := asideError{Message: err.Error(), Usage: isQuestionsFault(err), Missing: errors.Is(err, fs.ErrNotExist)}
	return shownError{errors.Join(err, json.NewEncoder(cmd.ErrOrStderr()).Encode(told))}
}

// makeCopy copies the warehouse file for readers.
func makeCopy(ctx context.Context, c load.Copy, out io.Writer) error {
	done, err := load.MakeCopy(ctx, c)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(done)
}

// copyAside has the warehouse file copied by another process.
func copyAside(ctx context.Context, c load.Copy) (done load.Copied, err error) {
	const most = 1 << 20
	answer, err := aside(ctx, asideCopy, c, most)
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return done, fmt.Errorf("read what became of the copy: %w", err)
	}
	return done, nil
}

// errTooLong says that an answer has more bytes than there may be.
var errTooLong = errors.New("the answer is too long")

// aside has work done by another process, and returns its answer of at most so many bytes. When ctx ends, the other process is told, and is ended
// if it takes longer than a moment.
func aside(ctx context.Context, work string, question any, most int) ([]byte, error) {
	ask, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("ask another process: %w", err)
	}
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // this program
	cmd.Args = []string{"syncd", "aside", work}
	apart(cmd)
	cmd.Env = []string{"TMPDIR=" + os.TempDir(), "GORACE=" + os.Getenv("GORACE")} // and no key
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("ask another process: %w", err)
	}
	out, said := &bounded{most: most, full: func() { cancel(errTooLong) }}, &bounded{most: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	cmd.Cancel, cmd.WaitDelay = in.Close, parting+time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start another process: %w", err)
	}
	_, asking := in.Write(ask)
	err = cmd.Wait()
	switch told := (asideError{}); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil:
		return out.Bytes(), nil
	case json.Unmarshal(lastLine(said.Bytes()), &told) == nil && told.Message != "":
		return nil, &told
	default:
		return nil, errors.Join(fmt.Errorf("the process that was to %s ended without a word: %w", work, err), asking)
	}
}

// lastLine is the last line of a text.
func lastLine(text []byte) []byte {
	text = bytes.TrimSpace(text)
	return text[bytes.LastIndexByte(text, '\n')+1:]
}

// bounded is a buffer for so many bytes and no more.
type bounded struct {
	bytes.Buffer
	most int
	full func() // called at the first byte too many; nil: nobody wants to know
}

// Write takes what there is room for. It never fails, as the writer would then tell of a broken pipe, and not of what went wrong.
func (b *bounded) Write(p []byte) (int, error) {
	if room := b.most - b.Len(); len(p) > room {
		b.Buffer.Write(p[:room])
		if b.full != nil {
			b.full()
		}
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
