package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// manifestName is the manifest's name in the folder.
const manifestName = "manifest.json"

// format is that of the manifest and of the layout. A syncd that knows only older ones leaves such a folder alone.
const format = 1

// Manifest says what an export holds. Every file that it lists is there, whole, and in the state that it tells of.
type Manifest struct {
	Format    int       `json:"format"`
	Version   string    `json:"syncd"`     // of the syncd that wrote it
	Warehouse string    `json:"warehouse"` // its own path, not that of a copy
	AsOf      time.Time `json:"as_of"`     // as of when the last export was
	Complete  bool      `json:"complete"`  // false: an export is under way, or ended early; the folder then has files that are not listed
	Sources   []string  `json:"sources"`   // that the folder was exported with; null: with all
	Raw       bool      `json:"raw"`       // with the stored payloads
	Files     []File    `json:"files"`
}

// File is one file of an export.
type File struct {
	Path        string    `json:"path"` // in the folder, with slashes
	Table       string    `json:"table"`
	Source      string    `json:"source"`
	Month       string    `json:"month"` // of UTC, or unknown
	Rows        int64     `json:"rows"`
	Bytes       int64     `json:"bytes"`
	Fingerprint string    `json:"fingerprint"` // the sum of all rows' hashes, by DuckDB's hash
	Schema      string    `json:"schema"`      // a hash of the columns' names and types, and of how the file is laid out
	AsOf        time.Time `json:"as_of"`       // the file is what the warehouse had then
	ModifiedAt  time.Time `json:"modified_at"` // its time, as the file system told when it was written
}

func hasManifest(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestName))
	return err == nil
}

// readManifest reads the folder's manifest. It is nil where the folder is empty.
func (f *folder) readManifest() (*Manifest, error) {
	path := f.at(manifestName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.isEmpty()
	}
	if err != nil {
		return nil, err
	}
	var version struct {
		Format int `json:"format"`
	}
	err = json.Unmarshal(text, &version)
	switch {
	case err == nil && version.Format > format:
		return nil, fmt.Errorf("a newer syncd made it (its manifest has format %d, and this syncd knows %d): use that syncd, or export to another folder",
			version.Format, format)
	case err == nil && version.Format < 1:
		return nil, refuse("its %s is not that of an export; name an empty folder, or one that is not there yet", manifestName)
	}
	m := new(Manifest)
	if err == nil {
		err = json.Unmarshal(text, m)
	}
	for _, file := range m.Files {
		if err == nil {
			err = file.check()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the manifest %s is damaged (%w): empty the folder and export again, or export to another one", path, err)
	}
	return m, nil
}

// isEmpty refuses a folder with anything in it that no export leaves behind which died before its first manifest.
func (f *folder) isEmpty() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); !isOurs(name) {
			return refuse("it is not empty, and holds no export (there is %s, and no %s); name an empty folder, or one that is not there yet", name, manifestName)
		}
	}
	return nil
}

// writeManifest replaces the manifest.
func (f *folder) writeManifest(m *Manifest) error {
	m.Format = format
	if m.Files == nil {
		m.Files = []File{}
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(m, "", " ")
	if err == nil {
		err = replaceFile(f.at(manifestName), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}
