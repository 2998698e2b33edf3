// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package master

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"weir/conf"
	"weir/internal/logfile"
	"weir/internal/peers"
	"weir/internal/sight"
)

// What operators have said of origins stands in shared memory for as long as weir runs, and in the file of state_path for its next start. Only the master that serves writes the file: after
// each order, and when the config that serves has changed. Only a start with new memory reads it. It is there while there is something to remember.

// savedOrders is the file's content.
type savedOrders struct {
	Format    int          `json:"format"` // ordersFormat
	Upstreams []savedOrder `json:"upstreams"`
}

// savedOrder is an operator's word for an origin.
type savedOrder struct {
	Upstream string `json:"upstream"`
	Peer     string `json:"peer"`  // its address; meant is each origin of the group that has it
	State    string `json:"state"` // up, drain or down
}

const (
	ordersFormat = 1
	// ordersBytesMax is far more than all origins that there may be need.
	ordersBytesMax = 64 << 20
)

// readOrders reads the file; nothing when it is not there.
func readOrders(path string) ([]savedOrder, error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, ordersBytesMax))
	if err != nil {
		return nil, err
	}
	var saved savedOrders
	if err := json.Unmarshal(text, &saved); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if saved.Format != ordersFormat {
		return nil, fmt.Errorf("%s: format %d, want %d", path, saved.Format, ordersFormat)
	}
	for _, o := range saved.Upstreams {
		if _, ok := peerOrders[o.State]; !ok {
			return nil, fmt.Errorf("%s: origin %s of %s: state %q: must be up, drain or down", path, o.Peer, o.Upstream, o.State)
		}
	}
	return saved.Upstreams, nil
}

// restoreOrders has the origins of a config do what operators had said before weir was started. It takes locks, and is not for the loop. A file that cannot be used changes
// nothing, and stays as it is until there is something new to write.
func (k *keeper) restoreOrders(config *conf.Config) {
	if config.StatePath == "" {
		return
	}
	list, err := readOrders(config.StatePath)
	if err != nil {
		k.log(logfile.LevelWarn, "what operators have said of origins before this start is not known: the file of state_path cannot be used", zap.Error(err))
	}
	for _, o := range list {
		if err := k.restoreOrder(config, o); err != nil {
			k.log(logfile.LevelWarn, fmt.Sprintf("upstream %q: an operator's word for %s is forgotten", o.Upstream, o.Peer), zap.String("word", o.State), zap.Error(err))
			continue
		}
		k.log(logfile.LevelNotice, fmt.Sprintf("upstream %q: origin %s is ordered %s, as before this start", o.Upstream, o.Peer, o.State))
	}
}

// restoreOrder does what one word says. An origin that a host's name led to is not known yet, and is remembered for the case that the name leads there again.
func (k *keeper) restoreOrder(config *conf.Config, o savedOrder) error {
	i := slices.IndexFunc(config.Groups, func(g conf.Upstream) bool { return g.Name == o.Upstream })
	if i < 0 {
		return errors.New("the config has no such upstream")
	}
	for nth := 0; ; nth++ {
		name := peers.Name{Group: o.Upstream, Address: o.Peer, Nth: nth}
		p, ok := k.peers.Find(name)
		if !ok && nth == 0 && sight.Named(&config.Groups[i]) {
			if err := k.peers.Register([]peers.Name{name}, nowMs()); err != nil {
				return err
			}
			if p, ok = k.peers.Find(name); ok {
				p.SetSeen(nowMs() - peers.SeenForMs - 1)
			}
		}
		switch {
		case ok:
			p.SetAdmin(peerOrders[o.State], nowMs())
		case nth == 0:
			return errors.New("the upstream has no such origin")
		default:
			return nil
		}
	}
}

// ordersOf are the words that a config's start would have to know. Up goes without saying for an origin that the config has serve.
func (k *keeper) ordersOf(config *conf.Config) []savedOrder {
	kept := map[peers.Name]bool{} // those that the config keeps from serving, and a word has brought up
	for i := range config.Groups {
		for j, n := range sight.NamesOf(&config.Groups[i]) {
			s := fixedServer(&config.Groups[i], j)
			kept[n] = s.Down || s.Drain
		}
	}
	list := []savedOrder{}
	for _, n := range k.peers.Names() {
		p, ok := k.peers.Find(n)
		if !ok || n.Nth > 0 {
			continue
		}
		a := p.Admin()
		if fixed, known := kept[n]; a == peers.AsConfigured || a == peers.Up && known && !fixed {
			continue
		}
		list = append(list, savedOrder{n.Group, n.Address, a.String()})
	}
	slices.SortFunc(list, func(a, b savedOrder) int {
		return bytes.Compare([]byte(a.Upstream+"\x00"+a.Peer), []byte(b.Upstream+"\x00"+b.Peer))
	})
	return list
}

// fixedServer is the nth of a group's servers that the config names by address.
func fixedServer(g *conf.Upstream, nth int) *conf.UpstreamServer {
	for i := range g.Servers {
		if g.Servers[i].Address.Host != "" {
			continue
		}
		if nth == 0 {
			return &g.Servers[i]
		}
		nth--
	}
	panic(fmt.Sprintf("master: group %s has fewer servers than origins", g.Name))
}

// setConfig has the file follow the config that serves. It returns at once; nil: another master serves.
func (k *keeper) setConfig(config *conf.Config) {
	k.config.Store(config)
	k.saveDue.Store(true)
	wake(k.looks)
}

// saveOrders writes the file if it does not say what it should.
func (k *keeper) saveOrders() error {
	k.saving.Lock()
	defer k.saving.Unlock()
	config := k.config.Load()
	if config == nil || config.StatePath == "" {
		return nil
	}
	list := k.ordersOf(config)
	before, err := readOrders(config.StatePath)
	if err == nil && slices.Equal(list, before) {
		return nil
	}
	if len(list) == 0 {
		if err != nil {
			return nil // it is not ours, or of another version
		}
		return os.Remove(config.StatePath)
	}
	text, err := json.MarshalIndent(savedOrders{Format: ordersFormat, Upstreams: list}, "", "  ")
	if err != nil {
		panic(fmt.Errorf("master: orders are not JSON: %w", err))
	}
	return replaceFile(config.StatePath, append(text, '\n'))
}

// replaceFile writes a file so that whoever reads it, also after a crash, finds the old text or the new one.
func replaceFile(path string, text []byte) (err error) {
	if err := makeParent(path); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// lookAtOrders writes the file when what it should say may have changed.
func (k *keeper) lookAtOrders() {
	if !k.saveDue.Swap(false) {
		return
	}
	if err := k.saveOrders(); err != nil {
		k.log(logfile.LevelWarn, "what operators have said of origins will not outlast this weir", zap.Error(err))
	}
}
