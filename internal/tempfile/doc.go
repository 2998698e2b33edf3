// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

// Package tempfile keeps what does not fit in memory in files without a name, and never has the loop wait for a disk.
//
//	loop                                          thread (package offload)
//	Create                no system call
//	Reserve, Rescue  ---> quota
//	Append ----------- pieces of blocks ----------> openat(O_TMPFILE), pwritev
//	                   <-- Writer.OnWritten ------
//	sendfile from FD, as far as Size
//	Close --------------------------------------> close
//	                   <-- quota given back ------
//
// A Store makes the files of one worker, in a directory that the master has opened and made the workers' own: buffers.temp_path. A file has no name
// (O_TMPFILE, or a name that is taken away at once where the file system has none such), so that the kernel frees it when its worker dies,
// at whatever instruction, and no start has to clean up.
//
// # Why a thread
//
// Measured on two cores with BenchmarkLongestTurn: 100 bodies of 12.5 MiB are spilled, 32 KiB of each in a turn; how long the loop is kept from
// its other connections, without the time in which it waits for a processor, longest and median turn in microseconds:
//
//	                                   ext4: longest   median    tmpfs: longest   median
//	the loop makes, writes, closes         136,562      3,917         117,835      1,168
//	it asks (RWF_NOWAIT), is refused           127         <1             112         <1
//	the thread does all                        101         <1           1,747         <1
//
// In the second row the loop asks once whether a write need not wait, both file systems cannot say, and from then on the thread does all: it
// shows what asking costs, not such writes. Of the 136 ms the closing of 100 files takes all: their pages and blocks are given back then. Making the 100 files takes 2 ms, in other runs up to 18.
// Writing takes 10 to 40 microseconds for 32 KiB, and, what this does not show, for ever when the kernel makes writers wait for a slow disk. The
// thread writes 1.7 to 2.8 GB/s. So it makes and closes all files, and writes, too; only where the file system can say that a write need not
// wait (RWF_NOWAIT; neither ext4 nor tmpfs can, XFS does) the loop tries by itself first. A file system that cannot say is asked once.
//
// # Ownership
//
// The memory that is written stays the caller's, and must stay where and as it is until the write is over. A file whose write is pending may be closed: the
// write goes on, its end is told, then the file goes.
//
// # Failure
//
// A disk that is full or broken, a directory that is gone: the Append fails, the file is as it was, a line is logged at most once a second. A quota that is used
// up: Reserve says so, and that is logged at most once a second too. In both cases the caller goes on without: back-pressure.
//
// Invariants: Size is the bytes of completed writes, in order; what is reserved is at least that, and given back exactly once, after the file is closed.
//
// What is not here: reading. Bytes leave with sendfile(2), which reads pages that were just written from memory; where they are on the disk only, the loop waits
// for it, as it does in nginx without threads.
package tempfile
