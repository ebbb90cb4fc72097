// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/user"
	"strings"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"
	"castgate/wrap/asciicast"
)

// TTYSpyConfig is the target "ttyspy": an existing session_receiver.
type TTYSpyConfig struct {
	URL      string `yaml:"url"` // with its path, /transcript
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

// ttyspy sends the raw bytes that the terminal showed, in one POST, as
// ttyspyd does (github.com/IBM/ttyspy). The receiver keeps no name that could
// be compared and answers 200 at the end: a try that was cut off leaves a
// partial transcript there, and a 200 that got lost a second one.
type ttyspy struct {
	url    *url.URL
	client *http.Client
	gecos  func(user string) string
}

func newTTYSpy(c TTYSpyConfig) (Target, error) {
	u, err := client.CheckURL("ttyspy.url", c.URL)
	if err != nil {
		return nil, err
	}
	if u.Path == "" || u.Path == "/" {
		// Any other path is answered with 200 and the recording is dropped.
		return nil, fmt.Errorf("ttyspy.url: %q has no path; the receiver's is /transcript", c.URL)
	}
	if c.CertFile == "" || c.KeyFile == "" || c.CAFile == "" {
		return nil, errors.New("ttyspy: wants ca_file, cert_file and key_file")
	}
	return &ttyspy{u, client.New(client.TLS{CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile, Host: u.Hostname()}), gecos}, nil
}

func (t *ttyspy) Name() string { return "ttyspy:" + t.url.String() }

func gecos(name string) string {
	if u, err := user.Lookup(name); err == nil && u.Name != "" {
		return u.Name
	}
	return name // the receiver wants one that isn't empty
}

// Deliver implements Target.
func (t *ttyspy) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	in, err := d.Cast()
	if err != nil {
		return Receipt{}, err
	}
	defer in.Close()
	var sum *manifest.Hasher
	body, end := client.Piped(func(w io.Writer) error {
		sum = manifest.NewHasher(w)
		return rawOutput(sum, in)
	})
	r, err := http.NewRequest(http.MethodPost, t.url.String(), body)
	if err != nil {
		return Receipt{}, errors.Join(err, end())
	}
	t.headers(r.Header, &d.Manifest.Session)
	resp, err := client.Do(ctx, t.client, r)
	if err != nil {
		_ = end()
		return Receipt{}, fmt.Errorf("send the transcript: %w", err)
	}
	defer resp.Body.Close()
	text := client.ReadAnswer(resp)
	if err := end(); err != nil && resp.StatusCode == http.StatusOK {
		return Receipt{}, fmt.Errorf("the server answers before it has all: %w", err)
	}
	if resp.StatusCode != http.StatusOK || len(text) > 0 {
		return Receipt{}, client.NotTaken(resp, text, time.Now())
	}
	return Receipt{sum.Hex(), sum.N, t.url.String()}, nil
}

// headers are the receiver's own. It makes paths of the names without looking
// at them, so they are given as the archive's path elements.
func (t *ttyspy) headers(h http.Header, s *manifest.Session) {
	userName, _ := manifest.Element(s.User)
	host, _ := manifest.Element(s.Host)
	h.Set("Content-Type", "application/typescript")
	h.Set("X-Username", userName)
	h.Set("X-Hostname", host)
	h.Set("X-Gecos", strings.Map(printable, t.gecos(s.User)))
	if s.Client != "" {
		_, port, _ := strings.Cut(s.Server, " ")
		h.Set("X-Ssh-Client", strings.Map(printable, strings.TrimSpace(s.Client+" "+port)))
	}
}

// printable takes out what can't stand in a header.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// rawOutput writes the exact bytes that the session showed.
func rawOutput(w io.Writer, cast io.Reader) error {
	r, err := asciicast.NewReader(cast)
	if err != nil {
		return err
	}
	for {
		ev, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if ev.Code != asciicast.Output {
			continue
		}
		if _, err := w.Write(ev.Data); err != nil {
			return err
		}
	}
}
