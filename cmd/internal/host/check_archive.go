// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"fmt"
	"net"
	"net/netip"

	"castgate/upload/archive/web"
)

// auditors: who may watch is decided by a header where the page stands behind a
// proxy. Every account of this machine can send that header from each of the
// machine's own addresses, whatever the page listens on: an address is bound
// before it is connected from. So it must not be believed from there where
// people log in; a machine without them may have its proxy beside the page.
func (h *Host) auditors() []Finding {
	const what = "who may watch recordings"
	header := h.Archive.Auditors.Header
	if h.archiveErr != nil || header == nil {
		return ok(what)
	}
	auth, err := web.NewHeader(header)
	if err != nil {
		return failed(what, "auditors.header in archive.yaml: "+err.Error(), "castgate-archive.yaml(5) explains it")
	}
	var people []string
	for _, a := range h.Accounts {
		if a.UID != 0 {
			people = append(people, a.Name)
		}
	}
	addr, own, err := ownAddress(auth)
	if err != nil {
		return failed(what, "the addresses of this machine are not known: "+err.Error(), "ip address")
	}
	if !own || len(people) == 0 {
		return ok(what)
	}
	return failed(what, fmt.Sprintf("archive.yaml believes the header %s from %s, an address of this machine: %s can send it from here and watch as any auditor", header.Name, addr, names(people)),
		"auditors: {github: ...}, or move the page and its proxy to a machine where nobody logs in")
}

// ownAddress returns an address of this machine from which a header is believed.
func ownAddress(auth *web.Header) (addr netip.Addr, own bool, err error) {
	for _, p := range auth.From {
		if p.Addr().IsLoopback() {
			return p.Addr(), true, nil // all of 127.0.0.0/8 is this machine's
		}
	}
	interfaces, err := net.InterfaceAddrs()
	for _, a := range interfaces {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		for _, from := range auth.From {
			if from.Contains(p.Addr().Unmap()) {
				return p.Addr(), true, nil
			}
		}
	}
	return netip.Addr{}, false, err
}
