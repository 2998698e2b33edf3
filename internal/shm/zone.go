// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package shm

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"weir/internal/sys"
)

// Zone is one segment of shared memory, mapped into this process.
type Zone struct {
	base  unsafe.Pointer
	size  uint64
	limit uint32 // 8-byte words behind LockArea
	fault Fault  // what At panics with
	mem   []byte
	part  bool // a part of it may not be reserved
	fd    int  // -1: private memory
}

// Options say what Create makes.
type Options struct {
	Name       string // unique among zones of its kind, 1 to 64 bytes; for messages and to find the zone again after a reload
	Kind       string // what stands in the data area, 1 to 24 bytes
	Key        string // what the zone's keys are, at most 256 bytes; may be empty
	KindLayout uint32 // version of what stands in the data area
	Features   uint32 // bits that all users must agree on
	SizeBytes  int64  // MinBytes to MaxBytes, rounded down to pages

	// ReservedBytes is how much from the start is reserved; 0: all of it. What is behind may be touched after Reserve only.
	ReservedBytes int64
}

// Create makes a zone: reserved, zeroed, its identity written. The errors say how many bytes were needed and how many there are.
// The zone owns its descriptor (FD), which is close-on-exec.
func Create(o Options) (*Zone, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	size := o.SizeBytes &^ (PageBytes - 1)
	reserved := o.ReservedBytes
	if reserved == 0 {
		reserved = size
	}
	fd, err := sys.SharedFilePart("weir-"+o.Kind+"-"+o.Name, size, min(reserved, size))
	if err != nil {
		return nil, fmt.Errorf("zone %q: %w", o.Name, err)
	}
	z, err := mapZone(fd, size)
	if err != nil {
		sys.Close(fd)
		return nil, fmt.Errorf("zone %q: %w", o.Name, err)
	}
	id := z.identity()
	id.layout, id.kindLayout, id.features = Layout, o.KindLayout, o.Features
	if reserved < size {
		id.part, z.part = 1, true
	}
	id.size, id.pidNamespace = uint64(size), pidNamespace()
	id.nameLen = uint16(copy(id.name[:], o.Name))
	id.kindLen = uint16(copy(id.kind[:], o.Kind))
	id.keyLen = uint16(copy(id.key[:], o.Key))
	id.magic = magic
	return z.named(), nil
}

func (o *Options) check() error {
	switch {
	case o.Name == "" || len(o.Name) > nameMax:
		return fmt.Errorf("zone %q: a name has 1 to %d bytes", o.Name, nameMax)
	case o.Kind == "" || len(o.Kind) > kindMax:
		return fmt.Errorf("zone %q: kind %q: a kind has 1 to %d bytes", o.Name, o.Kind, kindMax)
	case len(o.Key) > keyMax:
		return fmt.Errorf("zone %q: the key has %d bytes, %d allowed", o.Name, len(o.Key), keyMax)
	case o.SizeBytes < MinBytes:
		return fmt.Errorf("zone %q: size %d is too small: at least %d", o.Name, o.SizeBytes, MinBytes)
	case o.SizeBytes > MaxBytes:
		return fmt.Errorf("zone %q: size %d is too large: at most %d", o.Name, o.SizeBytes, int64(MaxBytes))
	}
	return nil
}

// Attach maps a zone made by another process and checks that it is one of the wanted kind and layout. The zone then owns fd;
// when an error is returned, fd is still the caller's.
func Attach(fd int, kind string, kindLayout uint32) (*Zone, error) {
	size, err := sys.SharedFileSize(fd)
	if err != nil {
		return nil, fmt.Errorf("zone at descriptor %d: %w", fd, err)
	}
	if size < MinBytes || size > MaxBytes {
		return nil, fmt.Errorf("zone at descriptor %d: %d bytes: a zone has %d to %d", fd, size, MinBytes, int64(MaxBytes))
	}
	z, err := mapZone(fd, size)
	if err != nil {
		return nil, fmt.Errorf("zone at descriptor %d: %w", fd, err)
	}
	if err := z.refuse(kind, kindLayout); err != nil {
		z.fd = -1
		return nil, joinClose(fmt.Errorf("zone at descriptor %d: %w", fd, err), z)
	}
	z.part = z.identity().part != 0
	return z.named(), nil
}

func joinClose(err error, z *Zone) error {
	if closeErr := z.Close(); closeErr != nil {
		return fmt.Errorf("%w; %w", err, closeErr)
	}
	return err
}

// refuse says why the zone is not what the caller can use.
func (z *Zone) refuse(kind string, kindLayout uint32) error {
	id := z.identity()
	switch {
	case id.magic != magic:
		return fmt.Errorf("not a zone (magic %#x, want %#x)", id.magic, uint64(magic))
	case id.layout != Layout:
		return fmt.Errorf("layout %d, want %d", id.layout, Layout)
	}
	if faults := z.Check(); len(faults) > 0 {
		return faults[0]
	}
	switch {
	case z.Kind() != kind:
		return fmt.Errorf("kind %q, want %q", z.Kind(), kind)
	case id.kindLayout != kindLayout:
		return fmt.Errorf("kind %s has layout %d, want %d", kind, id.kindLayout, kindLayout)
	}
	return nil
}

func mapZone(fd int, size int64) (*Zone, error) {
	mem, err := sys.MapShared(fd, int(size))
	if err != nil {
		return nil, err
	}
	return over(mem, fd), nil
}

func over(mem []byte, fd int) *Zone {
	z := &Zone{base: unsafe.Pointer(&mem[0]), size: uint64(len(mem)), limit: uint32((len(mem) - int(LockArea)) / 8), mem: mem, fd: fd}
	z.fault.What = fmt.Sprintf("outside the zone of %d bytes, or not aligned", len(mem))
	return z
}

// named is z with its name in its faults; the name is there once the identity is.
func (z *Zone) named() *Zone {
	z.fault.Zone = z.Name()
	return z
}

// Reserve reserves a part of a zone that was made with ReservedBytes. Doing it again does no harm. An error says that the machine has no memory for it.
func (z *Zone) Reserve(from Offset, sizeBytes int64) error {
	if int64(from)+sizeBytes > int64(z.size) {
		panic(fmt.Sprintf("shm: reserve %d bytes from %d of a zone of %d", sizeBytes, from, z.size))
	}
	if err := sys.Reserve(z.fd, int64(from), sizeBytes); err != nil {
		return fmt.Errorf("zone %q: %w", z.Name(), err)
	}
	return nil
}

// Close unmaps the zone and closes its descriptor. No pointer into it may be used after that, and no lock of it be held.
func (z *Zone) Close() error {
	if z.fd >= 0 {
		sys.Close(z.fd)
	}
	err := sys.Unmap(z.mem)
	*z = Zone{fd: -1}
	return err
}

// Disown leaves the descriptor to the caller: Close will not close it.
func (z *Zone) Disown() { z.fd = -1 }

// FD is the zone's descriptor, to be inherited by workers. It stays the zone's.
func (z *Zone) FD() int { return z.fd }

// SizeBytes is the size of the whole zone.
func (z *Zone) SizeBytes() int64 { return int64(z.size) }

// Name is the name given to Create.
func (z *Zone) Name() string {
	id := z.identity()
	return string(id.name[:min(int(id.nameLen), nameMax)])
}

// Kind is the kind given to Create.
func (z *Zone) Kind() string {
	id := z.identity()
	return string(id.kind[:min(int(id.kindLen), kindMax)])
}

// Key is the key given to Create.
func (z *Zone) Key() string {
	id := z.identity()
	return string(id.key[:min(int(id.keyLen), keyMax)])
}

// Features are the bits given to Create.
func (z *Zone) Features() uint32 { return z.identity().features }

// SamePIDNamespace says whether this process and the zone's creator number processes alike: then, and only then, a process
// or thread number in the zone means the same to both. True when the kernel does not tell.
func (z *Zone) SamePIDNamespace() bool {
	own, created := pidNamespace(), z.identity().pidNamespace
	return own == created || own == 0 || created == 0
}

// Part says whether a part of the zone may not be reserved: it was made with ReservedBytes.
func (z *Zone) Part() bool { return z.part }

// Range is a piece of a zone.
type Range struct {
	From  Offset
	Bytes int64
}

// Fork makes a zone of the same size in private memory, filled with zeros, for a copy to look at leisure. The caller copies with
// CopyRange, and closes it. The pages of the ranges, which the caller means to copy, are there already, so that copying, done under the lock, meets no page fault.
func (z *Zone) Fork(ranges ...Range) (*Zone, error) {
	enter := sys.MapAnonymous
	if z.part {
		enter = sys.MapSparse
	}
	mem, err := enter(len(z.mem))
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		for i := int64(r.From) &^ (PageBytes - 1); i < min(int64(r.From)+r.Bytes, int64(len(mem))); i += PageBytes {
			mem[i] = 0
		}
	}
	private := over(mem, -1)
	private.part, private.fault.Zone = z.part, z.fault.Zone
	return private, nil
}

// CopyRange copies n bytes at off of the zone z to the same place of the copy, which Fork made. A range outside the zone panics with a Fault.
func (z *Zone) CopyRange(to *Zone, off Offset, n int) {
	if uint64(off)+uint64(n) > z.size || n < 0 {
		z.bad(off)
	}
	copy(to.mem[off:], z.mem[off:uint64(off)+uint64(n)])
}

func (z *Zone) identity() *identity { return (*identity)(z.base) }

// pidNamespace is the inode of this process's PID namespace, 0 when /proc does not say. pid_namespaces(7).
func pidNamespace() uint64 {
	info, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Ino
}
