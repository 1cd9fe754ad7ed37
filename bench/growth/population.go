package growth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"syncd/internal/call"
)

// source is the one source of a built warehouse. Its calls are as Voicy lists them.
const source = "voicy"

// firstStart is when the first call of a built warehouse starts; the last starts a year later.
func firstStart() time.Time { return time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC) }

// settledAfter is how long after its start a call was read.
const settledAfter = 10 * time.Minute

// population says which calls a warehouse has: the nth starts n steps after the first, and everything else about it follows from n and from how
// often it changed. The statement in build.go makes the same rows, and a test holds the two against each other.
type population struct{ step time.Duration }

func (p population) start(n int64) time.Time { return firstStart().Add(time.Duration(n) * p.step) }

// observation is the nth call as a reading saw it. A version other than 0 is a state that is not the one that was built: the call lasted longer.
func (p population) observation(n, version, reading int64) call.Observation {
	start := p.start(n)
	lasted := 5_000 + n*7_919%600_000 + 1_000*version
	end := start.Add(time.Duration(lasted) * time.Millisecond)
	test := false
	c := call.Call{
		Key: call.Key{Source: source, ID: callID(n)}, Provider: "voicy",
		AgentName: "Reception " + strconv.FormatInt(n%8+1, 10), AgentVersion: strconv.FormatInt(n%5+1, 10),
		Channel: call.ChannelPhone, Direction: call.Outbound,
		FromNumber: fmt.Sprintf("+1555010%04d", n%40), ToNumber: fmt.Sprintf("+1555%07d", n*48_271%9_999_991),
		Status: call.Completed, StatusRaw: "user_hangup", EndReason: call.EndedByUser,
		StartedAt: &start, EndedAt: &end, DurationMS: &lasted, IsTest: &test,
	}
	c.CustomerNumber = c.ToNumber
	direction := "outgoing"
	if n%3 == 0 {
		c.Direction, direction = call.Inbound, "incoming"
		c.FromNumber, c.ToNumber = c.ToNumber, c.FromNumber
	}
	if n%9 == 0 {
		c.Status, c.StatusRaw, c.EndReason = call.NoAnswer, "no_answer", ""
	}
	return call.Observation{
		Call: c, Part: call.PartList, ContentHash: contentHash(n, version), Reading: reading, FetchedAt: start.Add(settledAfter + time.Duration(version)*time.Second),
		Payload: `{"call_id":"` + c.ID + `","call_type":"phone_call","call_status":"` + c.StatusRaw + `","agent":{"name":"` + c.AgentName + `","version":` +
			c.AgentVersion + `},"from_number":"` + c.FromNumber + `","to_number":"` + c.ToNumber + `","direction":"` + direction + `","start_timestamp":` +
			strconv.FormatInt(start.UnixMilli(), 10) + `,"duration_ms":` + strconv.FormatInt(lasted, 10) + `,"is_test_call":false}`,
	}
}

// digest stands for a state of a call. It is a function that Go and DuckDB have alike.
func digest(n, version int64) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(n, 10) + "/" + strconv.FormatInt(version, 10)))
	return hex.EncodeToString(sum[:])
}

// callID is spread over all ids as a provider's are, so that no order of them helps anybody.
func callID(n int64) string {
	d := digest(n, 0)
	return d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:32]
}

func contentHash(n, version int64) int64 {
	h, err := strconv.ParseInt(digest(n, version)[32:47], 16, 64)
	if err != nil {
		panic(err) // fifteen hexadecimal digits are a number
	}
	return h
}
