package load

import (
	"fmt"
	"testing"
)

func TestReadingsAreForgottenOnceNoOlderOneIsUnderWay(t *testing.T) {
	w := &Warehouse{readings: newReadings()}
	see := func(id string, n int64) { w.readings.add(map[partDigest]int64{digestOf("s", id, "list"): n}) }
	check := func(when string, keys, readings int) {
		t.Helper()
		if r := w.readings; len(r.newest) != keys || len(r.byReading) != readings {
			t.Errorf("%s: %d keys of %d readings are remembered, want %d of %d", when, len(r.newest), len(r.byReading), keys, readings)
		}
	}
	for range 5 {
		w.NextReading()
	}
	see("oldest", 1)
	check("nothing is older than the oldest", 0, 0)
	see("a", 3)
	see("a", 2)
	see("b", 3)
	see("b", 5)
	check("seen twice", 2, 2)
	w.EndReading(3)
	check("a reading in the middle ended", 2, 2)
	w.EndReading(1)
	check("2 is the oldest", 2, 2)
	w.EndReading(2)
	check("4 is the oldest", 1, 1)
	w.EndReading(4)
	check("5 is the only one", 0, 0)
	see("c", 5)
	check("the only one", 0, 0)
	for i := range 1000 {
		n := w.NextReading()
		see(fmt.Sprint(i), n)
		w.EndReading(n - 1)
	}
	check("in turn, for long", 0, 0)
}
