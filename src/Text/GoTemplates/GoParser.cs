using System.Globalization;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>Makes nodes of a template's tokens. Whatever can be known to be wrong without data is refused here.</summary>
sealed class GoParser
{
    /// <summary>Variables in one body. They are looked for one by one.</summary>
    const int MostVariables = 200;

    static readonly string[] Keywords = ["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

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

    string TakeName(string of) => Current.Kind == GoTokenKind.String ? Take().Text : throw Fault($"'{of}' needs a name in \" \", not {Current.Description}", Current);

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

    /// <summary>A pipeline and what ends it: a parenthesis or the action's end.</summary>
    Pipeline ReadPipeline(bool inParentheses = false, bool isRange = false)
    {
        Deepen();
        var start = Current;
        var (names, declares) = inParentheses ? ([], false) : ReadTargets(isRange);
        var commands = new List<Command>();
        do commands.Add(ReadCommand(isFirst: commands.Count == 0));
        while (TakeSign("|"));
        if (inParentheses ? !TakeSign(")") : Current.Kind != GoTokenKind.Close) throw Fault($"unexpected {Current.Description}", Current);
        if (!inParentheses) Take();
        _depth--;
        return new Pipeline(start.At, [.. names.Select(name => SlotOf(name, declares))], declares, commands);
    }

    /// <summary>The variables that a pipeline sets.</summary>
    (List<GoToken> Names, bool Declares) ReadTargets(bool isRange)
    {
        var names = new List<GoToken>();
        if (Current.Kind != GoTokenKind.Variable || Following is not { Kind: GoTokenKind.Sign, Text: ":=" or "=" or "," }) return (names, false);
        names.Add(Take());
        if (isRange && TakeSign(","))
        {
            if (Current.Kind != GoTokenKind.Variable) throw Fault($"a range can only set variables, not {Current.Description}", Current);
            names.Add(Take());
        }
        var sign = Take();
        if (sign is not { Kind: GoTokenKind.Sign, Text: ":=" or "=" }) throw Fault($"unexpected {sign.Description}", sign);
        if (isRange && sign.Text == "=") throw Fault("a range with '=' is not supported: use ':='", sign);
        return (names, sign.Text == ":=");
    }

    /// <summary>A variable begins behind the pipeline that sets it.</summary>
    int SlotOf(GoToken name, bool declares)
    {
        if (!declares) return FindSlot(name);
        if (_variables.Count == MostVariables) throw Fault($"more than {MostVariables} variables", name);
        _variables.Add(name.Text);
        return _variables.Count - 1;
    }

    int FindSlot(GoToken name) => _variables.LastIndexOf(name.Text) is >= 0 and var slot ? slot : throw Fault($"the variable {ErrorText.Quote(name.Text)} is not defined", name);

    Command ReadCommand(bool isFirst)
    {
        var start = Current;
        var operands = new List<Operand> { ReadOperand() };
        while (Current is not ({ Kind: GoTokenKind.Close } or { Kind: GoTokenKind.Sign, Text: "|" or ")" }))
        {
            if (!Current.AfterSpace) throw Fault($"unexpected {Current.Description}", Current);
            operands.Add(ReadOperand());
        }
        if (operands[0] is Operand.Function) return new Command(start.At, operands);
        if (!isFirst) throw Fault($"{start.Description} is no function and takes no value of a pipeline", start);
        if (operands.Count > 1) throw Fault($"{start.Description} is no function and takes no arguments", start);
        if (operands[0] is Operand.Constant { Value: null }) throw Fault("nil is no command", start);
        return new Command(start.At, operands);
    }

    Operand ReadOperand()
    {
        var token = Take();
        switch (token.Kind)
        {
            case GoTokenKind.Dot:
                return WithoutPath(new Operand.Dot(token.At, []));
            case GoTokenKind.Field:
                return new Operand.Dot(token.At, [FieldOf(token), .. ReadPath()]);
            case GoTokenKind.Variable:
                return new Operand.Variable(token.At, FindSlot(token), ReadPath());
            case GoTokenKind.String:
                return WithoutPath(new Operand.Constant(token.At, token.Text));
            case GoTokenKind.Number:
                return WithoutPath(new Operand.Constant(token.At, NumberOf(token)));
            case GoTokenKind.Word when token.Text is "true" or "false" or "nil":
                return WithoutPath(new Operand.Constant(token.At, token.Text == "nil" ? null : token.Text == "true"));
            case GoTokenKind.Word when !Keywords.Contains(token.Text):
                if (!GoFunctions.IsKnown(token.Text)) throw Fault($"the function {ErrorText.Quote(token.Text)} {(GoFunctions.IsOfGo(token.Text) ? "is not supported" : "is not defined")}", token);
                return WithoutPath(new Operand.Function(token.At, token.Text));
            case GoTokenKind.Sign when token.Text == "(":
                var pipe = ReadPipeline(inParentheses: true);
                return new Operand.Nested(token.At, pipe, ReadPath());
            default:
                throw Fault($"unexpected {token.Description}", token);
        }
    }

    List<string> ReadPath()
    {
        var path = new List<string>();
        while (Current is { Kind: GoTokenKind.Field, AfterSpace: false }) path.Add(FieldOf(Take()));
        return path;
    }

    Operand WithoutPath(Operand operand) =>
        Current is { Kind: GoTokenKind.Field or GoTokenKind.Dot, AfterSpace: false } ? throw Fault("nothing here has fields", Current) : operand;

    string FieldOf(GoToken token)
    {
        _fields.Add(token.Text.ToLowerInvariant());
        return token.Text;
    }

    object NumberOf(GoToken token)
    {
        if (token.Text.AsSpan().IndexOfAnyExcept("+-0123456789.eE") < 0)
        {
            var isReal = token.Text.AsSpan().ContainsAny('.', 'e', 'E');
            // Go reads a leading zero as octal.
            var digits = token.Text.AsSpan().TrimStart("+-");
            if (!isReal && (digits.Length == 1 || !digits.StartsWith("0")) && long.TryParse(token.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer)) return integer;
            if (isReal && double.TryParse(token.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real) && double.IsFinite(real)) return real;
        }
        throw Fault($"the number {ErrorText.Quote(token.Text)} is not supported", token);
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
