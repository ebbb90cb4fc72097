// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/upload/target"
	"castgate/wrap/asciicast"
)

// With stream: true, what living recorders have written goes to archives and buckets
// every few seconds, so that a host that is destroyed in the middle of a
// session loses seconds of it. Only whole lines are sent, each part with the
// offset at which it begins; the server answers how much it has. The file is
// read and nothing else: whatever happens here is not felt in a terminal. The
// finished recording is delivered as always, and replaces the parts when it is
// seen to begin with them.
const (
	streamEvery = 3 * time.Second // with a request's time, parts are at most 5 s old
	// idleScan is how often live/ is looked through for orphans when the
	// uploader stays for streaming.
	idleScan = 30 * time.Second
)

// streamer brings the recordings of live/ to one target; each has its own, so
// that one that stalls holds up no other.
type streamer struct {
	u      *Uploader
	target target.Live

	sent  map[string]int64  // by recording; -1: not ours to send
	host  map[string]string // of each, as in a path
	fails int
	until time.Time
}

// startStreams runs a streamer for each archive until ctx ends.
func (u *Uploader) startStreams(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, t := range u.targets {
		if a, ok := t.(target.Live); ok && u.Config.Stream {
			wg.Go(func() { newStreamer(u, a).run(ctx) })
		}
	}
	return &wg
}

func newStreamer(u *Uploader, a target.Live) *streamer {
	return &streamer{u: u, target: a, sent: map[string]int64{}, host: map[string]string{}}
}

func (s *streamer) run(ctx context.Context) {
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Now().Before(s.until) {
			continue
		}
		err := s.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.fails++
			s.until = time.Now().Add(min(wait(s.fails), time.Minute))
			if s.fails == 1 {
				s.u.Log.Warn("can't stream", "target", s.target.Name(), "why", err)
			}
		case s.fails > 0:
			s.fails = 0
			s.u.Log.Info("streams again", "target", s.target.Name())
		}
	}
}

// pass sends what is new in live/.
func (s *streamer) pass(ctx context.Context) error {
	living := map[string]bool{}
	err := s.u.spool.Names(spoolLive, func(id string) error {
		living[id] = true
		return s.follow(ctx, id)
	}, nil)
	for id := range s.sent {
		if !living[id] && err == nil {
			delete(s.sent, id)
			delete(s.host, id)
		}
	}
	return err
}

// follow sends what is new in one recording. A recording that the server does
// not want is left alone; its final delivery will say why.
func (s *streamer) follow(ctx context.Context, id string) error {
	f, err := s.u.spool.Open(spoolLive, id)
	if err != nil {
		return nil // it has just ended
	}
	defer f.Close()
	c := &cast{File: f, id: id}
	if s.sent[id] == 0 {
		host, ok := s.u.streams(c)
		if !ok {
			return nil
		}
		s.host[id] = host
	}
	buf := make([]byte, target.LivePart)
	for s.sent[id] >= 0 {
		n, err := f.ReadAt(buf, s.sent[id])
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read a live recording: %w", err)
		}
		part := buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
		if len(part) == 0 {
			return nil
		}
		if s.sent[id], err = s.target.PutLive(ctx, s.host[id], id, s.sent[id], part); err != nil {
			if client.IsRefused(err) {
				s.u.complainOnce("a target takes no live parts of a recording", id, err)
				s.sent[id] = -1
				return nil
			}
			return err
		}
	}
	return nil
}

// streams returns the host of a recording whose header is there and its file's.
func (u *Uploader) streams(c *cast) (host string, ok bool) {
	r, err := asciicast.NewReader(io.NewSectionReader(c, 0, asciicast.MaxLine))
	if err != nil {
		return "", false // not yet
	}
	if err := c.check(r.Header, u.uidOf); err != nil {
		u.complainOnce("a live recording is not streamed", c.id, err)
		return "", false
	}
	host, err = manifest.Element(r.Header.Session.Host)
	return host, err == nil
}
