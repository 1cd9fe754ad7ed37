package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"syncd/internal/config"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/schedule"
	"syncd/internal/transform"
)

// configured reads the configuration and makes the named sources of it, or all of them for no names.
func (a *app) configured(names []string) (*config.Config, []pipeline.Source, error) {
	c, err := a.configuration()
	if err != nil {
		return nil, nil, err
	}
	chosen, err := c.Select(names)
	if err != nil {
		return nil, nil, err
	}
	all, err := sources(c, chosen)
	return c, all, err
}

// sources makes what the configuration describes: for each source its extractor and its transform, with its secrets.
func sources(c *config.Config, chosen []config.Source) ([]pipeline.Source, error) {
	secrets, err := c.Secrets(os.LookupEnv, chosen)
	if err != nil {
		return nil, err
	}
	all := make([]pipeline.Source, 0, len(chosen))
	limits := extract.NewLimits()
	for _, s := range chosen {
		account := extract.Account{
			Source: s.Name, Provider: s.Provider, BaseURL: s.BaseURL, Key: secrets.APIKeys[s.Name].Reveal(), PageSize: s.PageSize,
			RateLimit: extract.Rate(s.RateLimit), Limits: limits, Timeout: s.Timeout, UserAgent: "syncd/" + version(),
		}
		from, err := extract.New(account)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		times, err := schedule.Parse(s.Schedule)
		if err != nil {
			return nil, fmt.Errorf("source %s: schedule: %w", s.Name, err)
		}
		options := meaning(c, s, secrets.HashKey)
		to, err := transform.New(options)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		all = append(all, pipeline.Source{
			Name: s.Name, Provider: s.Provider, Start: s.Start, Ages: s.Reread, Schedule: s.Schedule, Interval: times.Interval(),
			Rules: rules(c.Privacy, secrets.HashKey, options.Credit), Fingerprint: account.Fingerprint(),
			PageSize: s.PageSize, Details: s.Details, Wordless: c.Privacy.Transcripts == config.Drop, Extract: from, Transform: to,
		})
	}
	return all, nil
}

// meaning is how the records of a source are read.
func meaning(c *config.Config, s config.Source, hashKey config.Secret) transform.Options {
	o := transform.Options{Source: s.Name, Provider: s.Provider, Privacy: privacy(c.Privacy, hashKey)}
	if s.CreditValue != nil {
		o.Credit = transform.CreditValue(*s.CreditValue)
	}
	return o
}

// rules says what records are read with, without telling the key: a digest of it, by the key itself, shows whether it is still the same.
func rules(p config.Privacy, hashKey config.Secret, credit transform.CreditValue) string {
	s := fmt.Sprintf("phone_numbers %s, transcripts %s", p.PhoneNumbers, p.Transcripts)
	if p.PhoneNumbers == config.Hash {
		digest := hmac.New(sha256.New, []byte(hashKey.Reveal()))
		digest.Write([]byte("syncd: which key is this?"))
		s += fmt.Sprintf(" with key %x", digest.Sum(nil)[:4])
	}
	if credit.Amount != "" {
		s += fmt.Sprintf(", credit %s %s", credit.Amount, credit.Currency)
	}
	return s
}

func privacy(p config.Privacy, hashKey config.Secret) transform.Privacy {
	return transform.Privacy{
		Numbers:     transform.NumberPolicy(p.PhoneNumbers),
		HashKey:     []byte(hashKey.Reveal()),
		Transcripts: transform.TranscriptPolicy(p.Transcripts),
	}
}

func warehouseOptions(c config.Warehouse) load.Options {
	return load.Options{Path: c.Path, MemoryLimit: c.MemoryLimit, Threads: c.Threads, TempDirectory: c.TempDirectory, Timezone: c.Timezone}
}

// newPipeline is the pipeline of a warehouse that was just opened.
func newPipeline(w *load.Warehouse, log *zap.Logger) *pipeline.Pipeline {
	if told := w.Healed(); told != "" {
		log.Warn(told)
	}
	return &pipeline.Pipeline{Warehouse: w, Now: time.Now, Log: log}
}
