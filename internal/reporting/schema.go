package reporting

import _ "embed"

// Schema is the JSON Schema of the JSON that lies beside a report's page.
//
//go:embed report.schema.json
var Schema string
