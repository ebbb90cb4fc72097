// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"castgate/cmd/internal/cli"
	"castgate/cmd/internal/config"
	"castgate/upload"
)

// load reads a YAML text as castgate-upload does.
func load(t *testing.T, text string) (upload.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "upload.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := upload.Defaults()
	return c, config.Load(path, &c)
}

func TestConfigFile(t *testing.T) {
	shipped, err := os.ReadFile("../../packaging/etc/upload.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, string(shipped)); err != nil {
		t.Errorf("the shipped file: %v", err)
	}
	if _, err := load(t, ""); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	age1 := "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	for _, tt := range []struct{ text, want string }{
		{"seal: {recipients: [" + age1 + "]}", ""},
		{"seal: [[" + age1 + "], [" + age1 + "]]", ""},
		{"targets: [{dir: {path: /a}}, {s3: {endpoint: https://h, bucket: b, retain: 8760h, path_style: true}}]", ""},
		{"seal: {recipients: [[" + age1 + "], [" + age1 + "]]}", ""},
		{"seal: {recipients: [[" + age1 + "], " + age1 + "]}", "list"},
		{"seal: {recipients: []}", "recipients"},
		{"seal: {recipient: [" + age1 + "]}", "recipients"},
		{"seal: [" + age1 + "]", "list"},
		{"seal: {recipients: [github-team: security]}", ""},
		{"seal: {recipients: [\"github-team: security\"]}", ""},
		{"seal: {recipients: [github-team: ../x]}", "not the slug"},
		{"stream: yes\ntargets: [{s3: {endpoint: https://h, bucket: b}}]", ""},
		{"stream: yes\ntargets: [{s3: {endpoint: https://h, bucket: b, ticket: {url: https://a, ca_file: /c, cert_file: /c, key_file: /k}}}]", "without ticket"},
		{"seal: {recipients: [bob]}", "none of age1, ssh- and github-team"},
		{"seal: {recipients: [" + age1 + "]}\ntargets: [{asciinema: {url: https://h, install_id_file: /f}}]", "sealed"},
		{"parallel: 0", "parallel"},
		{"keep: -1s", "keep"},
		{"spool: here", "absolute"},
		{"targets: [{dri: {path: /a}}]", `did you mean "dir"?`},
		{"targets: [{}]", "exactly one"},
		{"targets: [{dir: {path: /a}}, {dir: {path: /a/}}]", "twice"},
	} {
		_, err := load(t, tt.text)
		got := ""
		if err != nil {
			got = err.Error()
			if h, ok := err.(interface{ Hint() string }); ok {
				got += " " + h.Hint()
			}
		}
		if tt.want == "" && err != nil || !strings.Contains(got, tt.want) || tt.want != "" && err == nil {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"spool/live", "spool/incoming", "spool/bad", "spool/kept", "archive"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	good := filepath.Join(dir, "upload.yaml")
	text := "spool: " + dir + "/spool\nstate: " + dir + "/state\nsigning_key: \"\"\ntargets: [{dir: {path: " + dir + "/archive}}]\n"
	if err := os.WriteFile(good, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	id := "01935b7e-0000-7000-8000-000000000001"
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-config", good, "status"}, 0, "0 live, 0 waiting"},
		{[]string{"-config", good, "status", "-json"}, 0, `"recordings": []`},
		{[]string{"status", "-config", good}, 0, "RECORDING"},
		{[]string{"-config", good, "drain", "-once"}, 0, ""},
		{[]string{"-config", good, "flush"}, 2, `"flush" is not a command`},
		{[]string{"-config", good, "status", "x"}, 2, `unexpected argument "x"`},
		{[]string{"-config", dir + "/none.yaml"}, 1, "hint:"},
		{[]string{"-h"}, 0, "usage: castgate-upload"},
		{[]string{"status", "-h"}, 0, "usage: castgate-upload"},
	} {
		var out bytes.Buffer
		env := &cli.Env{Name: "castgate-upload", Args: tt.args, Stdout: &out, Stderr: &out, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)}
		if status := env.Finish(run(env)); status != tt.status || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%q: status %d, %q", tt.args, status, out.String())
		}
	}
	// One that no target will ever get is not in incoming/ any more, and not delivered.
	if err := os.WriteFile(dir+"/spool/incoming/"+id+".cast", []byte("no recording\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		var out bytes.Buffer
		env := &cli.Env{Name: "castgate-upload", Args: []string{"-config", good, "drain", "-once"}, Stdout: &out, Stderr: &out, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)}
		if status := env.Finish(run(env)); status != want || want == 1 && !strings.Contains(out.String(), "spool/bad") {
			t.Errorf("put aside: status %d, %q", status, out.String())
		}
	}
	// One that a target can't take at the moment.
	if err := os.WriteFile(dir+"/spool/incoming/"+id+".cast", []byte(`{"version":3,"term":{"cols":80,"rows":24},"timestamp":1795000000,"castgate":{"id":"`+id+`","mode":"plain","host":"h","user":"no-such-user","uid":`+strconv.Itoa(os.Getuid())+`,"tty":true,"kind":"shell","version":"x"}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/archive"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	env := &cli.Env{Name: "castgate-upload", Args: []string{"-config", good, "drain", "-once"}, Stdout: &out, Stderr: &out, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)}
	if status := env.Finish(run(env)); status != 1 || !strings.Contains(out.String(), "castgate-upload status says") {
		t.Errorf("status %d, %q", status, out.String())
	}
}
