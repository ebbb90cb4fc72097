// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"castgate/upload/client"
	"castgate/upload/manifest"
)

// AsciinemaConfig is the target "asciinema": an asciinema server.
type AsciinemaConfig struct {
	URL           string `yaml:"url"`
	InstallIDFile string `yaml:"install_id_file"`
	Visibility    string `yaml:"visibility"` // "", public, unlisted or private
}

// asciinema uploads a copy that the server accepts (asciinema_copy.go).
// The server has no way to ask for a recording and no idempotency key: when
// its answer is lost, the next try makes a second one. The title carries the
// session's id, so that they can be told to be the same.
type asciinema struct {
	url       *url.URL
	idFile    string
	visible   string
	client    *http.Client
	userAgent string

	mu     sync.Mutex
	next   time.Time // the server takes ten a minute from one address
	legacy bool      // it has only the endpoint of before 2025
}

// pace keeps below the server's limit of 10 uploads in 60 s. A server on this
// host is exempt from it.
const pace = 6200 * time.Millisecond

// maxTitle is the server's; a longer one is refused.
const maxTitle = 128

var installID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func newAsciinema(c AsciinemaConfig) (Target, error) {
	u, err := client.CheckURL("asciinema.url", c.URL)
	switch {
	case err != nil:
		return nil, err
	case c.InstallIDFile == "":
		return nil, errors.New("asciinema: wants install_id_file")
	case !slices.Contains([]string{"", "public", "unlisted", "private"}, c.Visibility):
		return nil, fmt.Errorf("asciinema.visibility: %q is not public, unlisted or private", c.Visibility)
	}
	return &asciinema{url: u, idFile: c.InstallIDFile, visible: c.Visibility, client: client.New(client.TLS{}), userAgent: "castgate-upload/1"}, nil
}

func (t *asciinema) Name() string { return "asciinema:" + t.url.String() }

// Deliver implements Target.
func (t *asciinema) Deliver(ctx context.Context, d *Delivery) (Receipt, error) {
	if err := t.turn(time.Now()); err != nil {
		return Receipt{}, err
	}
	receipt, err := t.upload(ctx, d)
	if errors.Is(err, errNoSuchPath) && !t.isLegacy() {
		t.mu.Lock()
		t.legacy = true
		t.mu.Unlock()
		receipt, err = t.upload(ctx, d)
	}
	return receipt, err
}

func (t *asciinema) turn(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.next) {
		return &Later{Err: client.ErrPaced, At: t.next}
	}
	if u := t.url.Hostname(); u != "127.0.0.1" {
		t.next = now.Add(pace)
	}
	return nil
}

func (t *asciinema) isLegacy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.legacy
}

func (t *asciinema) readID() (string, error) {
	text, err := os.ReadFile(t.idFile)
	if err != nil {
		return "", fmt.Errorf("read the install id: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if !installID.MatchString(id) {
		return "", fmt.Errorf("%q has no install id (a UUID in lower case)", t.idFile)
	}
	return id, nil
}

func (t *asciinema) upload(ctx context.Context, d *Delivery) (Receipt, error) {
	id, err := t.readID()
	if err != nil {
		return Receipt{}, err
	}
	form, err := t.newForm(d)
	if err != nil {
		return Receipt{}, err
	}
	var sum *manifest.Hasher
	body, end := client.Piped(func(w io.Writer) error {
		sum = manifest.NewHasher(w)
		return form.write(w, sum)
	})
	r, err := http.NewRequest(http.MethodPost, t.url.JoinPath(form.path).String(), body)
	if err != nil {
		return Receipt{}, errors.Join(err, end())
	}
	r.ContentLength = form.length
	r.SetBasicAuth(d.Manifest.Session.User, id)
	r.Header.Set("Content-Type", form.contentType)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", t.userAgent)
	resp, err := client.Do(ctx, t.client, r)
	if err != nil {
		_ = end()
		return Receipt{}, fmt.Errorf("upload: %w", err)
	}
	defer resp.Body.Close()
	where, err := asciinemaAnswer(resp, client.ReadAnswer(resp))
	if sent := end(); err == nil && sent != nil {
		err = fmt.Errorf("the server answers before it has all: %w", sent)
	}
	return Receipt{sum.Hex(), sum.N, where}, err
}

var errNoSuchPath = errors.New("the server does not know this path")

// asciinemaAnswer sorts the server's answers. 401 and 403 are about the
// install id and limits of the account, not about this recording.
func asciinemaAnswer(resp *http.Response, text []byte) (where string, err error) {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return asciinemaURL(resp, text)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "", fmt.Errorf("%w: %w", errNoSuchPath, client.NotTaken(resp, text, time.Now()))
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusUnsupportedMediaType:
		return "", &Refused{Err: client.NotTaken(resp, text, time.Now())}
	}
	return "", client.NotTaken(resp, text, time.Now())
}

func asciinemaURL(resp *http.Response, text []byte) (string, error) {
	var answer struct{ URL string }
	if json.Unmarshal(text, &answer) == nil && answer.URL != "" {
		return answer.URL, nil
	}
	if at := resp.Header.Get("Location"); at != "" {
		return at, nil
	}
	if s := strings.TrimSpace(string(text)); strings.HasPrefix(s, "http") { // before 2.0
		return s, nil
	}
	return "", fmt.Errorf("the server answers %s without the recording's URL%s", resp.Status, client.Said(text))
}

// form is the multipart body of an upload: its length is known beforehand,
// because not every proxy takes a body in chunks, and it is never in memory.
type form struct {
	path, contentType string
	length            int64
	head, tail        string
	cast              func(w io.Writer) error
}

func (t *asciinema) newForm(d *Delivery) (*form, error) {
	f := &form{path: "api/v1/recordings"}
	field, version := "file", 3
	if t.isLegacy() {
		f.path, field, version = "api/asciicasts", "asciicast", 2
	}
	f.cast = func(w io.Writer) error {
		in, err := d.Cast()
		if err != nil {
			return err
		}
		defer in.Close()
		return asciinemaCopy(w, in, version, title(d.Manifest))
	}
	size := manifest.NewHasher(io.Discard)
	if err := f.cast(size); err != nil {
		return nil, fmt.Errorf("make a copy that the server accepts: %w", err)
	}
	var b strings.Builder
	w := multipart.NewWriter(&b)
	f.contentType = w.FormDataContentType()
	if version == 3 {
		_ = w.WriteField("title", title(d.Manifest)) // a strings.Builder never fails
		if t.visible != "" {
			_ = w.WriteField("visibility", t.visible)
		}
	}
	_, _ = w.CreateFormFile(field, d.Manifest.Session.ID+".cast")
	f.head = b.String()
	b.Reset()
	_ = w.Close()
	f.tail = b.String()
	f.length = int64(len(f.head)) + size.N + int64(len(f.tail))
	return f, nil
}

func (f *form) write(w io.Writer, cast io.Writer) error {
	if _, err := io.WriteString(w, f.head); err != nil {
		return err
	}
	if err := f.cast(cast); err != nil {
		return err
	}
	_, err := io.WriteString(w, f.tail)
	return err
}

// title is "user@host id": the id is last and whole.
func title(m *manifest.Manifest) string {
	id := m.Session.ID
	who := []rune(m.Session.User + "@" + m.Session.Host)
	return string(who[:min(len(who), maxTitle-1-len(id))]) + " " + id
}
