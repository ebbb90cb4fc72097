// SPDX-License-Identifier: AGPL-3.0-or-later

package e2e_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"castgate/packaging/hosttest"
)

const onlyThis = `restrict,command="echo only-this" `

// TestRestrictedKeyForms: sshd takes a key that is written in other ways than
// ssh-keygen's, and whoever asks for a restricted line chooses the form.
func TestRestrictedKeyForms(t *testing.T) {
	hosttest.Install(t)
	rsa, ed := hosttest.NewKey(t, "rsa"), hosttest.NewKey(t, "ed25519")
	blob := strings.Fields(ed.Line)[1]
	for name, c := range map[string]struct {
		line string
		key  *hosttest.Key
	}{
		"as ssh-keygen":      {rsa.Line, rsa},
		"a number padded":    {padded(rsa.Line), rsa},
		"a signature's name": {"rsa-sha2-512 " + strings.Fields(rsa.Line)[1], rsa},
		"a vertical tab":     {"ssh-ed25519 " + blob[:20] + "\v" + blob[20:], ed},
		"a carriage return":  {"ssh-ed25519 " + blob[:20] + "\r" + blob[20:], ed},
	} {
		t.Run(name, func(t *testing.T) {
			h := &castgateSshd{t: t, conf: snippet(t)}
			h.Write("/root/.ssh/authorized_keys", onlyThis+c.line+"\n", 0o600)
			h.Configure("")
			if got := hosttest.Do(t, h.Ssh(c.key, "root", nil, "id -u"), nil); got.Stdout != "only-this\n" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// padded is an RSA key with one more zero in front of its modulus.
func padded(line string) string {
	f := strings.Fields(line)
	rest, _ := base64.StdEncoding.DecodeString(f[1])
	var out []byte
	for i := 0; len(rest) > 4; i++ {
		n := binary.BigEndian.Uint32(rest)
		part := rest[4 : 4+n]
		rest = rest[4+n:]
		if i == 2 {
			part = append([]byte{0}, part...)
		}
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(part))), part...)
	}
	return f[0] + " " + base64.StdEncoding.EncodeToString(out)
}

// TestRestrictedConfigForms: the file with the restricted key is named in every
// way that sshd takes, in its file and on its command line.
func TestRestrictedConfigForms(t *testing.T) {
	hosttest.Install(t)
	withHook(t)
	key := hosttest.NewKey(t, "ed25519")
	hosttest.AddUser(t, "backup0", "/bin/bash")
	h := &castgateSshd{t: t, conf: snippet(t)}
	for _, dir := range []string{"/etc/ssh/keys", "/etc/ssh/ke ys"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		h.Write(dir+"/backup0", onlyThis+key.Line+"\n", 0o644)
	}
	const match = "Match User backup0\n    "
	for name, conf := range map[string]string{
		"plain":           match + "AuthorizedKeysFile /etc/ssh/keys/%u",
		"single quotes":   match + "AuthorizedKeysFile '/etc/ssh/keys/%u'",
		"keyword quoted":  match + `"AuthorizedKeysFile" /etc/ssh/keys/%u`,
		"backslash":       match + `AuthorizedKeysFile /etc/ssh/ke\ ys/%u`,
		"equals":          "Match User=backup0\n    AuthorizedKeysFile=/etc/ssh/keys/%u",
		"a second file":   match + "AuthorizedKeysFile /etc/ssh/none /etc/ssh/keys/%u",
		"an unsure Match": "Match Address 127.0.0.0/8\n    AuthorizedKeysFile /etc/ssh/keys/%u",
	} {
		h.Configure(conf)
		if got := hosttest.Do(t, h.Ssh(key, "backup0", nil, "id -u"), nil); got.Stdout != "only-this\n" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	h.Configure("")
	for name, args := range map[string][]string{
		"-o A=b":    {"-D", "-o", "AuthorizedKeysFile=/etc/ssh/keys/%u"},
		"-o 'A b'":  {"-D", "-o", "AuthorizedKeysFile /etc/ssh/keys/%u"},
		"two files": {"-D", "-o", "AuthorizedKeysFile=/etc/ssh/none /etc/ssh/keys/%u"},
		"-Deo":      {"-Deo", "AuthorizedKeysFile=/etc/ssh/keys/%u"},
	} {
		if got := h.withArguments(key, args); got.Stdout != "only-this\n" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// withArguments logs in to an sshd that has these before its configuration.
func (s *castgateSshd) withArguments(key *hosttest.Key, args []string) hosttest.Result {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command("/usr/sbin/sshd", append(args, "-f", s.Conf, "-o", "ListenAddress="+addr)...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	hosttest.WaitFor(s.t, "sshd to listen", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return hosttest.Do(s.t, exec.Command("ssh", "-F", "none", "-i", key.Path, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-p", fmt.Sprint(port), "backup0@127.0.0.1", "id -u"), nil)
}

// dropped asks for a command and is gone before sshd has answered, several times.
func dropped(t *testing.T, h *hosttest.Sshd, account, command string, key *hosttest.Key, cert bool) {
	t.Helper()
	signer := signerOf(t, key, cert)
	config := &ssh.ClientConfig{User: account, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	const times = 20
	for range times {
		c, err := ssh.Dial("tcp", h.Addr(), config)
		if err != nil {
			t.Fatal(err)
		}
		ch, _, err := c.OpenChannel("session", nil)
		if err == nil {
			_, err = ch.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{command}))
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		hosttest.WaitFor(t, "the connection's end", func() bool { return len(h.Monitors()) == 0 })
	}
	hosttest.WaitFor(t, "the recorders to end", func() bool { return len(hosttest.Processes(t, "castgate-wrap")) == 0 })
	time.Sleep(time.Second) // what got away would write by now
}

func signerOf(t *testing.T, key *hosttest.Key, cert bool) ssh.Signer {
	t.Helper()
	pem, err := os.ReadFile(key.Path)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil || !cert {
		return signer
	}
	text, err := os.ReadFile(key.Path + "-cert.pub")
	if err != nil {
		t.Fatal(err)
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		t.Fatal(err)
	}
	signer, err = ssh.NewCertSigner(pub.(*ssh.Certificate), signer)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestDroppedConnections: a client that is gone before its command has begun gets
// neither a session that is not recorded nor more than its key may.
func TestDroppedConnections(t *testing.T) {
	hosttest.Install(t)
	withHook(t)
	hosttest.Config(t, "wrap", "notice: \"\"\nshells: {backup0: /bin/bash}\n")
	user := hosttest.AddUser(t, "backup0", recorder)
	root := user.Home
	h := &castgateSshd{t: t, conf: snippet(t, userKeys...)}
	key, ca := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	h.Write("/etc/ssh/trial_ca.pub", ca.Line+"\n", 0o644)
	h.Write("/root/.ssh/authorized_keys", hosttest.NewKey(t, "ed25519").Line+"\n", 0o600)
	hosttest.Run(t, "ssh-keygen", "-q", "-s", ca.Path, "-I", "x", "-n", "backup0,root", "-O", "force-command=echo only-this", key.Path+".pub")
	for _, tt := range []struct {
		name, account, line, conf string
		cert, free                bool
	}{
		{"an unrestricted key", "backup0", key.Line, "", false, true},
		{"a restricted key", "backup0", onlyThis + key.Line, "", false, false},
		{"a restricted certificate", "backup0", "", "TrustedUserCAKeys /etc/ssh/trial_ca.pub", true, false},
		{"a restricted certificate of root's", "root", "", "TrustedUserCAKeys /etc/ssh/trial_ca.pub", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			forget(t)
			user.Write(t, ".ssh/authorized_keys", tt.line+"\n")
			h.Configure(tt.conf)
			_ = os.Remove(root + "/out")
			dropped(t, h.Sshd, tt.account, "echo ${CASTGATE_SESSION-unrecorded} >>"+root+"/out", key, tt.cert)
			text, _ := os.ReadFile(root + "/out")
			ran := strings.Fields(string(text))
			if !tt.free && len(ran) > 0 {
				t.Errorf("the client's command ran %d times", len(ran))
			}
			for _, id := range ran {
				if found, _ := filepath.Glob("/var/spool/castgate/*/" + id + ".cast"); len(found) != 1 {
					t.Errorf("session %q has no recording", id)
				}
			}
		})
	}
}

// TestRestrictedWithoutAHook: a hook that is there and did not speak, and what
// may restrict a login without a line that shows it.
func TestRestrictedWithoutAHook(t *testing.T) {
	hosttest.Install(t)
	withHook(t)
	key, ca := hosttest.NewKey(t, "ed25519"), hosttest.NewKey(t, "ed25519")
	hosttest.AddUser(t, "backup0", "/bin/bash")
	h := &castgateSshd{t: t, conf: "UsePAM no\n" + snippet(t)}
	h.Write("/etc/ssh/trial_ca.pub", ca.Line+"\n", 0o644)
	h.Write("/usr/local/bin/git-keys", "#!/bin/sh\necho '"+onlyThis+key.Line+"'\n", 0o755)
	hosttest.Run(t, "ssh-keygen", "-q", "-s", ca.Path, "-I", "x", "-n", "backup0", "-O", "force-command=echo only-this", key.Path+".pub")
	for name, tt := range map[string]struct {
		conf    string
		options []string
	}{
		"a certificate":          {"TrustedUserCAKeys /etc/ssh/trial_ca.pub", []string{"-o", "CertificateFile=" + key.Path + "-cert.pub"}},
		"another program's keys": {"Match User backup0\n    AuthorizedKeysCommand /usr/local/bin/git-keys\n    AuthorizedKeysCommandUser nobody", nil},
	} {
		h.Configure(tt.conf)
		if got := hosttest.Do(t, h.Ssh(key, "backup0", tt.options, "id -u"), nil); got.Status != 254 || got.Stdout != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
