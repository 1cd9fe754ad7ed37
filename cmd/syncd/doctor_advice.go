package main

import (
	"slices"
	"strings"

	"syncd/internal/proof"
)

// What is to be done, with SOURCE for the sources that a finding names.
const (
	adviseFix      = "run 'syncd doctor --fix'"
	adviseDerive   = "run 'syncd renormalize SOURCE', which derives calls again from their payloads"
	adviseRead     = "run 'syncd backfill SOURCE --from DATE --force' from the start of the oldest call named, which reads it again from the provider"
	adviseAside    = adviseFix + ", which moves it aside, and then 'syncd backfill SOURCE --from DATE --force' from the start of the oldest call named, which reads it again"
	adviseMissing  = "the record cannot be made right; 'syncd backfill SOURCE --from DATE --force' brings what may be missing"
	adviseNothing  = "it cannot be put right without guessing; the calls themselves are as they were read last"
	adviseCopy     = "somebody has changed what shows coverage: bring a copy of the file back, or move it away and sync again"
	adviseSettings = "name the source in the configuration, and run 'syncd sync'"
	adviseKey      = "renew the key with the provider"
)

// advise says what to do about what was found. After --fix, that has done what it can.
func advise(f proof.Finding, fixed bool) string {
	heals, last := remedy(f)
	advice := last
	switch {
	case last == adviseKey && !fixed:
		advice = last + ", and " + adviseFix + ", which takes it out of the text and of the file"
	case heals && !fixed:
		advice = adviseFix + "; if it is told again then, " + last
	}
	return strings.ReplaceAll(advice, "SOURCE", sourcesOf(f))
}

// remedy tells whether --fix may put right what was found, and what does where that does not.
func remedy(f proof.Finding) (heals bool, last string) {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(f.What, w) })
	}
	if f.Statement == 7 && has("secret") {
		return true, adviseKey
	}
	switch f.Table {
	case "sync.coverage_at":
		return false, adviseCopy
	case "sync.runs", "sync.drift", "sync.rejects":
		return f.Statement == 9, adviseMissing
	case "sync.sources":
		if has("not recorded") {
			return false, adviseSettings
		}
	case "call_revisions":
		return f.Statement != 3, adviseNothing
	case "raw_calls":
		if has("payload of a call that is not there") {
			return false, adviseAside
		}
		return has("another start", "more than one payload"), adviseRead
	case "calls":
		switch {
		case f.Statement == 2:
			return true, adviseMissing
		case has("changed_at"):
			return true, adviseNothing
		}
		return f.Statement != 5, adviseDerive
	case "call_costs", "call_messages", "call_functions":
		return true, adviseDerive
	}
	return true, adviseNothing
}

// sourcesOf are the sources that a finding's examples name.
func sourcesOf(f proof.Finding) string {
	var all []string
	for _, e := range f.Examples {
		source, _, ok := strings.Cut(e, "/")
		if (ok || f.Table == "calls" || f.Table == "sync.drift") && !slices.Contains(all, source) {
			all = append(all, source)
		}
	}
	if len(all) == 0 {
		return "SOURCE"
	}
	return strings.Join(all, " ")
}
