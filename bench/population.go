package main

import (
	"syncd/internal/fakeapi"
)

// population is how many calls of a provider are read.
type population struct {
	provider fakeapi.Provider
	calls    int
}

// populations are the sizes at which loading is measured. Every one is a few hundred megabytes of records, or a million calls.
func populations() []population {
	return []population{{fakeapi.Millis, 100_000}, {fakeapi.Burki, 200_000}, {fakeapi.Voicy, 1_000_000}}
}

// recordSize is about how many bytes a record of the provider has.
func (p population) recordSize() int64 {
	switch p.provider {
	case fakeapi.Millis:
		return 5_000
	case fakeapi.Burki:
		return 500
	}
	return 320
}

// sized is how many calls are read: what was asked for, or what half of the free memory holds. A call is in it several times over: in the fake,
// in the answer, and while it is loaded.
func (p population) sized(l lab) int {
	calls := l.scaled(p.calls, 500)
	free := memory("MemAvailable:")
	if most := free / 2 / (4*p.recordSize() + 1_000); free > 0 && int64(calls) > most {
		l.say("memory is short: %s calls instead of %s", grouped(int(most)), grouped(calls))
		return int(most)
	}
	return calls
}
