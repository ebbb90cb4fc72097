// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Since version 258 systemd listens for sshd on a socket of the host's own, and
// in virtual machines on a vsock (systemd-ssh-generator(8)). Its units give sshd
// an AuthorizedKeysFile on the command line, where it beats every file: people's
// own files then open their accounts, whatever GitHub says.
const (
	localUnits  = "/run/systemd/generator*/sshd-*@.service"
	unitDropIns = "/etc/systemd/system/%s.d/castgate.conf"
	localDropIn = "# castgate enable: sshd decides as on its other sockets\n[Service]\nExecStart=\nExecStart=-" + sshdPath + " -i $SSHD_OPTS\n"
)

// unitChange is a drop-in of a unit, which systemd is told of.
type unitChange struct{ fileChange }

func (c unitChange) undone() change {
	return unitChange{fileChange{c.path, c.after, c.before}}
}

func (c unitChange) apply() error {
	if err := os.MkdirAll(filepath.Dir(c.path), 0o755); err != nil {
		return err
	}
	if err := c.fileChange.apply(); err != nil {
		return err
	}
	if c.after == nil {
		_ = os.Remove(filepath.Dir(c.path)) // unless somebody else has a file there
	}
	out, err := output(context.Background(), "systemctl", "daemon-reload")
	if err != nil { // what could not be made is not there
		err = errors.Join(fmt.Errorf("systemctl daemon-reload: %s", said(out, err)), os.MkdirAll(filepath.Dir(c.path), 0o755),
			fileChange{c.path, c.after, c.before}.apply())
	}
	return err
}

// overriding lists the drop-ins that are needed against systemd's own units.
func overriding() []string {
	var all []string
	units, _ := filepath.Glob(localUnits)
	for _, unit := range units {
		if text, err := os.ReadFile(unit); err == nil && overridden.Match(text) {
			all = append(all, fmt.Sprintf(unitDropIns, filepath.Base(unit)))
		}
	}
	return all
}

func localEnabled() (all changes, err error) {
	for _, path := range overriding() {
		c, err := newChange(path, []byte(localDropIn))
		if err != nil {
			return nil, err
		}
		all = append(all, unitChange{c})
	}
	return all, nil
}

func localDisabled() (all changes, err error) {
	found, _ := filepath.Glob(fmt.Sprintf(unitDropIns, "sshd-*@.service"))
	for _, path := range found {
		c, err := newChange(path, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, unitChange{c})
	}
	return all, nil
}

// localSockets: a way in that sshd -T does not know of.
func (h *Host) localSockets() []Finding {
	const what = "systemd's own sockets for sshd"
	for _, path := range overriding() {
		if text, err := os.ReadFile(path); err != nil || string(text) != localDropIn {
			unit := filepath.Base(filepath.Dir(path))
			return failed(what, unit[:len(unit)-len(".d")]+" lets people's own authorized_keys open their accounts from inside the host",
				"castgate enable; or systemctl mask --now sshd-unix-local.socket")
		}
	}
	return ok(what)
}
