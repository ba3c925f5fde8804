using System.Globalization;
using System.Text;
using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>Names, literals and brackets.</summary>
sealed partial class ExpressionParser
{
    public Expression ParsePrimary()
    {
        var token = tokens.Current;
        switch (token.Kind)
        {
            case SyntaxTokenKind.Name:
                tokens.Take();
                return ParseName(token);
            case SyntaxTokenKind.String:
                return new LiteralExpression(token.Line, new StringValue(ParseStrings()));
            case SyntaxTokenKind.Integer:
                tokens.Take();
                return new LiteralExpression(token.Line, ParseInteger(token));
            case SyntaxTokenKind.Float:
                tokens.Take();
                return new LiteralExpression(token.Line, new FloatValue(double.Parse(token.Text.Replace("_", ""), CultureInfo.InvariantCulture)));
            case SyntaxTokenKind.Operator when tokens.SkipOperator("("):
                var inner = ParseTuple(mayBeEmpty: true);
                tokens.ExpectOperator(")");
                return inner;
            case SyntaxTokenKind.Operator when tokens.SkipOperator("["):
                return new SequenceExpression(token.Line, ParseItems("]", () => Parse()), isTuple: false);
            case SyntaxTokenKind.Operator when tokens.SkipOperator("{"):
                return new DictionaryExpression(token.Line, ParseItems("}", ParseEntry));
            default:
                throw tokens.Unexpected("an expression");
        }
    }

    Expression ParseName(SyntaxToken token)
    {
        if (char.IsDigit(token.Text[0])) throw new TemplateFault($"'{token.Text}' is not a name", token.Line);
        switch (token.Text)
        {
            case "true" or "True": return new LiteralExpression(token.Line, BooleanValue.True);
            case "false" or "False": return new LiteralExpression(token.Line, BooleanValue.False);
            case "none" or "None": return new LiteralExpression(token.Line, NoneValue.Instance);
        }
        if (_mentioned.TryPeek(out var names)) names.Add(token.Text);
        return new NameExpression(token.Line, token.Text);
    }

    /// <summary>Reads strings that follow each other as one.</summary>
    string ParseStrings()
    {
        var text = new StringBuilder();
        while (tokens.Current.Kind == SyntaxTokenKind.String) text.Append(tokens.Take().Text);
        return text.ToString();
    }

    static IntegerValue ParseInteger(SyntaxToken token)
    {
        var (radix, digits) = token.Text.ToLowerInvariant() switch
        {
            ['0', 'x', .. var hex] => (16, hex),
            ['0', 'o', .. var octal] => (8, octal),
            ['0', 'b', .. var binary] => (2, binary),
            var text => (10, text),
        };
        try
        {
            var value = 0L;
            foreach (var digit in digits)
                if (digit != '_') value = checked(value * radix + (char.IsAsciiDigit(digit) ? digit - '0' : digit - 'a' + 10));
            return new IntegerValue(value);
        }
        catch (OverflowException)
        {
            throw new TemplateFault($"{token.Text} does not fit a 64-bit integer", token.Line);
        }
    }

    List<T> ParseItems<T>(string end, Func<T> parseItem)
    {
        var items = new List<T>();
        while (!tokens.SkipOperator(end))
        {
            if (items.Count > 0) tokens.ExpectOperator(",");
            if (tokens.SkipOperator(end)) break;
            items.Add(parseItem());
        }
        return items;
    }

    (Expression, Expression) ParseEntry()
    {
        var key = Parse();
        tokens.ExpectOperator(":");
        return (key, Parse());
    }

    // What follows a value: attributes, items, slices, calls, filters and tests.

    /// <summary>Reads the filters of a block: <c>name | name(...)</c>, or nothing.</summary>
    public FilterExpression? ParseBlockFilters(bool startsWithName)
    {
        var filter = startsWithName ? ParseFilter(null) : null;
        while (tokens.SkipOperator("|")) filter = ParseFilter(filter);
        return filter;
    }

    Expression ParsePostfix(Expression target)
    {
        while (true)
            if (tokens.Current.IsOperator(".")) target = ParseAttribute(target);
            else if (tokens.Current.IsOperator("[")) target = ParseItem(target);
            else if (tokens.Current.IsOperator("(")) target = new CallExpression(tokens.Current.Line, target, ParseArguments());
            else return target;
    }

    Expression ParseFilters(Expression target)
    {
        while (true)
            if (tokens.SkipOperator("|")) target = ParseFilter(target);
            else if (tokens.Current.IsName("is")) target = ParseTest(target);
            else if (tokens.Current.IsOperator("(")) target = new CallExpression(tokens.Current.Line, target, ParseArguments());
            else return target;
    }

    Expression ParseAttribute(Expression target)
    {
        var line = tokens.Take().Line;
        var name = tokens.Take();
        return name.Kind switch
        {
            SyntaxTokenKind.Name => new AttributeExpression(line, target, name.Text),
            SyntaxTokenKind.Integer => new ItemExpression(line, target, new LiteralExpression(line, ParseInteger(name))),
            _ => throw new TemplateFault($"expected a name or number after '.', found {name.Description}", name.Line),
        };
    }

    Expression ParseItem(Expression target)
    {
        var line = tokens.Take().Line;
        var first = tokens.Current.IsOperator(":") ? null : Parse();
        if (tokens.SkipOperator(":"))
        {
            var stop = ParseBound();
            var step = tokens.SkipOperator(":") ? ParseBound() : null;
            tokens.ExpectOperator("]");
            return new SliceExpression(line, target, first, stop, step);
        }
        tokens.ExpectOperator("]");
        return new ItemExpression(line, target, first!);
    }

    Expression? ParseBound() => tokens.Current.IsOperator(":") || tokens.Current.IsOperator("]") ? null : Parse();

    ArgumentList ParseArguments()
    {
        tokens.ExpectOperator("(");
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? spread = null, namedSpread = null;
        for (var isFirst = true; !tokens.SkipOperator(")"); isFirst = false)
        {
            if (!isFirst) tokens.ExpectOperator(",");
            if (tokens.SkipOperator(")")) break;
            var mayBeSpread = spread is null && namedSpread is null;
            if (mayBeSpread && tokens.SkipOperator("*")) spread = Parse();
            else if (namedSpread is null && tokens.SkipOperator("**")) namedSpread = Parse();
            else if (namedSpread is null && tokens.Current.Kind == SyntaxTokenKind.Name && tokens.Following.IsOperator("=")) named.Add(ParseNamed());
            else if (mayBeSpread && named.Count == 0) positional.Add(Parse());
            else throw new TemplateFault("an argument without a name follows one with a name or a spread one", tokens.Current.Line);
        }
        return new ArgumentList(positional, named, spread, namedSpread);
    }

    (string, Expression) ParseNamed()
    {
        var name = tokens.Take().Text;
        tokens.Take();
        return (name, Parse());
    }

    FilterExpression ParseFilter(Expression? target)
    {
        var token = tokens.Current;
        var name = ParseDottedName("a filter's name");
        if (Conditional == 0 && !Filters.Exists(name)) _unknown.Add(new TemplateFault($"no filter named '{name}'", token.Line));
        return new FilterExpression(token.Line, target, name, tokens.Current.IsOperator("(") ? ParseArguments() : ArgumentList.None);
    }

    Expression ParseTest(Expression target)
    {
        tokens.Take();
        var isNegated = tokens.SkipName("not");
        var token = tokens.Current;
        var name = ParseDottedName("a test's name");
        if (Conditional == 0 && !Tests.Exists(name)) _unknown.Add(new TemplateFault($"no test named '{name}'", token.Line));
        var test = new TestExpression(token.Line, target, name, ParseTestArguments());
        return isNegated ? new NotExpression(token.Line, test) : test;
    }

    ArgumentList ParseTestArguments()
    {
        var next = tokens.Current;
        if (next.IsOperator("(")) return ParseArguments();
        if (next.IsName("is")) throw new TemplateFault("tests cannot be chained with 'is'", next.Line);
        var startsValue = next.Kind is SyntaxTokenKind.Name or SyntaxTokenKind.String or SyntaxTokenKind.Integer or SyntaxTokenKind.Float || next.IsOperator("[") || next.IsOperator("{");
        if (!startsValue || next.IsName("else") || next.IsName("or") || next.IsName("and")) return ArgumentList.None;
        return new ArgumentList([ParsePostfix(ParsePrimary())], [], null, null);
    }

    string ParseDottedName(string what)
    {
        var name = tokens.Expect(SyntaxTokenKind.Name, what).Text;
        while (tokens.SkipOperator(".")) name += "." + tokens.Expect(SyntaxTokenKind.Name, what).Text;
        return name;
    }
}
