// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"castgate/upload/client"
)

// call is what wire notes of a request: what minio-go's errors don't tell.
type call struct {
	open      func() (io.ReadSeekCloser, error) // the body, nil for none
	resp      *http.Response
	at        time.Time
	corrected bool // the clock was wrong and is right now
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// ask runs one request of minio-go, or a series of them. It is run once more
// when the server has found our clock wrong.
func (b *Bucket) ask(ctx context.Context, what string, do func(ctx context.Context) error) error {
	return b.send(ctx, what, nil, func(ctx context.Context, _ io.Reader) error { return do(ctx) })
}

// send is ask for a request with a body.
func (b *Bucket) send(ctx context.Context, what string, open func() (io.ReadSeekCloser, error), do func(ctx context.Context, body io.Reader) error) error {
	for range 2 {
		c := &call{open: open}
		err := c.run(ctx, do)
		switch {
		case err == nil:
			return nil
		case !c.corrected:
			return c.failure(what, err)
		}
	}
	return fmt.Errorf("%s: the server's clock changes from one answer to the next", what)
}

func (c *call) run(ctx context.Context, do func(ctx context.Context, body io.Reader) error) error {
	ctx = context.WithValue(ctx, callKey{}, c)
	if c.open == nil {
		return do(ctx, nil)
	}
	body, err := c.open()
	if err != nil {
		return err
	}
	defer body.Close()
	return do(ctx, body)
}

// answerError is an answer that is no success.
type answerError struct {
	error
	status int
	code   string // S3's word for it
}

func (e *answerError) Unwrap() error { return e.error }

// failure makes an error of an answer. Credentials, permissions, the bucket
// and the clock are the administrator's to put right; only what is about this
// object's bytes is for good.
func (c *call) failure(what string, err error) error {
	var e minio.ErrorResponse
	if c.resp == nil || !errors.As(err, &e) { // there was none
		return fmt.Errorf("%s: %w", what, client.Bare(err))
	}
	text := e.Code + ": " + e.Message
	if e.Code == c.resp.Status { // it was no XML
		text = e.Message
	}
	err = &answerError{fmt.Errorf("%s: %w", what, client.NotTaken(c.resp, []byte(text), c.at)), c.resp.StatusCode, e.Code}
	if e.Code == minio.EntityTooLarge {
		return &client.Refused{Err: err}
	}
	return err
}

// answered reports whether the error is an answer with that status.
func answered(err error, status int) bool {
	var e *answerError
	return errors.As(err, &e) && e.status == status
}

// absent reports whether the error says that there is no such object.
func absent(err error) bool {
	var e *answerError
	return errors.As(err, &e) && e.status == http.StatusNotFound && e.code != minio.NoSuchBucket
}
