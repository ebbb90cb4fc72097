// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// What a client may cost before it has shown a key. Each is generous to a slow
// person and small against what a scanner could use up.
const (
	maxPending = 64                // connections at once; each costs some 100 kB
	pressed    = 5 * time.Second   // older ones give way when there are that many
	helloGrace = 20 * time.Second  // to exchange versions and keys, without a person
	loginGrace = 120 * time.Second // to authenticate: a passphrase, a touch (LoginGraceTime, sshd_config(5))
	maxTries   = 6                 // keys offered (MaxAuthTries, sshd_config(5))
)

// door lets one client in.
type door struct {
	listener net.Listener
	signer   ssh.Signer
	keys     *Keys
	log      *slog.Logger
	entered  chan *visitor
	freed    chan struct{} // a pending connection has ended

	mu      sync.Mutex
	pending map[*knock]bool
	claimed *knock // has authenticated
	closed  bool
}

// knock is a connection that is not let in yet.
type knock struct {
	conn  net.Conn
	from  netip.AddrPort
	since time.Time
	user  string // what it says it is
	key   string // fingerprint of the last key it offered
	why   error  // that key isn't good enough
}

// visitor is the client that was let in.
type visitor struct {
	conn     *ssh.ServerConn
	channels <-chan ssh.NewChannel
	requests <-chan *ssh.Request
	from     netip.AddrPort
	at       netip.AddrPort
	key      *Key
	print    string // the key's fingerprint
}

func newDoor(l net.Listener, signer ssh.Signer, keys *Keys, log *slog.Logger) *door {
	return &door{
		listener: l, signer: signer, keys: keys, log: log,
		entered: make(chan *visitor, 1), freed: make(chan struct{}, 1), pending: map[*knock]bool{},
	}
}

// wait waits for the client that gets in; nil when ctx ends first. Either way
// nobody else does.
func (d *door) wait(ctx context.Context) *visitor {
	go d.accept(ctx)
	var v *visitor
	select {
	case v = <-d.entered:
	case <-ctx.Done():
	}
	d.listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for k := range d.pending {
		k.conn.Close()
	}
	return v
}

func (d *door) accept(ctx context.Context) {
	for d.room(ctx) {
		conn, err := d.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // ECONNABORTED, EMFILE: those that follow may do better
			d.log.Warn("client not accepted", "why", err.Error())
			time.Sleep(100 * time.Millisecond)
			continue
		}
		k := &knock{conn: conn, from: addrOf(conn.RemoteAddr()), since: time.Now()}
		d.mu.Lock()
		d.pending[k] = true
		if d.closed {
			conn.Close()
		}
		d.mu.Unlock()
		go d.answer(k)
	}
}

func addrOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// room waits until one more connection may be pending. Those that wait for it
// do so in the kernel's queue, in their order. Who holds a place for long gives
// way: the oldest one of the address that has the most places.
func (d *door) room(ctx context.Context) bool {
	for {
		d.mu.Lock()
		victim, after := d.victim()
		full := len(d.pending) >= maxPending
		d.mu.Unlock()
		if !full {
			return true
		}
		if victim != nil {
			victim.conn.Close()
			after = pressed
		}
		select {
		case <-d.freed:
		case <-time.After(after):
		case <-ctx.Done():
			return false
		}
	}
}

// victim returns who has to give way, or how long nobody has to.
func (d *door) victim() (*knock, time.Duration) {
	held := map[netip.Addr]int{}
	for k := range d.pending {
		held[k.from.Addr()]++
	}
	var worst *knock
	after := pressed
	for k := range d.pending {
		if age := time.Since(k.since); age < pressed || k == d.claimed {
			after = min(after, max(pressed-age, time.Millisecond))
			continue
		}
		more, least := 0, 0
		if worst != nil {
			more, least = held[k.from.Addr()], held[worst.from.Addr()]
		}
		if worst == nil || more > least || more == least && k.since.Before(worst.since) {
			worst = k
		}
	}
	return worst, after
}

// answer speaks SSH with a connection until it is let in or not.
func (d *door) answer(k *knock) {
	_ = k.conn.SetDeadline(k.since.Add(helloGrace))
	conn, channels, requests, err := ssh.NewServerConn(k.conn, d.serverConfig(k))
	d.mu.Lock()
	delete(d.pending, k)
	if err != nil && d.claimed == k {
		d.claimed = nil // it was lost in the last step
	}
	d.mu.Unlock()
	select {
	case d.freed <- struct{}{}:
	default:
	}
	if err != nil {
		k.conn.Close()
		d.log.Warn("client refused", "client", k.from.String(), "account", clip(k.user), "key", k.key, "why", k.reason(err))
		return
	}
	_ = k.conn.SetDeadline(time.Time{})
	key := conn.Permissions.ExtraData[lineOf{}].(*Key)
	d.log.Info("client accepted", "client", k.from.String(), "account", clip(k.user), "key", k.key, "line", key.Line)
	d.entered <- &visitor{
		conn: conn, channels: channels, requests: requests, from: k.from, at: addrOf(k.conn.LocalAddr()), key: key, print: k.key,
	}
}
