package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/panics"
	"syncd/internal/pipeline"
)

func newRenormalize(a *app) *cobra.Command {
	var args renormalizeArgs
	cmd := &cobra.Command{
		Use:   "renormalize [SOURCE…]",
		Short: "rebuild the tables from the stored raw payloads, with no request to any provider",
		Long: `renormalize derives every stored call again from the payloads that are stored, by what
this syncd and this configuration make of them: the meaning of statuses and prices,
credit_value, privacy. What changes leaves a revision; records that could not become calls
and can be read now do. An interrupted one goes on where it was when the same command is
given again. Stricter privacy is applied to all that is stored; what an earlier one took
out cannot be brought back.`,
		Example: `  syncd renormalize             every source
  syncd renormalize millis-us   one source`,
		RunE: func(cmd *cobra.Command, names []string) error {
			args.Sources = names
			return a.renormalize(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVar(&args.AsStored, "as-stored", false, "go on where earlier privacy took out what is kept now, and leave that as it is stored")
	return cmd
}

// renormalizeArgs is what is asked, as it goes over the socket.
type renormalizeArgs struct {
	Sources  []string `json:"sources"` // none: all
	AsStored bool     `json:"as_stored,omitempty"`

	// By what the tables are to be rebuilt: the version of this syncd, and the rules of each source, as far as this command knows them.
	Version string            `json:"version"`
	Rules   map[string]string `json:"rules"`
}

// renormalizeReport is what became of one source, as it goes over the socket.
type renormalizeReport struct {
	Source  string                `json:"source"`
	Told    pipeline.Renormalized `json:"told"`
	Error   string                `json:"error,omitempty"`
	Stopped bool                  `json:"stopped,omitempty"`
	Took    time.Duration         `json:"took"`
}

// renormalizing is the chore.
func renormalizing() chore[renormalizeArgs, []renormalizeReport] {
	return chore[renormalizeArgs, []renormalizeReport]{command: "renormalize", do: doRenormalize}
}

// renormalize has the chore done and prints what became of each source.
func (a *app) renormalize(ctx context.Context, args renormalizeArgs) error {
	c, err := a.configuration()
	if err != nil {
		return err
	}
	chosen, err := c.Select(args.Sources)
	if err != nil {
		return err
	}
	args.Version, args.Rules = version(), rulesAsked(c, chosen)
	reports, err := renormalizing().run(ctx, a, c, args)
	results := make([]result, len(reports))
	for i, r := range reports {
		results[i] = sourceReport{Source: r.Source, Run: r.Told.Run, Error: r.Error, Stopped: r.Stopped, Took: r.Took}.result()
	}
	return errors.Join(err, printRenormalized(a.term.out, reports), outcome(a.term.err, results))
}

// printRenormalized prints one line a source.
func printRenormalized(to io.Writer, reports []renormalizeReport) error {
	if len(reports) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tOUTCOME\tCALLS\tCHANGED\tUNCHANGED\tWITHOUT PAYLOAD\tUNREADABLE\tREJECTS RESOLVED\tSTILL REJECTED\tTIME")
	for _, r := range reports {
		n := r.Told
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Source, r.outcome(), thousands(n.Calls), thousands(n.Changed), thousands(n.Unchanged),
			thousands(n.WithoutPayload), thousands(n.Unreadable), thousands(n.Resolved), thousands(n.Rejected), r.Took.Round(10*time.Millisecond))
	}
	return t.Flush()
}

func (r renormalizeReport) outcome() string {
	switch {
	case r.Stopped:
		return "stopped"
	case r.Error != "":
		return "failed"
	}
	return "done"
}

// doRenormalize rebuilds one source after another: there is one writer. What went wrong with a source is in its report, and keeps no other from its turn.
func doRenormalize(ctx context.Context, h *holder, args renormalizeArgs, tell func(choreProgress)) ([]renormalizeReport, error) {
	all, err := h.chosen(args.Sources)
	if err != nil {
		return nil, usageError{err}
	}
	if !args.means(all) {
		return nil, usageError{errOtherMeaning}
	}
	watch := &renormalizeWatch{activity: h.activity, tell: tell}
	for _, s := range all {
		n, err := h.pipeline.CountCalls(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		watch.total += n
	}
	reports := make([]renormalizeReport, len(all))
	for i, s := range all {
		began := time.Now()
		var told pipeline.Renormalized
		err := panics.Guard(func() (err error) {
			told, err = renormalizeSource(ctx, h.pipeline, s, pipeline.RenormalizeOptions{By: version(), AsStored: args.AsStored, Watcher: watch})
			return err
		})
		watch.finished(s.Name)
		if h.done != nil {
			h.done(ctx, s, told.Run, err)
		}
		reports[i] = renormalizeReport{Source: s.Name, Told: told, Took: time.Since(began)}
		if err != nil {
			reports[i].Error, reports[i].Stopped = err.Error(), errors.Is(err, context.Canceled)
		}
	}
	return reports, nil
}

// renormalizeSource rebuilds a source, unless that could not make it what its rules say.
func renormalizeSource(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source, o pipeline.RenormalizeOptions) (pipeline.Renormalized, error) {
	stored, err := p.StoredRules(ctx, s.Name)
	if err != nil {
		return pipeline.Renormalized{}, err
	}
	for _, was := range stored {
		if lost := lostTo(was, s.Rules); lost != "" && !o.AsStored {
			return pipeline.Renormalized{}, fmt.Errorf("%s: some of what is stored was stored with %q, and the configuration says %q now: %s; "+
				"read it again ('syncd backfill %s --from … --force'), or leave that as it is with --as-stored", s.Name, was, s.Rules, lost, s.Name)
		}
	}
	return p.Renormalize(ctx, s, o)
}

// ruleWords are the words of rules that tell what is taken out.
var ruleWords = regexp.MustCompile(`^phone_numbers (\w+), transcripts (\w+)( with key \w+)?`)

// lostTo says what of earlier rules later ones cannot undo: what was taken out is not stored, and is no number that could be taken out in another way.
// It is "" where there is nothing.
func lostTo(earlier, later string) string {
	was, is := ruleWords.FindStringSubmatch(earlier), ruleWords.FindStringSubmatch(later)
	switch {
	case was == nil || is == nil:
		return ""
	case was[1] != "keep" && (was[1] != is[1] || was[3] != is[3]):
		return "phone numbers that were masked, hashed or dropped stay so"
	case was[2] == "drop" && is[2] != "drop":
		return "transcripts that were dropped are not there"
	}
	return ""
}

// renormalizeWatch passes on how far sources have come, and how far all of them together.
type renormalizeWatch struct {
	activity *activity
	tell     func(choreProgress)
	total    int64
	before   int64 // calls of sources that are done
	latest   int64
}

// Committed implements pipeline.Watcher.
func (w *renormalizeWatch) Committed(p pipeline.Progress) {
	w.activity.Committed(p)
	w.latest = p.Looked
	w.tell(choreProgress{What: "calls", Done: w.before + w.latest, Total: max(w.total, w.before+w.latest)})
}

func (w *renormalizeWatch) finished(source string) {
	w.activity.ended(source, "renormalize")
	w.before += w.latest
	w.latest = 0
}
