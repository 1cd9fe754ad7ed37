package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"syncd/internal/config"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/pipeline"
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
	for _, s := range chosen {
		from, err := extract.New(extract.Account{
			Source: s.Name, Provider: s.Provider, BaseURL: s.BaseURL, Key: secrets.APIKeys[s.Name].Reveal(),
			PageSize: s.PageSize, RateLimit: extract.Rate(s.RateLimit), Timeout: s.Timeout, UserAgent: "syncd/" + version(),
		})
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		options := transform.Options{Source: s.Name, Provider: s.Provider, Privacy: privacy(c.Privacy, secrets.HashKey)}
		if s.CreditValue != nil {
			options.Credit = transform.CreditValue(*s.CreditValue)
		}
		to, err := transform.New(options)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		ages := make([]string, len(s.Reread))
		for i, age := range s.Reread {
			ages[i] = age.String()
		}
		all = append(all, pipeline.Source{
			Name: s.Name, Provider: s.Provider, Start: s.Start, Reread: strings.Join(ages, ","), Schedule: s.Schedule,
			Rules: rules(c.Privacy, secrets.HashKey, options.Credit), Extract: from, Transform: to,
		})
	}
	return all, nil
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
	return load.Options{Path: c.Path, MemoryLimit: c.MemoryLimit, Threads: c.Threads, TempDirectory: c.TempDirectory}
}
