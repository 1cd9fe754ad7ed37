package extract

import "time"

// Providers are the names of every provider there is.
func Providers() []string {
	var names []string
	for _, p := range providers {
		names = append(names, p.name)
	}
	return names
}

// UnixTime and CarefulUnixTime read a Unix time in the quick way, where that can, and in the careful way alone.
func UnixTime(text string, unit time.Duration) (time.Time, bool) { return unixTime(text, unit) }
func CarefulUnixTime(text string, unit time.Duration) (time.Time, bool) {
	return carefulUnix(text, unit)
}
