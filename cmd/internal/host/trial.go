// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// trialAccount is whom the trial login is for: the one that was named, the
// person behind sudo, the first person, root. "" when nobody can log in.
func trialAccount(ctx context.Context, named string) string {
	if named != "" {
		return named
	}
	all, err := accounts(ctx)
	if err != nil {
		return ""
	}
	best := ""
	for _, a := range all {
		switch {
		case a.Name == os.Getenv("SUDO_USER") && a.UID != 0:
			return a.Name
		case best == "" || best == "root":
			best = a.Name
		}
	}
	return best
}

// Tries of the trial login: what the client is asked to run, and with what it
// must end. A terminal session and a command take different ways through the
// recorder.
var tries = []struct {
	options []string
	what    string
}{
	{nil, "a command"},
	{[]string{"-tt"}, "a terminal session"},
}

// trialStatus is the exit status that the trial's session must end with.
const trialStatus = 42

// try starts a second sshd with the new configuration on a free loopback port,
// where a key of the moment opens the account, and logs in. The sshd that
// people use has not read the change yet.
func (s *Switch) try(ctx context.Context, account string) error {
	if account == "" {
		// No account to log in to is not the same as no list of them.
		if _, err := accounts(ctx); err != nil {
			return err
		}
		fmt.Fprintln(s.Out, "no trial login: there is no account to log in to")
		return nil
	}
	dir, err := os.MkdirTemp("/run", "castgate-trial-") // root's, every directory of it
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := trialKey(ctx, dir, account); err != nil {
		return fmt.Errorf("make a key for the trial login: %w", err)
	}
	port, stop, err := trialServer(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	for _, t := range tries {
		if err := trialLogin(ctx, dir, port, account, t.options); err != nil {
			return fmt.Errorf("trial login of %q for %s: %w", account, t.what, err)
		}
		fmt.Fprintf(s.Out, "trial login of %s for %s: works\n", account, t.what)
	}
	return nil
}

// trialKey makes the key of the moment, and a keys.yaml by which castgate-keys
// lets it into the account, as it does with an emergency key: without GitHub.
func trialKey(ctx context.Context, dir, account string) error {
	if err := os.Chmod(dir, 0o755); err != nil { // castgate-keys reads it
		return err
	}
	if out, err := output(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/key"); err != nil {
		return errors.New(said(out, err))
	}
	conf := fmt.Sprintf("github: {org: castgate-trial, token_file: %s/none}\nemergency: {%q: %s/key.pub}\n", dir, account, dir)
	return write(dir+"/keys.yaml", []byte(conf), 0o644)
}

// trialServer runs sshd until stop is called. What stands on the command line
// comes first, and in sshd_config(5) the first value wins.
func trialServer(ctx context.Context, dir string) (port int, stop func(), err error) {
	port, err = freePort()
	if err != nil {
		return 0, nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 0, nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, sshdPath, "-D", "-e",
		"-o", "Port="+strconv.Itoa(port), "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none",
		// Only the key of the moment, whatever a Match block says of files.
		"-o", "AuthorizedKeysCommand="+keysPath+" -config "+dir+"/keys.yaml %u %t %k", "-o", "AuthorizedKeysCommandUser="+keysUser)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	stop = func() { _ = cmd.Process.Kill(); <-gone }
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if banner(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) == nil {
			return port, stop, nil
		}
		select {
		case <-gone:
			text, _ := os.ReadFile(log.Name())
			return 0, nil, fmt.Errorf("sshd for the trial login: %s", said(strings.TrimSpace(string(text)), errors.New("ended")))
		default:
		}
	}
	stop()
	return 0, nil, errors.New("sshd for the trial login never answered")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func trialLogin(ctx context.Context, dir string, port int, account string, options []string) error {
	args := []string{
		"-F", "none", "-i", dir + "/key", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=10", "-p", strconv.Itoa(port), "-l", account,
	}
	args = append(append(args, options...), "127.0.0.1", "echo castgate-trial; exit "+strconv.Itoa(trialStatus))
	out, err := output(ctx, "ssh", args...)
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit) || exit.ExitCode() != trialStatus:
		log, _ := os.ReadFile(dir + "/log")
		return fmt.Errorf("%s; sshd: %s", said(out, err), said(strings.TrimSpace(string(log)), nil))
	case !strings.Contains(out, "castgate-trial"):
		return errors.New("the session's output did not arrive")
	}
	return nil
}

// answers asks the sshd that people use for its banner, wherever it listens.
func answers(ctx context.Context) error {
	out, err := output(ctx, sshdPath, "-T")
	if err != nil {
		return fmt.Errorf("sshd -T: %s", said(out, err))
	}
	return answersAt(ctx, parseSettings(out)["listenaddress"], settle)
}

// answersAt returns as soon as an SSH server answers at one of the addresses.
func answersAt(ctx context.Context, addrs []string, within time.Duration) error {
	err := errors.New("sshd -T names no address that sshd listens at")
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		for _, addr := range addrs {
			if err = banner(ctx, reachable(addr)); err == nil {
				return nil
			}
		}
		if len(addrs) == 0 || time.Now().After(end) {
			return err
		}
	}
}

// reachable is where a client on the host finds what listens at addr.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = map[bool]string{true: "127.0.0.1", false: "::1"}[ip.To4() != nil]
	}
	return net.JoinHostPort(host, port)
}

// banner succeeds when an SSH server answers at addr.
func banner(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("sshd does not answer: %w", err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "SSH-") {
		return fmt.Errorf("no SSH server answers at %s: %q, %v", addr, line, err)
	}
	return nil
}
