using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>A piece of a template's source: its kind, its text (of a string, with escapes resolved) and its line.</summary>
readonly record struct SyntaxToken(SyntaxTokenKind Kind, string Text, int Line)
{
    public bool IsName(string name) => Kind == SyntaxTokenKind.Name && Text == name;

    public bool IsOperator(string symbol) => Kind == SyntaxTokenKind.Operator && Text == symbol;

    /// <summary>The token as an error message shows it.</summary>
    public string Description => Kind switch
    {
        SyntaxTokenKind.Text => "text",
        SyntaxTokenKind.OutputBegin => "'{{'",
        SyntaxTokenKind.OutputEnd => "'}}'",
        SyntaxTokenKind.TagBegin => "'{%'",
        SyntaxTokenKind.TagEnd => "'%}'",
        SyntaxTokenKind.String => "a string",
        SyntaxTokenKind.End => "the end of the template",
        _ => $"'{Text}'",
    };
}

enum SyntaxTokenKind
{
    Text,
    OutputBegin,
    OutputEnd,
    TagBegin,
    TagEnd,
    Name,
    String,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>Reads a template's tokens one after the other.</summary>
sealed class SyntaxTokenReader(IReadOnlyList<SyntaxToken> tokens)
{
    int _position;

    public SyntaxToken Current => tokens[_position];

    public SyntaxToken Following => tokens[Math.Min(_position + 1, tokens.Count - 1)];

    public SyntaxToken Take()
    {
        var token = Current;
        if (_position < tokens.Count - 1) _position++;
        return token;
    }

    public bool SkipName(string name) => Skip(Current.IsName(name));

    public bool SkipOperator(string symbol) => Skip(Current.IsOperator(symbol));

    public SyntaxToken Expect(SyntaxTokenKind kind, string what) => Current.Kind == kind ? Take() : throw Unexpected(what);

    public void ExpectName(string name)
    {
        if (!SkipName(name)) throw Unexpected($"'{name}'");
    }

    public void ExpectOperator(string symbol)
    {
        if (!SkipOperator(symbol)) throw Unexpected($"'{symbol}'");
    }

    public TemplateFault Unexpected(string wanted) => new($"expected {wanted}, found {Current.Description}", Current.Line);

    bool Skip(bool matches)
    {
        if (matches) Take();
        return matches;
    }
}
