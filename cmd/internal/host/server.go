// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"castgate/wrap/restrict"
)

// server is an sshd that people reach: what stands on its command line comes
// before every file (sshd(8), -o), and where it listens may be systemd's to say.
type server struct {
	pid   int      // 0 where systemd listens for it
	args  []string // -o, -f and -p, as sshd -T takes them
	addrs []netip.AddrPort
}

// String names it for people.
func (s server) String() string {
	var at []string
	for _, a := range s.addrs {
		at = append(at, a.String())
	}
	return strings.TrimSpace("sshd " + strings.Join(s.args, " ") + " at " + names(at))
}

// main is its configuration file.
func (s server) main() string {
	for flag, value := range restrict.Flags(s.args) {
		if flag == 'f' {
			return value
		}
	}
	return sshdMain
}

// servers lists those of this host, the one that its unit runs first. The list
// is empty where nothing listens: that is never "as it should be".
func servers(ctx context.Context) []server {
	var all []server
	first := mainPID(ctx)
	own, _ := os.Readlink("/proc/self/ns/pid")
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		dir := filepath.Dir(path)
		exe, _ := os.Readlink(dir + "/exe")
		ns, _ := os.Readlink(dir + "/ns/pid")
		title, _ := os.ReadFile(path)
		var st unix.Stat_t
		args := restrict.Listener(title)
		if strings.TrimSuffix(exe, " (deleted)") != sshdPath || ns != own || args == nil || unix.Stat(dir, &st) != nil || st.Uid != 0 {
			continue // another program, a container's, or somebody's own sshd
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		s := server{pid, configuring(args), listening(pid)}
		if pid == first {
			all = slices.Insert(all, 0, s)
		} else {
			all = append(all, s)
		}
	}
	if addrs, unit := socketAddresses(ctx); len(addrs) > 0 {
		if len(all) > 0 && all[0].pid == first {
			all[0].addrs = addrs // the socket's, which the unit's sshd was handed
		} else {
			all = slices.Insert(all, 0, server{0, configuring(unitArgs(ctx, unit)), addrs})
		}
	}
	return all
}

// configuring keeps, of an sshd's arguments, those that change what is in force.
func configuring(args []string) (kept []string) {
	for flag, value := range restrict.Flags(args) {
		if strings.IndexByte("ofp", flag) >= 0 {
			kept = append(kept, "-"+string(flag), value)
		}
	}
	return kept
}

// sshdUnits are what Debian and the others call it.
var sshdUnits = []string{"ssh", "sshd"}

func mainPID(ctx context.Context) int {
	for _, unit := range sshdUnits {
		if out, err := output(ctx, "systemctl", "show", "--property=MainPID", "--value", unit+".service"); err == nil {
			if pid, _ := strconv.Atoi(out); pid > 0 {
				return pid
			}
		}
	}
	text, _ := os.ReadFile("/run/sshd.pid")
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

var listenLine = regexp.MustCompile(`(\S+) \(Stream\)`)

// socketAddresses are those of ssh.socket, where systemd listens, and the unit that
// it starts: one for all connections, or one for each (systemd.socket(5), Accept).
func socketAddresses(ctx context.Context) (all []netip.AddrPort, starts string) {
	for _, unit := range sshdUnits {
		if _, err := output(ctx, "systemctl", "is-active", unit+".socket"); err != nil {
			continue
		}
		starts = unit + ".service"
		if each, _ := output(ctx, "systemctl", "show", "--property=Accept", "--value", unit+".socket"); each == "yes" {
			starts = unit + "@castgate.service"
		}
		out, _ := output(ctx, "systemctl", "show", "--property=Listen", "--value", unit+".socket")
		for _, m := range listenLine.FindAllStringSubmatch(out, -1) {
			if addr, err := netip.ParseAddrPort(m[1]); err == nil {
				all = append(all, addr)
			}
		}
		return all, starts
	}
	return nil, ""
}

var (
	argvPart = regexp.MustCompile(`argv\[\]=(.*?) ;`)
	variable = regexp.MustCompile(`\$\{?(\w+)\}?`)
)

// unitArgs are the arguments that a unit gives its sshd.
func unitArgs(ctx context.Context, unit string) []string {
	out, err := output(ctx, "systemctl", "show", "--property=ExecStart", "--value", unit)
	m := argvPart.FindStringSubmatch(out)
	if err != nil || m == nil {
		return nil
	}
	environment := unitEnvironment()
	line := variable.ReplaceAllStringFunc(m[1], func(v string) string { return environment[strings.Trim(v, "${}")] })
	if f := strings.Fields(line); len(f) > 1 {
		return f[1:]
	}
	return nil
}

// unitEnvironment is what the unit's EnvironmentFile says: Debian's and Fedora's.
func unitEnvironment() map[string]string {
	all := map[string]string{}
	for _, file := range []string{"/etc/default/ssh", "/etc/sysconfig/sshd"} {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(name, "#") {
				all[name] = strings.Trim(value, `"'`)
			}
		}
	}
	return all
}

// listening lists the TCP addresses at which a process listens (proc(5),
// /proc/PID/net/tcp).
func listening(pid int) (all []netip.AddrPort) {
	dir := fmt.Sprintf("/proc/%d", pid)
	held := map[string]bool{}
	fds, _ := os.ReadDir(dir + "/fd")
	for _, fd := range fds {
		if link, err := os.Readlink(dir + "/fd/" + fd.Name()); err == nil {
			held[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
		}
	}
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		f, err := os.Open(dir + table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			w := strings.Fields(lines.Text())
			if len(w) < 10 || w[3] != listenState || !held[w[9]] {
				continue
			}
			if addr, err := procAddress(w[1]); err == nil {
				all = append(all, addr)
			}
		}
		f.Close()
	}
	return all
}

// listenState is TCP_LISTEN as the table has it.
const listenState = "0A"

// procAddress reads "0100007F:0016": words of the machine's (little-endian)
// byte order, then the port.
func procAddress(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err = errors.Join(err, perr); err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		err = fmt.Errorf("%q is no address", s)
	}
	return netip.AddrPortFrom(addr, uint16(n)), err
}
