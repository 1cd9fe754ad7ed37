package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/schedule"
)

func parse(t testing.TB, spec string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestTicksAreThoseOfTheCalendarInUTC(t *testing.T) {
	for _, tt := range []struct{ spec, after, want string }{
		{"*/5 * * * *", "2026-03-01T10:02:03.5Z", "2026-03-01T10:05:00Z"},
		{"*/5 * * * *", "2026-03-01T10:05:00Z", "2026-03-01T10:10:00Z"}, // a tick is after the time, never at it
		{"30 3 * * *", "2026-03-01T04:00:00+02:00", "2026-03-01T03:30:00Z"},
		{"@hourly", "2026-12-31T23:00:00.000000001Z", "2027-01-01T00:00:00Z"},
		{"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"}, // eight years: 2100 has none
		{"@every 5m", "2026-03-01T10:02:03.5Z", "2026-03-01T10:05:00Z"},
		{"@every 5m", "2026-03-01T10:05:00Z", "2026-03-01T10:10:00Z"},
		{"@every 7h", "1970-01-01T00:00:00Z", "1970-01-01T07:00:00Z"},
		{"@every 7h", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"},
		{"@every 1500ms", "1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z"},
	} {
		got := parse(t, tt.spec).Next(at(t, tt.after))
		if want := at(t, tt.want); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s after %s: %s, want %s", tt.spec, tt.after, got, want)
		}
	}
}

func TestIntervalIsTheLongestTimeBetweenTwoTicks(t *testing.T) {
	const day = 24 * time.Hour
	for spec, want := range map[string]time.Duration{
		"@every 5m":          5 * time.Minute,
		"@every 1h0m1s":      time.Hour + time.Second,
		"* * * * *":          time.Minute,
		"*/5 * * * *":        5 * time.Minute,
		"*/25 * * * *":       25 * time.Minute, // :00 :25 :50
		"@hourly":            time.Hour,
		"0 3 * * *":          day,
		"0 9,17 * * *":       16 * time.Hour,
		"*/10 9-17 * * *":    15*time.Hour + 10*time.Minute,
		"*/10 9-17 * * 1-5":  2*day + 15*time.Hour + 10*time.Minute,
		"@weekly":            7 * day,
		"@monthly":           31 * day,
		"*/5 0 1 * *":        31*day - 55*time.Minute,
		"@yearly":            366 * day,
		"0 0 29 2 *":         4*365*day + day,
		"0 0 1 6 1":          342 * day,                                                                // from 24 June 2024 to 1 June 2025
		"15,45 22-23 31 * *": 61*day + 22*time.Hour + 15*time.Minute - (23*time.Hour + 45*time.Minute), // from March to May
	} {
		if got := parse(t, spec).Interval(); got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
}

func TestNoTickOfAYearIsFurtherAwayThanTheInterval(t *testing.T) {
	for _, spec := range []string{"*/7 3-20 * * 2", "0 */5 * * *", "1 2 3,30 * 5", "@every 1h7m"} {
		s := parse(t, spec).Jittered("some")
		seen := time.Duration(0)
		for last := s.Next(at(t, "2025-06-01T00:00:00Z")); last.Year() < 2027; {
			next := s.Next(last)
			if !next.After(last) {
				t.Fatalf("%s: %s follows %s", spec, next, last)
			}
			seen, last = max(seen, next.Sub(last)), next
		}
		if seen > s.Interval() || seen < s.Interval()/2 {
			t.Errorf("%s: ticks are %s apart, the interval is %s", spec, seen, s.Interval())
		}
	}
}

func TestWhatIsNoScheduleIsRefused(t *testing.T) {
	for _, spec := range []string{
		"", "now", "* * * *", "* * * * * *", "60 * * * *", "TZ=UTC", "TZ=UTC * * * * *", "CRON_TZ=Europe/Berlin 0 3 * * *", "0 0 30 2 *", ", * * * *",
		"@every", "@every 5", "@every 0s", "@every -5m", "@every 999ms", "@every 200000h", "@reboot",
	} {
		if s, err := schedule.Parse(spec); err == nil {
			t.Errorf("%q was taken, next at %s", spec, s.Next(time.Now()))
		} else if !strings.Contains(err.Error(), "want ") {
			t.Errorf("%q: %v does not say what is wanted", spec, err)
		}
	}
}

// TestJitterNeverChanges pins offsets: a release that moved them would move every source's ticks.
func TestJitterNeverChanges(t *testing.T) {
	midnight := at(t, "2026-03-01T00:00:00Z")
	got := make(map[string]string)
	for _, name := range []string{"millis-us", "burki", "voicy"} {
		for _, spec := range []string{"@every 5m", "0 1 * * *"} {
			got[name+" "+spec] = parse(t, spec).Jittered(name).Next(midnight).Format("15:04:05.000")
		}
	}
	want := map[string]string{
		"burki 0 1 * * *": "01:00:00.938", "millis-us 0 1 * * *": "01:00:33.852", "voicy 0 1 * * *": "01:00:57.072",
		"burki @every 5m": "00:00:04.692", "millis-us @every 5m": "00:02:49.262", "voicy @every 5m": "00:04:45.360",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ticks moved (-want +got):\n%s", diff)
	}
}

func TestJitterShiftsEveryTickAlike(t *testing.T) {
	for _, spec := range []string{"@every 5m", "*/5 * * * *", "0 9-17 * * 1-5"} {
		plain := parse(t, spec)
		s := plain.Jittered("burki-eu")
		when := at(t, "2026-03-01T00:00:00Z")
		shift := s.Next(when.AddDate(0, 0, 1)).Sub(plain.Next(when.AddDate(0, 0, 1)))
		tick := plain.Next(when.Add(48 * time.Hour))
		for range 500 {
			if got := s.Next(tick.Add(shift - 1)); got.Sub(tick) != shift {
				t.Fatalf("%s: the tick of %s comes at %s, %s late, where others are %s late", spec, tick, got, got.Sub(tick), shift)
			}
			tick = plain.Next(tick)
		}
		if twice := s.Jittered("burki-eu"); twice != s {
			t.Errorf("%s: jitter adds up", spec)
		}
	}
}

func TestAThousandSourcesSpread(t *testing.T) {
	spread := func(spec string, within time.Duration) {
		t.Helper()
		s := parse(t, spec)
		plain := s.Next(at(t, "2026-03-01T00:00:00Z"))
		var late []time.Duration
		for i := range 1000 {
			late = append(late, s.Jittered(fmt.Sprintf("source-%d", i)).Next(plain.Add(-1)).Sub(plain))
		}
		tenths := make([]int, 10)
		for _, d := range late {
			if d < 0 || d >= within {
				t.Fatalf("%s: a tick is %s late, where less than %s is allowed", spec, d, within)
			}
			tenths[d*10/within]++
		}
		if slices.Min(tenths) < 60 || slices.Max(tenths) > 140 {
			t.Errorf("%s: a thousand sources fall on the tenths of %s as %v", spec, within, tenths)
		}
	}
	spread("@every 5m", 5*time.Minute)
	spread("@every 10s", 10*time.Second)
	spread("*/5 * * * *", 30*time.Second)
	spread("@daily", time.Minute)
}

func BenchmarkParse(b *testing.B) {
	for _, spec := range []string{"@every 5m", "* * * * *", "0 0 29 2 *"} {
		b.Run(spec, func(b *testing.B) {
			for b.Loop() {
				parse(b, spec)
			}
		})
	}
}
