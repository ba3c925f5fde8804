using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Statements;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>Reads a template into statements.</summary>
sealed partial class TemplateParser
{
    readonly TokenReader _tokens;
    readonly ExpressionParser _expressions;
    readonly Stack<Token> _openTags = new();
    int _loops;

    TemplateParser(IReadOnlyList<Token> tokens)
    {
        _tokens = new TokenReader(tokens);
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

    /// <summary>Reads statements up to one of the given tags, whose name is next then, or up to the end of the template if there are none.</summary>
    Body ParseBody(params ReadOnlySpan<string> endTags)
    {
        var statements = new List<Statement>();
        while (_tokens.Current.Kind != TokenKind.End)
        {
            var token = _tokens.Take();
            if (token.Kind == TokenKind.Text) statements.Add(new TextStatement(token.Line, token.Text));
            else if (token.Kind == TokenKind.OutputBegin) statements.Add(ParseOutput(token.Line));
            else if (_tokens.Current.Kind == TokenKind.Name && endTags.Contains(_tokens.Current.Text)) return new Body(statements);
            else statements.Add(ParseTag(endTags));
        }
        return endTags.Length == 0 ? new Body(statements)
            : throw new TemplateFault($"the block '{_openTags.Peek().Text}' that starts here is not closed: {Wanted(endTags)} is missing", _openTags.Peek().Line);
    }

    /// <summary>The body of a tag that has just been read but for its <c>%}</c>, and its end tag.</summary>
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
        _tokens.Expect(TokenKind.OutputEnd, "'}}'");
        return new OutputStatement(line, value);
    }

    Statement ParseTag(ReadOnlySpan<string> endTags)
    {
        var tag = _tokens.Expect(TokenKind.Name, "a tag's name");
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

    static TemplateFault UnknownTag(Token tag, ReadOnlySpan<string> endTags)
    {
        var isKnown = tag.Text is "include" or "import" or "from" or "extends" or "block" or "autoescape" or "do";
        var reason = isKnown ? $"the tag '{tag.Text}' is not supported in chat templates" : $"unknown tag '{tag.Text}'";
        return new TemplateFault(endTags.Length == 0 ? reason : $"{reason}; expected here is {Wanted(endTags)}", tag.Line);
    }

    static string Wanted(ReadOnlySpan<string> endTags) => string.Join(" or ", endTags.ToArray().Select(tag => $"'{tag}'"));

    void EndTag() => _tokens.Expect(TokenKind.TagEnd, "'%}'");

    /// <summary>Ends a tag that opens a block; Python's colon is allowed there.</summary>
    void EndOpeningTag()
    {
        _tokens.SkipOperator(":");
        EndTag();
    }
}
