// SPDX-License-Identifier: AGPL-3.0-or-later

package bucket

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

func FuzzParseCredentials(f *testing.F) {
	f.Add("[default]\naws_access_key_id = a\naws_secret_access_key = b\n[other]\naws_access_key_id = c\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCredentials(strings.NewReader(text))
		if err == nil && (c.AccessKeyID == "" || c.SecretAccessKey == "" || !strings.Contains(text, c.SecretAccessKey)) {
			t.Errorf("%q is read as %+v", text, c)
		}
		if err != nil && c.SecretAccessKey != "" && strings.Contains(err.Error(), c.SecretAccessKey) && len(c.SecretAccessKey) > 8 {
			t.Errorf("the error tells the secret: %v", err)
		}
	})
}

func TestTheRoleOfTheInstance(t *testing.T) {
	asked := 0
	imds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch {
		case r.Method == "PUT" && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
			fmt.Fprint(w, "tok")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "tok":
			w.WriteHeader(401)
		case r.URL.Path == credentials.DefaultIAMSecurityCredsPath:
			fmt.Fprint(w, "uploader\n")
		case r.URL.Path == credentials.DefaultIAMSecurityCredsPath+"uploader":
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"id","SecretAccessKey":"sec","Token":"t","Expiration":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
		default:
			w.WriteHeader(404)
		}
	}))
	defer imds.Close()
	ask := role(imds.URL)
	for range 2 {
		if c, err := ask(t.Context()); err != nil || c.AccessKeyID != "id" || c.SecretAccessKey != "sec" || c.SessionToken != "t" {
			t.Errorf("got %v", err)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
}
