// Package simulation tries to break the mirror, and proves that it cannot: it holds tests alone.
//
// A seed makes a world: up to three providers with their calls, which come, settle, are corrected and deleted by a clock that costs nothing;
// a warehouse file; and a history of steps in which faults of the network and of the providers, commits that fail before or after they are durable,
// kills, power losses that cut the write-ahead log, stops, restarts and changes of the configuration happen to it. After every step the file keeps
// every promise that can be seen on it (package proof), and whatever the ledger claims is there. At its end everything heals, and the tables are
// those of a warehouse that was made from the same providers at that moment and that nothing ever happened to.
//
// A seed that fails is printed with its history, and does the same again:
//
//	go test ./internal/simulation -run Simulation -seed=N -v
//
// It owns the composition. It refuses to mock: extractors, limiter, transform, ledger and DuckDB are the real ones, over a network in memory.
package simulation
