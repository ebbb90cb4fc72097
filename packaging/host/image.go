// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// suitesEnv names the distributions to test on.
const suitesEnv = "CASTGATE_TEST_SUITES"

// packages are what a minimal server has, what castgate depends on (its hosts
// have no network to fetch it by), and what the tests use.
const packages = "systemd,systemd-sysv,dbus,libpam-systemd,libnss-systemd,openssh-server,openssh-client," +
	"iproute2,procps,adduser,init-system-helpers,passwd,mount,zstd,less,rpm"

// ubuntu is the one distribution that is tested only where it can be had.
const ubuntu = "noble"

// Suites returns the distributions to test on: those that were asked for, else
// Debian 12, 13 and sid, and Ubuntu 24.04 where its keys are there to check it with
// and its mirror can be reached: no Debian mirror has its packages.
func Suites() []string {
	if s := strings.Fields(os.Getenv(suitesEnv)); len(s) > 0 {
		return s
	}
	all := []string{"bookworm", "trixie", "sid"}
	if _, err := os.Stat("/usr/share/keyrings/ubuntu-archive-keyring.gpg"); err == nil {
		all = append(all, ubuntu)
	}
	return all
}

// image is the directory of a distribution's image. It is kept for the next
// run; another list of packages is another image.
func image(suite string) string {
	sum := sha256.Sum256([]byte(packages))
	return filepath.Join("/var/tmp/castgate-host", fmt.Sprintf("%s-%x", suite, sum[:4]))
}

// makeImages makes those that are missing, all at once: a good part of each is
// waiting for the mirror and the disk.
func makeImages() error {
	errs := make([]error, len(Suites()))
	var makers sync.WaitGroup
	for i, suite := range Suites() {
		makers.Go(func() {
			err := makeImage(suite, image(suite))
			if err != nil && suite == ubuntu { // New skips its tests
				fmt.Fprintf(os.Stderr, "host: no image of %s: %v\n", suite, err)
				return
			}
			if err != nil {
				errs[i] = fmt.Errorf("image of %s (%s can leave it out): %w", suite, suitesEnv, err)
			}
		})
	}
	makers.Wait()
	return errors.Join(errs...)
}

// makeImage makes a distribution's image, one process at a time.
func makeImage(suite, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "host: making an image of %s, once for this machine\n", suite)
	half := dir + ".half"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	args := []string{"--variant=apt", "--include=" + packages, `--aptopt=APT::Install-Recommends "false"`, "--format=directory"}
	if suite == "sid" { // a Release file of sid's is valid for a week, and mirrors may be older
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`)
	}
	out, err := exec.Command("mmdebstrap", append(args, suite, half)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out[max(0, len(out)-4<<10):])
	}
	return os.Rename(half, dir)
}
