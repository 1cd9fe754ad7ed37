package transform

import "syncd/internal/call"

// provider is what the package knows of one provider.
type provider struct {
	name  string
	ids   []string // the fields that may hold the call's id, the one that counts first
	shape shape    // what privacy must know of the record
	// volatile names the top-level fields that change by themselves, and what of them is left out of the content hash.
	volatile map[string]volatility
	// read derives the call from its parts. It leaves Key and Provider to the caller.
	read func(*reading) call.Call
}

// providers lists every provider, one line each.
var providers = []provider{
	millis,
	burki,
	voicy,
}
