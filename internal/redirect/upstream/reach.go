// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// ErrAstray is for a registry that sends on, or has its token server, where it must not: at a blocked source, or at an address of the node itself.
var ErrAstray = errors.New("which must not be contacted")

// reserved are the addresses of a node, of its link, and of the metadata services of clouds.
var reserved = auth.DefaultBlockedRealmPrefixes()

// MayLead reports whether a registry that is at one address may lead to another (N11). It may always lead to its own. The first is the zero
// value where it is not known.
func MayLead(from, to netip.Addr) bool {
	from, to = from.Unmap().WithZone(""), to.Unmap().WithZone("")
	for _, prefix := range reserved {
		if prefix.Contains(to) {
			return from == to || from.IsLoopback() && to.IsLoopback()
		}
	}
	return true
}

// reach is how far a registry may lead: a name can stand for any address, so that each is looked at when it is connected to.
type reach struct {
	host string                     // the registry, without a port
	at   atomic.Pointer[netip.Addr] // where it was connected to last; nil before that, and where a proxy does it
	net.Dialer
}

type proxiedKey struct{}

// admit looks at a request before it is sent. One that a proxy of the node's carries is connected to at the proxy.
func (r *reach) admit(req *http.Request) (*http.Request, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil || proxy == nil {
		return req, err
	}
	if to, err := netip.ParseAddr(req.URL.Hostname()); err == nil && !r.isOwn(req.URL.Host) && !MayLead(netip.Addr{}, to) {
		return nil, fmt.Errorf("it leads to %s, %w", to, ErrAstray)
	}
	return req.WithContext(context.WithValue(req.Context(), proxiedKey{}, true)), nil
}

// dial connects to an address that the registry may lead to.
func (r *reach) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if ctx.Value(proxiedKey{}) != nil {
		return r.DialContext(ctx, network, address)
	}
	isOwn, at := r.isOwn(address), r.at.Load()
	dialer := r.Dialer
	dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		switch {
		case err != nil:
			return err
		case at == nil && isOwn: // wherever the rules have it
			return nil
		case at == nil && !MayLead(netip.Addr{}, to.Addr()), at != nil && !MayLead(*at, to.Addr()):
			return fmt.Errorf("it leads to %s, %w", to.Addr(), ErrAstray)
		}
		return nil
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil || !isOwn {
		return conn, err
	}
	if to, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		now := to.Addr()
		r.at.Store(&now)
	}
	return conn, nil
}

// isOwn reports whether a host, with a port or without, is the registry's.
func (r *reach) isOwn(host string) bool {
	return strings.EqualFold(withoutPort(host), r.host)
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
