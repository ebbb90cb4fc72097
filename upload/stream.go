// SPDX-License-Identifier: AGPL-3.0-or-later

package upload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"castgate/upload/bucket"
	"castgate/upload/client"
	"castgate/upload/manifest"
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
	streamPart  = bucket.LivePart
	// streamTime bounds one part.
	streamTime = 30 * time.Second
	// idleScan is how often live/ is looked through for orphans when the
	// uploader stays for streaming.
	idleScan = 30 * time.Second
)

// streamer brings the recordings of live/ to one target; each has its own, so
// that one that stalls holds up no other.
type streamer struct {
	u      *Uploader
	target liveTarget

	sent  map[string]int64  // by recording; -1: not ours to send
	host  map[string]string // of each, as in a path
	fails int
	until time.Time
}

// startStreams runs a streamer for each archive until ctx ends.
func (u *Uploader) startStreams(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	for _, t := range u.targets {
		if a, ok := t.(liveTarget); ok && u.Config.Stream {
			wg.Go(func() { newStreamer(u, a).run(ctx) })
		}
	}
	return &wg
}

func newStreamer(u *Uploader, a liveTarget) *streamer {
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
	buf := make([]byte, streamPart)
	for s.sent[id] >= 0 {
		n, err := f.ReadAt(buf, s.sent[id])
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read a live recording: %w", err)
		}
		part := buf[:bytes.LastIndexByte(buf[:n], '\n')+1]
		if len(part) == 0 {
			return nil
		}
		if s.sent[id], err = s.target.putLive(ctx, s.host[id], id, s.sent[id], part); err != nil {
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

// liveTarget is a target that takes parts of living recordings. The host is as in
// a path; an archive goes by the certificate's.
type liveTarget interface {
	Target
	putLive(ctx context.Context, host, id string, offset int64, part []byte) (size int64, err error)
}

// putLive sends a part and returns how much the server has then.
func (t *archiveTarget) putLive(ctx context.Context, _, id string, offset int64, part []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTime)
	defer cancel()
	at := t.url.JoinPath("v1/live", id, strconv.FormatInt(offset, 10)).String()
	r, err := http.NewRequest(http.MethodPut, at, bytes.NewReader(part))
	if err != nil {
		return offset, err
	}
	resp, err := client.Do(ctx, t.client, r)
	if err != nil {
		return offset, fmt.Errorf("send a live part: %w", err)
	}
	defer resp.Body.Close()
	text := client.ReadAnswer(resp)
	var has struct{ Size *int64 }
	_ = json.Unmarshal(text, &has) // an error's answer has none
	switch {
	case resp.StatusCode == http.StatusOK && has.Size != nil && *has.Size > offset:
		return *has.Size, nil
	case resp.StatusCode == http.StatusConflict && has.Size != nil && *has.Size >= 0 && *has.Size < offset:
		return *has.Size, nil // it lost something: go on from there
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusConflict, resp.StatusCode == http.StatusRequestEntityTooLarge:
		return offset, &Refused{Err: client.NotTaken(resp, text, time.Now())}
	}
	return offset, client.NotTaken(resp, text, time.Now())
}
