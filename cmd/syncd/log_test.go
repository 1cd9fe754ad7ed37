package main

import (
	"net/http"
	"testing"
	"time"
)

func TestAnErrorIsLoggedOnceAndAgainWhenItIsAnotherOrAnHourOld(t *testing.T) {
	observe(t, func(o *observed) {
		// The window that is asked for, and so the error's text, is another one at every tick.
		o.fails("a", lists, http.StatusServiceUnavailable)
		time.Sleep(20 * time.Minute)
		o.expectLogged("after 20 minutes of an outage", "a", "live", 1)
		// Another source's trouble is its own.
		o.fails("b", lists, http.StatusServiceUnavailable)
		time.Sleep(10 * time.Minute)
		o.expectLogged("after the outage of another", "a", "live", 1)
		o.expectLogged("after its outage", "b", "live", 1)
		o.answers("a", lists, http.StatusOK, `{"oops":true}`)
		time.Sleep(10 * time.Minute)
		o.expectLogged("after another error", "a", "live", 2)
		o.fails("a", lists, http.StatusServiceUnavailable)
		time.Sleep(10 * time.Minute)
		o.expectLogged("after the first error again, within the hour", "a", "live", 2)
		time.Sleep(time.Hour)
		o.expectLogged("an hour later", "a", "live", 3)
		o.expectLogged("an hour later", "b", "live", 2)

		if n := o.recovered("a", "live"); n != 0 {
			t.Fatalf("%d recoveries are said of an outage that goes on", n)
		}
		o.mended("a", lists)
		time.Sleep(30 * time.Minute)
		if a, b := o.recovered("a", "live"), o.recovered("b", "live"); a != 1 || b != 0 {
			t.Errorf("%d and %d recoveries are said, want one of the source that is well again", a, b)
		}
		o.fails("a", lists, http.StatusServiceUnavailable)
		time.Sleep(10 * time.Minute)
		o.expectLogged("when it fails again", "a", "live", 4)
	}, "a", "b")
}

func TestKindsOfWorkDoNotSilenceEachOther(t *testing.T) {
	observe(t, func(o *observed) {
		o.fails("a", single, http.StatusServiceUnavailable)
		o.arrives("a")
		time.Sleep(20 * time.Minute)
		o.expectLogged("when details fail", "a", "details", 1)
		o.expectLogged("when details fail", "a", "live", 0)
		o.fails("a", lists, http.StatusServiceUnavailable)
		time.Sleep(10 * time.Minute)
		o.expectLogged("when lists fail in the same way", "a", "live", 1)
		o.mended("a", lists)
		time.Sleep(10 * time.Minute)
		// The lists' recovery is theirs alone: the details' error is no news.
		if live, details := o.recovered("a", "live"), o.recovered("a", "details"); live != 1 || details != 0 {
			t.Errorf("%d recoveries of the lists are said and %d of the details, want 1 and 0", live, details)
		}
		o.expectLogged("when lists are well again", "a", "details", 1)
		o.mended("a", single)
		time.Sleep(10 * time.Minute)
		if details := o.recovered("a", "details"); details != 1 {
			t.Errorf("%d recoveries of the details are said", details)
		}
	}, "a")
}

func TestAParkedSourceThatIsReadAgainIsSaidToBe(t *testing.T) {
	observe(t, func(o *observed) {
		o.fails("a", lists, http.StatusUnauthorized)
		time.Sleep(30 * time.Minute)
		if n := o.logged("a", "source parked", ""); n != 1 {
			t.Errorf("it is said %d times that it is parked", n)
		}
		if s, _ := o.shown("a"); s.State != "parked" {
			t.Errorf("its state is %s", s.State)
		}
		o.mended("a", lists)
		time.Sleep(time.Hour)
		if s, _ := o.shown("a"); s.State != "active" || o.recovered("a", "live") != 1 {
			t.Errorf("its state is %s, and %d recoveries are said", s.State, o.recovered("a", "live"))
		}
	}, "a")
}
