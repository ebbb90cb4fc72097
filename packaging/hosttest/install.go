// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// accounts are the system groups and users of the package (sysusers.d).
var accounts = [][]string{
	{"groupadd", "--system", "castgate"},
	{"groupadd", "--system", "castgate-archive"},
	{"groupadd", "--system", "castgate-people"},
	{"useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "castgate-keys"},
	{"useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--groups", "castgate", "castgate-upload"},
	{"useradd", "--system", "--gid", "castgate-archive", "--no-create-home", "--shell", "/usr/sbin/nologin", "castgate-archive"},
	{"useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "--groups", "castgate", "castgate-guard"},
}

// file is a path of the package with its owner and mode.
type file struct{ path, owner, mode string }

var directories = []file{
	{"/etc/castgate", "root:root", "0755"},
	{"/usr/lib/castgate", "root:root", "0755"},
	{"/usr/lib/castgate/home", "root:root", "0755"},
	{"/usr/lib/castgate/home/.config", "root:root", "0755"}, // fish complains without these two
	{"/usr/lib/castgate/home/.config/fish", "root:root", "0755"},
	{"/usr/lib/castgate/home/.local", "root:root", "0755"},
	{"/usr/lib/castgate/home/.local/share", "root:root", "0755"},
	{"/usr/lib/castgate/home/.local/share/fish", "root:root", "0755"},
	{"/run/castgate", "root:root", "0755"},
	{"/var/spool/castgate", "root:castgate", "0750"},
	{"/var/spool/castgate/live", "root:castgate", "0770"},
	{"/var/spool/castgate/incoming", "root:castgate", "0770"},
	{"/var/spool/castgate/bad", "root:castgate", "0770"},
	{"/var/spool/castgate/kept", "root:castgate", "0770"},
	{"/var/cache/castgate-keys", "castgate-keys:castgate-keys", "0755"},
	{"/var/lib/castgate-keys", "root:root", "0755"},
	{"/var/lib/castgate-keys/people", "root:root", "0755"},
	{"/var/lib/castgate-keys/seen", "castgate-keys:castgate-keys", "0755"},
	{"/var/lib/castgate", "root:root", "0755"},
	{"/var/lib/castgate/archive", "castgate-upload:castgate-archive", "2770"},
	{"/var/lib/castgate/upload", "castgate-upload:castgate-upload", "0755"},
}

// programs says where a command goes that is not /usr/bin/NAME root 0755.
var programs = map[string]file{
	"castgate-wrap":  {"/usr/bin/castgate-wrap", "root:castgate", "2755"},
	"castgate-guard": {"/usr/lib/castgate/castgate-guard", "root:root", "0755"},
}

// configs says who may read a YAML file that is not root:root 0644.
var configs = map[string]file{
	"keys":    {"/etc/castgate/keys.yaml", "root:castgate-keys", "0640"},
	"upload":  {"/etc/castgate/upload.yaml", "root:castgate-upload", "0640"},
	"archive": {"/etc/castgate/archive.yaml", "root:castgate-archive", "0640"},
}

// Install puts castgate on the host as the package would: programs, users,
// directories, and the configuration files of packaging/etc. Once per host.
func Install(t testing.TB) {
	t.Helper()
	Need(t)
	if err := installOnce(); err != nil {
		t.Fatalf("install castgate: %v", err)
	}
}

var installOnce = sync.OnceValue(func() error {
	m, err := decodeMachine()
	switch {
	case err != nil:
		return err
	case m.Built != "":
		return fmt.Errorf("%s", m.Built)
	}
	for _, args := range accounts {
		if err := run(args...); err != nil {
			return err
		}
	}
	for _, d := range directories {
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			return err
		}
		if err := d.own(); err != nil {
			return err
		}
	}
	if err := makeSigningKey(); err != nil {
		return err
	}
	if err := installPrograms(filepath.Join(m.Root, buildDir)); err != nil {
		return err
	}
	return installConfigs(filepath.Join(m.Root, "packaging", "etc"))
})

// makeSigningKey does what the package's postinst does.
func makeSigningKey() error {
	key := file{"/etc/castgate/signing-key", "root:castgate-upload", "0640"}
	if err := run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "castgate", "-f", key.path); err != nil {
		return err
	}
	if err := key.own(); err != nil {
		return err
	}
	public, err := os.ReadFile(key.path + ".pub")
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	signers := file{"/etc/castgate/allowed_signers", "root:root", "0644"}
	return signers.write(fmt.Appendf(nil, "%s namespaces=\"castgate\" %s", host, public))
}

func installPrograms(from string) error {
	built, err := filepath.Glob(from + "/castgate*")
	if err != nil {
		return err
	}
	for _, path := range built {
		to, ok := programs[filepath.Base(path)]
		if !ok {
			to = file{"/usr/bin/" + filepath.Base(path), "root:root", "0755"}
		}
		if err := to.copyFrom(path); err != nil {
			return err
		}
	}
	return nil
}

func installConfigs(from string) error {
	shipped, err := filepath.Glob(from + "/*.yaml")
	if err != nil {
		return err
	}
	for _, path := range shipped {
		if err := config(strings.TrimSuffix(filepath.Base(path), ".yaml")).copyFrom(path); err != nil {
			return err
		}
	}
	return nil
}

func config(name string) file {
	if f, ok := configs[name]; ok {
		return f
	}
	return file{"/etc/castgate/" + name + ".yaml", "root:root", "0644"}
}

func (f file) copyFrom(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return f.write(data)
}

func (f file) write(data []byte) error {
	// A new file each time: the old one may be running.
	if err := os.RemoveAll(f.path); err != nil {
		return err
	}
	if err := os.WriteFile(f.path, data, 0o600); err != nil {
		return err
	}
	return f.own()
}

// own sets owner and mode, in this order: chown clears the set-id bits.
func (f file) own() error {
	if err := run("chown", f.owner, f.path); err != nil {
		return err
	}
	return run("chmod", f.mode, f.path)
}

func run(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Config writes /etc/castgate/NAME.yaml with its right owner and mode, and
// puts the former text back when the test ends.
func Config(t testing.TB, name, text string) {
	t.Helper()
	Install(t)
	f := config(name)
	before, err := os.ReadFile(f.path)
	if err := f.write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err == nil {
			err = f.write(before)
		} else {
			err = os.Remove(f.path)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// Run runs a command as root on the host and returns what it printed. The
// test ends when it fails.
func Run(t testing.TB, args ...string) string {
	t.Helper()
	Need(t)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
