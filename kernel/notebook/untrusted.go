package notebook

import (
	"encoding/base64"
	"html/template"
	"net/url"
	"regexp"
	"sync"

	"github.com/microcosm-cc/bluemonday"
)

// What a notebook of somebody else's shows may be made to run scripts in the reader's browser, to tell somebody that
// the page was opened, or to look like another page. In a page that is to be safe nothing stays but text, its form,
// tables, links and the pictures that the notebook has in itself.

// harmless is what may stay.
var harmless = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details",
		"dfn", "div", "dl", "dt",
		"em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "input", "ins", "kbd", "li",
		"mark", "ol", "p", "pre", "q",
		"s", "samp", "section", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
		"thead", "tr", "tt", "u",
		"ul", "var")
	p.AllowAttrs("class").Matching(regexp.MustCompile(`^[\w \-]*$`)).Globally()
	p.AllowAttrs("id").Matching(regexp.MustCompile(`^[\p{L}\p{N}_:.\-]+$`)).Globally()
	p.AllowAttrs("title", "alt", "lang", "dir").Globally()
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|right|center|justify)$`)).Globally()
	p.AllowAttrs("colspan", "rowspan", "span", "start", "width", "height").Matching(bluemonday.NumberOrPercent).Globally()
	p.AllowAttrs("open").Matching(regexp.MustCompile(`^(open)?$`)).OnElements("details")
	// The boxes of a list of tasks, which nobody can press.
	p.AllowAttrs("type").Matching(regexp.MustCompile(`^checkbox$`)).OnElements("input")
	p.AllowAttrs("checked", "disabled").Matching(regexp.MustCompile(`^(checked|disabled)?$`)).OnElements("input")
	p.AllowStyles("color", "background-color", "text-align", "vertical-align", "font-weight", "font-style",
		"text-decoration").Globally()
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(true) // within the page, and to files beside it
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	// No picture is fetched: an address would tell who reads the page, and when.
	p.AllowAttrs("src").Matching(ownPicture).OnElements("img")
	p.AllowURLSchemeWithCustomPolicy("data", isOwnPicture)
	return p
})

var ownPicture = regexp.MustCompile(`^data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/]*=*$`)

func isOwnPicture(u *url.URL) bool { return ownPicture.MatchString(u.String()) }

// safe takes out of HTML what may do more than be looked at.
func safe(body template.HTML) template.HTML { return template.HTML(harmless().Sanitize(string(body))) }

// asPicture shows a drawing as a picture: it then runs no script and fetches nothing.
func asPicture(svg string) template.HTML {
	return template.HTML(`<img alt="" src="data:image/svg+xml;base64,` + base64.StdEncoding.EncodeToString([]byte(svg)) +
		`">`)
}
