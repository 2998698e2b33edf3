// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package conf

import (
	"time"

	"weir/internal/vars"
)

// Config is one whole configuration: every value checked, inherited and resolved, so that whoever reads it
// needs no default of its own. It is immutable after [Load].
//
// Like every table of the schema it is both the TOML table and the result. The fields' comments are the text of
// docs/configuration.md, and their tags say, in a form that the decoder, the printer and that document share:
//
//	toml      the key; "-" for what Load derives and no user writes
//	default   the value when the key is absent, as a user would write it (strings, times and sizes unquoted)
//	min, max  bounds, both included, in the unit of the value
//	as        where the meaning comes from when it is not nginx's directive of the same name
//	short     "true": the table may be written as just this key's value
//	key       "true": this field holds the entry's key in a table of named entries
//	off       "true": the list may be written as false, for an empty one
//	path      "true": a file; relative ones are resolved against the prefix
//	required  "true": the table is faulty without the key
//	example   a value for the reference and the example file when the default does not show the form
type Config struct {
	// Number of worker processes. "auto" takes the number of processors that this process may use: its
	// affinity mask (and so its cpuset), lowered by a cgroup v1 or v2 CPU quota.
	WorkerProcesses Auto `toml:"worker_processes" default:"auto" min:"1" max:"1024" as:"nginx; its default is 1"`

	// Whether weir puts itself into the background: the command that starts it ends when weir serves, or has failed. Where a service manager waits for
	// word of it, or passes sockets to it, weir stays in the foreground nevertheless.
	Daemon bool `toml:"daemon" default:"false" as:"nginx; its default is on"`

	// Connections, to clients and to origins together, that one worker can hold.
	WorkerConnections int `toml:"worker_connections" default:"4096" min:"16" max:"1048576" as:"nginx; its default is 512"`

	// Descriptors that each worker may have, as the kernel's limit RLIMIT_NOFILE. More than the master may have need root. 0: as the master.
	WorkerRlimitNofile int `toml:"worker_rlimit_nofile" default:"0" max:"1073741824"`

	// Scheduling priority of the workers, as nice(1) has it: a negative one is higher, and needs root.
	WorkerPriority int `toml:"worker_priority" default:"0" min:"-20" max:"20"`

	// How long a worker that leaves gracefully may go on with what is in flight; then its connections are closed. 0: for ever.
	WorkerShutdownTimeout time.Duration `toml:"worker_shutdown_timeout" default:"30s" max:"365d" as:"nginx; its default is no limit"`

	// What SIGTERM to the master does: "fast" stops at once, as nginx, "graceful" finishes what is in flight as SIGQUIT does, bounded
	// by worker_shutdown_timeout. The latter is for containers, whose managers stop with SIGTERM. SIGINT always stops at once.
	StopSignal StopSignal `toml:"stop_signal" default:"fast" as:"weir"`

	// How long a reload may take until all new workers are ready. After that the old generation goes on and the reload has failed.
	ReloadTimeout time.Duration `toml:"reload_timeout" default:"30s" min:"1s" max:"1h" as:"weir"`

	// How long an upgrade may take until the new master's workers serve and one of them has answered it. After that the old master goes on and the upgrade has failed.
	UpgradeTimeout time.Duration `toml:"upgrade_timeout" default:"30s" min:"1s" max:"1h" as:"weir"`

	// How long the old master stays beside the new one after an upgrade by SIGUSR2, for an operator to decide with WINCH, HUP and QUIT as with nginx. After that, unless one of them
	// came, it drains its workers and leaves, as it does at once after weir -s upgrade.
	UpgradeHold time.Duration `toml:"upgrade_hold" default:"5s" max:"365d" as:"weir"`

	// Generations of workers that may live at once while older ones drain. The oldest is cut off to keep the number.
	MaxGenerations int `toml:"max_generations" default:"4" min:"2" max:"64" as:"weir"`

	// The user and group that the workers run as, when the master was started by root. The group's default is the group named like the user.
	User User `toml:"user" default:"nobody"`

	// File that holds the process id of the master. Empty: none.
	Pid string `toml:"pid" default:"run/weir.pid" path:"true"`

	// Unix socket on which the master answers commands (weir -s, weir status). Empty: none.
	Control string `toml:"control" default:"run/weir.sock" path:"true" as:"weir"`

	// File for what operators have said of origins (weir upstream drain, down, up), so that it holds on when weir is stopped and started again. The master writes it, and it is there only
	// while there is something to remember. When it cannot be written, who gives the order reads a warning. Empty: none.
	StatePath string `toml:"state_path" default:"run/weir.state" path:"true" as:"weir"`

	// How the lock of shared memory is made: "atomic" with a word in it that the kernel watches (a robust futex), "flock" with flock(2), for
	// systems without robust futexes. With either, the lock of a process that dies goes on to the next, and what was half done is undone.
	SharedMutex SharedMutex `toml:"shared_mutex" default:"atomic" as:"weir"`

	// Only one worker at a time, the one that holds a lock, waits for new connections; the others are not woken by them. Otherwise all wait, and the
	// kernel wakes one of them. It is of no use to addresses with reuseport, nor with one worker, and does nothing there.
	AcceptMutex bool `toml:"accept_mutex" default:"false"`

	// How long a worker that has not got the lock of accept_mutex waits at most before it tries again.
	AcceptMutexDelay time.Duration `toml:"accept_mutex_delay" default:"500ms" min:"1ms" max:"1m"`

	// Where faults and events are logged.
	ErrorLog ErrorLog `toml:"error_log"`

	// The blocks of memory that each worker reads into and writes from.
	Buffers Buffers `toml:"buffers"`

	// The HTTP proxy.
	HTTP HTTP `toml:"http"`

	// Listeners are the sockets to open, one per address in order of first appearance, and the servers behind each.
	Listeners []Listener `toml:"-"`

	// Groups are the groups of origins that ProxyPass.Group counts in: HTTP.Upstreams in their order, then one for
	// every address that a proxy_pass names directly.
	Groups []Upstream `toml:"-"`

	// Variables are those that the config defines itself, by named groups of regular expressions for example: every template may name them.
	Variables *vars.Names `toml:"-"`
}

// User names the account that workers run as.
type User struct {
	// User name or number.
	Name string `toml:"name" short:"true" required:"true"`

	// Group name or number.
	Group string `toml:"group"`
}

// ErrorLog says where and how errors are logged.
type ErrorLog struct {
	// File, or "stderr". The master opens it and passes it on to the workers. Or "syslog:server=ADDRESS[,facility=F][,tag=T][,nohostname]": a syslog server, by the address of
	// its UDP socket or "unix:PATH".
	Path string `toml:"path" default:"stderr" path:"true" short:"true"`

	// The least severe level that is logged.
	Level Level `toml:"level" default:"notice" as:"nginx; its default is error"`

	// Form of a line: for people, JSON, or as nginx writes it, in nginx's words, for what reads nginx's logs.
	Format ErrorLogFormat `toml:"format" default:"text" as:"weir"`

	// Further logs that get the same lines, from a level of their own on.
	Also []RequestErrorLog `toml:"also" example:"['syslog:server=192.0.2.1']" as:"nginx, which may have several error_log"`
}

// Buffers sizes the pool of blocks of one worker.
type Buffers struct {
	// Size of one block, a power of two; other sizes are rounded up.
	Size Size `toml:"size" default:"16k" min:"4k" max:"1m" as:"HAProxy tune.bufsize"`

	// Blocks allocated ahead, and kept for responses so that a response can always make progress.
	Reserve int `toml:"reserve" default:"2" min:"1" max:"1024" as:"HAProxy tune.buffers.reserve"`

	// Blocks that one worker may hold; who needs more waits. 0: two for each of worker_connections, and enough for what four responses may hold.
	// `weir -t` says how much memory that is.
	Limit int `toml:"limit" default:"0" max:"4194304" as:"HAProxy tune.buffers.limit"`

	// Whether bodies go from socket to socket through a pipe of the kernel, without passing through the process, where that pays ("auto"), or never ("off").
	Splice Splice `toml:"splice" default:"auto" as:"HAProxy option splice-auto"`

	// Directory for temporary files: bodies that are ahead of a slow reader. The master makes it and gives it to the workers' user. The files have no
	// names, and go with the worker that made them. Where it cannot be used, a warning says so, and bodies wait in memory.
	TempPath string `toml:"temp_path" default:"tmp" path:"true" as:"nginx proxy_temp_path and client_body_temp_path"`

	// Bytes that all temporary files of all workers may hold together. Half of it is for ordinary use, all of it for when memory is short. 0: no
	// temporary files.
	TempQuota Size `toml:"temp_quota" default:"1g" max:"1024g" as:"weir"`

	// Room kept in a head's first block, while it is read, for header fields that are added to it; at most half a block is.
	MaxRewrite Size `toml:"maxrewrite" default:"1k" min:"256" max:"64k" as:"HAProxy tune.maxrewrite"`
}
