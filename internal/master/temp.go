// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/quota"
	"weir/internal/sys"
)

// The directory of temporary files, and their budget: one zone (package quota) for as long as the master lives, in which the workers of all
// generations count.

// openTemp opens the directory for a generation's temporary files. Without one, bodies wait in memory: that is worth a warning, but no reason not to
// serve.
func (m *master) openTemp(g *generation) {
	b := &g.config.Buffers
	if b.TempQuota == 0 {
		return
	}
	dir, err := prepareTemp(b.TempPath, g.config.User)
	if err != nil {
		g.news = append(g.news, news{logfile.LevelWarn, "no temporary files: bodies wait in memory", []zap.Field{
			zap.String("temp_path", b.TempPath), zap.Error(err)}})
		return
	}
	g.temp = dir
}

// prepareTemp makes the directory if it is not there, has it belong to the user of the workers, and opens it.
func prepareTemp(path string, account conf.User) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		err = giveTo(dir, account)
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// giveTo gives the directory to the user of the workers, if that user may not make files in it already. One that has something in it, which weir's never has,
// is somebody else's, and is left as it is.
func giveTo(dir *os.File, account conf.User) error {
	uid, gid, err := sys.LookUpAccount(account.Name, account.Group)
	if err != nil {
		return err
	}
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || uid == 0 || mayWrite(stat, uid, gid) {
		return nil
	}
	if _, err := dir.Readdirnames(1); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("%s: user %q may not make files in it, and it is not empty: choose another, or chown it", dir.Name(), account.Name)
		}
		return err
	}
	return dir.Chown(uid, gid)
}

// mayWrite says whether a user may make files in a directory. inode(7).
func mayWrite(dir *syscall.Stat_t, uid, gid int) bool {
	const writeAndSearch = 0o3
	switch {
	case int(dir.Uid) == uid:
		return dir.Mode>>6&writeAndSearch == writeAndSearch
	case int(dir.Gid) == gid:
		return dir.Mode>>3&writeAndSearch == writeAndSearch
	}
	return dir.Mode&writeAndSearch == writeAndSearch
}

// openQuota makes the budget.
func (m *master) openQuota(config *conf.Config) error {
	owner, err := m.zones.takeOwner()
	if err != nil {
		return err
	}
	m.quota, err = quota.Create(int64(config.Buffers.TempQuota), mutexOf(config), owner)
	return err
}

// adoptQuota goes on with the budget of an old master.
func (m *master) adoptQuota(fd int) error {
	owner, err := m.zones.takeOwner()
	if err != nil {
		return err
	}
	m.quota, err = quota.Attach(fd, owner, quota.NoSlot)
	return err
}

// inheritTemp puts the directory and the budget into a manifest; 0: the generation has no directory.
func (m *master) inheritTemp(g *generation, inherit func(fd int) int) (dir, budget int) {
	if g.temp == nil {
		return 0, 0
	}
	return inherit(int(g.temp.Fd())), inherit(m.quota.FD())
}

// setQuota has the budget's limit follow the config that serves. It returns at once: the zone's lock is not for the loop.
func (k *keeper) setQuota(bytes int64) {
	k.limit.Store(bytes)
	wake(k.looks)
}

// lookAtQuota brings the limit up to date, and checks the zone if something has happened to it.
func (k *keeper) lookAtQuota() {
	if limit := k.limit.Load(); k.quota.Status().Limit != limit {
		k.quota.SetLimit(limit)
	}
	if k.quota.Status().CheckDue {
		k.checkQuota()
	}
}

// checkQuota checks the zone, and adds up the shares of the living workers anew if they are not what it says.
func (k *keeper) checkQuota() {
	faults := k.quota.Check()
	if len(faults) == 0 {
		return
	}
	for _, fault := range faults {
		k.log(logAlert, "temp_quota: fault", zap.Error(fault))
	}
	lost, err := k.quota.Rebuild(k.table.Alive)
	k.log(logAlert, "temp_quota is counted anew", zap.Int64("lost", lost), zap.Error(err))
}

// reapQuota gives back what the files of a dead worker held: the kernel has closed them.
func (k *keeper) reapQuota(slot int) ([]news, error) {
	bytes, err := k.quota.Reap(slot)
	if errors.Is(err, quota.ErrDamaged) {
		k.checkQuota()
		var more int64
		more, err = k.quota.Reap(slot)
		bytes += more
	}
	if bytes == 0 {
		return nil, err
	}
	return []news{{logfile.LevelNotice, "temp_quota: what a dead worker held is given back", []zap.Field{
		zap.Int("slot", slot), zap.Int64("bytes", bytes)}}}, err
}

// TempStatus is the budget of temporary files, in the answer to GET /status.
type TempStatus struct {
	LimitBytes int64       `json:"limit_bytes"` // buffers.temp_quota
	UsedBytes  int64       `json:"used_bytes"`  // by files of all workers
	PeakBytes  int64       `json:"peak_bytes"`  // the most there was
	Refused    uint64      `json:"refused"`     // times that the half for ordinary use was used up: back-pressure
	Denied     uint64      `json:"denied"`      // times that all of it was, when memory was short
	Sound      bool        `json:"sound"`
	Mutex      MutexStatus `json:"shared_mutex"`
}

func (k *keeper) tempStatus() *TempStatus {
	var s quota.Status
	if !tryUntil(time.Now().Add(lockPatience), func() (ok bool) { s, ok = k.quota.TryStatus(); return ok }) {
		return nil
	}
	return &TempStatus{
		LimitBytes: s.Limit, UsedBytes: s.Used, PeakBytes: s.Peak, Refused: s.Refused, Denied: s.Denied, Sound: s.Sound,
		Mutex: mutexStatus(k.quota.Mutex().Kind(), s.Lock),
	}
}
