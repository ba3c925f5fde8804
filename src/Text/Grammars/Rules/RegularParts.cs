using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Rules;

/// <summary>
/// Which expressions are regular, and small enough to be tried as one lexeme: they refer to no rule that refers to itself. What compiles one calls itself for
/// each level of it, so it must not be high either, with the rules that it refers to: a chain of rules can be as long as a source.
/// </summary>
/// <param name="largest">The most states that an expression may have before it is made deterministic.</param>
sealed class RegularParts(IReadOnlyList<Expression> rules, int largest)
{
    /// <summary>References within references that are read in place.</summary>
    const int DeepestReference = 32;

    /// <summary>Levels of an expression, with those of what it refers to.</summary>
    const int Highest = 400;

    /// <summary>By rule; null where it is not known.</summary>
    readonly Measure?[] _rules = new Measure?[rules.Count];
    readonly bool[] _open = new bool[rules.Count];
    readonly Dictionary<Expression, Measure> _known = new(ReferenceEqualityComparer.Instance);
    int _references;
    int _level;

    public bool Contains(Expression expression) => Of(expression).Size <= largest;

    Measure Of(Expression expression)
    {
        if (_known.TryGetValue(expression, out var known)) return known;
        if (_level == Highest) return Measure.Irregular;
        _level++;
        var measure = expression switch
        {
            Expression.Character => new Measure(2, 1),
            Expression.Literal literal => new Measure(2 * literal.Text.Length, 1),
            Expression.Sequence sequence => OfAll(sequence.Parts),
            Expression.Choice choice => OfAll(choice.Parts),
            Expression.Repeat repeat => Of(repeat.Part).Above(Math.Max(1, repeat.Most ?? repeat.Least + 1)),
            Expression.Reference reference => OfRule(reference.Rule).Above(times: 1),
            _ => Measure.Irregular,
        };
        _level--;
        return _known[expression] = measure.Height <= Highest ? measure : Measure.Irregular;
    }

    Measure OfAll(IReadOnlyList<Expression> parts)
    {
        var (size, height) = (1L, 0);
        foreach (var part in parts)
        {
            var measure = Of(part);
            (size, height) = (Math.Min(int.MaxValue, size + measure.Size), Math.Max(height, measure.Height));
        }
        return size == int.MaxValue ? Measure.Irregular : new Measure((int)size, height + 1);
    }

    Measure OfRule(int rule)
    {
        if (_open[rule] || _references == DeepestReference) return Measure.Irregular;
        if (_rules[rule] is { } known) return known;
        _open[rule] = true;
        _references++;
        var measure = Of(rules[rule]);
        _references--;
        _open[rule] = false;
        _rules[rule] = measure;
        return measure;
    }

    /// <param name="Size">States, or int.MaxValue where it is not regular.</param>
    /// <param name="Height">Levels.</param>
    readonly record struct Measure(int Size, int Height)
    {
        public static Measure Irregular { get; } = new(int.MaxValue, 0);

        /// <summary>One level above, so many times as large.</summary>
        public Measure Above(int times) =>
            Size == int.MaxValue || (long)Size * times >= int.MaxValue ? Irregular : new(Size * times, Height + 1);
    }
}
