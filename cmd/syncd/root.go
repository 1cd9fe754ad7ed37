package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"syncd/internal/config"
)

// terminal is where a command reads and writes: results go to out, everything else to err.
type terminal struct {
	in       io.Reader
	out, err io.Writer
}

// width is the number of columns of a writer that is a terminal, 0 for any other.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 80
	}
	return columns
}

// app is what the commands share: where they write, and the flags that every one of them takes.
type app struct {
	term       terminal
	configFile string
	logLevel   string
	logFormat  string
	noProgress bool
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "syncd",
		Short: "mirror the call logs of voice-AI providers into a local DuckDB warehouse",
		Long: `syncd mirrors the call logs of voice-AI providers (Millis AI, Burki, Voicy) into a
local DuckDB warehouse and keeps the mirror true.

New here? "syncd demo" shows the main job with nothing to set up.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configFile, "config", "c", "", "configuration `FILE` (default syncd.yaml, then $XDG_CONFIG_HOME/syncd/config.yaml)")
	flags.StringVar(&a.logLevel, "log-level", "", "debug, info, warn or error (default: the configuration's)")
	flags.StringVar(&a.logFormat, "log-format", "", "text or json (default: the configuration's)")
	flags.BoolVar(&a.noProgress, "no-progress", false, "show no progress")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.AddCommand(newDemo(a), newSync(a), newCheck(a), newQuery(a), newVersion(a))
	wrapArgErrors(root)
	return root
}

// wrapArgErrors makes wrong arguments, and commands there are not, bad usage.
func wrapArgErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgErrors(sub)
	}
}

// configuration finds and reads the configuration file.
func (a *app) configuration() (*config.Config, error) {
	path, err := config.Find(a.configFile, os.Getenv)
	if err != nil {
		return nil, err
	}
	return config.Load(path)
}
