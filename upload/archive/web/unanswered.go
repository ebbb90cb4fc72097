// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// unanswered is an answer of GitHub's that is not the one that was asked for.
type unanswered struct {
	status int
	said   string // GitHub's own words
	advice string // what the person who signs in can do, "" where nothing is known
}

func (u *unanswered) Error() string {
	if u.said == "" {
		return fmt.Sprintf("status %d", u.status)
	}
	return fmt.Sprintf("status %d: %q", u.status, u.said)
}

// What may be asked and is refused, GitHub says in headers and in words:
// https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api
const (
	adviceSSO  = "The organisation uses single sign-on, and this sign-in is not authorised for it. Sign in to the organisation on GitHub through single sign-on, then sign in here again."
	adviceApp  = "The organisation restricts OAuth apps, and has not approved this one. One of its owners can approve it on GitHub, under Third-party access."
	adviceRate = "GitHub answers no more questions for now, because too many were asked. Try again in an hour."
	adviceElse = "GitHub refused to say which teams you are in. Ask whoever runs this page: its log has GitHub's words."
)

// readUnanswered says why GitHub did not answer.
func readUnanswered(resp *http.Response) error {
	u := &unanswered{status: resp.StatusCode}
	var body struct{ Message string }
	// Without a message of GitHub's there is the status.
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body)
	u.said = body.Message
	words := strings.ToLower(body.Message)
	refused := u.status == http.StatusForbidden || u.status == http.StatusTooManyRequests
	switch {
	case !refused:
	case strings.HasPrefix(resp.Header.Get("X-GitHub-SSO"), "required"), strings.Contains(words, "saml"):
		u.advice = adviceSSO
	case strings.Contains(words, "oauth app access restrictions"):
		u.advice = adviceApp
	case u.status == http.StatusTooManyRequests, resp.Header.Get("Retry-After") != "", resp.Header.Get("X-RateLimit-Remaining") == "0", strings.Contains(words, "rate limit"):
		u.advice = adviceRate
	default:
		u.advice = adviceElse
	}
	return u
}
