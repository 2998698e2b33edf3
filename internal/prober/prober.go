// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package prober

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/ipc"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/shmtx"
	"weir/internal/sight"
	"weir/internal/sys"
)

// prober is the process's state.
type prober struct {
	build    string
	manifest *ipc.Manifest
	config   *conf.Config
	log      *logfile.ErrorLog
	origins  *peers.Zone
}

// Run is the whole life of the process; build is its version. It returns the exit code.
func Run(build string) int {
	p := &prober{build: build}
	if err := p.setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "weir-prober: "+err.Error())
		return 1
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	if err := p.start(); err != nil {
		p.log.Alert("health checks cannot be made", zap.Error(err))
		return 1
	}
	<-end
	return 0
}

// setUp takes over what the master has passed on. Privileges go before anything of an origin is read.
func (p *prober) setUp() (err error) {
	if err := sys.SetName("weir-prober"); err != nil {
		return err
	}
	if p.manifest, err = ipc.ReadManifest(ipc.ManifestFD); err != nil {
		return err
	}
	m := p.manifest
	if err := m.CheckBuild(p.build); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	packed, err := m.ReadConfig()
	if err != nil {
		return err
	}
	if p.config, err = conf.Unpack(packed, m.Prefix); err != nil {
		return err
	}
	p.openLog()
	owner, err := shmtx.NewSharedOwner()
	if err != nil {
		return err
	}
	if p.origins, err = peers.Attach(m.Peers, owner, peers.NoSlot); err != nil {
		return err
	}
	if err := p.dropPrivileges(); err != nil {
		return err
	}
	if err := sys.SetParentDeathSignal(syscall.SIGKILL); err != nil {
		return err
	}
	if parent := os.Getppid(); parent != m.MasterPID {
		return fmt.Errorf("the master (%d) has died", m.MasterPID)
	}
	return nil
}

// openLog takes over the error log.
func (p *prober) openLog() {
	c := &p.config.ErrorLog
	open := func(path string, level conf.Level) *logfile.ErrorLog {
		fd, _ := p.manifest.Log(path)
		return logfile.OpenErrorLog(logfile.ErrorLogOptions{
			FD: fd, Path: path, Level: logfile.Level(level), Format: logfile.Format(c.Format), PID: os.Getpid(), Slot: logfile.NoSlot, Generation: p.manifest.Generation,
		})
	}
	p.log = open(p.manifest.ErrorLog, c.Level)
	for i := range c.Also {
		p.log = p.log.Both(open(c.Also[i].Path, c.Also[i].Level))
	}
}

// dropPrivileges becomes the workers' user, if the master runs as root.
func (p *prober) dropPrivileges() error {
	if os.Getuid() == 0 {
		uid, gid, err := sys.LookUpAccount(p.config.User.Name, p.config.User.Group)
		if err != nil {
			return err
		}
		if uid != 0 {
			if err := sys.DropPrivileges(uid, gid, []int{gid}, false); err != nil {
				return err
			}
		}
	}
	return sys.NoNewPrivileges()
}

// start begins to check all origins.
func (p *prober) start() error {
	for i := range p.config.HTTP.Upstreams {
		u := &p.config.HTTP.Upstreams[i]
		if u.HealthCheck == nil {
			continue
		}
		expect, err := u.HealthCheck.Expect.Parse()
		if err != nil {
			return err
		}
		g := &group{prober: p, config: u, expect: expect, fixed: map[string]bool{}}
		for j := range u.Servers {
			g.addServer(&u.Servers[j])
		}
		if sight.Named(u) {
			go g.follow()
		}
	}
	return nil
}
