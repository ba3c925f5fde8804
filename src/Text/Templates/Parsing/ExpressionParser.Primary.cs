using System.Globalization;
using System.Text;
using LlamaCluster.Text.Templates.Expressions;
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
            case TokenKind.Name:
                tokens.Take();
                return ParseName(token);
            case TokenKind.String:
                return new LiteralExpression(token.Line, new StringValue(ParseStrings()));
            case TokenKind.Integer:
                tokens.Take();
                return new LiteralExpression(token.Line, ParseInteger(token));
            case TokenKind.Float:
                tokens.Take();
                return new LiteralExpression(token.Line, new FloatValue(double.Parse(token.Text.Replace("_", ""), CultureInfo.InvariantCulture)));
            case TokenKind.Operator when tokens.SkipOperator("("):
                var inner = ParseTuple(mayBeEmpty: true);
                tokens.ExpectOperator(")");
                return inner;
            case TokenKind.Operator when tokens.SkipOperator("["):
                return new SequenceExpression(token.Line, ParseItems("]", () => Parse()), isTuple: false);
            case TokenKind.Operator when tokens.SkipOperator("{"):
                return new DictionaryExpression(token.Line, ParseItems("}", ParseEntry));
            default:
                throw tokens.Unexpected("an expression");
        }
    }

    Expression ParseName(Token token)
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

    /// <summary>Strings that follow each other are one.</summary>
    string ParseStrings()
    {
        var text = new StringBuilder();
        while (tokens.Current.Kind == TokenKind.String) text.Append(tokens.Take().Text);
        return text.ToString();
    }

    static IntegerValue ParseInteger(Token token)
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
}
