// SPDX-License-Identifier: AGPL-3.0-or-later

package once_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
	"castgate/wrap/once"
)

const manual = "../../packaging/man/castgate-once.1"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The man page has every flag and every status.
func TestManual(t *testing.T) {
	text := read(t, manual)
	s := run(t, command(t, "-h"))
	s.wait()
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+)`).FindAllStringSubmatch(s.stdout.String(), -1)
	if len(flags) < 9 {
		t.Errorf("help lists %d flags:\n%s", len(flags), s.stdout)
	}
	for _, f := range flags {
		if !strings.Contains(text, "Fl "+f[1]) && f[1] != "version" {
			t.Errorf("flag -%s is not in the man page", f[1])
		}
	}
	for _, status := range []int{
		once.StatusKeysMissing, once.StatusKeysUnreadable, once.StatusKeysUnparsable, once.StatusKeysEmpty, once.StatusAnnounceAbsent,
		once.StatusAnnounceFailed, once.StatusPort, once.StatusGone, once.StatusLog, once.StatusShell,
	} {
		if strings.Count(text, fmt.Sprintf("\n.It %d\n", status)) != 1 {
			t.Errorf("status %d is not in the man page", status)
		}
	}
	if out, err := exec.Command("mandoc", "-T", "lint", "-W", "warning", manual).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}

// The task of docs/once.md starts castgate-once with a shell's here-document.
func TestTaskOfTheDocumentation(t *testing.T) {
	text := read(t, "../../docs/once.md")
	_, rest, _ := strings.Cut(text, "```json\n")
	text, _, _ = strings.Cut(rest, "```")
	var task struct {
		ContainerDefinitions []struct {
			EntryPoint, Command []string
			Secrets             []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		t.Fatal(err)
	}
	c := task.ContainerDefinitions[0]
	key := hosttest.NewKey(t, "ed25519")
	cmd := command(t)
	announce := write(t, "announce", "#!/bin/sh\necho announced\n", 0o755)
	script := strings.Replace(c.Command[0], "-announce announce", "-announce "+announce+" -listen 127.0.0.1 -port 0", 1)
	cmd.Path, cmd.Args = c.EntryPoint[0], append(c.EntryPoint, script)
	cmd.Env = append(cmd.Env, c.Secrets[0].Name+"="+key.Line)
	s := run(t, cmd).ready()
	if got := hosttest.Do(t, s.ssh(key, nil, "echo in"), nil); got.Stdout != "in\n" {
		t.Errorf("got %+v", got)
	}
	if status := s.wait(); status != 0 || !strings.Contains(s.stderr.String(), "announced") {
		t.Errorf("status %d", status)
	}
}
