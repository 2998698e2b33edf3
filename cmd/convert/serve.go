// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package main

import (
	"io"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"weir/internal/convert"
	"weir/internal/convert/wire"
	"weir/internal/sys"
)

// cpuSeconds is how much processor time a conversion may take. The largest configuration that is read takes a fraction of it.
const cpuSeconds = 30

// nobodyID is the user and group to become where no account is named nobody: that of Linux's overflow ids.
const nobodyID = 65534

// serveMaster converts for a weir that reads the files.
func serveMaster(name string, o convert.Options, in io.Reader, out io.Writer) error {
	if err := confine(); err != nil {
		return err
	}
	client := wire.NewClient(in, out)
	return client.Done(&convert.Convert(client, name, o).Result)
}

// confine gives up for good what this process is not to have: rights, time without end, writing to files.
func confine() error {
	if err := sys.LimitSelf(cpuSeconds); err != nil {
		return err
	}
	if syscall.Getuid() == 0 {
		uid, gid := nobodyID, nobodyID
		if account, err := user.Lookup("nobody"); err == nil {
			uid, _ = strconv.Atoi(account.Uid)
			gid, _ = strconv.Atoi(account.Gid)
		}
		if err := os.Chdir("/"); err != nil {
			return err
		}
		if err := sys.DropPrivileges(uid, gid, []int{gid}, false); err != nil {
			return err
		}
	}
	return sys.NoNewPrivileges()
}
