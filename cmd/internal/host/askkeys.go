// SPDX-License-Identifier: AGPL-3.0-or-later

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"castgate/keys"
)

// asKeysUser prepares a command as sshd runs AuthorizedKeysCommand: as its user,
// in "/", with nothing of ours in the environment (misc.c, subprocess).
func asKeysUser(ctx context.Context, args ...string) (*exec.Cmd, error) {
	u, err := user.Lookup(keysUser)
	if err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	number := func(s string) uint32 { n, _ := strconv.ParseUint(s, 10, 32); return uint32(n) }
	who := &syscall.Credential{Uid: number(u.Uid), Gid: number(u.Gid)}
	for _, id := range ids {
		who.Groups = append(who.Groups, number(id))
	}
	if who.Uid == 0 {
		return nil, fmt.Errorf("the user %s is root", keysUser)
	}
	cmd := exec.CommandContext(ctx, keysPath, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "USER=" + keysUser, "LOGNAME=" + keysUser, "HOME=" + u.HomeDir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd, nil
}

// askKeys asks castgate-keys, as sshd would, who opens each account.
func askKeys(ctx context.Context, all []Account) (map[string]keys.Answer, error) {
	args := []string{"explain", "-json", "--"}
	for _, a := range all {
		args = append(args, a.Name)
	}
	cmd, err := asKeysUser(ctx, args...)
	if err != nil {
		return nil, err
	}
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("castgate-keys, as user %s: %s", keysUser, strings.TrimPrefix(firstLine(complaints.String()), "castgate-keys: "))
	}
	answers := map[string]keys.Answer{}
	for d := json.NewDecoder(&out); ; {
		var a keys.Answer
		if err := d.Decode(&a); err != nil {
			break
		}
		answers[a.Account] = a
	}
	if len(answers) != len(all) {
		return nil, errors.New("castgate-keys did not answer for every account")
	}
	return answers, nil
}
