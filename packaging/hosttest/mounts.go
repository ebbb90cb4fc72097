// SPDX-License-Identifier: AGPL-3.0-or-later

package hosttest

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The overlay is put together on /mnt, which every Debian has and which only
// this mount namespace sees covered.
const (
	stage   = "/mnt"
	newRoot = stage + "/root"
)

func mountRoot(machine) error {
	// Before anything else: no mount may travel back to the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("castgate-host", stage, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	return overlay("/", newRoot, "root")
}

func mountRest(machine) error {
	for _, m := range []struct {
		at, fstype, options string
		flags               uintptr
	}{
		{"/proc", "proc", "", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"/dev", "tmpfs", "mode=0755", unix.MS_NOSUID},
		// gid 5 is Debian's group tty; grantpt(3) wants 0620.
		{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", unix.MS_NOSUID | unix.MS_NOEXEC},
		{"/dev/shm", "tmpfs", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
		{"/run", "tmpfs", "mode=0755", unix.MS_NOSUID | unix.MS_NODEV},
		{"/tmp", "tmpfs", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
		{"/root", "tmpfs", "mode=0700", unix.MS_NODEV},
		{"/home", "tmpfs", "mode=0755", unix.MS_NODEV},
	} {
		at := newRoot + m.at
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fstype, at, m.fstype, m.flags, m.options); err != nil {
			return fmt.Errorf("%s: %w", m.at, err)
		}
	}
	if err := unix.Mount("/sys", newRoot+"/sys", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("/sys: %w", err)
	}
	for _, dir := range []string{"/run/sshd", "/run/lock", markerDir} {
		if err := os.Mkdir(newRoot+dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func makeDevices(machine) error {
	for _, d := range []struct {
		name         string
		major, minor uint32
	}{
		{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
	} {
		path := newRoot + "/dev/" + d.name
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil { // whatever the umask
			return err
		}
	}
	for name, to := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, newRoot+"/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

// share shows what the tests need of the machine, wherever it is mounted (an
// overlay shows the root's own file system only). What may be read gets an
// overlay of its own, so that writing there is harmless too.
func share(m machine) error {
	for i, dir := range m.Read {
		if err := overlay(dir, newRoot+dir, strconv.Itoa(i)); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	for _, dir := range m.Write {
		if err := os.MkdirAll(newRoot+dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(dir, newRoot+dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// overlay mounts lower at a place where writes go to the stage's tmpfs.
func overlay(lower, at, name string) error {
	upper, work := stage+"/upper-"+name, stage+"/work-"+name
	for _, dir := range []string{upper, work, at} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return unix.Mount("castgate-host", at, "overlay", 0, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
}

// pivot makes the overlay the root. pivot_root and not chroot: inside a chroot
// the kernel refuses new user namespaces, which some tests need.
func pivot(machine) error {
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // pivot_root(2), NOTES
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}
