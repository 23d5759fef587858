package session

import (
	"runtime"
	"strings"

	"github.com/loupeml/loupe/kernel/wire"
)

// GoLanguage is what a front end has to know to show Go.
func GoLanguage() wire.LanguageInfo {
	return wire.LanguageInfo{
		Name:              "go",
		Version:           strings.TrimPrefix(runtime.Version(), "go"),
		MimeType:          "text/x-go",
		FileExtension:     ".go",
		PygmentsLexer:     "go",
		CodeMirrorMode:    "go",
		NBConvertExporter: "script",
	}
}

func (s *session) info() wire.KernelInfoReply {
	answer := wire.KernelInfoReply{
		Status:                wire.StatusOK,
		ProtocolVersion:       wire.ProtocolVersion,
		Implementation:        "loupe",
		ImplementationVersion: s.options.Version,
		LanguageInfo:          s.options.Language,
		Banner:                s.options.Banner,
		HelpLinks:             append([]wire.HelpLink{}, s.options.HelpLinks...),
		SupportedFeatures:     []string{},
	}
	if s.concurrent() {
		answer.SupportedFeatures = append(answer.SupportedFeatures, "kernel subshells")
	}
	if answer.LanguageInfo.Name == "" {
		answer.LanguageInfo = GoLanguage()
	}
	return answer
}
