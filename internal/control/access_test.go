package control_test

import (
	"testing"

	"syncd/internal/control"
)

func TestAUsersWorkIsDoneByThatUserAloneAndForRoot(t *testing.T) {
	const root, one, another = 0, 1000, 1001
	for _, tt := range []struct {
		own, uid       int
		asks, answered bool // it may ask a process of own; a process of own hands its work to it
	}{
		{one, one, true, true},
		{one, another, false, false},
		{one, root, true, true},
		{root, root, true, true},
		{root, one, false, true},
	} {
		if got := control.MayAsk(tt.own, tt.uid); got != tt.asks {
			t.Errorf("user %d may ask a process of user %d: %t", tt.uid, tt.own, got)
		}
		if got := control.MayAnswer(tt.own, tt.uid); got != tt.answered {
			t.Errorf("user %d hands work to a process of user %d: %t", tt.own, tt.uid, got)
		}
	}
}
