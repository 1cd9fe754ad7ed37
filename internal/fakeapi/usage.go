package fakeapi

import (
	"sync"
	"time"
)

// usage is what a call consumed, and what each part of it cost in billionths of a dollar or credit. The prices differ a little from
// call to call, as the exchange rates and the models behind them do.
type usage struct {
	promptTokens, completionTokens int64
	characters                     int64 // spoken by the agent
	talk                           time.Duration
	minutes                        int64 // begun, of telephony

	prices prices
}

// prices are in billionths.
type prices struct {
	promptToken, completionToken int64
	character                    int64
	second                       int64 // of speech recognition
	minute                       int64 // of telephony; 0 over the web
	platformSecond               int64
}

// usages remembers what calls consumed. To work it out takes the whole conversation, of which Burki's list shows nothing else, and a reader
// asks for each recent call again and again.
type usages struct {
	mu sync.Mutex
	of map[int]usage
}

// keptUsages bounds the memory: some six megabytes.
const keptUsages = 50_000

// knownUsage is usage, without making the conversation of a call that was asked for before.
func (s *Server) knownUsage(c call) usage {
	s.usages.mu.Lock()
	u, ok := s.usages.of[c.n]
	s.usages.mu.Unlock()
	if ok {
		return u
	}
	u = s.usage(c, s.script(c))
	s.usages.mu.Lock()
	defer s.usages.mu.Unlock()
	if s.usages.of == nil || len(s.usages.of) >= keptUsages {
		s.usages.of = map[int]usage{}
	}
	s.usages.of[c.n] = u
	return u
}

func (s *Server) usage(c call, sc script) usage {
	r := s.chance(c.n, costStream)
	vary := func(n int64) int64 { return n + r.Int64N(n/4+1) }
	u := usage{talk: c.length - c.ring}
	for i, t := range sc.turns {
		if t.by == byAgent {
			u.characters += int64(len([]rune(t.text)))
			u.promptTokens += 320 + int64(i)*28 // the whole conversation is sent again at every turn
			u.completionTokens += int64(len(t.text))/4 + 3
		}
	}
	u.prices = prices{promptToken: vary(2_500), completionToken: vary(10_000), character: vary(15_000), second: vary(71_667), platformSecond: vary(333_333)}
	if !c.web {
		u.minutes = int64((u.talk + time.Minute - 1) / time.Minute)
		u.prices.minute = vary(8_500_000)
	}
	return u
}

func (u usage) llm() nanos {
	return nanos(u.promptTokens*u.prices.promptToken + u.completionTokens*u.prices.completionToken)
}
func (u usage) tts() nanos       { return nanos(u.characters * u.prices.character) }
func (u usage) stt() nanos       { return nanos(u.talk.Milliseconds() * u.prices.second / 1000) }
func (u usage) telephony() nanos { return nanos(u.minutes * u.prices.minute) }
func (u usage) platform() nanos  { return nanos(u.talk.Milliseconds() * u.prices.platformSecond / 1000) }
