// Renders each template of templates.json with each of its conversations, and writes prompts.json.
//
//	go run record.go
//
// Go's own text/template is the truth here, of the version that prompts.json names. The types are shaped like those that Ollama gives its templates, and so is the way in which a template
// without .Messages is run. In that way's last turn functions and the option missingkey stay, which Ollama loses there.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"text/template"
	"text/template/parse"
)

type message struct {
	Role, Content, Thinking string
	Images                  []string
	ToolCalls               []call
	ToolName, ToolCallID    string
}

type call struct {
	ID       string
	Function called
}

type called struct {
	Index     int
	Name      string
	Arguments arguments
}

type arguments map[string]any

type tools []tool

type tool struct {
	Type     string   `json:"type"`
	Items    any      `json:"items,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Parameters  parameters `json:"parameters"`
}

type parameters struct {
	Type       string     `json:"type"`
	Defs       any        `json:"$defs,omitempty"`
	Items      any        `json:"items,omitempty"`
	Required   []string   `json:"required,omitempty"`
	Properties properties `json:"properties"`
}

type properties map[string]property

type property struct {
	Type        kinds  `json:"type,omitempty"`
	Items       any    `json:"items,omitempty"`
	Description string `json:"description,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
}

type kinds []string

func (k *kinds) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*k = kinds{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(k))
}

func (k kinds) MarshalJSON() ([]byte, error) {
	if len(k) == 1 {
		return json.Marshal(k[0])
	}
	return json.Marshal([]string(k))
}

func (k kinds) String() string {
	if len(k) == 1 {
		return k[0]
	}
	return "[" + strings.Join(k, " ") + "]"
}

func text(v any) string {
	written, _ := json.Marshal(v)
	return string(written)
}

func (a arguments) String() string  { return text(a) }
func (p properties) String() string { return text(p) }
func (t tools) String() string      { return text(t) }
func (t tool) String() string       { return text(t) }

// As requests have them.
type sent struct {
	Name     string
	Messages []struct {
		Role, Content, Name string
		Reasoning           string `json:"reasoning_content"`
		ToolCallID          string `json:"tool_call_id"`
		ToolCalls           []struct {
			ID       string
			Function struct {
				Name      string
				Arguments arguments
			}
		} `json:"tool_calls"`
	}
	Tools     tools
	Variables map[string]any
}

func collect(s sent) (system string, messages []*message) {
	var systems []string
	for _, m := range s.Messages {
		if m.Role == "system" {
			systems = append(systems, m.Content)
		}
		if n := len(messages); n > 0 && m.Role != "tool" && messages[n-1].Role == m.Role {
			messages[n-1].Content += "\n\n" + m.Content
			continue
		}
		one := &message{Role: m.Role, Content: m.Content, Thinking: m.Reasoning, ToolName: m.Name, ToolCallID: m.ToolCallID}
		for i, c := range m.ToolCalls {
			one.ToolCalls = append(one.ToolCalls, call{c.ID, called{i, c.Function.Name, c.Function.Arguments}})
		}
		messages = append(messages, one)
	}
	return strings.Join(systems, "\n\n"), messages
}

var functions = template.FuncMap{"json": text}

// Whether a template looks at a field, as far as its text shows it.
func uses(source, field string) bool { return strings.Contains(source, "."+field) }

// Leaves out what comes behind the first action that is just {{ .Response }}.
func cut(list *parse.ListNode, done *bool) {
	var kept []parse.Node
	for _, n := range list.Nodes {
		if *done {
			break
		}
		kept = append(kept, n)
		var branch *parse.BranchNode
		switch n := n.(type) {
		case *parse.ActionNode:
			*done = strings.Contains(n.String(), ".Response")
		case *parse.IfNode:
			branch = &n.BranchNode
		case *parse.WithNode:
			branch = &n.BranchNode
		case *parse.RangeNode:
			branch = &n.BranchNode
		}
		if branch != nil {
			cut(branch.List, done)
			if branch.ElseList != nil {
				cut(branch.ElseList, done)
			}
		}
	}
	list.Nodes = kept
}

func render(source string, s sent) (string, error) {
	var out bytes.Buffer
	system, messages := collect(s)
	with := func(values map[string]any) map[string]any {
		values["Think"], values["ThinkLevel"], values["IsThinkSet"] = false, "", false
		for name, value := range s.Variables {
			values[name] = value
		}
		return values
	}
	if !uses(source, "Messages") && !uses(source, "Response") {
		source += "{{ .Response }}"
	}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(source)
	if err != nil {
		return "", err
	}
	if s.Variables["Suffix"] != nil {
		return finish(&out, parsed.Execute(&out, with(map[string]any{"Prompt": messages[len(messages)-1].Content, "Response": ""})))
	}
	if uses(source, "Messages") {
		return finish(&out, parsed.Execute(&out, with(map[string]any{"System": system, "Messages": messages, "Tools": s.Tools, "Response": ""})))
	}
	var open [3]string
	turn := func() error {
		defer func() { open = [3]string{} }()
		return parsed.Execute(&out, with(map[string]any{"System": open[0], "Prompt": open[1], "Response": open[2]}))
	}
	for _, m := range messages {
		if m.Role == "system" && (open[1] != "" || open[2] != "") || m.Role == "user" && open[2] != "" {
			if err := turn(); err != nil {
				return "", err
			}
		}
		if i := strings.Index("system user   assistant", m.Role); i >= 0 {
			open[i/7] = m.Content
		}
	}
	done := false
	cut(parsed.Tree.Root, &done)
	return finish(&out, turn())
}

func finish(out *bytes.Buffer, err error) (string, error) { return out.String(), err }

func main() {
	var given struct {
		Conversations []sent
		Templates     []struct {
			Name, Source  string
			Conversations []string
		}
	}
	read, err := os.ReadFile("templates.json")
	if err == nil {
		err = json.Unmarshal(read, &given)
	}
	if err != nil {
		panic(err)
	}
	type record struct {
		Template     string `json:"template"`
		Conversation string `json:"conversation"`
		Output       string `json:"output"`
		Error        string `json:"error,omitempty"`
	}
	var records []record
	for _, t := range given.Templates {
		for _, s := range given.Conversations {
			if len(t.Conversations) > 0 && t.Conversations[0] != s.Name {
				continue
			}
			output, err := render(t.Source, s)
			one := record{t.Name, s.Name, output, ""}
			if err != nil {
				one.Output, one.Error = "", err.Error()
			}
			records = append(records, one)
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(map[string]any{"recorded_with": runtime.Version(), "prompts": records}); err != nil {
		panic(err)
	}
	if err := os.WriteFile("prompts.json", out.Bytes(), 0o644); err != nil {
		panic(err)
	}
}
