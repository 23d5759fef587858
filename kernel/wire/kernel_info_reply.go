package wire

// KernelInfoReply tells what the kernel is.
// https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-info
type KernelInfoReply struct {
	Status                Status       `json:"status"`
	ProtocolVersion       string       `json:"protocol_version"`
	Implementation        string       `json:"implementation"`
	ImplementationVersion string       `json:"implementation_version"`
	LanguageInfo          LanguageInfo `json:"language_info"`
	Banner                string       `json:"banner"`
	HelpLinks             []HelpLink   `json:"help_links"`
	Debugger              bool         `json:"debugger"` // deprecated in 5.5 for SupportedFeatures
	SupportedFeatures     []string     `json:"supported_features"`
}

// MessageType is kernel_info_reply.
func (KernelInfoReply) MessageType() string { return "kernel_info_reply" }

// LanguageInfo tells a front end how to show and save the language's code.
type LanguageInfo struct {
	Name              string `json:"name"`
	Version           string `json:"version"`
	MimeType          string `json:"mimetype"`
	FileExtension     string `json:"file_extension"`
	PygmentsLexer     string `json:"pygments_lexer,omitempty"`
	CodeMirrorMode    string `json:"codemirror_mode,omitempty"`
	NBConvertExporter string `json:"nbconvert_exporter,omitempty"`
}

// HelpLink is an entry of the front end's help menu.
type HelpLink struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}
