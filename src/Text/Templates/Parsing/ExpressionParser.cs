using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>
/// Reads expressions by Jinja2's grammar. The loosest binding comes first: if-else, or, and, not, comparisons, + -, ~, * / // %, **, signs,
/// and last what follows a value: attributes, items, calls, filters and tests.
/// </summary>
sealed partial class ExpressionParser(SyntaxTokenReader tokens)
{
    static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    readonly Stack<HashSet<string>> _mentioned = new();
    int _depth;

    readonly List<TemplateFault> _unknown = [];

    /// <summary>Above 0 inside a branch that may not be taken. An unknown filter or test there is a fault only when the branch is taken.</summary>
    public int Conditional { get; set; }

    /// <summary>The first unknown filter or test that every rendering meets.</summary>
    public TemplateFault? Unknown => _unknown.FirstOrDefault();

    /// <summary>Goes one level deeper into brackets, operators or blocks. The depth is limited because parsing and rendering recurse.</summary>
    public void Descend()
    {
        if (++_depth > TemplateLimits.SourceDepth) throw new TemplateFault($"nested deeper than {TemplateLimits.SourceDepth} levels", tokens.Current.Line);
    }

    public void Ascend() => _depth--;

    /// <summary>Starts to collect the names that a macro mentions.</summary>
    public void StartNames() => _mentioned.Push([]);

    public IReadOnlySet<string> EndNames()
    {
        var names = _mentioned.Pop();
        if (_mentioned.TryPeek(out var outer)) outer.UnionWith(names);
        return names;
    }

    /// <summary>Reads an expression. Without <paramref name="withCondition"/> an <c>if</c> after it is not part of it.</summary>
    public Expression Parse(bool withCondition = true)
    {
        Descend();
        var expression = withCondition ? ParseConditional() : ParseOr();
        Ascend();
        return expression;
    }

    /// <summary>Reads an expression, or a tuple of several with commas between them.</summary>
    public Expression ParseTuple(bool withCondition = true, bool mayBeEmpty = false)
    {
        var line = tokens.Current.Line;
        var items = new List<Expression>();
        var isTuple = false;
        while (!AtTupleEnd())
        {
            items.Add(Parse(withCondition));
            if (!tokens.SkipOperator(",")) break;
            isTuple = true;
        }
        if (items.Count == 0 && !mayBeEmpty) throw tokens.Unexpected("an expression");
        return isTuple || items.Count == 0 ? new SequenceExpression(line, items, isTuple: true) : items[0];
    }

    bool AtTupleEnd() => tokens.Current.Kind is SyntaxTokenKind.OutputEnd or SyntaxTokenKind.TagEnd || tokens.Current.IsOperator(")");

    Expression ParseConditional()
    {
        var line = tokens.Current.Line;
        var certain = _unknown.Count;
        var value = ParseOr();
        while (tokens.SkipName("if"))
        {
            _unknown.RemoveRange(certain, _unknown.Count - certain);
            Conditional++;
            var condition = ParseOr();
            var other = tokens.SkipName("else") ? Parse() : null;
            Conditional--;
            value = new ConditionalExpression(line, condition, value, other);
        }
        return value;
    }

    Expression ParseOr()
    {
        var left = ParseAnd();
        while (tokens.Current.IsName("or"))
            left = new LogicalExpression(tokens.Take().Line, left, ParseAnd(), isAnd: false);
        return left;
    }

    Expression ParseAnd()
    {
        var left = ParseNot();
        while (tokens.Current.IsName("and"))
            left = new LogicalExpression(tokens.Take().Line, left, ParseNot(), isAnd: true);
        return left;
    }

    Expression ParseNot()
    {
        if (!tokens.Current.IsName("not")) return ParseComparison();
        Descend();
        var expression = new NotExpression(tokens.Take().Line, ParseNot());
        Ascend();
        return expression;
    }

    Expression ParseComparison()
    {
        var line = tokens.Current.Line;
        var first = ParseSum();
        var rest = new List<(string, Expression)>();
        while (TakeComparison() is { } operation) rest.Add((operation, ParseSum()));
        return rest.Count == 0 ? first : new ComparisonExpression(line, first, rest);
    }

    string? TakeComparison()
    {
        if (tokens.Current.Kind == SyntaxTokenKind.Operator && Comparisons.Contains(tokens.Current.Text)) return tokens.Take().Text;
        if (tokens.SkipName("in")) return "in";
        if (!tokens.Current.IsName("not") || !tokens.Following.IsName("in")) return null;
        tokens.Take();
        tokens.Take();
        return "not in";
    }

    Expression ParseSum() => ParseChain(ParseConcatenation, "+", "-");

    Expression ParseConcatenation()
    {
        var line = tokens.Current.Line;
        List<Expression> operands = [ParseProduct()];
        while (tokens.SkipOperator("~")) operands.Add(ParseProduct());
        return operands.Count == 1 ? operands[0] : new ConcatenationExpression(line, operands);
    }

    Expression ParseProduct() => ParseChain(ParsePower, "*", "/", "//", "%");

    Expression ParsePower() => ParseChain(() => ParseSigned(withFilters: true), "**");

    Expression ParseChain(Func<Expression> parseOperand, params ReadOnlySpan<string> operations)
    {
        var left = parseOperand();
        while (tokens.Current.Kind == SyntaxTokenKind.Operator && operations.Contains(tokens.Current.Text))
        {
            var operation = tokens.Take();
            left = new ArithmeticExpression(operation.Line, operation.Text, left, parseOperand());
        }
        return left;
    }

    Expression ParseSigned(bool withFilters)
    {
        Expression expression;
        if (tokens.Current.IsOperator("-") || tokens.Current.IsOperator("+"))
        {
            Descend();
            var sign = tokens.Take();
            expression = new SignExpression(sign.Line, ParseSigned(withFilters: false), sign.Text == "-");
            Ascend();
        }
        else
        {
            expression = ParsePrimary();
        }
        expression = ParsePostfix(expression);
        return withFilters ? ParseFilters(expression) : expression;
    }
}
