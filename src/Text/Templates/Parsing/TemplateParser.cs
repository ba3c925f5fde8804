using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>Reads a template into statements.</summary>
sealed class TemplateParser
{
    readonly SyntaxTokenReader _tokens;
    readonly ExpressionParser _expressions;
    readonly Stack<SyntaxToken> _openTags = new();
    int _loops;

    TemplateParser(IReadOnlyList<SyntaxToken> tokens)
    {
        _tokens = new SyntaxTokenReader(tokens);
        _expressions = new ExpressionParser(_tokens);
    }

    public static Body Parse(string source)
    {
        if (source.Length > TemplateLimits.SourceLength)
            throw new TemplateFault($"the template has {source.Length:N0} characters; more than {TemplateLimits.SourceLength:N0} are refused", line: 1);
        var parser = new TemplateParser(TemplateLexer.Tokenize(source));
        var body = parser.ParseBody();
        return parser._expressions.Unknown is { } unknown ? throw unknown : body;
    }

    /// <summary>Reads statements up to one of the given tags, whose name is then the next token. Without tags, reads to the end of the template.</summary>
    Body ParseBody(params ReadOnlySpan<string> endTags)
    {
        var statements = new List<Statement>();
        while (_tokens.Current.Kind != SyntaxTokenKind.End)
        {
            var token = _tokens.Take();
            if (token.Kind == SyntaxTokenKind.Text) statements.Add(new TextStatement(token.Line, token.Text));
            else if (token.Kind == SyntaxTokenKind.OutputBegin) statements.Add(ParseOutput(token.Line));
            else if (_tokens.Current.Kind == SyntaxTokenKind.Name && endTags.Contains(_tokens.Current.Text)) return new Body(statements);
            else statements.Add(ParseTag(endTags));
        }
        return endTags.Length == 0 ? new Body(statements)
            : throw new TemplateFault($"the block '{_openTags.Peek().Text}' that starts here is not closed: {Wanted(endTags)} is missing", _openTags.Peek().Line);
    }

    /// <summary>Reads the rest of an opening tag from its <c>%}</c> on, the body, and the end tag.</summary>
    Body ParseBlock(string endTag)
    {
        EndOpeningTag();
        var body = ParseBody(endTag);
        _tokens.Take();
        EndTag();
        return body;
    }

    OutputStatement ParseOutput(int line)
    {
        var value = _expressions.ParseTuple();
        _tokens.Expect(SyntaxTokenKind.OutputEnd, "'}}'");
        return new OutputStatement(line, value);
    }

    Statement ParseTag(ReadOnlySpan<string> endTags)
    {
        var tag = _tokens.Expect(SyntaxTokenKind.Name, "a tag's name");
        _expressions.Descend();
        _openTags.Push(tag);
        Statement statement = tag.Text switch
        {
            "for" => ParseFor(tag.Line),
            "if" => ParseIf(tag.Line),
            "set" => ParseSet(tag.Line),
            "macro" => ParseMacro(tag.Line),
            "call" => ParseCall(tag.Line),
            "filter" => ParseFilterBlock(tag.Line),
            "with" => ParseWith(tag.Line),
            "generation" => new WithStatement(tag.Line, [], ParseBlock("endgeneration")),
            "break" or "continue" => ParseLoopControl(tag),
            "print" => ParsePrint(tag.Line),
            _ => throw UnknownTag(tag, endTags),
        };
        _openTags.Pop();
        _expressions.Ascend();
        return statement;
    }

    static TemplateFault UnknownTag(SyntaxToken tag, ReadOnlySpan<string> endTags)
    {
        var isKnown = tag.Text is "include" or "import" or "from" or "extends" or "block" or "autoescape" or "do";
        var reason = isKnown ? $"the tag '{tag.Text}' is not supported in chat templates" : $"unknown tag '{tag.Text}'";
        return new TemplateFault(endTags.Length == 0 ? reason : $"{reason}; expected here is {Wanted(endTags)}", tag.Line);
    }

    static string Wanted(ReadOnlySpan<string> endTags) => string.Join(" or ", endTags.ToArray().Select(tag => $"'{tag}'"));

    void EndTag() => _tokens.Expect(SyntaxTokenKind.TagEnd, "'%}'");

    /// <summary>Ends a tag that opens a block; Python's colon is allowed there.</summary>
    void EndOpeningTag()
    {
        _tokens.SkipOperator(":");
        EndTag();
    }

    // The tags one by one. Each method starts after the tag's name.

    ForStatement ParseFor(int line)
    {
        var target = ParseTarget();
        _tokens.ExpectName("in");
        var iterated = _expressions.ParseTuple(withCondition: false);
        var filter = _tokens.SkipName("if") ? _expressions.Parse() : null;
        if (_tokens.Current.IsName("recursive")) throw new TemplateFault("recursive loops are not supported", line);
        EndOpeningTag();
        _loops++;
        var body = ParseBody("endfor", "else");
        _loops--;
        var otherwise = _tokens.Take().Text == "else" ? ParseBlock("endfor") : EndWithout();
        return new ForStatement(line, target, iterated, filter, body, otherwise);
    }

    IfStatement ParseIf(int line)
    {
        _expressions.Conditional++;
        var branches = new List<(Expression, Body)>();
        string end;
        do
        {
            var condition = _expressions.ParseTuple(withCondition: false);
            EndOpeningTag();
            branches.Add((condition, ParseBody("elif", "else", "endif")));
            end = _tokens.Take().Text;
        }
        while (end == "elif");
        var otherwise = end == "else" ? ParseBlock("endif") : EndWithout();
        _expressions.Conditional--;
        return new IfStatement(line, branches, otherwise);
    }

    /// <summary>Ends a block that has no <c>else</c>.</summary>
    Body EndWithout()
    {
        EndTag();
        return Body.Empty;
    }

    Statement ParseSet(int line)
    {
        var target = ParseTarget(mayBeNamespace: true);
        if (_tokens.SkipOperator("="))
        {
            var value = _expressions.ParseTuple();
            EndTag();
            return new SetStatement(line, target, value);
        }
        var filter = _expressions.ParseBlockFilters(startsWithName: false);
        return new SetBlockStatement(line, target, filter, ParseBlock("endset"));
    }

    MacroStatement ParseMacro(int line)
    {
        var name = _tokens.Expect(SyntaxTokenKind.Name, "the macro's name").Text;
        return new MacroStatement(line, ParseDefinition(line, name, ParseParameters(), "endmacro"));
    }

    CallBlockStatement ParseCall(int line)
    {
        var parameters = _tokens.Current.IsOperator("(") ? ParseParameters() : [];
        if (_expressions.Parse() is not CallExpression call) throw new TemplateFault("expected the call of a macro", line);
        return new CallBlockStatement(line, call, ParseDefinition(line, "caller", parameters, "endcall"));
    }

    MacroDefinition ParseDefinition(int line, string name, IReadOnlyList<(string, Expression?)> parameters, string endTag)
    {
        var loopsAround = _loops;
        _loops = 0;
        _expressions.StartNames();
        var body = ParseBlock(endTag);
        _loops = loopsAround;
        return new MacroDefinition(line, name, parameters, _expressions.EndNames(), body);
    }

    List<(string, Expression?)> ParseParameters()
    {
        var parameters = new List<(string Name, Expression? Default)>();
        _tokens.ExpectOperator("(");
        while (!_tokens.SkipOperator(")"))
        {
            if (parameters.Count > 0) _tokens.ExpectOperator(",");
            var name = _tokens.Expect(SyntaxTokenKind.Name, "a parameter's name");
            var fallback = _tokens.SkipOperator("=") ? _expressions.Parse() : null;
            if (fallback is null && parameters.Count > 0 && parameters[^1].Default is not null)
                throw new TemplateFault($"the parameter '{name.Text}' without a default follows one that has one", name.Line);
            parameters.Add((name.Text, fallback));
        }
        return parameters;
    }

    FilterBlockStatement ParseFilterBlock(int line)
    {
        var filter = _expressions.ParseBlockFilters(startsWithName: true)!;
        return new FilterBlockStatement(line, filter, ParseBlock("endfilter"));
    }

    WithStatement ParseWith(int line)
    {
        var names = new List<(AssignmentTarget, Expression)>();
        while (_tokens.Current.Kind != SyntaxTokenKind.TagEnd && !_tokens.Current.IsOperator(":"))
        {
            if (names.Count > 0) _tokens.ExpectOperator(",");
            var target = ParseTarget();
            _tokens.ExpectOperator("=");
            names.Add((target, _expressions.Parse()));
        }
        return new WithStatement(line, names, ParseBlock("endwith"));
    }

    LoopControlStatement ParseLoopControl(SyntaxToken tag)
    {
        if (_loops == 0) throw new TemplateFault($"'{tag.Text}' outside of a loop", tag.Line);
        EndTag();
        return new LoopControlStatement(tag.Line, tag.Text == "break" ? Flow.Break : Flow.Continue);
    }

    OutputStatement ParsePrint(int line)
    {
        var value = _expressions.Parse();
        EndTag();
        return new OutputStatement(line, value);
    }

    AssignmentTarget ParseTarget(bool mayBeNamespace = false)
    {
        if (mayBeNamespace && _tokens.Current.Kind == SyntaxTokenKind.Name && _tokens.Following.IsOperator("."))
        {
            var name = _tokens.Take().Text;
            _tokens.Take();
            return new NamespaceTarget(name, _tokens.Expect(SyntaxTokenKind.Name, "an attribute's name").Text);
        }
        var targets = new List<AssignmentTarget> { ParseOneTarget() };
        var isTuple = false;
        while (_tokens.SkipOperator(","))
        {
            isTuple = true;
            if (_tokens.Current.IsName("in") || _tokens.Current.Kind == SyntaxTokenKind.TagEnd) break;
            targets.Add(ParseOneTarget());
        }
        return isTuple ? new TupleTarget(targets) : targets[0];
    }

    AssignmentTarget ParseOneTarget()
    {
        var line = _tokens.Current.Line;
        return ToTarget(_expressions.ParsePrimary()) ?? throw new TemplateFault("this cannot be assigned to; expected a name", line);
    }

    static AssignmentTarget? ToTarget(Expression expression)
    {
        if (expression is NameExpression name) return new NameTarget(name.Name);
        if (expression is not SequenceExpression { Items.Count: > 0 } tuple) return null;
        var targets = tuple.Items.Select(ToTarget).OfType<AssignmentTarget>().ToList();
        return targets.Count == tuple.Items.Count ? new TupleTarget(targets) : null;
    }
}
