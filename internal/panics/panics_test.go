package panics_test

import (
	"errors"
	"strings"
	"testing"

	"syncd/internal/panics"
)

func TestAPanicBecomesAnErrorThatShowsWhereAndNothingOfWhat(t *testing.T) {
	const secret = "sk-live-1234"
	var empty []int
	for _, c := range []struct {
		name, reason string
		do           func() error
	}{
		{"a value", "a value of type string", func() error { panic(secret) }},
		{"an error", "a value of type *errors.errorString", func() error { panic(errors.New(secret)) }},
		{"a mistake", "index out of range", func() error { _ = empty[len(secret)]; return nil }},
	} {
		err := panics.Guard(c.do)
		var p *panics.Error
		if !errors.As(err, &p) || !strings.Contains(p.Reason, c.reason) || len(p.Stack) == 0 || !strings.Contains(p.Stack[0], "panics_test.go") {
			t.Errorf("%s: %v", c.name, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows what it was raised with", c.name)
		}
	}
}

func TestWhatDoesNotPanicIsLeftAsItIs(t *testing.T) {
	want := errors.New("an error of its own")
	if err := panics.Guard(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	if err := panics.Guard(func() error { return nil }); err != nil {
		t.Errorf("error %v", err)
	}
}
