package fakeapi_test

import (
	"context"
	"net"
)

// dialer leads every connection to one address, whatever host was asked for.
type dialer struct{ address string }

func (d *dialer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var inner net.Dialer
	return inner.DialContext(ctx, network, d.address)
}
