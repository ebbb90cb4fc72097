// SPDX-License-Identifier: AGPL-3.0-or-later

package prepared

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ConfigID identifies a state of the configuration file: any change to it, to
// its mode or owner, or to those of its directory, makes another. So does a
// change to group(5) or passwd(5): who was taken out of a group is out at once.
func ConfigID(path string) (string, error) {
	file, err := stat(path)
	if err != nil {
		return "", err
	}
	dir, err := stat(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	group, _ := stat("/etc/group") // where there is none, nobody is in a group
	passwd, _ := stat("/etc/passwd")
	return fmt.Sprintf("%x.%x.%s.%s.%s", dir.Mode, dir.Uid, state(file), state(group), state(passwd)), nil
}

func stat(path string) (syscall.Stat_t, error) {
	info, err := os.Stat(path)
	if err != nil {
		return syscall.Stat_t{}, err
	}
	return *info.Sys().(*syscall.Stat_t), nil
}

// state is another after any change of a file.
func state(st syscall.Stat_t) string {
	return fmt.Sprintf("%x.%x.%x.%x.%x.%x.%x", st.Dev, st.Ino, st.Size, st.Mode, st.Uid, st.Mtim.Nano(), st.Ctim.Nano())
}
