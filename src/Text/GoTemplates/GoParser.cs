using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>Makes nodes of a template's tokens. Whatever can be known to be wrong without data is refused here.</summary>
sealed partial class GoParser
{
    readonly string _text;
    readonly IReadOnlyList<GoToken> _tokens;
    readonly Dictionary<string, IReadOnlyList<GoNode>> _definitions = [];
    readonly HashSet<string> _fields = [];
    readonly List<GoNode.Call> _calls = [];
    List<string> _variables = ["$"];
    int _position;
    int _depth;
    int _loops;

    GoParser(string text) => (_text, _tokens) = (text, GoLexer.Read(text));

    /// <exception cref="GoTemplateException">It is no template, or has what is not supported.</exception>
    public static ParsedTemplate Parse(string text)
    {
        if (text.Length > TemplateLimits.SourceLength)
            throw GoTemplateException.At($"the template has more than {TemplateLimits.SourceLength:N0} characters", text, 0);
        return new GoParser(text).ParseAll();
    }

    GoToken Current => _tokens[_position];

    ParsedTemplate ParseAll()
    {
        var body = ReadBody(isTop: true);
        if (Current.Kind != GoTokenKind.End) throw Fault($"unexpected {ErrorText.Quote(_tokens[_position + 1].Text)}", Current);
        _definitions[ParsedTemplate.Main] = body;
        foreach (var call in _calls)
            if (!_definitions.ContainsKey(call.Name)) throw GoTemplateException.At($"the template {ErrorText.Quote(call.Name)} is not defined", _text, call.At);
        return new ParsedTemplate(_definitions, _fields);
    }

    /// <summary>Nodes up to the end, or up to an action "else" or "end", which is left to the caller.</summary>
    List<GoNode> ReadBody(bool isTop = false)
    {
        Deepen();
        var nodes = new List<GoNode>();
        while (Current.Kind != GoTokenKind.End)
        {
            if (Current.Kind == GoTokenKind.Words)
            {
                var words = Take();
                nodes.Add(new GoNode.Words(words.At, words.Text));
                continue;
            }
            var action = _tokens[_position + 1];
            if (action.IsWord("else") || action.IsWord("end")) break;
            Take();
            if (action.IsWord("define")) ReadDefinition(isTop);
            else nodes.Add(ReadAction());
        }
        _depth--;
        return nodes;
    }

    GoNode ReadAction()
    {
        var first = Current;
        switch (first.Kind == GoTokenKind.Word ? first.Text : "")
        {
            case "if": return ReadBranch(BranchKind.If);
            case "with": return ReadBranch(BranchKind.With);
            case "range": return ReadBranch(BranchKind.Range);
            case "break" or "continue":
                Take();
                if (_loops == 0) throw Fault($"'{first.Text}' outside of a range", first);
                ExpectClose();
                return new GoNode.LoopExit(first.At, first.Text == "continue");
            case "template":
                Take();
                return Called(new GoNode.Call(first.At, TakeName("template"), ReadArgument()));
            case "block":
                Take();
                var name = TakeName("block");
                var argument = ReadArgument() ?? throw Fault("a block needs a value", first);
                Define(name, first);
                return Called(new GoNode.Call(first.At, name, argument));
            default:
                return new GoNode.Action(first.At, ReadPipeline());
        }
    }

    GoNode.Call Called(GoNode.Call call)
    {
        _calls.Add(call);
        return call;
    }

    /// <summary>The value that a template is called with, and the end of the action.</summary>
    Pipeline? ReadArgument()
    {
        if (Current.Kind != GoTokenKind.Close) return ReadPipeline();
        Take();
        return null;
    }

    string TakeName(string of) => Current.Kind == GoTokenKind.String ? Take().Text
        : throw Fault($"'{of}' needs a name in \" \", not {Current.Description}", Current);

    void ReadDefinition(bool isTop)
    {
        var define = Take();
        if (!isTop) throw Fault("'define' inside of another action", define);
        var name = TakeName("define");
        ExpectClose();
        Define(name, define);
    }

    /// <summary>Reads a body of its own, with variables of its own, up to its end.</summary>
    void Define(string name, GoToken at)
    {
        var (variables, loops) = (_variables, _loops);
        (_variables, _loops) = (["$"], 0);
        var body = ReadBody();
        ExpectEnd(at);
        (_variables, _loops) = (variables, loops);
        if (name == ParsedTemplate.Main || !_definitions.TryAdd(name, body)) throw Fault($"the template {ErrorText.Quote(name)} is defined twice", at);
    }

    GoNode.Branch ReadBranch(BranchKind kind)
    {
        var start = Take();
        var known = _variables.Count;
        var pipe = ReadPipeline(isRange: kind == BranchKind.Range);
        if (kind == BranchKind.Range) _loops++;
        IReadOnlyList<GoNode> body = ReadBody();
        if (kind == BranchKind.Range) _loops--;
        IReadOnlyList<GoNode> otherwise = [];
        if (_position + 1 < _tokens.Count && _tokens[_position + 1].IsWord("else"))
        {
            _position += 2;
            if (Current.IsWord("if") && kind == BranchKind.If)
            {
                // It shares the end of the first one, and its variables go with those of the first.
                Deepen();
                otherwise = [ReadBranch(BranchKind.If)];
                _depth--;
                Forget(known);
                return new GoNode.Branch(start.At, kind, pipe, body, otherwise);
            }
            ExpectClose();
            otherwise = ReadBody();
        }
        ExpectEnd(start);
        Forget(known);
        return new GoNode.Branch(start.At, kind, pipe, body, otherwise);
    }

    void Forget(int known) => _variables.RemoveRange(known, _variables.Count - known);

    void ExpectEnd(GoToken of)
    {
        if (Current.Kind == GoTokenKind.End) throw Fault($"'{of.Text}' has no 'end'", of);
        Take();
        if (!Current.IsWord("end")) throw Fault($"unexpected '{Current.Text}'", Current);
        Take();
        ExpectClose();
    }

    void ExpectClose()
    {
        if (Current.Kind != GoTokenKind.Close) throw Fault($"unexpected {Current.Description}", Current);
        Take();
    }

    void Deepen()
    {
        if (++_depth > TemplateLimits.SourceDepth) throw Fault($"nested deeper than {TemplateLimits.SourceDepth} levels", Current);
    }

    GoToken Following => _tokens[Math.Min(_position + 1, _tokens.Count - 1)];

    GoToken Take()
    {
        var token = Current;
        if (_position < _tokens.Count - 1) _position++;
        return token;
    }

    bool TakeSign(string sign)
    {
        if (Current.Kind != GoTokenKind.Sign || Current.Text != sign) return false;
        Take();
        return true;
    }

    GoTemplateException Fault(string reason, GoToken token) => GoTemplateException.At(reason, _text, token.At);
}
