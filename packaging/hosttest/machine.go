// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const machineEnv = "CASTGATE_HOSTTEST_MACHINE"

// machine is what the host has to know of the machine below.
type machine struct {
	Dir   string   // working directory of the tests
	Root  string   // module root
	Read  []string // directories that must be visible inside
	Write []string // directories that stay the machine's own, for both to write
	Built string   // why the programs could not be built, "" when they are
	Go    []string // settings of the go command, wherever the machine has them
}

func (m machine) encode() string {
	b, _ := json.Marshal(m) // strings only: can't fail
	return string(b)
}

func decodeMachine() (m machine, err error) {
	err = json.Unmarshal([]byte(os.Getenv(machineEnv)), &m)
	return m, err
}

func survey() (machine, error) {
	names := []string{"GOMOD", "GOFLAGS", "GOROOT", "GOMODCACHE", "GOCACHE"}
	env, err := goEnv(names...)
	if err != nil {
		return machine{}, err
	}
	m := machine{Root: filepath.Dir(env[0])}
	if m.Dir, err = os.Getwd(); err != nil {
		return machine{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return machine{}, err
	}
	for i, name := range names[1:] {
		m.Go = append(m.Go, name+"="+env[i+1])
	}
	m.Read = []string{m.Root, env[2], env[3], filepath.Dir(exe)}
	m.Write = []string{env[4], filepath.Join(m.Root, buildDir)}
	for _, dir := range m.Write {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return machine{}, err
		}
	}
	// Here, not inside: a cold module cache needs the network.
	if err := build(m.Root); err != nil {
		m.Built = err.Error()
	}
	return m, nil
}

func goEnv(names ...string) ([]string, error) {
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	values := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(values) != len(names) || values[0] == os.DevNull {
		return nil, fmt.Errorf("go env: no module here: %q", out)
	}
	return values, nil
}

const (
	buildDir = ".build/hosttest" // below the module root; .build is in .gitignore
	// Version is what the programs under test answer to -version.
	Version = "1.0.0-hosttest"
)

// build builds every command into buildDir, one test package at a time. What
// is up to date is left alone by the go command.
func build(root string) error {
	dir := filepath.Join(root, buildDir)
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X castgate/cmd/internal/cli.Version="+Version,
		"-o", dir+"/", "./cmd/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && !strings.Contains(out.String(), "no main packages") {
		return fmt.Errorf("build the programs: %w\n%s", err, out.String())
	}
	return nil
}
