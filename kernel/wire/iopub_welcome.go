package wire

// IOPubWelcome is the first message that a subscriber to IOPub gets, so that it knows when it will hear everything.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#welcome-message and
// https://jupyter.org/enhancement-proposals/65-jupyter-xpub/jupyter-xpub.html
type IOPubWelcome struct {
	Subscription string `json:"subscription"` // the topic
}

// MessageType is iopub_welcome.
func (IOPubWelcome) MessageType() string { return "iopub_welcome" }
