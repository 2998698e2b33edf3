// SPDX-License-Identifier: Apache-2.0
// Copyright The weir authors

package vars

// ID is a variable that a Source can render. IDs are dense and start at 1, so that a switch over
// them compiles to a jump table; 0 is no variable. Each constant is the variable of the same name
// in the catalogue (RemoteAddr is $remote_addr), which says what it holds.
type ID uint16

// The variables of the connection, the request, the response and the upstream.
const (
	RemoteAddr ID = iota + 1
	RemotePort
	BinaryRemoteAddr
	RemoteUser
	ServerAddr
	ServerPort
	ServerName
	ServerProtocol
	Scheme
	HTTPS
	Host
	Hostname
	Request
	RequestMethod
	RequestURI
	URI
	Args
	IsArgs
	RequestBodyFile
	InvalidReferer
	SecureLink
	SecureLinkExpires
	ModernBrowser
	AncientBrowser
	MSIE
	RequestLength
	RequestTime
	RequestCompletion
	RequestID
	TraceParent
	TraceState
	ContentLength
	ContentType
	Status
	BodyBytesSent
	BytesSent
	Connection
	ConnectionRequests
	ConnectionTime
	Pipe
	Msec
	TimeLocal
	TimeISO8601
	PID
	WeirVersion
	NginxVersion
	ProxyHost
	ProxyPort
	ProxyAddXForwardedFor
	UpstreamAddr
	UpstreamStatus
	UpstreamConnectTime
	UpstreamQueueTime
	UpstreamHeaderTime
	UpstreamResponseTime
	UpstreamResponseLength
	UpstreamBytesReceived
	UpstreamBytesSent
	UpstreamLastAddr
	UpstreamLastServerName
	UpstreamCacheStatus
	RealIPRemoteAddr
	RealIPRemotePort
	ProxyProtocolAddr
	ProxyProtocolPort
	ProxyProtocolServerAddr
	ProxyProtocolServerPort
	DocumentRoot
	RealpathRoot
	RequestFilename
	LimitConnStatus
	LimitReqStatus
	LimitRate
	ConnectionsActive
	ConnectionsReading
	ConnectionsWriting
	ConnectionsWaiting
	RequestPort
	IsRequestPort
	RequestBody
	GzipRatio
	TCPInfoRTT
	TCPInfoRTTVar
	TCPInfoSndCwnd
	TCPInfoRcvSpace
	HTTP2
	SSL // of all that nginx has for TLS connections

	// BinaryRemoteAddrPrefix is $binary_remote_addr_prefix and its family; arg says how many bits of the client's address are kept. See
	// PrefixBits and AppendPrefix.
	BinaryRemoteAddrPrefix

	// Capture1 to Capture9 are $1 to $9, the groups of the regular expression that matched last.
	// They are consecutive: group n is Capture1 + n - 1.
	Capture1
	Capture2
	Capture3
	Capture4
	Capture5
	Capture6
	Capture7
	Capture8
	Capture9

	// The families. For those of header and trailer fields arg is the field's name, lower-cased and with
	// "-" for "_". For arguments and cookies arg is the name as the template spells it; nginx
	// compares those without regard to case.
	HTTPField            // $http_NAME
	SentHTTPField        // $sent_http_NAME
	UpstreamHTTPField    // $upstream_http_NAME
	SentTrailerField     // $sent_trailer_NAME
	UpstreamTrailerField // $upstream_trailer_NAME
	ProxyProtocolTLV     // $proxy_protocol_tlv_NAME
	ArgNamed             // $arg_NAME
	CookieNamed          // $cookie_NAME
	UpstreamCookieNamed  // $upstream_cookie_NAME

	numIDs
)

// NumIDs is one more than the largest ID: the length of a table indexed by ID. Variables that a config defines have the IDs from there on: see Names.
const NumIDs = int(numIDs)

// String returns the name as a template spells it, without "$"; a family ends in "_".
func (id ID) String() string {
	switch {
	case id >= Capture1 && id <= Capture9:
		return string(rune('1' + id - Capture1))
	case id >= numIDs:
		return "(of the config)"
	}
	for i := range families {
		if families[i].ID == id {
			return families[i].Name
		}
	}
	for i := range catalogue {
		if catalogue[i].ID == id {
			return catalogue[i].Name
		}
	}
	return "(no variable)"
}

// plainIDs marks the variables whose values consist of printable ASCII without '"' and '\' whoever
// the client is, so that no escaping has to look at them.
func plainIDs() (plain [numIDs]bool) {
	for i := range catalogue {
		plain[catalogue[i].ID] = catalogue[i].plain
	}
	return plain
}
