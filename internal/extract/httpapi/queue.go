package httpapi

import "container/heap"

// waiter is a request that waits for its turn.
type waiter struct {
	urgency Urgency
	number  uint64     // the order of arrival; it is kept when a request has to wait again
	place   int        // in the queue; −1: its turn was decided
	turn    chan error // has room for one: nil sends the request, an error turns it away
}

// queue holds the waiters: the most urgent first, and of those the first that came.
type queue struct{ waiters waiters }

func (q *queue) empty() bool     { return len(q.waiters) == 0 }
func (q *queue) push(w *waiter)  { heap.Push(&q.waiters, w) }
func (q *queue) next() *waiter   { return heap.Pop(&q.waiters).(*waiter) }
func (q *queue) leave(w *waiter) { heap.Remove(&q.waiters, w.place) }

// waiters is what container/heap asks for.
type waiters []*waiter

func (q waiters) Len() int { return len(q) }

func (q waiters) Less(i, j int) bool {
	if q[i].urgency != q[j].urgency {
		return q[i].urgency < q[j].urgency
	}
	return q[i].number < q[j].number
}

func (q waiters) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *waiters) Push(x any) {
	w := x.(*waiter)
	w.place = len(*q)
	*q = append(*q, w)
}

func (q *waiters) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil // what has left must not be kept alive by the array
	*q = (*q)[:last]
	w.place = -1
	return w
}
