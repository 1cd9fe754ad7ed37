// Package disk tells how much room there is. It knows nothing of what is to be put there.
package disk
