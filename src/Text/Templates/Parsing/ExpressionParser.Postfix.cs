using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>What follows a value: attributes, items, slices, calls, filters and tests.</summary>
sealed partial class ExpressionParser
{
    /// <summary>The filters of a block: <c>name | name(...)</c>, or nothing.</summary>
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
            TokenKind.Name => new AttributeExpression(line, target, name.Text),
            TokenKind.Integer => new ItemExpression(line, target, new LiteralExpression(line, ParseInteger(name))),
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
            else if (namedSpread is null && tokens.Current.Kind == TokenKind.Name && tokens.Following.IsOperator("=")) named.Add(ParseNamed());
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
        var startsValue = next.Kind is TokenKind.Name or TokenKind.String or TokenKind.Integer or TokenKind.Float || next.IsOperator("[") || next.IsOperator("{");
        if (!startsValue || next.IsName("else") || next.IsName("or") || next.IsName("and")) return ArgumentList.None;
        return new ArgumentList([ParsePostfix(ParsePrimary())], [], null, null);
    }

    string ParseDottedName(string what)
    {
        var name = tokens.Expect(TokenKind.Name, what).Text;
        while (tokens.SkipOperator(".")) name += "." + tokens.Expect(TokenKind.Name, what).Text;
        return name;
    }
}
