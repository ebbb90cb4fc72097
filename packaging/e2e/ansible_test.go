// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// playbook does what most of them do: facts, a file, a command, something as root.
const playbook = `
- hosts: all
  gather_facts: yes
  tasks:
    - copy: {content: "größer\n", dest: made, mode: "0640"}
    - command: cat made
      register: shown
    - shell: echo err >&2; exit 3
      register: failed
      failed_when: failed.rc != 3
    - command: id -un
      become: yes
      register: root
    - fetch: {src: made, dest: fetched, flat: yes}
    - debug: msg="{{ansible_user_id}} {{shown.stdout}} {{failed.stderr}} {{root.stdout}}"
`

// durations are what differs from one run of ansible to the next.
var durations = regexp.MustCompile(`\*{3,}`)

// TestAnsibleIsTheSameEveryWay runs ansible itself, both ways in which it runs
// modules.
func TestAnsibleIsTheSameEveryWay(t *testing.T) {
	hosttest.Slow(t)
	m := newMatrix(t)
	m.as("/bin/bash")
	hosttest.Run(t, "sh", "-c", "echo '"+account+" ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/"+account+" && chmod 440 /etc/sudoers.d/"+account)
	found := table{part: "6-ansible", title: "Ansible"}
	for _, pipelining := range []string{"False", "True"} {
		name := map[string]string{"False": "a playbook", "True": "a playbook, pipelining"}[pipelining]
		t.Run(name, func(t *testing.T) {
			l := line{what: name}
			var plain string
			for i, w := range m.ways[:3] {
				forget(t)
				got := show(m.play(t, w, pipelining))
				got += m.leftBehind(t)
				hosttest.Run(t, "rm", "-f", m.user.Home+"/made")
				if w.recorded && len(in(t, "incoming")) < 5 {
					t.Errorf("%s: %d recordings", w.name, len(in(t, "incoming")))
				}
				if i == 0 {
					plain = got
				}
				if got != plain || !strings.Contains(got, account+" größer err root") || !strings.Contains(got, "failed=0") {
					t.Errorf("%s: %s\nplain: %s", w.name, got, plain)
				}
				l.add(i, got == plain, "")
			}
			found.add(l)
		})
	}
	found.hold(t)
}

// play runs the playbook against the account.
func (m *matrix) play(t *testing.T, w way, pipelining string) hosttest.Result {
	t.Helper()
	m.enter(w)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "play.yml"), []byte(playbook), 0o600); err != nil {
		t.Fatal(err)
	}
	// One connection for all, as ansible does it by itself, but no longer than it runs.
	args := strings.TrimPrefix(w.sshd.Shell(m.key), "ssh ") + " -o ControlMaster=auto -o ControlPersist=2"
	cmd := exec.Command("ansible-playbook", "-i", "127.0.0.1,", "-u", account, "play.yml")
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + dir, "ANSIBLE_SSH_ARGS=" + args, "ANSIBLE_SSH_CONTROL_PATH_DIR=" + dir + "/c",
		"ANSIBLE_PIPELINING=" + pipelining, "ANSIBLE_NOCOLOR=1", "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3",
	}
	got := hosttest.Do(t, cmd, nil)
	got.Stdout = durations.ReplaceAllString(got.Stdout, "")
	back, err := os.ReadFile(filepath.Join(dir, "fetched"))
	if err != nil || string(back) != "größer\n" {
		t.Errorf("%s: fetched %q, %v; %s", w.name, back, err, show(got))
	}
	return got
}
