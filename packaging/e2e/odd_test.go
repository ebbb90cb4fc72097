// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// odd are sessions where something about the client, the home or the host is
// not as usual. Each script runs on the client's side; %s is the client.
var odd = []struct {
	name, before, script, after string
	same                        *regexp.Regexp
	want                        string
}{
	{name: "client without stdin", script: "%s 'echo a; echo b >&2; exit 3' <&-; echo $?", want: "a\n3\n"},
	{name: "client without stdout", script: "%s 'echo a; echo b >&2; exit 3' >&-; echo $?", want: "3\n"},
	{name: "client without stderr", script: "%s 'echo a; echo b >&2; exit 3' 2>&-; echo $?", want: "a\n3\n"},
	{name: "client that stops reading", script: "%s 'yes' | head -n 2; echo done", want: "y\ny\ndone\n"},
	{name: "home missing", before: "mv $HOME $HOME.away", script: "%s 'pwd; echo $HOME; exit 3'; echo $?", after: "mv $HOME.away $HOME", want: "/\n/home/tester\n3\n"},
	{name: "home missing, terminal", before: "mv $HOME $HOME.away", script: "%s -tt 'pwd; exit 3'; echo $?", after: "mv $HOME.away $HOME", want: "/\r\n3\n"},
	{name: "home read-only", before: "mount --bind $HOME $HOME && mount -o remount,bind,ro $HOME", script: "%s 'touch x; echo $?; pwd'", after: "umount $HOME", want: "1\n/home/tester\n"},
	{name: "home that can't be entered", before: "chmod 0 $HOME", script: "%s 'pwd'; echo $?", after: "chmod 755 $HOME", want: "0\n"},
	{name: "mosh", script: "%s -tt 'LC_ALL=C.UTF-8 mosh-server new -p 60000:60099 -- true' | grep -ac 'MOSH CONNECT'", want: "1\n"},
	{name: "sudo without terminal", script: "%s 'sudo -n id -un; sudo -n sh -c \"exit 5\"'; echo $?", want: "root\n5\n"},
	{name: "stale locale directory", script: "%s 'LC_ALL=xx_YY perl -e 1 2>/dev/null; echo $?'", want: "0\n"},
	{name: "background job that holds stdout", script: "%s 'sleep 3 & echo $!' >pid; sleep 0.3; ps -o stat= -p $(cat pid) | grep -qv Z && echo lives || echo gone", want: "gone\n"},
	{name: "background job on a terminal", script: "%s -tt 'sleep 50 & echo $!' >pid; sleep 0.3; test -e /proc/$(tr -dc 0-9 <pid) && echo lives || echo gone", want: "gone\n"},
	{name: "background job that ignores the hang-up", script: "%s -tt 'nohup sleep 50 >/dev/null 2>&1 </dev/null & echo $!; sleep 0.2' >pid; p=$(tr -dc 0-9 <pid); sleep 0.3; test -e /proc/$p && echo lives || echo gone; kill $p", want: "lives\n"},
	{name: "daemon", script: "%s 'setsid sleep 50 >/dev/null 2>&1 </dev/null & echo $!' >pid; sleep 0.3; pgrep -u tester -x sleep >/dev/null && echo lives; pkill -u tester -x sleep", want: "lives\n"},
	{name: "exit while output is pending", script: "%s -tt 'seq 1 20000; exit 3' | md5sum; %[1]s 'seq 1 200000; exit 3' | md5sum"},
	{name: "signals of the client", script: "%s -tt 'trap \"echo hup >/tmp/hup\" HUP; echo up; sleep 20 & wait' >out & p=$!; touch out; until grep -q up out; do sleep 0.1; done; kill $p; wait $p; n=0; until [ -e /tmp/hup ] || [ $n = 50 ]; do sleep 0.1; n=$((n+1)); done; cat /tmp/hup; rm -f /tmp/hup", want: "hup\n"},
	{name: "fifteen sessions at once", script: "for i in $(seq 15); do %s \"echo $i; exit $i\" >out.$i & pids=\"$pids $!\"; done; n=0; for p in $pids; do n=$((n+1)); wait $p; test $? = $n || echo status of $n; done; cat out.* | sort -n | md5sum"},
	{name: "a thousand lines typed ahead", script: "yes 'echo x' | head -n 1000 | (cat; echo exit) | %s -T 2>&1 | grep -c x", want: "1000\n"},
}

func TestOddCasesAreTheSameEveryWay(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	hosttest.Run(t, "sh", "-c", "echo '"+account+" ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/"+account+" && chmod 440 /etc/sudoers.d/"+account)
	// StrictModes looks at the home; the key is elsewhere while that is odd.
	keys := "AuthorizedKeysFile /etc/ssh/" + account + ".keys"
	hosttest.Run(t, "cp", m.user.Home+"/.ssh/authorized_keys", "/etc/ssh/"+account+".keys")
	m.listen(t, keys)
	found := table{part: "4-odd", title: "Odd clients, homes and ends"}
	for _, o := range odd {
		t.Run(o.name, func(t *testing.T) {
			m.t = t
			var plain string
			l := line{what: o.name}
			for i, w := range m.ways[:3] {
				forget(t)
				m.enter(w)
				if o.before != "" {
					hosttest.Run(t, "env", "HOME="+m.user.Home, "sh", "-ec", o.before)
				}
				cmd := exec.Command("sh", "-c", fmt.Sprintf(o.script, w.sshd.Shell(m.key)+" -l "+account+" 127.0.0.1"))
				cmd.Dir = t.TempDir()
				got := hosttest.Do(t, cmd, nil)
				if o.after != "" {
					hosttest.Run(t, "env", "HOME="+m.user.Home, "sh", "-ec", o.after)
				}
				if !strings.HasSuffix(got.Stdout, o.want) {
					t.Errorf("%s: %s, want the end %q", w.name, show(got), o.want)
				}
				text := show(got)
				if i == 0 {
					plain = text
				}
				if text != plain {
					t.Errorf("%s: %s\nplain: %s", w.name, text, plain)
				}
				l.add(i, text == plain, "")
			}
			found.add(l)
		})
	}
	found.hold(t)
}

// TestTwoGigabytes moves what no buffer holds, as one does with a tree: tar here,
// tar there.
func TestTwoGigabytes(t *testing.T) {
	hosttest.Slow(t)
	m := newMatrix(t)
	m.as("/bin/bash")
	dir := onDisk(t, m.user)
	// A file of holes with something different every 16 MiB.
	hosttest.Run(t, "bash", "-ec", "cd "+dir+"; truncate -s 2G big; for i in {0..127}; do head -c 64k /dev/urandom | dd of=big bs=64k seek=$((i * 256)) conv=notrunc status=none; done")
	want := hosttest.Run(t, "bash", "-c", "cd "+dir+" && sha256sum <big")
	for _, w := range m.ways[1:3] {
		m.enter(w)
		cmd := exec.Command("bash", "-c", "set -o pipefail; tar c big | "+w.sshd.Shell(m.key)+" -c aes128-gcm@openssh.com -l "+account+" 127.0.0.1 'tar x -C "+dir+"/there'; echo $?; sha256sum <there/big; rm there/big")
		cmd.Dir = dir
		if got := hosttest.Do(t, cmd, nil); got.Stdout != "0\n"+want {
			t.Errorf("%s: %s, want %s", w.name, show(got), want)
		}
	}
}

// onDisk makes a directory of the account's that is on the machine's disk: what
// else a throwaway host writes stays in memory.
func onDisk(t *testing.T, u *hosttest.User) string {
	t.Helper()
	build, err := filepath.Abs("../../.build/hosttest")
	if err != nil {
		t.Fatal(err)
	}
	real, err := os.MkdirTemp(build, "disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(real) })
	const dir = "/srv/disk" // the way to the real one may be closed to the account
	hosttest.Run(t, "mkdir", "-p", dir, real+"/there")
	hosttest.Run(t, "mount", "--bind", real, dir)
	t.Cleanup(func() { hosttest.Run(t, "umount", dir) })
	hosttest.Run(t, "chmod", "755", dir)
	hosttest.Run(t, "chown", u.Name, dir+"/there")
	return dir
}

// TestNosuid is a file system where the setgid bit doesn't count: the recorder
// refuses, unless wrap.yaml lets it record as the user (see hosts).
func TestNosuid(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	hosttest.Run(t, "sh", "-c", "mount --bind "+recorder+" "+recorder+" && mount -o remount,bind,nosuid "+recorder)
	defer hosttest.Run(t, "umount", recorder)
	for _, w := range m.ways[1:] {
		if got := hosttest.Do(t, m.ssh(w, nil, "echo in"), nil); got.Status != 254 || got.Stdout != "" {
			t.Errorf("%s: %s", w.name, show(got))
		}
	}
}
