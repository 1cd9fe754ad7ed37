//go:build !unix

package load

// freeBytes is not known here.
func freeBytes(string) (n int64, known bool) { return 0, false }
