// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package request

import (
	"go.uber.org/zap"

	"weir/internal/access"
	"weir/internal/htpasswd"
	"weir/internal/http1"
	"weir/internal/offload"
	"weir/internal/vars"
)

// Access is who may come in to a location.
type Access struct {
	Rules   access.Rules
	Request []byte         // the path that auth_request asks for; nil: none
	Sets    []SetVariable  // auth_request_set
	Any     bool           // satisfy any: one check that lets in is enough
	Realm   *vars.Template // auth_basic; nil: off
	Files   *vars.Template // auth_basic_user_file
	// DelayMs is auth_delay.
	DelayMs int64
}

// gate is how far a request has come with the checks of its location: nginx's access phase.
//
//	rules -> password -> subrequest -> over
//
// With satisfy all the first check that refuses ends it; with satisfy any the first that lets in does.
type gate struct {
	check    check
	refusal  int            // the status for a request that no check lets in; 0: none has refused
	password *passwordCheck // made when it is needed first
	child    *Request       // the subrequest that is asked; nil: none
	answered int            // its status, until that has been looked at; 0: there is none
	resumeMs int64          // when a 401 that waits is given; 0: none waits
}

// check is one of the checks.
type check uint8

const (
	checkRules check = iota
	checkPassword
	checkSubrequest
	checksOver
)

// outcome is what a check says of a request.
type outcome uint8

const (
	noSay   outcome = iota // nothing: it is not asked for here
	letIn                  // the request may come in
	refused                // with gate.refusal
	pending                // it will be known later
	failed                 // it cannot be known, and the answer has been given
)

// access passes a request through the checks of its location. See passPhases.
func (r *Request) access() (v verdict, pass bool) {
	a, g := r.loc.Access, &r.gate
	for ; g.check < checksOver; g.check++ {
		switch r.askCheck(a, g.check) {
		case letIn:
			if a.Any {
				g.check, g.refusal, r.authenticate = checkRules, 0, nil
				return again, true
			}
		case refused:
			if !a.Any {
				return r.keepOut()
			}
		case pending:
			return wait, false
		case failed:
			g.check, g.refusal = checkRules, 0
			return again, false
		}
	}
	if g.refusal != 0 {
		return r.keepOut()
	}
	g.check = checkRules
	return again, true
}

// askCheck asks one check.
func (r *Request) askCheck(a *Access, c check) outcome {
	switch c {
	case checkRules:
		switch a.Rules.Check(r.client.Peer.Addr()) {
		case access.Allowed:
			return letIn
		case access.Denied:
			return r.refuse(403)
		}
	case checkPassword:
		if a.Realm != nil && a.Files != nil {
			return r.askPassword(a)
		}
	case checkSubrequest:
		if a.Request != nil {
			return r.askSubrequest(a)
		}
	}
	return noSay
}

// refuse notes with which status a check refuses. Of several, 401 is the one that a client can do something about.
func (r *Request) refuse(status int) outcome {
	if r.gate.refusal != 401 {
		r.gate.refusal = status
	}
	return refused
}

// keepOut answers a request that may not come in; one that lacks a password not before auth_delay.
func (r *Request) keepOut() (v verdict, pass bool) {
	g := &r.gate
	if delayMs := r.loc.Access.DelayMs; g.refusal == 401 && delayMs > 0 {
		if g.resumeMs == 0 {
			g.check, g.resumeMs = checksOver, r.nowMs()+delayMs
			r.logInfo("delaying unauthorized request")
		}
		if r.nowMs() < g.resumeMs {
			r.client.Arm(g.resumeMs)
			return wait, false
		}
		r.client.Disarm()
	}
	status := g.refusal
	r.gate.reset()
	if status == 403 {
		r.logError("access forbidden by rule")
	}
	return r.answer(status), false
}

// reset readies the gate for another request, or for the same one in another location. A password that is being checked is nobody's any more.
func (g *gate) reset() {
	if g.password != nil && g.password.state == passwordAway {
		g.password.request = nil
		g.password = nil
	}
	if g.password != nil {
		g.password.state = passwordIdle
	}
	if child := g.child; child != nil {
		g.child = nil
		child.sub.parent = nil
		child.closeSubrequest()
	}
	g.check, g.refusal, g.resumeMs, g.answered = checkRules, 0, 0, 0
}

// passwordCheck is a password that is looked up and worked out beside the loop.
type passwordCheck struct {
	offload.Job
	request *Request // nil: nobody waits for it any more
	state   passwordState
	files   *htpasswd.Files

	path           string
	user, password []byte
	outcome        htpasswd.Outcome
	err            error
}

type passwordState uint8

const (
	passwordIdle passwordState = iota
	passwordAway               // the goroutine has it
	passwordDone
)

// Work checks the password. See offload.Worker.
func (p *passwordCheck) Work() { p.outcome, p.err = p.files.Check(p.path, p.user, p.password) }

// OnWorked goes on with the request. See offload.Worker.
func (p *passwordCheck) OnWorked() {
	p.state = passwordDone
	clear(p.password)
	if p.request != nil {
		p.request.drive()
	}
}

// askPassword asks for the credentials of HTTP Basic authentication (RFC 7617).
func (r *Request) askPassword(a *Access) outcome {
	p := r.gate.password
	if p != nil && p.state == passwordAway {
		return pending
	}
	if p != nil && p.state == passwordDone {
		p.state = passwordIdle
		return r.onPassword(p, a)
	}
	realm := r.render(a.Realm)
	if realm == nil {
		r.noMemory()
		return failed
	}
	if string(realm) == "off" {
		return noSay
	}
	i := r.head.Lookup(http1.FieldAuthorization)
	var value []byte
	if i >= 0 {
		value = r.headOf(r.head.Fields[i].Value)
	}
	if p == nil {
		p = &passwordCheck{request: r, files: r.engine.passwords()}
		p.Init(p)
		r.gate.password = p
	}
	room := r.arena.Alloc(len(value))
	if room == nil && len(value) > 0 {
		r.noMemory()
		return failed
	}
	user, password, ok := access.Basic(room, value)
	if !ok {
		r.logInfo("no user/password was provided for basic authentication")
		return r.challenge(realm)
	}
	p.user, p.password = append(p.user[:0], user...), append(p.password[:0], password...)
	clear(room)
	path := r.render(a.Files)
	if path == nil {
		r.noMemory()
		return failed
	}
	if p.path != string(path) {
		p.path = string(path)
	}
	p.state = passwordAway
	r.engine.passwordThread.Do(&p.Job)
	return pending
}

// onPassword acts on what came of a check. The words of the log are nginx's, which fail2ban looks for.
func (r *Request) onPassword(p *passwordCheck, a *Access) outcome {
	what := ""
	switch p.outcome {
	case htpasswd.Match:
		return letIn
	case htpasswd.NoUser:
		what = `user "` + printable(p.user) + `" was not found in "` + p.path + `"`
	case htpasswd.Mismatch:
		what = `user "` + printable(p.user) + `": password mismatch`
	case htpasswd.Unknown:
		what = `user "` + printable(p.user) + `": the hash of the password is of an unknown kind`
	case htpasswd.NoFile:
		r.logError("the password file cannot be read", zap.Error(p.err))
		return r.refuse(403)
	default:
		r.logError("the password file cannot be read", zap.Error(p.err))
		r.gate.check = checksOver
		r.answer(500)
		return failed
	}
	r.logError(what)
	realm := r.render(a.Realm)
	if realm == nil {
		r.noMemory()
		return failed
	}
	return r.challenge(realm)
}

// challenge refuses with 401 and asks for a password.
func (r *Request) challenge(realm []byte) outcome {
	clean(realm)
	dst := append(r.arena.Begin(len(r.authenticate)+len(realm)+64), r.authenticate...)
	dst = append(dst, `WWW-Authenticate: Basic realm="`...)
	dst = append(append(dst, realm...), "\"\r\n"...)
	if r.authenticate = r.arena.End(dst); r.authenticate == nil {
		r.noMemory()
		return failed
	}
	return r.refuse(401)
}

// passwords are the password files of this worker. The goroutine that reads them starts with the first password.
func (e *Engine) passwords() *htpasswd.Files {
	if e.passwordFiles == nil {
		e.passwordFiles = htpasswd.New()
		e.passwordThread = e.Calls.NewThread()
	}
	return e.passwordFiles
}

// keepAuthenticate takes the fields that ask for a password from the response of an origin that from, r itself or its subrequest, has got. False: there is no memory for them.
func (r *Request) keepAuthenticate(from *Request) bool {
	u := &from.up
	dst := append(r.arena.Begin(errorBodyRoom), r.authenticate...)
	for i := range u.head.Fields {
		if f := &u.head.Fields[i]; f.ID == http1.FieldWWWAuthenticate {
			dst = appendOriginal(dst, f, u.text)
		}
	}
	some := len(dst) > 0
	r.authenticate = r.arena.End(dst)
	return r.authenticate != nil || !some
}

// appendAuthenticate appends the fields that ask for a password, if one is asked for.
func (r *Request) appendAuthenticate(dst []byte) []byte { return append(dst, r.authenticate...) }
