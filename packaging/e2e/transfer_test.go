// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"castgate/packaging/hosttest"
)

// transfers move the file "in" of the client's directory to the account's home
// as "there" and back again as "back".
var transfers = []struct {
	name string
	run  func(x *transfer)
}{
	{"scp", func(x *transfer) {
		x.do(x.program("scp", "-q", "in", x.remote("there")))
		x.do(x.program("scp", "-q", x.remote("there"), "back"))
	}},
	{"scp -O", func(x *transfer) {
		x.do(x.program("scp", "-O", "-q", "in", x.remote("there")))
		x.do(x.program("scp", "-O", "-q", x.remote("there"), "back"))
	}},
	{"scp -r -p", func(x *transfer) {
		x.local("mkdir -p tree/sub && ln in tree/sub/file && touch -d 2001-02-03 tree/sub")
		x.do(x.program("scp", "-rpq", "tree", x.remote("tree")))
		x.do(x.program("scp", "-rpq", x.remote("tree"), "again"))
		x.local("test $(stat -c %Y again/sub) = $(date -d 2001-02-03 +%s) && cp again/sub/file back")
	}},
	{"sftp", func(x *transfer) {
		x.local("printf 'put in there\\nls -l there\\nrename there other\\nget other back\\n-rm nothing\\nbye\\n' >batch")
		x.do(x.program("sftp", "-q", "-b", "batch", x.remote("")))
	}},
	{"rsync", func(x *transfer) {
		for _, args := range [][]string{{"in", x.remote("there")}, {x.remote("there"), "back"}} {
			x.do(exec.Command("rsync", append([]string{"-a", "-e", x.way.sshd.Shell(x.m.key)}, args...)...))
		}
	}},
	{"git", func(x *transfer) {
		x.local("git init -q repo && cp in repo/file && git -C repo add file && git -C repo -c user.name=a -c user.email=a@b commit -qm x")
		x.do(x.m.ssh(x.way, nil, "git init -q --bare bare"))
		push := exec.Command("git", "-C", "repo", "push", "-q", "ssh://"+account+"@127.0.0.1/~/bare", "HEAD:main")
		clone := exec.Command("git", "clone", "-q", "-b", "main", "ssh://"+account+"@127.0.0.1/~/bare", "clone")
		for _, cmd := range []*exec.Cmd{push, clone} {
			cmd.Env = append(os.Environ(), "GIT_SSH_COMMAND="+x.way.sshd.Shell(x.m.key), "HOME="+x.dir)
			x.do(cmd)
		}
		x.local("cp clone/file back")
	}},
	{"tar", func(x *transfer) {
		x.do(shell(x, "tar cf - in | %s tar xf - && mv in sent && %[1]s tar cf - in | tar xf - && mv in back && mv sent in"))
	}},
	{"cat", func(x *transfer) {
		x.do(shell(x, "%s 'cat >there' <in && %[1]s 'cat there' >back"))
	}},
	{"dd, half-closed", func(x *transfer) {
		x.do(shell(x, "%s 'dd bs=4k status=none of=there; sha256sum <there' <in >sum && sha256sum <in | cmp - sum && cp in back"))
	}},
	{"ten channels of one connection", func(x *transfer) {
		x.do(shell(x, `%s -o ControlMaster=yes -o ControlPath=ctl -o ControlPersist=yes true </dev/null
			for i in 0 1 2 3 4 5 6 7 8 9; do %[1]s -o ControlPath=ctl "cat; exit $i" <in >out.$i & pids="$pids $!"; done
			n=0; for p in $pids; do wait $p; test $? = $n || echo "$n: $?"; n=$((n+1)); done
			for i in 0 1 2 3 4 5 6 7 8 9; do cmp in out.$i || exit 1; done
			%[1]s -o ControlPath=ctl -O exit 2>/dev/null; cp out.9 back`))
	}},
}

// transfer is one run of a row: a directory of the client's and what the
// programs printed.
type transfer struct {
	t    *testing.T
	m    *matrix
	way  way
	dir  string
	seen []hosttest.Result
}

func (x *transfer) do(cmd *exec.Cmd) {
	x.t.Helper()
	x.m.enter(x.way)
	cmd.Dir = x.dir
	x.seen = append(x.seen, hosttest.Do(x.t, cmd, nil))
}

func (x *transfer) local(script string) {
	x.t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = x.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		x.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func (x *transfer) program(name string, args ...string) *exec.Cmd {
	return x.way.sshd.Transfer(name, x.m.key, args...)
}

func (x *transfer) remote(path string) string { return account + "@127.0.0.1:" + path }

// shell is a script in which %s is the client with account and host.
func shell(x *transfer, script string) *exec.Cmd {
	return exec.Command("sh", "-c", fmt.Sprintf(script, x.way.sshd.Shell(x.m.key)+" -l "+account+" 127.0.0.1"))
}

func TestTransfersAreTheSameEveryWay(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	payload := random(3<<20 + 17)
	found := table{part: "3-transfers", title: "Transfers"}
	for _, row := range transfers {
		t.Run(row.name, func(t *testing.T) { found.add(line{row.name, m.transfer(t, row.run, payload)}) })
	}
	found.hold(t)
}

// TestFiftyMegabytes is the promise of binary clean pipes at size.
func TestFiftyMegabytes(t *testing.T) {
	m := newMatrix(t)
	m.as("/bin/bash")
	m.transfer(t, func(x *transfer) {
		x.do(shell(x, "%s cat <in >back"))
	}, random(50<<20))
}

// TestSftpServers runs sftp against each kind of Subsystem line.
func TestSftpServers(t *testing.T) {
	for _, subsystem := range []string{"internal-sftp", "internal-sftp -l INFO -u 0077", "/usr/lib/openssh/sftp-server -l INFO -u 0077"} {
		t.Run(subsystem, func(t *testing.T) {
			m := newMatrix(t, "Subsystem sftp "+subsystem)
			m.as("/bin/bash")
			m.transfer(t, func(x *transfer) {
				x.local("printf 'put in there\\nls -l there\\nget there back\\n' >batch")
				x.do(x.program("sftp", "-q", "-b", "batch", x.remote("")))
			}, random(100_000))
		})
	}
}

// transfer runs one row every way, compares what was printed, and the files,
// and tells how each way compared.
func (m *matrix) transfer(t *testing.T, run func(*transfer), payload []byte) []string {
	t.Helper()
	m.t = t
	var l line
	var first string
	for i, w := range m.ways {
		x := &transfer{t: t, m: m, way: w, dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(x.dir, "in"), payload, 0o600); err != nil {
			t.Fatal(err)
		}
		run(x)
		back, err := os.ReadFile(filepath.Join(x.dir, "back"))
		if err != nil || sha256.Sum256(back) != sha256.Sum256(payload) {
			t.Errorf("%s: %d bytes came back of %d, %v", w.name, len(back), len(payload), err)
		}
		got := ""
		for _, r := range x.seen {
			got += show(r) + "\n"
		}
		got = clock.ReplaceAllString(got, "") + m.leftBehind(t)
		if i == 0 {
			first = got
		}
		if got != first || strings.Contains(got, "status 1") {
			t.Errorf("%s:\n%s\nplain:\n%s", w.name, got, first)
		}
		l.add(i, err == nil && got == first, "")
	}
	return l.ways
}

var clock = regexp.MustCompile(`\w{3} +\d+ \d\d:\d\d`)

// leftBehind lists what the session made in the account's home, and removes it.
func (m *matrix) leftBehind(t *testing.T) string {
	t.Helper()
	list := hosttest.Run(t, "sh", "-c", "cd "+m.user.Home+" && find . -path ./.ssh -prune -o -path './bare/*' -prune -o -type f -printf '%p %m %s %u:%g\\n' | sort")
	hosttest.Run(t, "sh", "-c", "cd "+m.user.Home+" && rm -rf there other tree bare in")
	return list
}

// random is n bytes that don't compress and are the same every time.
func random(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(out)
	return out
}
