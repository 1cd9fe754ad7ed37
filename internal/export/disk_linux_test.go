package export_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/export"
	"syncd/internal/smalldisk"
)

// A disk that becomes full amidst an export: what is there stays whole, and once there is room the next export ends as if there had always been.
func TestAFullDiskIsToldAndCostsNothing(t *testing.T) {
	t.Parallel()
	smalldisk.Run(t, 24<<20, func(t *testing.T, disk string) {
		path, dir := warehouse(t, 3000), filepath.Join(disk, "export")
		o := options(path, dir)
		run(t, o)
		change(t, path, `UPDATE call_messages SET content = content || md5(content)`)
		empty := smalldisk.Fill(t, disk, 64<<10)
		before := contents(t, dir)
		for range 2 {
			if _, err := export.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "the disk is full: make room and export again") {
				t.Fatalf("error %v", err)
			}
		}
		after := contents(t, dir)
		for name, text := range before {
			if strings.HasSuffix(name, ".parquet") && after[name] != text && !strings.HasPrefix(name, "call_messages/") {
				t.Errorf("%s is another", name)
			}
		}
		wholeFiles(t, dir)
		empty()
		run(t, o)
		exported(t, path, dir, allTables...)
	})
}

func TestAFolderThatCannotBeWrittenIsToldAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	smalldisk.Run(t, 24<<20, func(t *testing.T, disk string) {
		path, dir := warehouse(t, 100), filepath.Join(disk, "export")
		run(t, options(path, dir))
		before := contents(t, dir)
		change(t, path, `UPDATE calls SET summary = 'another'`)
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{dir, filepath.Join(disk, "another", "export")} {
			_, err := export.Run(t.Context(), options(path, to))
			if err == nil || !strings.Contains(err.Error(), "must be writable for this user") || !strings.Contains(err.Error(), to) {
				t.Errorf("export to %s: error %v", to, err)
			}
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Errorf("the folder (-before +after):\n%s", diff)
		}
		if _, err := os.Stat(filepath.Join(disk, "another")); err == nil {
			t.Error("a folder was made")
		}
	})
}
