package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// list is where a warehouse was exported to.
type list struct {
	Folders []string `json:"folders"` // absolute
}

func listPath(warehouse string) string { return warehouse + ".exports.json" }

// Known returns the folders that a warehouse was exported to, absolute, whether or not they are there now. Who erases anything from the warehouse has to
// Run an export to each of them, AsBefore, once the copy for readers is without it, and Unlist those in which there is none any more.
func Known(warehouse string) ([]string, error) {
	path := listPath(warehouse)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read where the warehouse was exported to: %w", err)
	}
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf(`the list of exports %s is damaged (%w): write into it the folders that the warehouse was exported to, as {"folders": ["/…"]}`,
			path, err)
	}
	return l.Folders, nil
}

// note adds a folder to those that a warehouse was exported to.
func note(warehouse, dir string) error {
	defer lockFolder(filepath.Dir(warehouse))()
	folders, err := Known(warehouse)
	if err != nil || slices.Contains(folders, dir) {
		return err
	}
	return write(warehouse, append(folders, dir))
}

// Unlist takes a folder off those that a warehouse was exported to, as its export is gone. An export to it puts it there again.
func Unlist(warehouse, dir string) error {
	defer lockFolder(filepath.Dir(warehouse))()
	folders, err := Known(warehouse)
	if err != nil || !slices.Contains(folders, dir) {
		return err
	}
	return write(warehouse, slices.DeleteFunc(folders, func(f string) bool { return f == dir }))
}

// write replaces the list. If the process dies within it, the list is as it was.
func write(warehouse string, folders []string) error {
	text, err := json.MarshalIndent(list{folders}, "", " ")
	if err == nil {
		err = replaceFile(listPath(warehouse), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note beside the warehouse where it is exported to: %w", err)
	}
	return nil
}
