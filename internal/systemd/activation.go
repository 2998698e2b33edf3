// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// firstPassed is the number of the first descriptor that is passed: SD_LISTEN_FDS_START.
const firstPassed = 3

// passedMax bounds the descriptors that are believed to be passed: more than any manager has opened, fewer than a mistake.
const passedMax = 4096

// Descriptor is one that the service manager has passed.
type Descriptor struct {
	FD   int
	Name string // FileDescriptorName= of the socket unit, by default the unit's name; "" when no names are passed
}

// Passed returns the descriptors that the service manager has opened for this process, and takes them out of the environment, so
// that no child believes they are its own. None when the variables are for another process. They belong to the caller.
// sd_listen_fds(3).
func Passed() ([]Descriptor, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range activationVariables() {
		os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > passedMax {
		return nil, fmt.Errorf("LISTEN_FDS=%q: a number from 0 to %d is wanted", count, passedMax)
	}
	passed := make([]Descriptor, n)
	list := strings.Split(names, ":")
	for i := range passed {
		passed[i].FD = firstPassed + i
		if i < len(list) {
			passed[i].Name = list[i]
		}
	}
	return passed, nil
}

// activationVariables are those that describe passed descriptors.
func activationVariables() []string {
	return []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}
}

// UpgradeEnv is the environment for a process that is to take the service over: it may talk to the manager and beats its watchdog,
// but the descriptors and the process number in the environment are those of this process.
func UpgradeEnv(env []string) []string {
	drop := append(activationVariables(), "WATCHDOG_PID")
	var kept []string
next:
	for _, variable := range env {
		for _, name := range drop {
			if strings.HasPrefix(variable, name+"=") {
				continue next
			}
		}
		kept = append(kept, variable)
	}
	return kept
}
