package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"syncd/internal/config"
)

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
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
		Version:                    version(),
	}
	root.SetVersionTemplate("syncd {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configFile, "config", "c", "", "configuration `FILE` (default syncd.yaml, then $XDG_CONFIG_HOME/syncd/config.yaml)")
	flags.StringVar(&a.logLevel, "log-level", "", "debug, info, warn or error (default: the configuration's)")
	flags.StringVar(&a.logFormat, "log-format", "", "text or json (default: the configuration's)")
	flags.BoolVar(&a.noProgress, "no-progress", false, "show no progress")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkLogFlags() }
	root.AddCommand(newDemo(a), newRun(a), newSync(a), newBackfill(a), newCheck(a), newStatus(a), newQuery(a), newExport(a), newRenormalize(a),
		newDoctor(a), newForget(a), newVersion(a), newAside(a))
	wrapArgErrors(root)
	return root
}

// noSuchCommand is the error of a first word that is no command.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q", args[0])
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
