// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseTransfer(t *testing.T) {
	home := t.TempDir()
	for _, f := range []string{"a.txt", "b.txt", ".c.txt", "d*.txt", "--daemon", "--config=x"} {
		if err := os.WriteFile(filepath.Join(home, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(home)
	for _, tt := range []struct{ command, want string }{
		{"scp -t /tmp", "scp -t /tmp"},
		{"scp -r -p -d -f ~/x", "scp -r -p -d -f " + home + "/x"},
		{"scp -f '~/x'", "scp -f ~/x"},
		{"scp -f *.txt", "scp -f a.txt b.txt d*.txt"},
		{`scp -f "*.txt"`, "scp -f *.txt"},
		{`scp -f d\*.*`, "scp -f d*.txt"},
		{"scp -f none*", "scp -f none*"},
		{"/usr/lib/openssh/sftp-server -l INFO -u 077", "sftp-server -l INFO -u 077"},
		{"internal-sftp", "sftp-server"},
		{"rsync --server --sender -vlogDtpre.iLsfxCIvu . x", "rsync --server --sender -vlogDtpre.iLsfxCIvu . x"},
		{"git-upload-pack '/srv/a b.git'", "git-upload-pack /srv/a b.git"},

		// What only looks like one.
		{"scp -t /x; bash", ""},
		{"scp -t $(bash)", ""},
		{"scp -t `bash`", ""},
		{`scp -t "$(bash)"`, ""},
		{"scp -t /x && bash", ""},
		{"scp -t /x | bash", ""},
		{"scp -t /x\nbash", ""},
		{"scp -t /x > /y", ""},
		{"scp -t {a,b}", ""},
		{"scp -S /tmp/evil -t /x", ""},
		{"scp -o ProxyCommand=x -t /x", ""},
		{"scp host:a b", ""},
		{"scp", ""},
		{"/home/u/bin/scp -t /x", ""},
		{"PATH=/tmp scp -t /x", ""},
		{"rsync --server --daemon .", ""},
		{"rsync --server --config=/x --daemon .", ""},
		{"rsync --server -s", ""},
		{"rsync --server -vlogDtprse.iLfxCIvu . x", ""},
		{"rsync --server --secluded-args", ""},
		{"rsync --server --protect-args", ""},
		{"rsync --server --d?emon .", ""},
		{"rsync --server --c* x", ""},
		{"rsync --version", ""},
		{"git-upload-pack --help", ""},
		{"git-upload-pack --d?emon", ""},
		{"git-upload-pack *.txt", ""},
		{"git-upload-pack a b", ""},
		{"git-shell -c x", ""},
		{"/tmp/sftp-server", ""},
		{"'scp -t /x'", ""},
		{"scp -t '", ""},
		{"#scp -t /x", ""},
		{"! scp -t /x", ""},
		{"", ""},
	} {
		got, ok := Parse(tt.command, home)
		if strings.Join(got.Argv, " ") != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: got %q, want %q", tt.command, got.Argv, tt.want)
		}
	}
}

// FuzzSplitWords holds our reading of a command line against the shell's.
func FuzzSplitWords(f *testing.F) {
	for _, s := range []string{`scp -t 'a b' "c d" e\ f`, `a'b'"c"\d`, "a\tb", `''`, `a#b`, `a~ ~b`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, ok := splitWords(line)
		if !ok || len(words) == 0 || strings.ContainsRune(line, 0) {
			return
		}
		for _, w := range words {
			if slices.Contains(w.glob, true) {
				return // expansion has its own test
			}
		}
		out, err := exec.Command("/bin/sh", "-c", `set -f; printf '%s\0' `+line).Output()
		if got := strings.Join(texts(words), "\x00") + "\x00"; err != nil || string(out) != got {
			t.Errorf("%q: we read %q, sh %q (%v)", line, got, out, err)
		}
	})
}
