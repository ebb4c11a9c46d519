// Copyright The Mirrorset Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"syscall"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// ErrAstray is for a registry that redirects to a forbidden place, or has its token server there: a blocked source, or an address of the node itself.
var ErrAstray = errors.New("which must not be contacted")

// reserved are the addresses of a node, of its link, and of the metadata services of clouds.
var reserved = auth.DefaultBlockedRealmPrefixes()

// nat64 and sixToFour are the IPv6 addresses that a router may translate into the IPv4 address that they contain.
var nat64, sixToFour = netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16")

// MayLead reports if a registry at one address may lead to another (N11). It may always lead to its own. The first address is the zero value if it is
// unknown.
func MayLead(from, to netip.Addr) bool {
	from, to = unwrap(from), unwrap(to)
	for _, prefix := range reserved {
		if prefix.Contains(to) {
			return from == to || from.IsLoopback() && to.IsLoopback()
		}
	}
	return true
}

// unwrap returns the IPv4 address that an IPv6 address contains, and any other address without its zone.
func unwrap(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	bytes := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(bytes[12:]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(bytes[2:6]))
	}
	return a
}

// reach is how far a registry may lead. A name can stand for any address, so each address is checked at the time of the connection.
type reach struct {
	host string // the registry, without a port
	net.Dialer
}

// leave holds the places that a request may connect to.
type leave struct {
	anywhere bool       // such as to a proxy of the node's
	from     netip.Addr // where the attempt's registry answered; the zero value before that, and where a proxy carries the requests
}

type leaveKey struct{}

// admit checks a request before it is sent, and notes where the registry answers. If the node has a proxy for the request, the connection goes to the
// proxy.
func (r *reach) admit(req *http.Request, try *attempt) (*http.Request, error) {
	try.conn = nil
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, err
	}
	isOwn := r.isOwn(req.URL.Host)
	if proxy != nil {
		if to, err := netip.ParseAddr(req.URL.Hostname()); err == nil && !isOwn && !MayLead(netip.Addr{}, to) {
			return nil, astray(to)
		}
		return req.WithContext(context.WithValue(req.Context(), leaveKey{}, leave{anywhere: true})), nil
	}
	l := leave{anywhere: isOwn && !try.at.IsValid(), from: try.at} // at first, the registry is wherever the rules have it
	ctx := httptrace.WithClientTrace(context.WithValue(req.Context(), leaveKey{}, l), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		try.conn = c.Conn
		to, err := netip.ParseAddrPort(c.Conn.RemoteAddr().String())
		switch {
		case err != nil || !l.anywhere && !MayLead(l.from, to.Addr()): // it was made for another attempt
			_ = c.Conn.Close() // so that nothing can be sent
		case isOwn:
			try.at = to.Addr()
		}
	}})
	return req.WithContext(ctx), nil
}

func astray(to netip.Addr) error {
	return fmt.Errorf("it leads to %s, %w", to, ErrAstray)
}

// dial connects to an address that the registry may lead to.
func (r *reach) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l, _ := ctx.Value(leaveKey{}).(leave)
	if l.anywhere {
		return r.DialContext(ctx, network, address)
	}
	dialer := r.Dialer
	dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err == nil && !MayLead(l.from, to.Addr()) {
			return astray(to.Addr())
		}
		return err
	}
	return dialer.DialContext(ctx, network, address)
}

// isOwn reports if a host, with or without a port, is the registry's.
func (r *reach) isOwn(host string) bool {
	return strings.EqualFold(withoutPort(host), r.host)
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
